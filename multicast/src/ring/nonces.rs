//! Which disk each peer had when it was first met.

use super::Amnesiac;
use super::codec::{Malformed, decode_nonces, encode_nonces};
use crate::NodeId;
use crate::faults::AMNESIAC_VOTER;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// What this member knows of its peers' disks. A blank disk under an old name has forgotten its promises and would vote
/// as if new, so its messages are not handled.
///
/// Invariant: who is in `met` has its nonce in `known`.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    known: BTreeMap<NodeId, u64>,
    met: BTreeSet<NodeId>,
}

impl Nonces {
    /// What an earlier process put into the log.
    pub(super) fn recover(value: Option<&Bytes>) -> Result<Nonces, Malformed> {
        let pairs = value.map_or(Ok(Vec::new()), |bytes| decode_nonces(bytes))?;
        let known = pairs.into_iter().map(|(node, nonce)| (NodeId(node), nonce)).collect();
        Ok(Nonces { known, met: BTreeSet::new() })
    }

    /// The peer says whose disk it has. Returns what is to be put into the log, if that is news.
    pub(super) fn meet(&mut self, peer: NodeId, nonce: u64) -> Result<Option<Bytes>, Amnesiac> {
        let is_news = !self.known.contains_key(&peer);
        let known = *self.known.entry(peer).or_insert(nonce);
        if known != nonce && !AMNESIAC_VOTER.is_planted() {
            self.met.remove(&peer);
            return Err(Amnesiac { peer, known, shown: nonce });
        }
        self.met.insert(peer);
        let pairs: Vec<_> = self.known.iter().map(|(node, nonce)| (node.0, *nonce)).collect();
        Ok(is_news.then(|| encode_nonces(&pairs)))
    }

    pub(super) fn has_met(&self, peer: NodeId) -> bool {
        self.met.contains(&peer)
    }
}
