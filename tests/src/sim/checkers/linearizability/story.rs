//! A violation in words: the calls that matter, in the order in which they were sent.

use super::super::wgl::{Fate, Stuck, Verdict, check};
use super::account::Account;
use super::deed::{Deed, Place};
use super::group::{Group, Item, Znodes, calls, items};
use super::names::{Names, PathId};
use super::wording;
use super::znode::{Present, Znode, Zxid};
use crate::sim::history::{Happening, History};

/// Calls shown: the last ones.
const CALLS_SHOWN_MAX: usize = 24;
/// Searches to find out which calls matter.
const TRIALS_MAX: usize = 400;
/// Configurations of such a search.
const TRIAL_BUDGET: usize = 5_000;

/// Tells why `members` have no states that explain all calls: those states that the orders came to that came furthest, and
/// the calls, with a star at the one whose outcome is not explained.
pub fn story<const N: usize>(
    history: &History,
    account: &Account,
    members: &[PathId; N],
    stuck: Stuck<Znodes<N>>,
) -> String {
    let items = items(account, members).unwrap_or_default();
    let (items, stuck) = shorten(account, items, stuck);
    let paths: Vec<&str> = members.iter().map(|&member| &**account.names.path_of(member)).collect();
    let mut lines = vec![format!("{}: no order explains the call marked *", paths.join(" "))];
    for state in &stuck.states {
        let znodes = state.iter().map(|znode| znode_text(&account.names, znode));
        lines.push(format!("  before it: {}", znodes.collect::<Vec<_>>().join("; ")));
    }
    let culprit = items[stuck.call].place;
    let mut places: Vec<usize> = items.iter().map(|item| item.place).collect();
    places.dedup();
    let hidden = places.len().saturating_sub(CALLS_SHOWN_MAX);
    if hidden > 0 {
        lines.push(format!("  ({hidden} earlier calls are not shown)"));
    }
    lines.extend(places[hidden..].iter().map(|&place| {
        let mark = if place == culprit { '*' } else { ' ' };
        format!(" {mark}{}", deed_text(history, &account.deeds[place]))
    }));
    lines.join("\n")
}

/// Leaves out what came later than the trouble, and then the calls that changed nothing and without which the others are as
/// unexplained: many at a time first, then fewer.
fn shorten<const N: usize>(
    account: &Account,
    mut items: Vec<Item>,
    mut stuck: Stuck<Znodes<N>>,
) -> (Vec<Item>, Stuck<Znodes<N>>) {
    if let Fate::Returned(end) = account.deeds[items[stuck.call].place].fate {
        let early = items.iter().filter(|item| account.deeds[item.place].invoked < end);
        keep_if_stuck(account, early.cloned().collect(), &mut items, &mut stuck);
    }
    let mut trials = 0;
    let mut chunk = items.len().div_ceil(2);
    while chunk > 0 && trials < TRIALS_MAX {
        let mut from = 0;
        while from < items.len() && trials < TRIALS_MAX {
            let fewer = without_idle(&items, from..from + chunk);
            let is_shorter = fewer.len() < items.len();
            trials += usize::from(is_shorter);
            if !is_shorter || !keep_if_stuck(account, fewer, &mut items, &mut stuck) {
                from += chunk;
            }
        }
        chunk /= 2;
    }
    (items, stuck)
}

fn without_idle(items: &[Item], range: std::ops::Range<usize>) -> Vec<Item> {
    let kept =
        items.iter().enumerate().filter(|(at, item)| !range.contains(at) || item.operation.is_change());
    kept.map(|(_, item)| item.clone()).collect()
}

/// Takes the fewer items if they are a violation too.
fn keep_if_stuck<const N: usize>(
    account: &Account,
    fewer: Vec<Item>,
    items: &mut Vec<Item>,
    stuck: &mut Stuck<Znodes<N>>,
) -> bool {
    let mut budget = TRIAL_BUDGET;
    let verdict = check(&Group::<N>, &calls(account, fewer.clone()), &mut budget);
    let Verdict::Violation(still) = verdict else { return false };
    (*items, *stuck) = (fewer, still);
    true
}

fn deed_text(history: &History, deed: &Deed) -> String {
    let invoked = &history.entries[deed.invoked];
    let (end, outcome) = match deed.fate {
        Fate::Returned(moment) => (format!("{moment}"), outcome_text(history, moment)),
        Fate::Unknown { until: Some(until) } => (format!("{until}"), "unknown".to_owned()),
        Fate::Unknown { until: None } => (String::new(), "unknown".to_owned()),
    };
    let what = match (&invoked.happening, deed.place) {
        (Happening::Invoked { request, .. }, Place::Sent { .. }) => wording::request(request),
        _ => "end of the session".to_owned(),
    };
    let moments = format!("{}..{end}", deed.invoked);
    let (client, session, time_ms) = (invoked.client, deed.session, invoked.time_ms);
    format!("{moments:>13} {time_ms:>6} ms  client {client} session {session:#x}: {what} -> {outcome}")
}

fn outcome_text(history: &History, moment: usize) -> String {
    match &history.entries[moment].happening {
        Happening::Returned { result: Ok(reply), .. } => wording::reply(reply),
        Happening::Returned { result: Err(code), .. } => code.to_string(),
        _ => "told".to_owned(),
    }
}

fn znode_text(names: &Names, znode: &Znode) -> String {
    match znode {
        Znode::Absent { .. } => "absent".to_owned(),
        Znode::Present(Present { czxid, mzxid, version, data, owner }) => {
            let data = wording::data(names.data_of(*data));
            let (czxid, mzxid) = (zxid_text(czxid), zxid_text(mzxid));
            let owner = if *owner == 0 { String::new() } else { format!(" owner {owner:#x}") };
            format!("{data} version {version} czxid {czxid} mzxid {mzxid}{owner}")
        }
    }
}

fn zxid_text(zxid: &Zxid) -> String {
    match zxid {
        Zxid::Is(zxid) => format!("{zxid:#x}"),
        Zxid::Beyond(bound) => format!("beyond {bound:#x}"),
    }
}
