//! One client that works as long as the trial lasts.

use super::attached::{Attached, Verdict};
use super::mailbox::Notice;
use super::world::{COUNTERS, PAIRS, Target, World};
use crate::checks::{Attempt, Burst, Outcome, Updates, Written, judge_counter, judge_pair};
use crate::violation::Violation;
use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use volery::client::{Client, ClientError};
use volery::wire::{Acl, Create, CreateMode, ErrorCode, MultiOp, OpResult, Reply, Request, SetData, Stat};

/// The timeout of the session: well above the time that a restart takes.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest pipeline.
const PIPELINE_MAX: usize = 16;
/// Sequential children that one client creates per round, so that a list of them stays readable.
const CHILDREN_PER_ROUND_MAX: usize = 4_000;

/// What a worker was told, for the final judgement.
#[derive(Debug)]
pub struct Told {
    /// Of each counter.
    pub counters: Vec<Updates>,
    /// Of each pair.
    pub pairs: Vec<Updates>,
    /// Of the sequential children of each round, in the order sent.
    pub bursts: BTreeMap<usize, Vec<Burst>>,
}

/// One client.
pub struct Worker {
    index: usize,
    rng: SmallRng,
    client: Attached,
    tokens: u64,
    children: (usize, usize),
    told: Told,
}

impl Worker {
    /// Opens a session and works until the trial is over; `seed` decides the choices.
    pub fn run(world: Arc<World>, index: usize, seed: u64) -> Told {
        let told = Told {
            counters: vec![Updates::default(); COUNTERS],
            pairs: vec![Updates::default(); PAIRS],
            bursts: BTreeMap::new(),
        };
        let rng = SmallRng::seed_from_u64(seed.wrapping_add(index as u64));
        match Attached::open(Arc::clone(&world), SESSION_TIMEOUT) {
            None => told,
            Some(client) => Worker { index, rng, client, tokens: 0, children: (0, 0), told }.work(&world),
        }
    }

    fn work(mut self, world: &World) -> Told {
        while !world.is_stopping() && self.client.ensure() {
            match self.rng.random_range(0..100) {
                0..40 => self.increment(),
                40..60 => self.write_pair(),
                60..80 => self.read_pair(),
                80..90 => self.create_children(),
                _ => self.read_counters(),
            }
            world.rest();
        }
        self.client.close();
        self.told
    }

    /// Reads a counter and sets it to one more if nobody else has.
    fn increment(&mut self) {
        let counter = self.rng.random_range(0..COUNTERS);
        let path = World::counter(counter);
        let known = self.world().freshness.known(Target::Counter(counter).slot());
        let Some((value, stat)) = self.read(&path, |client| client.get(&path)) else { return };
        self.judge_counter_read(counter, known, &value, &stat);
        let next = Bytes::from((i64::from(stat.version) + 1).to_string());
        match self.write(|client| client.set(&path, next.clone(), stat.version)) {
            Verdict::Done(stat) => {
                self.acknowledged(Target::Counter(counter), path, stat.version, next);
                self.told.counters[counter].acknowledge(stat.version);
            }
            Verdict::Refused(ErrorCode::BadVersion) => {}
            Verdict::Refused(code) => self.refused(&path, code),
            Verdict::Unknown => self.told.counters[counter].lose_sight(),
        }
    }

    /// Reads several counters in one pipeline.
    fn read_counters(&mut self) {
        let counters: Vec<usize> = (0..PIPELINE_MAX).map(|_| self.rng.random_range(0..COUNTERS)).collect();
        let known = |counter: usize| (counter, self.world().freshness.known(Target::Counter(counter).slot()));
        let sent: Vec<(usize, i32)> = counters.into_iter().map(known).collect();
        let requests = sent
            .iter()
            .map(|(counter, _)| Request::GetData { path: World::counter(*counter).into(), watch: false });
        let answers = self.pipeline(requests.collect());
        for (&(counter, known), answer) in sent.iter().zip(answers) {
            match answer {
                Verdict::Done(Reply::Data { data, stat }) => {
                    self.judge_counter_read(counter, known, &data.unwrap_or_default(), &stat);
                }
                Verdict::Done(other) => self.unexpected(&World::counter(counter), &format!("{other:?}")),
                Verdict::Refused(code) => self.refused(&World::counter(counter), code),
                Verdict::Unknown => {}
            }
        }
    }

    fn judge_counter_read(&self, counter: usize, known: i32, value: &[u8], stat: &Stat) {
        let (world, path) = (self.world(), World::counter(counter));
        let stale = world.freshness.judge(Target::Counter(counter).slot(), &path, known, stat.version);
        let violations = stale.into_iter().chain(judge_counter(&path, value, stat.version));
        violations.for_each(|violation| world.record.violate(violation));
        world.record.read();
    }

    /// Sets both halves of a pair to a new token.
    fn write_pair(&mut self) {
        let pair = self.rng.random_range(0..PAIRS);
        let token = Bytes::from(self.token());
        let paths = World::pair(pair);
        let sets = paths.each_ref().map(|path| {
            MultiOp::SetData(SetData { path: path.as_str().into(), data: Some(token.clone()), version: -1 })
        });
        match self.write(|client| client.multi(sets.to_vec())) {
            Verdict::Done(results) => match results.as_slice() {
                [OpResult::DataSet(first), OpResult::DataSet(second)] if first.version == second.version => {
                    self.acknowledged(Target::Pair(pair), paths[0].clone(), first.version, token);
                    self.told.pairs[pair].acknowledge(first.version);
                }
                other => self.unexpected(&paths[0], &format!("{other:?}")),
            },
            Verdict::Refused(code) => self.refused(&paths[0], code),
            Verdict::Unknown => self.told.pairs[pair].lose_sight(),
        }
    }

    fn read_pair(&mut self) {
        let pair = self.rng.random_range(0..PAIRS);
        let paths = World::pair(pair);
        let slot = Target::Pair(pair).slot();
        let known = self.world().freshness.known(slot);
        let results = self.read(&paths[0], |client| client.multi_read(World::pair_reads(pair)));
        let Some(results) = results else { return };
        let world = self.world();
        let violation = match judge_pair(&paths, &results) {
            Ok(version) => world.freshness.judge(slot, &paths[0], known, version),
            Err(violation) => Some(violation),
        };
        violation.into_iter().for_each(|violation| world.record.violate(violation));
        world.record.read();
    }

    /// Creates sequential children in one pipeline.
    fn create_children(&mut self) {
        let round = self.world().round.load(Ordering::SeqCst);
        if self.children.0 != round {
            self.children = (round, 0);
        }
        let count = self.rng.random_range(1..=PIPELINE_MAX);
        self.children.1 += count;
        if self.children.1 > CHILDREN_PER_ROUND_MAX {
            return self.increment();
        }
        let parent = World::sequence(round);
        let tokens: Vec<String> = (0..count).map(|_| self.token()).collect();
        let answers = self.pipeline(tokens.iter().map(|token| sequential(&parent, token)).collect());
        let mut attempts = Vec::new();
        for (token, answer) in tokens.into_iter().zip(answers) {
            attempts.push(Attempt { token, outcome: self.created(&parent, answer) });
        }
        self.told.bursts.entry(round).or_default().push(Burst { creator: self.index, attempts });
    }

    fn created(&self, parent: &str, answer: Verdict<Reply>) -> Outcome {
        let record = &self.world().record;
        match answer {
            Verdict::Done(Reply::Path(path)) => {
                record.acknowledge();
                Outcome::Created(path)
            }
            Verdict::Done(other) => {
                self.unexpected(parent, &format!("{other:?}"));
                Outcome::Unknown
            }
            Verdict::Refused(code) => {
                self.refused(parent, code);
                Outcome::Refused
            }
            Verdict::Unknown => {
                record.lose_sight();
                Outcome::Unknown
            }
        }
    }

    /// Sends all of these and then receives all answers. After a lost connection the rest are unknown.
    fn pipeline(&mut self, requests: Vec<Request>) -> Vec<Verdict<Reply>> {
        let count = requests.len();
        let sent = self
            .client
            .attempt(|client| requests.into_iter().try_for_each(|request| client.send(request).map(drop)));
        let mut answers = Vec::with_capacity(count);
        // What was sent before the connection was lost may have been answered before.
        let lost = !matches!(sent, Verdict::Done(()));
        while !lost && answers.len() < count {
            // The outer error is the connection's, the inner one the request's own.
            match self.client.attempt(|client| client.receive().and_then(|(_, answer)| Ok(answer?))) {
                Verdict::Unknown if self.client.is_lost() => break,
                answer => answers.push(answer),
            }
        }
        answers.resize(count, Verdict::Unknown);
        answers
    }

    /// A read; nothing is what cannot be judged.
    fn read<T>(&mut self, path: &str, call: impl FnOnce(&mut Client) -> Result<T, ClientError>) -> Option<T> {
        match self.client.attempt(call) {
            Verdict::Done(found) => Some(found),
            Verdict::Refused(code) => {
                self.refused(path, code);
                None
            }
            Verdict::Unknown => None,
        }
    }

    /// A version of a znode is there from now on, and the witnesses may look for it.
    fn acknowledged(&self, target: Target, path: String, version: i32, data: Bytes) {
        let world = self.world();
        world.freshness.learn(target.slot(), version);
        let written = Written { path, version, data, through: self.client.node() };
        world.tell(&Notice { target, written });
    }

    /// A write, counted.
    fn write<T>(&mut self, call: impl FnOnce(&mut Client) -> Result<T, ClientError>) -> Verdict<T> {
        let verdict = self.client.attempt(call);
        match verdict {
            Verdict::Done(_) => self.world().record.acknowledge(),
            Verdict::Unknown => self.world().record.lose_sight(),
            Verdict::Refused(_) => {}
        }
        verdict
    }

    /// Some refusals only ask to come again; others cannot be right, since everything that is used here exists.
    fn refused(&self, what: &str, code: ErrorCode) {
        use ErrorCode::{SessionExpired, SessionMoved, ThrottledOp};
        if !matches!(code, SessionExpired | SessionMoved | ThrottledOp) {
            self.unexpected(what, &code);
        }
    }

    fn unexpected(&self, what: &str, answer: &impl fmt::Display) {
        let (what, answer) = (what.to_owned(), answer.to_string());
        self.world().record.violate(Violation::Unexpected { what, answer });
    }

    /// Data that nobody else writes.
    fn token(&mut self) -> String {
        self.tokens += 1;
        format!("w{}-{}", self.index, self.tokens)
    }

    fn world(&self) -> &World {
        &self.client.world
    }
}

fn sequential(parent: &str, token: &str) -> Request {
    Request::Create(Create {
        path: format!("{parent}/n-").into(),
        data: Some(token.to_owned().into()),
        acl: Acl::open_unsafe(),
        mode: Ok(CreateMode::PersistentSequential),
        with_stat: false,
    })
}
