//! A peer: another node of the cluster.

use super::back_off::mix;
use super::channel::Channel;
use super::connection_epoch::ConnectionEpoch;
use super::identity::Identity;
use super::lane::Lane;
use super::reason::Reason;
use crate::NodeId;
use crate::faults::AMNESIAC_VOTER;

/// One other node: who it was when last met, and a lane for each channel.
#[derive(Debug)]
pub(super) struct Peer {
    met: Option<Identity>,
    lanes: [Lane; Channel::ALL.len()],
}

impl Peer {
    /// The peer `id` of node `me`; `met` is what was kept of it from earlier starts.
    pub fn new(me: NodeId, id: NodeId, met: Option<Identity>, seed: u64) -> Peer {
        assert_ne!(me, id, "a node is not its own peer");
        let lanes = Channel::ALL.map(|channel| {
            let place = u64::from(me.0) << 32 | u64::from(id.0) << 16 | channel as u64;
            if me < id { Lane::dialling(seed ^ mix(place)) } else { Lane::listening() }
        });
        Peer { met, lanes }
    }

    pub fn lane(&self, channel: Channel) -> &Lane {
        &self.lanes[channel.index()]
    }

    pub fn lane_mut(&mut self, channel: Channel) -> &mut Lane {
        &mut self.lanes[channel.index()]
    }

    /// Whether such a connection may come up: from the same disk, a start not before the last one met, and a connection
    /// newer than the last.
    pub fn check(&self, channel: Channel, identity: Identity, epoch: ConnectionEpoch) -> Result<(), Reason> {
        self.check_identity(identity)?;
        if self.lane(channel).epoch() >= Some(epoch) && !AMNESIAC_VOTER.is_planted() {
            return Err(Reason::Superseded);
        }
        Ok(())
    }

    /// Whether this may still be the peer. The disk comes first: a node that lost it counts its starts anew.
    fn check_identity(&self, identity: Identity) -> Result<(), Reason> {
        match self.met {
            Some(met) if met.nonce != identity.nonce && AMNESIAC_VOTER.is_planted() => Ok(()),
            Some(met) if met.nonce != identity.nonce => Err(Reason::Amnesiac),
            Some(met) if met.incarnation > identity.incarnation => Err(Reason::Replaced(met.incarnation)),
            _ => Ok(()),
        }
    }

    /// Remembers a start of the peer; says whether it is news.
    pub fn meet(&mut self, identity: Identity) -> bool {
        self.met.replace(identity) != Some(identity)
    }
}
