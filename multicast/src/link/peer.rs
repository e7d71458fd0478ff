//! A peer: another node of the cluster.

use super::back_off::mix;
use super::channel::Channel;
use super::connection_epoch::ConnectionEpoch;
use super::identity::{Acquaintance, Identity, Met};
use super::lane::Lane;
use super::reason::Reason;
use super::starts::Directory;
use crate::NodeId;
use crate::branches::{AMNESIAC_REFUSED, OLDER_COPY_REFUSED};
use crate::faults::{AMNESIAC_VOTER, OLDER_COPY_ACCEPTED};
use crate::log::LogPosition;

/// One other node: what is known of it, and a lane for each channel.
///
/// Invariant: `shown` holds whatever `known.met` demands, and its last start is the one that was met.
#[derive(Debug)]
pub(super) struct Peer {
    known: Acquaintance,
    /// The directory that it has shown to this start of this node, if it has.
    shown: Option<Directory>,
    lanes: [Lane; Channel::ALL.len()],
}

impl Peer {
    /// The peer `id` of node `me`; `known` is what was kept of it from earlier starts.
    pub fn new(me: NodeId, id: NodeId, known: Acquaintance, seed: u64) -> Peer {
        assert_ne!(me, id, "a node is not its own peer");
        let lanes = Channel::ALL.map(|channel| {
            let place = u64::from(me.0) << 32 | u64::from(id.0) << 16 | channel as u64;
            if me < id { Lane::dialling(seed ^ mix(place)) } else { Lane::listening() }
        });
        Peer { known, shown: None, lanes }
    }

    pub fn lane(&self, channel: Channel) -> &Lane {
        &self.lanes[channel.index()]
    }

    pub fn lane_mut(&mut self, channel: Channel) -> &mut Lane {
        &mut self.lanes[channel.index()]
    }

    /// The acquaintance with the peer, to be kept.
    pub fn acquaintance(&self) -> Acquaintance {
        self.known
    }

    /// The starts to which its directory must go back.
    pub fn demands(&self) -> impl Iterator<Item = Met> {
        self.known.demands()
    }

    /// Whether such a connection may come up, as far as a hello tells: from the same disk, a start not before the last one met,
    /// and a connection newer than the last.
    pub fn check(&self, channel: Channel, identity: Identity, epoch: ConnectionEpoch) -> Result<(), Reason> {
        self.demands().try_for_each(|met| check_identity(met, identity))?;
        if self.lane(channel).epoch() >= Some(epoch) && !AMNESIAC_VOTER.is_planted() {
            return Err(Reason::Superseded);
        }
        Ok(())
    }

    /// Whether the peer's directory goes back to every start of it that is known.
    pub fn check_directory(&self, identity: Identity, shown: &Directory) -> Result<(), Reason> {
        if shown.starts.incarnation() != identity.incarnation {
            return Err(Reason::Malformed);
        }
        self.demands().try_for_each(|met| check_directory(met, identity, shown))
    }

    /// Remembers a start of the peer, whose directory holds all that was demanded; says whether it is news.
    pub fn meet(&mut self, identity: Identity, shown: Directory) -> bool {
        let (start, mut vouched) = (shown.starts.nonce(), shown.durable);
        let is_known = self.known.met.filter(|met| met.is_same_start(Met { identity, start, vouched }));
        if let Some(met) = is_known {
            vouched = vouched.max(met.vouched);
        }
        self.known = Acquaintance { met: Some(Met { identity, start, vouched }), told: None };
        self.shown = Some(shown);
        is_known.is_none()
    }

    /// The peer's log is durable so far, as it says. Says whether that is news.
    pub fn vouch(&mut self, durable: LogPosition) -> bool {
        let Some(met) = self.known.met.as_mut().filter(|met| met.vouched < durable) else { return false };
        met.vouched = durable;
        true
    }

    /// Another node has met this start of the peer. Says whether that is a start to be kept; the error is why the peer's
    /// directory, as it was shown here, is not the one that was met there. How far the log of a start came is no news: if it
    /// were written for itself, the writer's log would be longer, and its peers would have news in turn.
    pub fn hear_of(&mut self, other: Met) -> Result<bool, Reason> {
        let Acquaintance { met, told } = &mut self.known;
        if let Some(known) = met.iter_mut().chain(told).find(|known| known.is_same_start(other)) {
            known.vouched = known.vouched.max(other.vouched);
            return Ok(false);
        }
        let checked = self.check_shown(other);
        if checked == Some(Ok(())) {
            return Ok(false);
        }
        let is_news =
            self.known.told.is_none_or(|told| told.identity.incarnation < other.identity.incarnation);
        if is_news {
            self.known.told = Some(other);
        }
        checked.unwrap_or(Ok(())).map(|()| is_news)
    }

    /// The directory that the peer has shown is not the one of which another node tells: it shows it anew.
    pub fn forget_shown(&mut self) {
        self.shown = None;
    }

    /// Whether the directory that the peer has shown to this start is the one of which another node tells.
    fn check_shown(&self, other: Met) -> Option<Result<(), Reason>> {
        let (shown, met) = (self.shown.as_ref()?, self.known.met?);
        let checked = check_identity(other, met.identity);
        Some(checked.and_then(|()| check_directory(other, met.identity, shown)))
    }
}

/// Whether this may still be the peer that was met. The disk comes first: a node that lost it counts its starts anew.
fn check_identity(met: Met, identity: Identity) -> Result<(), Reason> {
    let met = met.identity;
    if met.nonce != identity.nonce {
        if AMNESIAC_VOTER.is_planted() {
            return Ok(());
        }
        AMNESIAC_REFUSED.reached();
        return Err(Reason::Amnesiac);
    }
    if met.incarnation > identity.incarnation { Err(Reason::Replaced(met.incarnation)) } else { Ok(()) }
}

/// Whether the directory of a peer that says so of itself goes back to the start that was met.
fn check_directory(met: Met, identity: Identity, shown: &Directory) -> Result<(), Reason> {
    let is_planted = OLDER_COPY_ACCEPTED.is_planted()
        || AMNESIAC_VOTER.is_planted() && met.identity.nonce != identity.nonce;
    if shown.holds(met) || is_planted {
        return Ok(());
    }
    OLDER_COPY_REFUSED.reached();
    Err(Reason::RolledBack(met.identity.incarnation))
}
