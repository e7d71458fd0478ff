//! What partitions of one node cost each other.

use super::{Answer, Options, SIZE, demands, p99, rate, syncs_per_node};
use crate::cluster::Volery;
use crate::failure::Failure;
use crate::lab::{Lab, Subject};
use crate::mix::Mix;
use crate::op::{Op, Span};
use crate::report;
use crate::shape::Shape;
use crate::trials::Trials;

const PARTITIONS: usize = 8;
const CONNECTIONS: usize = 16;
const OUTSTANDING: usize = 8;
/// How many of a hundred commands are over two partitions.
const GLOBAL_PERCENT: [u8; 4] = [0, 1, 5, 10];

impl Options {
    /// Two nodes run all the time, of one partition and of eight, and one at a time is loaded.
    pub(super) fn one_node(&self, lab: &mut Lab) -> Result<Answer, Failure> {
        let volery = |partitions| Volery {
            binary: &self.setting.volery,
            partitions,
            replicas: None,
            sync_delay_ms: None,
        };
        let mut of_one = lab.volery(volery(1), 1)?;
        let mut of_eight = lab.volery(volery(PARTITIONS), 1)?;
        let rings = self.rings(lab, &mut of_eight)?;
        let half = (rings.median(0, rate) / 2.0) as u64;
        let idle = self.idle(lab, &mut of_one, &mut of_eight, half.max(1))?;
        let global = self.global(lab, &mut of_eight)?;
        let verdicts = vec![
            demands::TAIL.measured(idle.last_ratio(p99)),
            demands::GLOBAL.measured(global.last_ratio(rate)),
            demands::SYNCS.measured(rings.last_ratio(syncs_per_node)),
        ];
        Ok(Answer::Told(vec![rings, idle, global], verdicts))
    }

    fn rings(&self, lab: &Lab, of_eight: &mut Subject) -> Result<Trials, Failure> {
        let about = format!(
            "Loaded rings of one node of {PARTITIONS} partitions: set of {SIZE} B, {CONNECTIONS} connections with \
             {OUTSTANDING} outstanding each, over one ring and over all."
        );
        let loaded = [1, PARTITIONS];
        let names = loaded.map(|rings| crate::table::many(rings, "loaded ring")).to_vec();
        let shape = Shape::closed(CONNECTIONS, OUTSTANDING, SIZE);
        Trials::measure(about, names.clone(), self.rounds as usize, |index| {
            report::progress(&format!("one node: {}", names[index]));
            of_eight.load(Op::Set, &shape, Some(loaded[index]), self.lengths(), lab.interrupt)
        })
    }

    /// In an open loop, at a rate that both sustain: their latencies are those of the same load.
    fn idle(
        &self,
        lab: &Lab,
        of_one: &mut Subject,
        of_eight: &mut Subject,
        rate: u64,
    ) -> Result<Trials, Failure> {
        let about = format!(
            "Idle partitions beside a loaded one on one node: set of {SIZE} B in an open loop, {rate}/s over \
             {CONNECTIONS} connections, half of what one ring did."
        );
        let names = vec!["no idle partition".to_owned(), format!("{} idle partitions", PARTITIONS - 1)];
        // More may be outstanding than in the closed loop, so that a moment of delay is not one of waiting for room.
        let shape = Shape::closed(CONNECTIONS, 10 * OUTSTANDING, SIZE).at(rate);
        Trials::measure(about, names.clone(), self.rounds as usize, |index| {
            report::progress(&format!("one node: {}", names[index]));
            let subject = if index == 0 { &mut *of_one } else { &mut *of_eight };
            subject.load(Op::Set, &shape, Some(1), self.lengths(), lab.interrupt)
        })
    }

    fn global(&self, lab: &Lab, of_eight: &mut Subject) -> Result<Trials, Failure> {
        let about = format!(
            "Commands over two partitions on one node of {PARTITIONS}: set of {SIZE} B, and multis of two such, \
             {CONNECTIONS} connections with {OUTSTANDING} outstanding each."
        );
        let names = GLOBAL_PERCENT.map(|percent| format!("{percent} % over two")).to_vec();
        let shape = Shape::closed(CONNECTIONS, OUTSTANDING, SIZE);
        Trials::measure(about, names.clone(), self.rounds as usize, |index| {
            report::progress(&format!("one node: {}", names[index]));
            let op = Op::Mix(Mix::of_multis(GLOBAL_PERCENT[index]), Span::Two);
            of_eight.load(op, &shape, None, self.lengths(), lab.interrupt)
        })
    }
}
