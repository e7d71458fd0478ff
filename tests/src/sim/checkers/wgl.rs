//! Whether calls that overlapped can be put in an order that explains what each was told.
//!
//! This is Wing and Gong's search with Lowe's two improvements. A configuration that was met once is not tried again; and
//! a call is put in its place no sooner than some return asks for it, so that a configuration is a moment, the pending
//! calls that have their place, and the state. What lies before a moment at which nothing is pending is thereby forgotten
//! but for the state: long histories fall apart at such moments by themselves.
//!
//! ```text
//!   a  |---------------|         At b's return, b must have its place: b first, or a and then b.
//!   b      |------|              At a's return, a must have its, unless it has it.
//!   c                 |....?     c's reply was lost: it may have its place at any time, or never.
//! ```
//!
//! A pending read that fits where the search stands, and rules nothing out, is placed at once: whatever order explains the
//! rest still does with this call in front. So reads cost no choices.
//!
//! Two kinds of order are added to that of returns and invocations: a call may come [`after`](Call::after) another, and it
//! may [exclude](Call::excludes) others, which then never happen.
//!
//! # Caveats
//!
//! - The search is exponential in the calls that are pending together, and bounded by a budget. To give up is not to pass.
//! - No more than 128 calls may be pending together.

use rustc_hash::FxHashSet;
use std::hash::Hash;

/// States that a violation shows.
const STATES_SHOWN_MAX: usize = 3;

/// A sequential object.
pub trait Model {
    /// What it is at some time.
    type State: Clone + Eq + Hash;
    /// An operation, with its outcome if that is known.
    type Operation;

    /// What it is at first.
    fn initial(&self) -> Self::State;

    /// What it is after an operation; `None` if the outcome contradicts the state. An operation of unknown outcome
    /// contradicts nothing.
    fn step(&self, state: &Self::State, operation: &Self::Operation) -> Option<Self::State>;

    /// Whether an operation does nothing to any state but to tell what it is.
    fn only_reads(&self, operation: &Self::Operation) -> bool;
}

/// What is known of a call's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It happened, before this moment.
    Returned(usize),
    /// It happened or will, or never does.
    Unknown {
        /// The moment after which it does not happen any more, if there is one.
        until: Option<usize>,
    },
}

/// An operation that took its time.
#[derive(Clone, Debug)]
pub struct Call<O> {
    /// The moment before which it did not happen.
    pub invoked: usize,
    /// How it ended.
    pub fate: Fate,
    /// What it was.
    pub operation: O,
    /// The call, by its place in the list, without which this one does not happen, and which comes before it. If both are
    /// unknown they end at one moment, and this one is later in the list.
    pub after: Option<usize>,
    /// The unknown calls, by their places in the list, that do not happen any more when this one has. An unknown one
    /// excludes calls that were invoked later only if it never lapses and is excluded by none.
    pub excludes: Vec<usize>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<S> {
    /// Some order explains all outcomes.
    Linearizable,
    /// None does.
    Violation(Stuck<S>),
    /// The budget was too small to tell.
    GaveUp,
}

/// How far the orders came that came furthest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck<S> {
    /// The call, by its place in the list, whose return none of them explains.
    pub call: usize,
    /// Some of the states in which they were before it.
    pub states: Vec<S>,
}

/// Whether some order of `calls` explains them. Each configuration visited is taken from `budget`; at 0 the search ends.
pub fn check<M: Model>(model: &M, calls: &[Call<M::Operation>], budget: &mut usize) -> Verdict<M::State> {
    match Timeline::new(calls) {
        Some(timeline) => Search::new(model, calls, timeline).run(budget),
        None => Verdict::GaveUp,
    }
}

/// What happens at an event. At one moment they come in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum EventKind {
    Invoked,
    Returned,
    /// From here on an unknown call does not happen.
    Lapsed,
}

#[derive(Clone, Copy)]
struct Event {
    kind: EventKind,
    call: usize,
    /// Where the calls that are pending begin and end in [`Timeline::pending`].
    pending: (usize, usize),
}

/// Where a call lies among the events.
#[derive(Clone, Copy)]
struct Span {
    begin: usize,
    /// `usize::MAX` if it has none.
    end: usize,
    /// Its bit among the pending calls; used again after its end.
    slot: usize,
}

/// The calls' beginnings and ends, in order.
struct Timeline {
    events: Vec<Event>,
    /// The pending calls of every end, one after the other.
    pending: Vec<usize>,
    spans: Vec<Span>,
    /// Whether another call comes after this one.
    is_needed: Vec<bool>,
    /// The calls that exclude this one though they were invoked before it.
    excluded_early_by: Vec<Vec<usize>>,
}

impl Timeline {
    /// `None` if too many calls are pending together.
    fn new<O>(calls: &[Call<O>]) -> Option<Timeline> {
        let mut spans = vec![Span { begin: 0, end: usize::MAX, slot: 0 }; calls.len()];
        let mut events = Vec::with_capacity(2 * calls.len());
        let mut pending = Vec::with_capacity(4 * calls.len());
        let mut slots: Vec<Option<usize>> = Vec::new();
        for (at, (kind, call)) in sorted_events(calls).into_iter().enumerate() {
            let first = pending.len();
            if kind == EventKind::Invoked {
                let slot = slots.iter().position(Option::is_none).unwrap_or(slots.len());
                slots.resize(slots.len().max(slot + 1), None);
                slots[slot] = Some(call);
                spans[call] = Span { begin: at, slot, ..spans[call] };
            } else {
                pending.extend(slots.iter().flatten());
                spans[call].end = at;
                slots[spans[call].slot] = None;
            }
            events.push(Event { kind, call, pending: (first, pending.len()) });
        }
        if slots.len() > u128::BITS as usize {
            return None;
        }
        let mut is_needed = vec![false; calls.len()];
        let mut excluded_early_by = vec![Vec::new(); calls.len()];
        for (at, call) in calls.iter().enumerate() {
            if let Some(first) = call.after {
                is_needed[first] = true;
            }
            for &excluded in &call.excludes {
                assert!(
                    matches!(calls[excluded].fate, Fate::Unknown { .. }),
                    "only unknown calls can be excluded"
                );
                if call.invoked < calls[excluded].invoked {
                    excluded_early_by[excluded].push(at);
                }
            }
        }
        Some(Timeline { events, pending, spans, is_needed, excluded_early_by })
    }
}

/// Of calls that lapse at one moment the last lapses first, since it may need those before it.
fn sorted_events<O>(calls: &[Call<O>]) -> Vec<(EventKind, usize)> {
    let mut events = Vec::with_capacity(2 * calls.len());
    for (at, call) in calls.iter().enumerate() {
        events.push((call.invoked, EventKind::Invoked, at, at));
        match call.fate {
            Fate::Returned(moment) => events.push((moment, EventKind::Returned, at, at)),
            Fate::Unknown { until: Some(moment) } => {
                events.push((moment, EventKind::Lapsed, usize::MAX - at, at));
            }
            Fate::Unknown { until: None } => {}
        }
    }
    events.sort_unstable();
    events.into_iter().map(|(_, kind, _, call)| (kind, call)).collect()
}

/// A point of the search.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Configuration<S> {
    /// The next event.
    at: usize,
    /// The pending calls, by slot, that have their place or never get one.
    done: u128,
    /// Whether the call that lapses next is to be placed before.
    is_bound: bool,
    state: S,
}

struct Search<'a, M: Model> {
    model: &'a M,
    calls: &'a [Call<M::Operation>],
    timeline: Timeline,
    /// The configurations met.
    met: FxHashSet<Configuration<M::State>>,
    /// Where to go on, the last first.
    open: Vec<Configuration<M::State>>,
    /// The furthest event at which the search branched, and states there.
    furthest: usize,
    states: Vec<M::State>,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, calls: &'a [Call<M::Operation>], timeline: Timeline) -> Self {
        let first = Configuration { at: 0, done: 0, is_bound: false, state: model.initial() };
        let (met, open) = (FxHashSet::default(), vec![first]);
        Search { model, calls, timeline, met, open, furthest: 0, states: Vec::new() }
    }

    fn run(mut self, budget: &mut usize) -> Verdict<M::State> {
        while let Some(mut configuration) = self.open.pop() {
            let Some(event) = self.settle(&mut configuration) else { return Verdict::Linearizable };
            let Some(left) = budget.checked_sub(1) else { return Verdict::GaveUp };
            *budget = left;
            self.note(&configuration);
            if self.met.insert(configuration.clone()) {
                self.branch(&configuration, event);
            }
        }
        let call = self.timeline.events[self.furthest].call;
        Verdict::Violation(Stuck { call, states: self.states })
    }

    /// Goes on as far as there is no choice. `None` at the end.
    fn settle(&self, configuration: &mut Configuration<M::State>) -> Option<Event> {
        loop {
            let event = self.advance(configuration)?;
            let asked = event.kind == EventKind::Returned && self.place_if_fitting(configuration, event.call);
            if !asked && !self.place_fitting(configuration, event) {
                return Some(event);
            }
        }
    }

    /// Passes the events that ask for nothing.
    fn advance(&self, configuration: &mut Configuration<M::State>) -> Option<Event> {
        loop {
            let event = *self.timeline.events.get(configuration.at)?;
            let bit = self.bit(event.call);
            if event.kind == EventKind::Invoked {
                let early = &self.timeline.excluded_early_by[event.call];
                if early.iter().any(|&by| self.has_happened(configuration, by)) {
                    configuration.done |= bit;
                }
            } else if configuration.done & bit == 0 {
                return Some(event);
            } else {
                configuration.done &= !bit;
                configuration.is_bound = false;
            }
            configuration.at += 1;
        }
    }

    /// Places the pending reads that are known to happen and fit. Whether there was one.
    fn place_fitting(&self, configuration: &mut Configuration<M::State>, event: Event) -> bool {
        let mut placed = false;
        for call in self.candidates(configuration, event) {
            placed |= self.place_if_fitting(configuration, call);
        }
        placed
    }

    fn place_if_fitting(&self, configuration: &mut Configuration<M::State>, call: usize) -> bool {
        let fits = matches!(self.calls[call].fate, Fate::Returned(_))
            && self.model.only_reads(&self.calls[call].operation)
            && self.is_free(configuration, call)
            && !self.rules_out(configuration, call)
            && self.step(configuration, call).is_some_and(|state| state == configuration.state);
        if fits {
            configuration.done |= self.bit(call);
        }
        fits
    }

    /// Opens what may come next, the likeliest last, since that is tried first: for a return its call itself, or those
    /// that return soon; for a lapse that the call never happens.
    fn branch(&mut self, configuration: &Configuration<M::State>, event: Event) {
        let mut candidates: Vec<usize> = self.candidates(configuration, event).collect();
        candidates.sort_unstable_by_key(|&call| std::cmp::Reverse(self.timeline.spans[call].end));
        for call in candidates {
            if self.is_free(configuration, call)
                && let Some(state) = self.step(configuration, call)
                && self.is_worth_it(configuration, call, &state)
            {
                let is_bound = event.kind == EventKind::Lapsed;
                let done = configuration.done | self.bit(call) | self.excluded(configuration, call);
                self.open.push(Configuration { at: configuration.at, done, is_bound, state });
            }
        }
        if event.kind == EventKind::Lapsed && !configuration.is_bound {
            self.open.push(Configuration { at: configuration.at + 1, ..configuration.clone() });
        }
    }

    /// The pending calls without a place.
    fn candidates(
        &self,
        configuration: &Configuration<M::State>,
        event: Event,
    ) -> impl Iterator<Item = usize> + use<'_, 'a, M> {
        let done = configuration.done;
        let (first, last) = event.pending;
        let pending = self.timeline.pending[first..last].iter().copied();
        pending.filter(move |&call| done & self.bit(call) == 0)
    }

    fn step(&self, configuration: &Configuration<M::State>, call: usize) -> Option<M::State> {
        self.model.step(&configuration.state, &self.calls[call].operation)
    }

    /// An unknown call that changes nothing might as well never happen, unless another waits for it.
    fn is_worth_it(&self, configuration: &Configuration<M::State>, call: usize, state: &M::State) -> bool {
        matches!(self.calls[call].fate, Fate::Returned(_))
            || self.timeline.is_needed[call]
            || *state != configuration.state
    }

    /// Whether the call that it comes after has its place.
    fn is_free(&self, configuration: &Configuration<M::State>, call: usize) -> bool {
        self.calls[call].after.is_none_or(|first| {
            self.timeline.spans[first].end < configuration.at || self.is_done(configuration, first)
        })
    }

    /// Whether a call has its place. Of an unknown one that has lapsed nobody knows.
    fn has_happened(&self, configuration: &Configuration<M::State>, call: usize) -> bool {
        let has_returned = matches!(self.calls[call].fate, Fate::Returned(_))
            && self.timeline.spans[call].end < configuration.at;
        has_returned || self.is_done(configuration, call)
    }

    fn is_done(&self, configuration: &Configuration<M::State>, call: usize) -> bool {
        self.is_pending(configuration, call) && configuration.done & self.bit(call) != 0
    }

    fn is_pending(&self, configuration: &Configuration<M::State>, call: usize) -> bool {
        let span = self.timeline.spans[call];
        span.begin < configuration.at && configuration.at <= span.end
    }

    /// Whether to place it would keep another from happening.
    fn rules_out(&self, configuration: &Configuration<M::State>, call: usize) -> bool {
        let to_come = |&call: &usize| self.timeline.spans[call].begin >= configuration.at;
        self.excluded(configuration, call) & !configuration.done != 0
            || self.calls[call].excludes.iter().any(to_come)
    }

    /// The slots of the pending calls that it excludes.
    fn excluded(&self, configuration: &Configuration<M::State>, call: usize) -> u128 {
        let excludes = self.calls[call].excludes.iter();
        let pending = excludes.filter(|&&call| self.is_pending(configuration, call));
        pending.fold(0, |slots, &call| slots | self.bit(call))
    }

    fn bit(&self, call: usize) -> u128 {
        1 << self.timeline.spans[call].slot
    }

    fn note(&mut self, configuration: &Configuration<M::State>) {
        if configuration.at > self.furthest {
            self.furthest = configuration.at;
            self.states.clear();
        }
        if configuration.at == self.furthest
            && self.states.len() < STATES_SHOWN_MAX
            && !self.states.contains(&configuration.state)
        {
            self.states.push(configuration.state.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    /// A number that is 0 at first.
    struct Register;

    #[derive(Clone, Copy, Debug)]
    enum Op {
        Write(u8),
        Read(u8),
    }
    use Op::{Read, Write};

    impl Model for Register {
        type State = u8;
        type Operation = Op;

        fn initial(&self) -> u8 {
            0
        }

        fn step(&self, state: &u8, operation: &Op) -> Option<u8> {
            match *operation {
                Write(number) => Some(number),
                Read(number) => (number == *state).then_some(number),
            }
        }

        fn only_reads(&self, operation: &Op) -> bool {
            matches!(operation, Read(_))
        }
    }

    fn call(invoked: usize, fate: Fate, operation: Op) -> Call<Op> {
        Call { invoked, fate, operation, after: None, excludes: Vec::new() }
    }

    fn told(invoked: usize, returned: usize, operation: Op) -> Call<Op> {
        call(invoked, Fate::Returned(returned), operation)
    }

    fn lost(invoked: usize, until: Option<usize>, operation: Op) -> Call<Op> {
        call(invoked, Fate::Unknown { until }, operation)
    }

    fn judged(calls: &[Call<Op>]) -> Verdict<u8> {
        check(&Register, calls, &mut 10_000)
    }

    fn is_right(calls: &[Call<Op>]) -> bool {
        judged(calls) == Verdict::Linearizable
    }

    #[test]
    fn calls_that_overlap_come_in_any_order() {
        assert!(is_right(&[]));
        assert!(is_right(&[told(0, 5, Write(1)), told(1, 2, Read(1)), told(3, 4, Read(1))]));
        assert!(!is_right(&[told(0, 5, Write(1)), told(1, 2, Read(1)), told(3, 4, Read(0))]));
    }

    #[test]
    fn a_stale_read_is_found() {
        let verdict = judged(&[told(0, 1, Write(1)), told(2, 3, Write(2)), told(4, 5, Read(1))]);
        assert_eq!(verdict, Verdict::Violation(Stuck { call: 2, states: vec![2] }));
    }

    #[test]
    fn a_lost_write_may_happen_late_or_never() {
        assert!(is_right(&[lost(0, None, Write(1)), told(1, 2, Read(0)), told(3, 4, Read(1))]));
        assert!(is_right(&[lost(0, None, Write(1)), told(1, 2, Read(0)), told(3, 4, Read(0))]));
        assert!(!is_right(&[lost(0, None, Write(1)), told(1, 2, Read(1)), told(3, 4, Read(0))]));
    }

    #[test]
    fn a_lost_write_happens_no_later_than_it_lapses() {
        assert!(is_right(&[lost(0, Some(3), Write(1)), told(1, 2, Read(0)), told(4, 5, Read(1))]));
        let late = [lost(0, Some(3), Write(1)), told(4, 5, Read(0)), told(6, 7, Read(1))];
        assert!(!is_right(&late));
    }

    #[test]
    fn one_comes_after_another() {
        let mut calls = [told(0, 9, Write(1)), told(1, 8, Write(2)), told(10, 11, Read(1))];
        assert!(is_right(&calls));
        calls[1].after = Some(0);
        assert!(!is_right(&calls));
    }

    #[test]
    fn what_is_excluded_never_happens() {
        let mut calls = [lost(0, None, Write(1)), told(1, 2, Write(2)), told(3, 4, Read(1))];
        assert!(is_right(&calls));
        calls[1].excludes = vec![0];
        assert!(!is_right(&calls));
    }

    #[test]
    fn what_was_invoked_earlier_excludes_too() {
        let mut calls =
            [told(0, 6, Write(2)), told(1, 2, Read(2)), lost(3, Some(6), Write(1)), told(7, 8, Read(1))];
        assert!(is_right(&calls));
        calls[0].excludes = vec![2];
        assert!(!is_right(&calls));
        calls[0].fate = Fate::Unknown { until: None };
        assert!(!is_right(&calls));
        calls[1] = told(1, 2, Read(0));
        assert!(is_right(&calls));
    }

    #[test]
    fn it_gives_up() {
        let mut calls: Vec<_> = (0..12).map(|n| told(n, 50 + n, Write(n as u8 + 1))).collect();
        calls.push(told(100, 101, Read(99)));
        assert_eq!(check(&Register, &calls, &mut 1_000), Verdict::GaveUp);
        let many: Vec<_> = (0..200).map(|n| lost(n, None, Write(1))).collect();
        assert_eq!(judged(&many), Verdict::GaveUp);
    }

    /// Whether an order explains the calls, found by trying all.
    fn by_trying(calls: &[Call<Op>], placed: &mut Vec<usize>, state: u8) -> bool {
        let is_told = |at: usize| matches!(calls[at].fate, Fate::Returned(_));
        if (0..calls.len()).all(|at| !is_told(at) || placed.contains(&at)) {
            return true;
        }
        (0..calls.len()).any(|at| {
            let is_next = !placed.contains(&at)
                && calls[at].after.is_none_or(|first| placed.contains(&first))
                && placed.iter().all(|&other| {
                    !calls[other].excludes.contains(&at) && !is_before(&calls[at], &calls[other])
                });
            let Some(state) = Register.step(&state, &calls[at].operation).filter(|_| is_next) else {
                return false;
            };
            placed.push(at);
            let found = by_trying(calls, placed, state);
            placed.pop();
            found
        })
    }

    fn is_before(one: &Call<Op>, other: &Call<Op>) -> bool {
        match one.fate {
            Fate::Returned(moment) | Fate::Unknown { until: Some(moment) } => moment < other.invoked,
            Fate::Unknown { until: None } => false,
        }
    }

    fn any_calls(random: &mut SmallRng) -> Vec<Call<Op>> {
        let count = random.random_range(2..7);
        let end = 3 * count;
        let mut calls: Vec<Call<Op>> = Vec::new();
        for at in 0..count {
            let invoked = 2 * random.random_range(0..end);
            let until = invoked + 1 + 2 * random.random_range(0..count);
            let number = random.random_range(0..3);
            let operation = if random.random_bool(0.5) { Write(number) } else { Read(number) };
            let mut call = match random.random_range(0..5) {
                0 => lost(invoked, None, Write(number)),
                1 => lost(invoked, Some(until), Write(number)),
                _ => told(invoked, until, operation),
            };
            let is_unknown = matches!(call.fate, Fate::Unknown { .. });
            let is_told = |at: &usize| matches!(calls[*at].fate, Fate::Returned(_));
            let is_lost = |at: &usize| !is_told(at) && (!is_unknown || calls[*at].invoked < invoked);
            if random.random_bool(0.3) {
                call.after = (0..at).rfind(is_told);
            }
            if random.random_bool(0.3) {
                call.excludes = (0..at).filter(is_lost).collect();
            }
            calls.push(call);
        }
        calls
    }

    #[test]
    fn it_finds_an_order_if_there_is_one() {
        let mut random = SmallRng::seed_from_u64(7);
        let mut right = 0;
        for round in 0..20_000 {
            let calls = any_calls(&mut random);
            let expected = by_trying(&calls, &mut Vec::new(), 0);
            assert_eq!(is_right(&calls), expected, "round {round}: {calls:#?}");
            right += usize::from(expected);
        }
        assert!((4_000..16_000).contains(&right), "{right} of the histories are right");
    }
}
