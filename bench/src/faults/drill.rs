//! A steady load in whose midst something fails.
//!
//! An edge file: it starts the generator's thread, and its clock decides when the fault happens.
#![allow(clippy::disallowed_methods, reason = "the fault and what is seen around it are timed here")]

use super::timeline::Timeline;
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::layout::Layout;
use crate::load::{self, Target};
use crate::op::Op;
use crate::pause::pause;
use crate::schedule::Schedule;
use crate::shape::Shape;
use crate::usage::Machine;
use crate::worker::{Answered, Drive, Event, Link, Worker};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of each value.
const SIZE: usize = 100;
/// Each partition has connections of its own, so that one that is not answered holds up no other's requests.
pub const CONNECTIONS_PER_PARTITION: usize = 4;
/// The most requests in flight on a connection. What is due beyond them waits with the generator.
pub const OUTSTANDING: usize = 200;
/// Of the rate a partition has to answer this share before the fault, or the machine has nothing to spare.
const SUSTAINED_LEAST: f64 = 0.95;

/// What is loaded, and for how long.
pub struct Drill<'a> {
    /// How many partitions there are, all of them loaded.
    pub partitions: usize,
    /// Sets per second that are due in each.
    pub rate: u64,
    /// The indices of the servers that the connections of each partition go round.
    pub servers: &'a [usize],
    /// Before answers are looked at.
    pub warm_up: Duration,
    /// From then to the fault.
    pub before: Duration,
    /// From the fault to the end.
    pub after: Duration,
}

/// What was seen.
pub struct Seen {
    /// The writes that succeeded.
    pub timeline: Timeline,
    /// How many errors each partition replied meanwhile.
    pub errors: Vec<usize>,
    /// The share of the time before the fault in which the machine's cores had nothing to do.
    pub idle_share_before: f64,
}

impl Drill<'_> {
    /// Loads the cluster, has `fail` bring the fault about, and tells what was seen around it. `look` comes just before and
    /// may refuse; its time is not the fault's.
    pub fn carry_out(
        &self,
        cluster: &mut Cluster,
        look: impl FnOnce(&Cluster) -> Result<(), Failure>,
        fail: impl FnOnce(&mut Cluster) -> Result<(), Failure>,
        interrupt: &Interrupt,
    ) -> Result<Seen, Failure> {
        let links = self.links(cluster, interrupt).map_err(Failure::during("preparing"))?;
        let schedule = Schedule::until_ended(Op::Set);
        let (sender, events) = channel();
        let drive = Drive {
            outstanding: OUTSTANDING,
            rate: Some(self.rate * self.partitions as u64),
            connections: links.len(),
            tells_answers: true,
        };
        let worker = Worker::new(links, 0, 1, drive, &schedule, sender)?;
        thread::scope(|scope| {
            scope.spawn(|| worker.run());
            let mut watch = Watch { events: &events, interrupt, answers: Vec::new() };
            let watched = self.conduct(&mut watch, cluster, look, fail);
            schedule.end();
            watched
        })
    }

    fn links(&self, cluster: &Cluster, interrupt: &Interrupt) -> Result<Vec<Link>, Failure> {
        let connections = CONNECTIONS_PER_PARTITION * self.partitions;
        let shape = Shape::closed(connections, OUTSTANDING, SIZE);
        let server = |connection| self.servers[connection / self.partitions % self.servers.len()];
        let layout = Layout::in_partitions(connections, shape.keys, self.partitions, self.partitions, server);
        let addresses = cluster.addresses();
        let target = Target { servers: &addresses, layout: &layout, pids: &[] };
        load::links(target, &shape, interrupt)
    }

    fn conduct(
        &self,
        watch: &mut Watch,
        cluster: &mut Cluster,
        look: impl FnOnce(&Cluster) -> Result<(), Failure>,
        fail: impl FnOnce(&mut Cluster) -> Result<(), Failure>,
    ) -> Result<Seen, Failure> {
        watch.until(Instant::now() + self.warm_up, cluster).map_err(Failure::during("warming up"))?;
        let (begin, machine) = (Instant::now(), Machine::now()?);
        let steady = watch.until(begin + self.before, cluster).and_then(|()| look(cluster));
        steady.map_err(Failure::during("before the fault"))?;
        let idle_share = Machine::now()?.idle_share_since(machine);
        let fault = Instant::now();
        fail(cluster)?;
        let end = fault + self.after;
        watch.until(end, cluster).map_err(Failure::during("after the fault"))?;
        let (timeline, errors) = watch.seen(self.partitions, begin, fault, end);
        self.check_rate(&timeline).map_err(Failure::during("before the fault"))?;
        Ok(Seen { timeline, errors, idle_share_before: idle_share })
    }

    fn check_rate(&self, timeline: &Timeline) -> Result<(), Failure> {
        let slow = |partition: &usize| timeline.before(*partition) < SUSTAINED_LEAST * self.rate as f64;
        match (0..self.partitions).find(slow) {
            None => Ok(()),
            Some(partition) => Err(Failure::Usage(format!(
                "p{partition} answered {:.0} of {} writes per second: --rate is too much for this machine",
                timeline.before(partition),
                self.rate
            ))),
        }
    }
}

/// The one who hears what the worker tells.
struct Watch<'a> {
    events: &'a Receiver<Event>,
    interrupt: &'a Interrupt,
    answers: Vec<Answered>,
}

impl Watch<'_> {
    /// How often the watch looks around.
    const GLANCE: Duration = Duration::from_millis(100);

    fn until(&mut self, end: Instant, cluster: &mut Cluster) -> Result<(), Failure> {
        loop {
            self.interrupt.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            match self.events.recv_timeout(left.min(Self::GLANCE)) {
                Ok(Event::Answered(answered)) => self.answers.push(answered),
                Ok(Event::Exhausted(_)) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Event::Ended(Err(failure))) => return Err(Self::why(failure, cluster)),
                Ok(Event::Ended(Ok(_))) | Err(RecvTimeoutError::Disconnected) => {
                    unreachable!("the worker ends when it is told or fails, and says so last")
                }
            }
        }
    }

    /// A server that has ended says why in its log, and a lost connection does not. Its sockets close a moment before that
    /// it has ended can be seen.
    fn why(failure: Failure, cluster: &mut Cluster) -> Failure {
        pause(Self::GLANCE);
        cluster.check().err().unwrap_or(failure)
    }

    /// What was told up to the end, successes and how many errors of each partition. What comes later is left alone.
    fn seen(
        &mut self,
        partitions: usize,
        begin: Instant,
        fault: Instant,
        end: Instant,
    ) -> (Timeline, Vec<usize>) {
        let told = self.events.try_iter().filter_map(|event| match event {
            Event::Answered(answered) => Some(answered),
            Event::Exhausted(_) | Event::Ended(_) => None,
        });
        self.answers.extend(told);
        let mut answers = vec![Vec::new(); partitions];
        let mut errors = vec![0; partitions];
        for answered in self.answers.iter().filter(|answered| (begin..=end).contains(&answered.at)) {
            let partition = answered.connection % partitions;
            answers[partition].extend(std::iter::repeat_n(answered.at - begin, answered.succeeded));
            errors[partition] += answered.failed;
        }
        (Timeline::new(fault - begin, end - begin, answers), errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_belongs_to_its_connections_partition_and_counts_while_it_is_looked() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let (sender, events) = channel();
        let tell = |connection, at, succeeded, failed| {
            sender.send(Event::Answered(Answered { connection, at, succeeded, failed })).unwrap();
        };
        tell(0, begin - Duration::from_millis(1), 100, 100);
        tell(0, at(10), 3, 0);
        tell(3, at(20), 2, 5);
        tell(2, at(600), 1, 1);
        tell(1, at(1_001), 100, 100);
        let mut watch = Watch { events: &events, interrupt: &Interrupt::default(), answers: Vec::new() };
        let (timeline, errors) = watch.seen(2, begin, at(500), at(1_000));
        assert_eq!(errors, [1, 5]);
        let answered = [0, 1].map(|partition| timeline.buckets(partition));
        assert_eq!(answered, [[3, 0, 0, 0, 0, 0, 1, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0, 0, 0, 0]]);
    }

    #[test]
    fn a_load_that_is_not_sustained_before_the_fault_is_told() {
        let second = Duration::from_secs(1);
        let drill =
            Drill { partitions: 2, rate: 100, servers: &[0], warm_up: second, before: second, after: second };
        let times = |count: u64| (0..count).map(Duration::from_millis).collect();
        let checked =
            |slower| drill.check_rate(&Timeline::new(second, 2 * second, vec![times(100), times(slower)]));
        assert!(checked(95).is_ok());
        let told = checked(94).unwrap_err().to_string();
        assert_eq!(told, "p1 answered 94 of 100 writes per second: --rate is too much for this machine");
    }
}
