//! The judge: walks through a history with each session's watches and what it was told.

use super::changes::{Changed, Changes, between};
use super::knowledge::Knowledge;
use super::secrets::Secrets;
use super::state::Data;
use super::told::Told;
use super::watching::{Fired, Watching};
use super::{Report, Rule};
use crate::sim::checkers::sessions::calls::{Call, CallIndex, Calls, ConnectionIndex, End, Moment, Step};
use crate::sim::checkers::sessions::sights::Sight;
use crate::sim::checkers::sessions::violation::Violation;
use crate::sim::checkers::sessions::writes::Authors;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use volery::placement::Placement;
use volery::wire::{EventType, Request, WatcherEvent};

/// What a connection was shown of a znode that a watch that stays covers.
#[derive(Clone, Copy, Debug)]
struct Base {
    moment: Moment,
    data: Data,
    pzxid: Option<i64>,
}

/// A session on its present connection.
#[derive(Debug, Default)]
struct Watcher<'a> {
    watching: Watching<'a>,
    told: Told<'a>,
    bases: BTreeMap<&'a str, Base>,
    /// Znodes for which a watch that stays has been found wanting already.
    accused: BTreeSet<&'a str>,
    /// How many changes of a znode's data and of its children have been judged by a sync, from the first on.
    synced: BTreeMap<&'a str, [usize; 2]>,
    /// The zxid in the header of the last reply that a client takes for its mark, and when that came.
    mark: Option<(i64, Moment)>,
}

/// Judges a history's watches.
pub struct Judge<'a, 'c> {
    calls: &'c Calls<'a>,
    placement: &'c Placement,
    authors: Authors<'a>,
    changes: Changes<'a>,
    knowledge: Knowledge<'a>,
    secrets: Secrets<'a>,
    watchers: FxHashMap<i64, Box<Watcher<'a>>>,
    report: Report,
}

impl<'a, 'c> Judge<'a, 'c> {
    /// Before the first entry.
    pub fn new(calls: &'c Calls<'a>, placement: &'c Placement) -> Judge<'a, 'c> {
        Judge {
            calls,
            placement,
            authors: Authors::of(calls),
            changes: Changes::of(calls),
            knowledge: Knowledge::of(calls),
            secrets: Secrets::of(calls),
            watchers: FxHashMap::default(),
            report: Report::default(),
        }
    }

    /// Walks through the history.
    pub fn judge(mut self) -> Report {
        let calls = self.calls;
        for (moment, step) in calls.steps() {
            match step {
                Step::Opened(connection, again) => self.opened(connection, again),
                Step::Invoked(index) => {
                    let call = calls.call(index);
                    let watcher = self.watchers.entry(call.session).or_default();
                    watcher.watching.sent(index, call.request);
                }
                Step::Returned(index) => self.returned(index, moment),
                Step::Notified(connection, zxid, event) => {
                    let session = calls.connection(connection).session;
                    self.judge_secrecy(connection, session, event, moment);
                    self.notified(session, zxid, event, moment);
                }
                Step::Ended(..) | Step::Stray(_) | Step::Nothing => {}
            }
        }
        self.report
    }

    fn opened(&mut self, connection: ConnectionIndex, again: bool) {
        let session = self.calls.connection(connection).session;
        let before = self.watchers.remove(&session).unwrap_or_default();
        let watching = if again { before.watching.carried_over() } else { Watching::default() };
        self.watchers.insert(session, Box::new(Watcher { watching, ..Watcher::default() }));
    }

    fn returned(&mut self, index: CallIndex, moment: Moment) {
        let call = self.calls.call(index);
        let mut watcher = self.watchers.remove(&call.session).unwrap_or_default();
        for sight in &call.sights {
            self.judge_one_shots(&mut watcher, call, sight, moment);
            self.judge_stays(&mut watcher, call, sight, moment);
            self.judge_causes(&mut watcher, call, sight, moment);
            self.judge_ahead(&watcher, call, sight, moment);
            self.judge_own(&watcher, call, sight, moment);
        }
        if let End::Returned { zxid: zxid @ 1.., .. } = call.end {
            watcher.mark = Some((zxid, moment));
        }
        if let Request::Sync { path } = call.request
            && call.succeeded()
            && !self.secrets.has(path)
        {
            self.judge_sync(&mut watcher, call, path, moment);
        }
        self.report.armed += watcher.watching.answered(index, call, moment);
        self.watchers.insert(call.session, watcher);
    }

    /// A watch that is armed has seen no change: a reply must show none.
    fn judge_one_shots(
        &mut self,
        watcher: &mut Watcher<'a>,
        call: &Call<'a>,
        sight: &Sight<'a>,
        moment: Moment,
    ) {
        let id = call.id.0;
        let Watching { data, children, .. } = &mut watcher.watching;
        if let Some(armed) = data.get_mut(sight.path).filter(|armed| !armed.accused) {
            self.report.looks += 1;
            armed.accused = armed.state.has_changed(sight);
            if armed.accused {
                let (since, state) = (armed.since, armed.state);
                let text = format!(
                    "the reply to call {id} shows {} changed, watched since entry {since} ({state:?}) and not told",
                    sight.path
                );
                self.accuse(Rule::SeenBeforeTold, call.session, moment, text);
            } else {
                armed.state.learn(sight);
            }
        }
        if let Some(armed) = children.get_mut(sight.path).filter(|armed| !armed.accused) {
            self.report.looks += 1;
            armed.accused = armed.state.have_changed(sight);
            if armed.accused {
                let (since, state) = (armed.since, &armed.state);
                let text = format!(
                    "the reply to call {id} shows the children of {} changed, watched since entry {since} ({state:?}) and \
                     not told",
                    sight.path
                );
                self.accuse(Rule::SeenBeforeTold, call.session, moment, text);
            } else {
                armed.state.learn(sight);
            }
        }
        if let Some(parent) = sight.changed_parent()
            && let Some(armed) = children.get_mut(parent).filter(|armed| !armed.accused)
        {
            self.report.looks += 1;
            armed.accused = true;
            let text = format!(
                "call {id} created or deleted {}, and the children of its parent, watched since entry {}, were not told",
                sight.path, armed.since
            );
            self.accuse(Rule::SeenBeforeTold, call.session, moment, text);
        }
    }

    /// A watch that stays tells each change, by its zxid, before a reply shows it.
    fn judge_stays(&mut self, watcher: &mut Watcher<'a>, call: &Call<'a>, sight: &Sight<'a>, moment: Moment) {
        if self.secrets.has(sight.path) {
            return;
        }
        let Some(since) = watcher.watching.covers_since(sight.path) else { return };
        let children_since = watcher.watching.covers_children_since(sight.path);
        let before = watcher.bases.get(sight.path).filter(|base| base.moment > since).copied();
        let told = &watcher.told;
        if let Some(base) = before
            && !watcher.accused.contains(sight.path)
        {
            self.report.looks += 1;
            // A multi may set a znode and delete it under one zxid.
            let own = i64::from(base.moment == moment);
            let deleted = match (base.data, sight.is_there()) {
                (Data::There { mzxid }, false) => !told.has_deletion_after(sight.path, mzxid - own),
                _ => false,
            };
            let set = sight.stat().map(|stat| stat.mzxid).filter(|mzxid| match base.data {
                Data::There { mzxid: before } => *mzxid > before,
                Data::Absent => true,
                Data::Unknown => false,
            });
            let children = sight.stat().map(|stat| stat.pzxid).filter(|pzxid| {
                let known = base.pzxid.is_some_and(|before| *pzxid > before);
                known && children_since.is_some_and(|since| base.moment > since)
            });
            let mut shown = [set, children].into_iter().flatten();
            let untold = shown.find(|zxid| !told.has_zxid(sight.path, *zxid));
            if deleted || untold.is_some() {
                let what = untold.map_or("deleted".to_owned(), |zxid| format!("changed by {zxid:#x}"));
                let text = format!(
                    "the reply to call {} shows {} {what}; a watch that stays covers it since entry {since}, the reply of \
                     entry {} showed it as it was before, and the change was not told",
                    call.id.0, sight.path, base.moment
                );
                watcher.accused.insert(sight.path);
                self.accuse(Rule::SeenBeforeTold, call.session, moment, text);
            }
        }
        let mut data = Data::default();
        data.learn(sight);
        let pzxid = sight.stat().map(|stat| stat.pzxid);
        watcher.bases.insert(sight.path, Base { moment, data, pzxid });
    }

    /// What was written by somebody who had been shown a change must not be shown before that is told.
    fn judge_causes(
        &mut self,
        watcher: &mut Watcher<'a>,
        call: &Call<'a>,
        sight: &Sight<'a>,
        moment: Moment,
    ) {
        let author = sight.stat().and_then(|stat| self.authors.of_zxid(sight.path, stat.mzxid));
        let Some(author) = author.map(|author| self.calls.call(author)) else { return };
        if author.client == call.client {
            return;
        }
        let (client, before) = (author.client, author.invoked);
        let mut found = Vec::new();
        let Watching { data, children, .. } = &mut watcher.watching;
        for (path, armed) in data.iter_mut().filter(|(_, armed)| !armed.accused) {
            self.report.causes += 1;
            if self.knowledge.has_data_change(client, path, before, armed.state, armed.since) {
                armed.accused = true;
                found.push((*path, armed.since));
            }
        }
        for (path, armed) in children.iter_mut().filter(|(_, armed)| !armed.accused) {
            self.report.causes += 1;
            if self.knowledge.has_children_change(client, path, before, &armed.state, armed.since) {
                armed.accused = true;
                found.push((*path, armed.since));
            }
        }
        for (path, since) in found {
            let text = format!(
                "the reply to call {} shows what call {} of client {client} wrote to {}; before that was sent, client \
                 {client} had been shown a change of {path}, which this session watches since entry {since}: it was not \
                 told",
                call.id.0, author.id.0, sight.path
            );
            self.accuse(Rule::CausedBeforeTold, call.session, moment, text);
        }
    }

    /// What was told is there.
    fn judge_ahead(&mut self, watcher: &Watcher<'a>, call: &Call<'a>, sight: &Sight<'a>, moment: Moment) {
        if let Some((kind, zxid, at)) = watcher.told.ahead_of(sight, call.invoked) {
            let text = format!(
                "call {}, sent after entry {at} told {kind} of {} with zxid {zxid:#x}, does not show that change",
                call.id.0, sight.path
            );
            self.accuse(Rule::ToldBeforeDone, call.session, moment, text);
        }
    }

    /// What a session sends later is not seen by what it sent before, nor told before that is answered.
    fn judge_own(&mut self, watcher: &Watcher<'a>, call: &Call<'a>, sight: &Sight<'a>, moment: Moment) {
        let later = |zxid: &i64| {
            let author = self.authors.of_zxid(sight.path, *zxid).map(|author| self.calls.call(author));
            author.filter(|author| author.connection == call.connection && author.invoked > call.invoked)
        };
        let told = watcher.told.missing_from(sight, call.invoked);
        let Some((zxid, author)) = told.filter_map(|zxid| Some((zxid, later(&zxid)?))).next() else { return };
        let text = format!(
            "the reply to call {} shows {} as it was before the later call {} of the session, whose change was told before \
             with zxid {zxid:#x}",
            call.id.0, sight.path, author.id.0
        );
        self.accuse(Rule::ShownTooLate, call.session, moment, text);
    }

    /// A client that comes back tells its mark: what was not told by then, and is not beyond it, it will not be told.
    fn judge_mark(
        &mut self,
        watcher: &Watcher<'a>,
        session: i64,
        armed: Option<Moment>,
        event: (EventType, &str, i64),
        moment: Moment,
    ) {
        let (Some(armed), Some((mark, at)), (kind, path, zxid)) = (armed, watcher.mark, event) else {
            return;
        };
        if at >= armed && zxid <= mark {
            let text = format!(
                "told {kind} of {path}, watched since entry {armed}, with zxid {zxid:#x}: the header of the reply of entry \
                 {at} has {mark:#x}"
            );
            self.accuse(Rule::BelowMark, session, moment, text);
        }
    }

    /// What was answered before a sync was sent is told before the sync is answered.
    fn judge_sync(&mut self, watcher: &mut Watcher<'a>, call: &Call<'a>, path: &'a str, moment: Moment) {
        let Watcher { watching, told, accused, synced, .. } = watcher;
        let mut found = Vec::new();
        let data = watching.data.get_mut(path).map(|armed| (armed.since, &mut armed.accused));
        let children = watching.children.get_mut(path).map(|armed| (armed.since, &mut armed.accused));
        let armed = [(data, self.changes.of_data(path)), (children, self.changes.of_children(path))];
        for (armed, changes) in armed {
            let Some((since, accused)) = armed.filter(|(_, accused)| !**accused) else { continue };
            self.report.syncs += 1;
            if let Some(change) = between(changes, since, call.invoked) {
                *accused = true;
                found.push((since, *change));
            }
        }
        let stays = [
            (watching.covers_since(path), self.changes.of_data(path)),
            (watching.covers_children_since(path), self.changes.of_children(path)),
        ];
        let synced = synced.entry(path).or_default();
        for ((since, changes), first) in stays.into_iter().zip(synced).filter(|_| !accused.contains(path)) {
            let Some(since) = since else { continue };
            self.report.syncs += 1;
            let untold = |change: &&Changed| change.zxid.is_some_and(|zxid| !told.has_zxid(path, zxid));
            let certain = |change: &&Changed| change.invoked > since && change.returned < call.invoked;
            let lost = changes[*first..].iter().filter(certain).find(untold);
            found.extend(lost.map(|change| (since, *change)));
            *first += changes[*first..].iter().take_while(|change| change.returned < call.invoked).count();
        }
        for (since, change) in found {
            watcher.accused.insert(path);
            self.accuse_of_loss(call, path, since, &change, moment);
        }
    }

    fn accuse_of_loss(
        &mut self,
        call: &Call<'a>,
        path: &str,
        since: Moment,
        change: &Changed,
        moment: Moment,
    ) {
        let cause = self.calls.call(change.call);
        let text = format!(
            "{path} is watched since entry {since} and was changed by call {} of client {}, sent at entry {} and answered \
             at entry {}; that was not told before the reply to the sync {}",
            cause.id.0, cause.client, change.invoked, change.returned, call.id.0
        );
        self.accuse(Rule::Lost, call.session, moment, text);
    }

    /// Who may not read a znode is told nothing of it.
    fn judge_secrecy(
        &mut self,
        connection: ConnectionIndex,
        session: i64,
        event: &WatcherEvent,
        moment: Moment,
    ) {
        let WatcherEvent { kind, path, .. } = event;
        if !self.secrets.may_read(connection, path, moment) {
            let text = format!("told {kind} of {path}, which it may not read");
            self.accuse(Rule::Unreadable, session, moment, text);
        }
    }

    fn notified(&mut self, session: i64, zxid: i64, event: &'a WatcherEvent, moment: Moment) {
        let WatcherEvent { kind, path, .. } = event;
        let told = matches!(
            kind,
            EventType::NodeCreated
                | EventType::NodeDeleted
                | EventType::NodeDataChanged
                | EventType::NodeChildrenChanged
        );
        if !told {
            return;
        }
        self.report.notifications += 1;
        let mut watcher = self.watchers.remove(&session).unwrap_or_default();
        let armed = watcher.watching.armed_since(*kind, path);
        let fired = watcher.watching.fire(*kind, path);
        if !fired.is_due() {
            let used = watcher.watching.was_used(*kind, path);
            let (rule, why) = match used {
                true => (Rule::Repeated, "its watch was used up before"),
                false => (Rule::Unarmed, "it has no watch there that tells such an event"),
            };
            let text = format!("told {kind} of {path} with zxid {zxid:#x}: {why}");
            self.accuse(rule, session, moment, text);
        } else if !fired.retold {
            self.judge_mark(&watcher, session, armed, (*kind, path, zxid), moment);
            self.judge_order(&mut watcher, session, zxid, event, moment);
            self.judge_zxid(&fired, session, zxid, event, moment);
        }
        watcher.told.note(*kind, path, zxid, moment, fired.retold);
        self.watchers.insert(session, watcher);
    }

    fn judge_order(
        &mut self,
        watcher: &mut Watcher<'a>,
        session: i64,
        zxid: i64,
        event: &'a WatcherEvent,
        moment: Moment,
    ) {
        let WatcherEvent { kind, path, .. } = event;
        let one_partition = self.placement.partitions() == 1;
        if let Some(before) = watcher.told.fallen(path, zxid, one_partition) {
            let text = format!("told {kind} of {path} with zxid {zxid:#x} after a change of {before:#x}");
            self.accuse(Rule::OutOfOrder, session, moment, text);
        }
        let repeats = *kind != EventType::NodeChildrenChanged && !self.changes.may_repeat(path);
        if repeats && watcher.told.has(*kind, path, zxid) {
            let text = format!("told {kind} of {path} with zxid {zxid:#x} twice");
            self.accuse(Rule::Repeated, session, moment, text);
        }
        let Some(cause) = self.changes.cause(*kind, path, zxid) else { return };
        if let Some(sent) = watcher.told.overtaken_by(self.placement.of(path), &cause) {
            let id = self.calls.call(cause.call).id.0;
            let text = format!(
                "told {kind} of {path} by call {id}, answered at entry {}, after a change of the same partition that was \
                 sent at entry {sent}",
                cause.returned
            );
            self.accuse(Rule::OutOfOrder, session, moment, text);
        }
    }

    /// The zxid of a notification is that of a change that came after the watch was armed.
    fn judge_zxid(
        &mut self,
        fired: &Fired<'a>,
        session: i64,
        zxid: i64,
        event: &'a WatcherEvent,
        moment: Moment,
    ) {
        let WatcherEvent { kind, path, .. } = event;
        let data = match fired.data {
            Some(Data::There { mzxid }) => Some(mzxid),
            _ => None,
        };
        let known = data.max(fired.children.as_ref().and_then(|children| children.pzxid));
        if let Some(known) = known.filter(|known| *known >= zxid) {
            let text = format!(
                "told {kind} of {path} with zxid {zxid:#x}: the watch was armed when {known:#x} had changed it"
            );
            self.accuse(Rule::WrongZxid, session, moment, text);
        } else if *kind == EventType::NodeDataChanged && !self.changes.may_have_set(path, zxid) {
            let text = format!("told {kind} of {path} with zxid {zxid:#x}: nobody set its data at that zxid");
            self.accuse(Rule::WrongZxid, session, moment, text);
        }
    }

    fn accuse(&mut self, rule: Rule, session: i64, moment: Moment, text: String) {
        self.report.violations.push(Violation::new(self.calls, rule, session, moment, text));
    }
}
