//! Where the time of a command goes within the node that it was submitted to, in the stages of S-SMR VI-B.
//!
//! ```text
//! submitted ─ batching ─► proposed ─ multicasting ─► delivered ─ waiting ─► executed ─ executing ─► answered
//! ```
//!
//! *Batching* ends when the turn's commands are proposed, or sent to who leads. *Multicasting* is ordering and syncing, up to the
//! turn in which a replica here delivers the command. It *waits* while it is not complete: behind others, and for signals of
//! other partitions. *Executing* is the part of a turn in which its answer comes about, with all others of that turn.
//!
//! One command at a time is followed, so this costs next to nothing; the next one is the first that is submitted after its
//! answer. Commands without a replica here are not counted: who orders them knows more of their time.

use multicast::CommandId;

/// How much a new sample moves the means: they are those of the last few hundred.
const WEIGHT: f64 = 1.0 / 256.0;
/// A command that is not answered for so long is given up, in microseconds.
const GIVEN_UP_US: u64 = 10_000_000;

/// Mean times, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageTimes {
    /// Until it is proposed.
    pub batching: f64,
    /// Until it is delivered.
    pub multicasting: f64,
    /// Until its execution begins.
    pub waiting: f64,
    /// Until it is answered.
    pub executing: f64,
}

impl StageTimes {
    fn toward(self, sample: StageTimes, weight: f64) -> StageTimes {
        let toward = |mean: f64, sample: f64| mean + (sample - mean) * weight;
        StageTimes {
            batching: toward(self.batching, sample.batching),
            multicasting: toward(self.multicasting, sample.multicasting),
            waiting: toward(self.waiting, sample.waiting),
            executing: toward(self.executing, sample.executing),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Stage {
    Batching,
    Multicasting,
    Waiting,
    Executing,
}

/// The command that is followed.
#[derive(Debug)]
struct Followed {
    id: CommandId,
    stage: Stage,
    began_us: u64,
    /// When its stage began.
    since_us: u64,
    times: StageTimes,
}

/// The stages of one node's commands. Sans-IO: it knows the time as it is told.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    now_us: u64,
    followed: Option<Followed>,
    means: Option<StageTimes>,
}

impl Stages {
    /// The means, once there are any.
    pub(crate) fn means(&self) -> Option<StageTimes> {
        self.means
    }

    /// It is so late. Told at the beginning and at the end of whatever a turn does.
    pub(crate) fn tick(&mut self, now_us: u64) {
        self.now_us = now_us;
        match &mut self.followed {
            Some(followed) if followed.stage == Stage::Executing => {
                followed.times.executing = followed.lasted(now_us);
                let (times, weight) = (followed.times, WEIGHT);
                self.means = Some(self.means.map_or(times, |means| means.toward(times, weight)));
                self.followed = None;
            }
            Some(followed) if now_us > followed.began_us + GIVEN_UP_US => self.followed = None,
            _ => {}
        }
    }

    /// A command is submitted.
    pub(crate) fn submitted(&mut self, id: CommandId) {
        let now_us = self.now_us;
        self.followed.get_or_insert_with(|| Followed {
            id,
            stage: Stage::Batching,
            began_us: now_us,
            since_us: now_us,
            times: StageTimes::default(),
        });
    }

    /// Whatever was submitted is proposed, at this time.
    pub(crate) fn proposed(&mut self, now_us: u64) {
        self.tick(now_us);
        if let Some(followed) = self.followed.as_mut().filter(|followed| followed.stage == Stage::Batching) {
            followed.times.batching = followed.lasted(now_us);
            followed.stage = Stage::Multicasting;
        }
    }

    /// A replica here delivers a command.
    pub(crate) fn delivered(&mut self, id: CommandId) {
        let Some(followed) = self.followed.as_mut().filter(|followed| followed.id == id) else { return };
        if followed.stage == Stage::Multicasting {
            followed.times.multicasting = followed.lasted(self.now_us);
            followed.stage = Stage::Waiting;
        }
    }

    /// A command is answered here.
    pub(crate) fn answered(&mut self, id: CommandId) {
        let Some(followed) = self.followed.as_mut().filter(|followed| followed.id == id) else { return };
        if followed.stage == Stage::Waiting {
            followed.times.waiting = followed.lasted(self.now_us);
            followed.stage = Stage::Executing;
        } else {
            self.followed = None;
        }
    }
}

impl Followed {
    /// Ends its stage, and says how long that was.
    fn lasted(&mut self, now_us: u64) -> f64 {
        let since_us = std::mem::replace(&mut self.since_us, now_us);
        now_us.saturating_sub(since_us) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multicast::ClientId;

    fn id(i: u32) -> CommandId {
        CommandId { client: ClientId(7), epoch: 1, run: 1, i }
    }

    #[test]
    fn a_commands_time_is_cut_into_its_stages() {
        let mut stages = Stages::default();
        stages.tick(100);
        stages.submitted(id(0));
        stages.submitted(id(1));
        stages.proposed(103);
        stages.tick(150);
        stages.delivered(id(0));
        stages.delivered(id(1));
        stages.answered(id(1));
        stages.tick(160);
        assert_eq!(stages.means(), None, "it waits");
        stages.answered(id(0));
        stages.tick(165);
        let times = StageTimes { batching: 3.0, multicasting: 47.0, waiting: 10.0, executing: 5.0 };
        assert_eq!(stages.means(), Some(times));
    }

    #[test]
    fn means_follow_what_comes_and_leave_out_what_is_ordered_elsewhere() {
        let mut stages = Stages::default();
        for (i, executing_us) in [(0, 0), (1, 256)] {
            stages.submitted(id(i));
            stages.proposed(stages.now_us);
            stages.delivered(id(i));
            stages.answered(id(i));
            stages.tick(stages.now_us + executing_us);
        }
        assert_eq!(stages.means().map(|means| means.executing), Some(1.0));
        stages.submitted(id(2));
        stages.proposed(1_000);
        stages.answered(id(2));
        stages.tick(9_000);
        assert_eq!(stages.means().map(|means| means.executing), Some(1.0));
        stages.submitted(id(3));
        stages.tick(9_001 + GIVEN_UP_US);
        assert!(stages.followed.is_none(), "nobody answers it");
    }
}
