//! The network between the nodes is bad for a while.

use super::episode::Episode;
use super::{Faults, RECOVERY_MAX};
use crate::network::Network;
use crate::proxy::Weather;
use crate::schedule::Spells;
use crate::violation::Violation;
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

/// How long bytes are held before their connections break, and how long those after them last at the least.
const HELD: Duration = Duration::from_millis(500);

impl Faults<'_> {
    /// Makes the network bad in one way after the other, and judges for how long no write was acknowledged.
    pub(super) fn cuts(&mut self, spells: &Spells) -> Result<(), Violation> {
        self.load(spells.every - spells.length)?;
        let (network, mut longest) = (self.cluster.network(), Duration::ZERO);
        let before = network.connections();
        let episodes = Episode::draw(&mut self.rng, self.cluster.count(), spells.count);
        for (number, episode) in episodes.into_iter().enumerate() {
            let (began, late) = (self.begin(), network.late());
            self.suffer(&network, episode, began + spells.length)?;
            let well = self.mend(&network, &before)?;
            self.wait_until(began + spells.every)?;
            let silence = self.end_spell(spells, &episode.to_string());
            longest = longest.max(silence);
            let line = format!(
                "cut {}/{}: {episode}: longest without an acknowledgement {} ms, well {} ms after it was mended, \
                 {} connections were late",
                number + 1,
                spells.count,
                silence.as_millis(),
                well.as_millis(),
                network.late() - late
            );
            self.report.fault(&line, &self.world.record);
        }
        self.report.phase("cuts", longest, spells.silence_max);
        Ok(())
    }

    /// One episode, up to its end.
    fn suffer(&mut self, network: &Network, episode: Episode, end: Instant) -> Result<(), Violation> {
        if !matches!(episode, Episode::Late(_)) {
            network.set(|from, to| episode.weather(from, to));
            return self.wait_until(end);
        }
        while Instant::now() + HELD < end {
            network.set(|from, to| episode.weather(from, to));
            self.wait_until(Instant::now() + HELD)?;
            network.strand(|from, to| episode.weather(from, to) != Weather::Clear);
            self.wait_for(end, |_| network.has_delivered())?;
            self.wait_until(end.min(Instant::now() + HELD))?;
        }
        Ok(())
    }

    /// Mends the network, and waits until all nodes have each other again, and answer. Returns how long that took.
    fn mend(
        &mut self,
        network: &Network,
        before: &BTreeMap<(usize, usize), usize>,
    ) -> Result<Duration, Violation> {
        let mended = Instant::now();
        network.clear().map_err(network_fault)?;
        self.wait_for(mended + RECOVERY_MAX, |_| apart(&network.connections(), before).is_none())?;
        let apart = apart(&network.connections(), before);
        self.wait_for_all()?;
        self.wait_for_acknowledgement()?;
        apart.map_or(Ok(mended.elapsed()), Err)
    }
}

/// Two nodes that have fewer connections than before, if there are any.
fn apart(
    connections: &BTreeMap<(usize, usize), usize>,
    before: &BTreeMap<(usize, usize), usize>,
) -> Option<Violation> {
    before.iter().find_map(|((one, other), before)| {
        let up = connections.get(&(*one, *other)).copied().unwrap_or(0);
        let (one, other, seconds) = (one + 1, other + 1, RECOVERY_MAX.as_secs());
        (up < *before).then_some(Violation::StillApart { one, other, up, before: *before, seconds })
    })
}

#[expect(clippy::needless_pass_by_value, reason = "goes into map_err")]
fn network_fault(fault: io::Error) -> Violation {
    Violation::Unexpected { what: "the network".to_owned(), answer: fault.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_apart_that_have_fewer_connections_than_before() {
        let before = BTreeMap::from([((0, 1), 2), ((0, 2), 2)]);
        assert_eq!(apart(&BTreeMap::from([((0, 1), 2), ((0, 2), 3)]), &before), None);
        let seen = apart(&BTreeMap::from([((0, 1), 2), ((0, 2), 1)]), &before).unwrap().to_string();
        assert_eq!(seen, "nodes 1 and 3 have 1 connections, of 2, 60 s after the network was mended");
        assert!(apart(&BTreeMap::new(), &before).is_some());
    }
}
