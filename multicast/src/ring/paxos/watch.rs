//! What a member does when things take too long: it stands for leadership, appends a heartbeat, or asks another to lead.

use super::super::patience::Patience;
use super::{PaxosRing, RingTiming};
use crate::Entry;
use crate::branches::{ASKED_TO_LEAD, CANDIDACY_RESUMED, PREFERRED, RESCUED, TAIL_WAITED};
use crate::ring::Ring as _;
use omnipaxos::messages::ballot_leader_election::HeartbeatReply;
use omnipaxos::util::NodeId as Pid;

/// Members act on the same trouble at different times: each later one by its pid, in election timeouts.
const WATCHDOG_TIMEOUTS: u64 = 4;
/// For how many election timeouts the preferred leader follows before it takes over.
const PREFERENCE_TIMEOUTS: u64 = 8;
/// For how many it leads before its next loss of leadership counts as the first.
const SETTLED_TIMEOUTS: u64 = 40;
/// After how many election timeouts without progress a leader appends a heartbeat.
const HEARTBEAT_TIMEOUTS: u64 = 3;
/// For how many election timeouts a member that needs the ring puts up with a leader whom it does not hear.
const DEAF_TIMEOUTS: u64 = 5;

/// What a member waits for, in ticks.
pub(super) struct Waits {
    /// To take part, although it hears from a quorum.
    stranded: Patience,
    /// To lead, being preferred and caught up.
    preferred: Patience,
    /// To have led so long that its leadership counts as settled.
    settled: Patience,
    /// To see its tail decided.
    undecided: Patience,
    /// To hear who leads.
    deaf: Patience,
}

impl Waits {
    pub(super) fn new(pid: u64, timing: &RingTiming) -> Waits {
        let patience = |timeouts| Patience::new(timeouts * timing.election_ticks);
        Waits {
            stranded: patience(WATCHDOG_TIMEOUTS + pid),
            preferred: patience(PREFERENCE_TIMEOUTS),
            settled: patience(SETTLED_TIMEOUTS),
            undecided: patience(HEARTBEAT_TIMEOUTS),
            deaf: patience(DEAF_TIMEOUTS),
        }
    }
}

impl PaxosRing {
    /// Another tick has passed.
    pub(super) fn watch(&mut self) {
        self.watch_level();
        self.watch_participation();
        self.watch_preference();
        self.watch_tail();
        self.watch_leader();
    }

    /// A member can be stranded: with a higher promise than the leader's it never takes part again, and nobody notices. One that
    /// is behind catches up first. If its own candidacy or reign was interrupted, others may follow its ballot, and none of them takes
    /// part in a term below that: it stands again at once.
    fn watch_participation(&mut self) {
        if self.is_accepting() {
            self.waits.stranded.relieve();
            self.interrupted = None;
        } else if self.is_behind() {
            self.waits.stranded.pause();
        } else if self.interrupted.is_some() && self.hears_quorum() && self.has_watchdog() {
            if self.takes_up() {
                CANDIDACY_RESUMED.reached();
                self.paxos.try_become_leader();
            }
        } else if self.waits.stranded.endure() && self.hears_quorum() && self.has_watchdog() {
            self.counts.rescues += 1;
            RESCUED.reached();
            self.paxos.try_become_leader();
        }
    }

    /// Whether this member is to stand again, having been interrupted: not where anybody follows a later ballot than its own.
    fn takes_up(&mut self) -> bool {
        let Some(ballot) = self.interrupted.take() else { return false };
        let heard = self.paxos.get_ui_states().heartbeats;
        self.paxos.get_promise() == ballot && heard.iter().all(|reply| reply.leader <= ballot)
    }

    /// A member that has followed for a while has caught up: what little is missing comes with the promises.
    fn watch_preference(&mut self) {
        if !self.is_preferred {
            return;
        }
        if self.leads() {
            self.waits.preferred.pause();
            if self.waits.settled.endure() {
                self.waits.preferred.relieve();
            }
            return;
        }
        self.waits.settled.relieve();
        if !self.is_accepting() || self.is_behind() {
            self.waits.preferred.pause();
        } else if self.waits.preferred.endure() && self.hears_quorum() {
            self.counts.preferences += 1;
            PREFERRED.reached();
            self.paxos.try_become_leader();
        }
    }

    /// Nothing at the tail is sent again; what comes behind it shows the peer that something is missing.
    fn watch_tail(&mut self) {
        if !self.leads() || self.decided == self.accepted() {
            self.waits.undecided.relieve();
        } else if self.waits.undecided.endure() && self.has_heartbeats() {
            self.counts.heartbeats += 1;
            TAIL_WAITED.reached();
            self.append(Entry::heartbeat());
        }
    }

    /// A quorum may hear a leader whom this member does not, and then sees no reason to elect another. In a ring of three
    /// a member that this one hears is heard by all, so nobody asks in turn. In a larger ring a member may not hear the new leader
    /// either, and asks another in turn; each waits longer every time, and a member that was asked rests, so two members that no
    /// third one connects make ever fewer changes. The preferred leader claims its place back, also ever more rarely. So a leader
    /// that is heard makes the next wait the first again.
    fn watch_leader(&mut self) {
        match self.whom_to_ask() {
            None => self.waits.deaf.relieve(),
            Some(pid) if self.waits.deaf.endure() => {
                ASKED_TO_LEAD.reached();
                self.asked = pid;
                self.asks = Some(self.membership.node(pid));
            }
            Some(_) => {}
        }
    }

    /// Where what is decided is needed and does not come here: those who are heard and do not lead, in turn.
    fn whom_to_ask(&self) -> Option<Pid> {
        if !self.is_needed || !self.is_accepting() {
            return None;
        }
        let heard = self.paxos.get_ui_states().heartbeats;
        if self.hears_leader(&heard) {
            return None;
        }
        let pids = || heard.iter().filter(|reply| !leads(reply)).map(|reply| reply.ballot.pid);
        pids().filter(|pid| *pid > self.asked).min().or_else(|| pids().min())
    }

    /// Whether what is decided comes here: because a quorum follows this member, or from who leads.
    fn hears_leader(&self, heard: &[HeartbeatReply]) -> bool {
        match self.reign {
            Some(reign) => {
                let followers = heard.iter().filter(|reply| reply.leader == reign).count();
                followers + 1 >= self.membership.quorum()
            }
            None => heard.iter().any(leads),
        }
    }

    #[cfg(not(test))]
    fn has_watchdog(&self) -> bool {
        true
    }

    #[cfg(not(test))]
    fn has_heartbeats(&self) -> bool {
        true
    }

    #[cfg(test)]
    fn has_watchdog(&self) -> bool {
        self.planted != Some(crate::ring::sim::Fault::NoWatchdog)
    }

    #[cfg(test)]
    fn has_heartbeats(&self) -> bool {
        self.planted != Some(crate::ring::sim::Fault::NoReconnect)
    }
}

/// Whether a member says that it leads.
fn leads(reply: &HeartbeatReply) -> bool {
    reply.leader.pid == reply.ballot.pid
}
