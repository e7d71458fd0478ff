//! A lane: one channel to one peer, over all the connections that it has one after the other.

use super::back_off::BackOff;
use super::connection_epoch::ConnectionEpoch;
use super::connection_id::ConnectionId;

/// Where a lane is. `Waiting`, `Asked` and `Shaking` are of the node that dials, `Down` is of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The peer will dial.
    Down,
    /// To be dialled at this time.
    Waiting { until_ms: u64 },
    /// The host was asked to dial.
    Asked,
    /// Dialled, and not answered yet.
    Shaking(ConnectionId),
    /// Messages pass.
    Up(ConnectionId),
}

/// How a connection, or the attempt at one, has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It was up for so long that what went wrong before is over.
    Lasted,
    /// It never came up, or not for long.
    Failed,
    /// One of both ends will not have it.
    Refused,
}

/// One channel to one peer. At most one connection is up, or being brought up by this node.
///
/// Invariant: `epoch` is that of the last connection that was up, and rises.
#[derive(Debug)]
pub(super) struct Lane {
    state: State,
    epoch: Option<ConnectionEpoch>,
    dials: u64,
    /// Of the node that dials alone.
    back_off: Option<BackOff>,
}

impl Lane {
    /// A lane which this node dials, at once, and again after waits that follow from the seed.
    pub fn dialling(seed: u64) -> Lane {
        let back_off = Some(BackOff::new(seed));
        Lane { state: State::Waiting { until_ms: 0 }, epoch: None, dials: 0, back_off }
    }

    /// A lane whose peer dials.
    pub fn listening() -> Lane {
        Lane { state: State::Down, epoch: None, dials: 0, back_off: None }
    }

    /// The connection on which messages pass.
    pub fn up(&self) -> Option<ConnectionId> {
        if let State::Up(connection) = self.state { Some(connection) } else { None }
    }

    /// The connection that this node brings up.
    pub fn shaking(&self) -> Option<ConnectionId> {
        if let State::Shaking(connection) = self.state { Some(connection) } else { None }
    }

    /// The epoch of the last connection that was up.
    pub fn epoch(&self) -> Option<ConnectionEpoch> {
        self.epoch
    }

    /// Whether it is time to dial; if so, the host is being asked.
    pub fn ask(&mut self, now_ms: u64) -> bool {
        let due = matches!(self.state, State::Waiting { until_ms } if until_ms <= now_ms);
        if due {
            self.state = State::Asked;
        }
        due
    }

    /// The host has dialled: the number of this dial, from 1. `None` if it was not asked to.
    pub fn dialled(&mut self, connection: ConnectionId) -> Option<u64> {
        if self.state != State::Asked {
            return None;
        }
        self.state = State::Shaking(connection);
        self.dials += 1;
        Some(self.dials)
    }

    /// The host could not dial. Says whether it was asked to.
    pub fn dial_failed(&mut self, now_ms: u64) -> bool {
        let asked = self.state == State::Asked;
        if asked {
            self.rest(Loss::Failed, now_ms);
        }
        asked
    }

    /// Both ends have taken each other; what was up before has been lost.
    pub fn raise(&mut self, connection: ConnectionId, epoch: ConnectionEpoch) {
        assert!(self.up().is_none(), "one connection is up at a time");
        assert!(self.epoch < Some(epoch), "epochs rise");
        self.state = State::Up(connection);
        self.epoch = Some(epoch);
    }

    /// A connection is gone; nothing happens if it was not this lane's.
    pub fn lose(&mut self, connection: ConnectionId, loss: Loss, now_ms: u64) {
        if matches!(self.state, State::Shaking(mine) | State::Up(mine) if mine == connection) {
            self.rest(loss, now_ms);
        }
    }

    fn rest(&mut self, loss: Loss, now_ms: u64) {
        let Some(back_off) = &mut self.back_off else {
            self.state = State::Down;
            return;
        };
        if loss == Loss::Lasted {
            back_off.reset();
        }
        let wait_ms = if loss == Loss::Refused { back_off.refused() } else { back_off.failed() };
        self.state = State::Waiting { until_ms: now_ms + wait_ms };
    }

    /// Panics unless the state is one of this node's role.
    pub fn check_invariants(&self) {
        let listens = self.back_off.is_none();
        match self.state {
            State::Up(_) => assert!(self.epoch.is_some()),
            State::Down => assert!(listens),
            State::Waiting { .. } | State::Asked | State::Shaking(_) => assert!(!listens),
        }
    }
}
