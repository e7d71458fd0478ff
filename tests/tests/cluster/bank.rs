//! A service whose every command can be counted afterwards: deposits, and transfers between accounts of two partitions.

use bytes::{Bytes, BytesMut};
use eyrie::{
    Answer, Commands, ConnectionId, Destinations, Front, Interrupt, NodeId, NodeStatus, Outcome, PartitionId,
    PartitioningOracle, Past, Position, Seen, StampNumber, StateMachine, Ticket, Variables, View,
};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// How many errands a teller has out at a time.
const OUT_MAX: usize = 6;
const ACCOUNTS: u32 = 10;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Puts one unit in.
    Deposit(u32),
    /// Puts one unit in, wrapped in much paper.
    Wrapped(u32, Vec<u8>),
    /// Moves one unit, also out of an empty account.
    Transfer(u32, u32),
}

#[derive(Clone, Debug)]
pub struct Bank;

/// Accounts with even numbers live in partition 0, odd ones in partition 1.
pub struct Branches;

#[derive(Default)]
pub struct Balances(BTreeMap<u32, i64>);

impl StateMachine for Bank {
    type Command = Command;
    type Reply = i64;
    type Key = u32;
    type Value = i64;
    type Event = ();
    type Oracle = Branches;
    type Variables = Balances;

    fn execute(command: &Command, view: &mut View<'_, Bank>) -> Result<i64, Interrupt> {
        let mut add = |account: u32, amount: i64| -> Result<i64, Interrupt> {
            let balance = view.read(&account)?.unwrap_or(0) + amount;
            view.write(account, balance);
            Ok(balance)
        };
        match *command {
            Command::Deposit(account) | Command::Wrapped(account, _) => add(account, 1),
            Command::Transfer(from, to) => add(from, -1).and_then(|_| add(to, 1)),
        }
    }
}

impl PartitioningOracle<Bank> for Branches {
    fn partitions(&self) -> u16 {
        2
    }

    fn partition_of(&self, account: &u32) -> PartitionId {
        PartitionId((account % 2) as u16)
    }

    fn destinations(&self, command: &Command) -> Destinations {
        match command {
            Command::Deposit(account) | Command::Wrapped(account, _) => self.partition_of(account).into(),
            Command::Transfer(from, to) => {
                [from, to].map(|account| self.partition_of(account)).into_iter().collect()
            }
        }
    }
}

impl Variables<Bank> for Balances {
    fn new(_: Arc<Branches>, _: PartitionId) -> Balances {
        Balances::default()
    }

    fn get(&self, account: &u32) -> Option<i64> {
        self.0.get(account).copied()
    }

    fn set(&mut self, account: u32, balance: Option<i64>) {
        match balance {
            Some(balance) => self.0.insert(account, balance),
            None => self.0.remove(&account),
        };
    }
}

/// What all tellers of a run have asked for and were told, whatever becomes of them.
#[derive(Default)]
pub struct Ledger {
    /// Deposits asked for.
    pub asked: i64,
    /// Deposits answered.
    pub answered: i64,
}

/// A front without clients: it does errands and counts what comes of them.
pub struct Teller {
    ledger: Rc<RefCell<Ledger>>,
    rng: SmallRng,
    /// How many errands it still does.
    pub left: u32,
    /// How many bytes it wraps its deposits in.
    pub paper_bytes: usize,
    /// What it has asked for and has no answer to.
    out: BTreeMap<Ticket, Command>,
    /// All that each partition here holds, as last observed.
    pub totals: Vec<i64>,
}

impl Teller {
    /// One who has so many errands to do.
    pub fn new(ledger: Rc<RefCell<Ledger>>, seed: u64, left: u32) -> Teller {
        Teller {
            ledger,
            rng: SmallRng::seed_from_u64(seed),
            left,
            paper_bytes: 0,
            out: BTreeMap::new(),
            totals: Vec::new(),
        }
    }

    fn order(&mut self) -> Command {
        let accounts = [self.rng.random_range(0..ACCOUNTS), self.rng.random_range(0..ACCOUNTS)];
        match self.rng.random_bool(0.5) && accounts[0] != accounts[1] {
            true => Command::Transfer(accounts[0], accounts[1]),
            false if self.paper_bytes > 0 => Command::Wrapped(accounts[0], vec![7; self.paper_bytes]),
            false => Command::Deposit(accounts[0]),
        }
    }
}

fn is_deposit(order: &Command) -> i64 {
    i64::from(matches!(order, Command::Deposit(_) | Command::Wrapped(..)))
}

impl Front<Bank> for Teller {
    fn tick(&mut self, _: u64, _: u64, commands: &mut Commands<Bank>) {
        while self.out.len() < OUT_MAX && self.left > 0 {
            self.left -= 1;
            let order = self.order();
            self.ledger.borrow_mut().asked += is_deposit(&order);
            self.out.insert(commands.errand(order.clone(), Past::default()), order);
        }
    }

    fn done(&mut self, ticket: Ticket, answer: &Answer<Bank>, _: &mut Commands<Bank>) {
        assert!(matches!(*answer.outcome, Outcome::Reply(_)), "{:?}", answer.outcome);
        let order = self.out.remove(&ticket).expect("an errand is done once");
        self.ledger.borrow_mut().answered += is_deposit(&order);
    }

    fn observe(&mut self, _: &NodeStatus, variables: &[&Balances]) {
        self.totals = variables.iter().map(|balances| balances.0.values().sum()).collect();
    }

    fn connected(&mut self, _: ConnectionId, _: SocketAddr, _: u64) {}
    fn received(&mut self, _: ConnectionId, _: &[u8], _: &mut Commands<Bank>) {}
    fn disconnected(&mut self, _: ConnectionId, _: &mut Commands<Bank>) {}
    fn answered(&mut self, _: &Answer<Bank>, _: &mut Commands<Bank>) {}
    fn read(&mut self, _: u64, _: &Answer<Bank>, _: &mut Commands<Bank>) {}
    fn happened(&mut self, _: PartitionId, _: Position, _: &Seen, (): ()) {}
    fn passed(&mut self, _: PartitionId, _: Position, _: StampNumber, _: StampNumber) {}
    fn settle(&mut self, _: &mut Commands<Bank>) {}
    fn restart(&mut self, _: u64) {}
    fn broken(&mut self, _: PartitionId) {}
    fn led(&mut self, _: PartitionId, _: Option<NodeId>) {}
    fn told(&mut self, _: NodeId, _: Bytes, _: &mut Commands<Bank>) {}
    fn closed(&mut self, _: ConnectionId) {}

    fn wants_status(&self) -> bool {
        false
    }

    fn take_ready(&mut self) -> Vec<ConnectionId> {
        Vec::new()
    }

    fn output(&mut self, _: ConnectionId) -> Option<&mut BytesMut> {
        None
    }

    fn closing(&self, _: ConnectionId) -> bool {
        false
    }

    fn reading(&self, _: ConnectionId) -> bool {
        false
    }

    fn written(&mut self, _: ConnectionId) -> bool {
        false
    }
}
