//! What a load looks like, and how long it lasts.

use crate::client::Speaker;
use crate::failure::Failure;
use crate::mix::Mix;
use crate::op::{Op, OpName, Span};
use crate::workload::Spread;
use clap::Args;
use clap::builder::RangedU64ValueParser;
use serde::Serialize;
use std::time::Duration;
use volery::client::OUTSTANDING_MAX;

/// A parser of a count in a range.
pub fn count(least: u64, most: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(least..=most)
}

/// What the load looks like, whatever the operation.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Shape {
    /// Sessions, each on a connection of its own
    #[arg(long, default_value = "16", value_parser = count(1, 10_000))]
    pub connections: usize,
    /// Requests in flight per connection; with --rate the most of them
    #[arg(long, default_value = "25", value_parser = count(1, 10_000))]
    pub outstanding: usize,
    /// Bytes of each value. The command line has an option of its own for it, since a comparison takes several.
    #[arg(skip = 100_usize)]
    pub size: usize,
    /// Keys per directory; there are as many directories as connections
    #[arg(long, default_value = "100", value_parser = count(1, 100_000))]
    pub keys: usize,
    /// Which keys a connection works on
    #[arg(long, value_enum, default_value = "directory")]
    pub spread: Spread,
    /// Of a mix without --mix: how many requests of a hundred are gets, the others being sets
    #[arg(long, default_value = "90", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub get_percent: u8,
    /// Of a mix: what it is made of and in which proportions, such as get=80,set=10,create=5,delete=5; also children, multi
    #[arg(long)]
    pub mix: Option<Mix>,
    /// Of a multi: how many directories it touches
    #[arg(long, value_enum, default_value = "1")]
    pub span: Span,
    /// An open loop: so many requests per second over all connections, however fast the replies come
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub rate: Option<u64>,
    /// Who speaks the protocol for each connection
    #[arg(long, value_enum, default_value = "wire")]
    pub client: Speaker,
    /// Threads of the generator, among which the connections of --client wire are divided
    #[arg(long, default_value = "1", value_parser = count(1, 64))]
    pub threads: usize,
}

/// How long a run takes.
#[derive(Clone, Copy, Debug)]
pub struct Lengths {
    /// Before what is measured.
    pub warm_up: Duration,
    /// Measured.
    pub measure: Duration,
}

impl Shape {
    /// A closed loop of values of so many bytes, each connection in a directory of its own.
    pub fn closed(connections: usize, outstanding: usize, size: usize) -> Shape {
        Shape {
            connections,
            outstanding,
            size,
            keys: 100,
            spread: Spread::Directory,
            get_percent: 0,
            mix: None,
            span: Span::Two,
            rate: None,
            client: Speaker::Wire,
            threads: 1,
        }
    }

    /// Among how many workers the connections are divided.
    pub fn workers(&self) -> usize {
        match self.client {
            Speaker::Wire => self.threads.min(self.connections),
            Speaker::Native => self.connections,
        }
    }

    /// The same load in an open loop.
    pub fn at(&self, rate: u64) -> Shape {
        Shape { rate: Some(rate), ..self.clone() }
    }

    /// The same load with values of so many bytes.
    pub fn of_size(&self, size: usize) -> Shape {
        Shape { size, ..self.clone() }
    }

    /// The operation of that name, if this shape allows it.
    pub fn op(&self, name: OpName) -> Result<Op, Failure> {
        let op = match name {
            OpName::Set => Op::Set,
            OpName::Get => Op::Get,
            OpName::Children => Op::Children,
            OpName::Create => Op::Create,
            OpName::Delete => Op::Delete,
            OpName::CreateDelete => Op::CreateDelete,
            OpName::Mix => Op::Mix(self.mix.unwrap_or(Mix::of_gets(self.get_percent)), self.span),
            OpName::Multi => Op::Multi(self.span),
        };
        if op.needs_two_directories() && self.connections < 2 {
            return Err(Failure::Usage(
                "a multi over two directories needs two connections or more".to_owned(),
            ));
        }
        if self.client == Speaker::Native && self.outstanding > OUTSTANDING_MAX {
            return Err(Failure::Usage(format!(
                "--client native has at most {OUTSTANDING_MAX} requests outstanding, not {}",
                self.outstanding
            )));
        }
        Ok(op)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multi_over_two_directories_needs_two_connections_also_within_a_mix() {
        let mix = Some("set=1,multi=1".parse().unwrap());
        let one = Shape { mix, ..Shape::closed(1, 1, 1) };
        assert!(one.op(OpName::Multi).is_err());
        assert!(one.op(OpName::Mix).is_err());
        assert!(one.op(OpName::Set).is_ok());
        assert!(Shape { span: Span::One, ..one.clone() }.op(OpName::Mix).is_ok());
        assert!(Shape { connections: 2, ..one }.op(OpName::Mix).is_ok());
    }

    #[test]
    fn a_native_client_has_a_worker_for_itself_and_a_window() {
        let native = Shape { client: Speaker::Native, threads: 2, ..Shape::closed(5, OUTSTANDING_MAX, 100) };
        assert_eq!(native.workers(), 5);
        assert!(native.op(OpName::Set).is_ok());
        let more = OUTSTANDING_MAX + 1;
        assert!(Shape { outstanding: more, ..native.clone() }.op(OpName::Set).is_err());
        let wire = Shape { outstanding: more, client: Speaker::Wire, ..native };
        assert_eq!(wire.workers(), 2);
        assert!(wire.op(OpName::Set).is_ok());
    }

    #[test]
    fn a_mix_is_of_gets_and_sets_unless_it_is_told() {
        let shape = Shape { get_percent: 90, ..Shape::closed(2, 1, 1) };
        assert_eq!(shape.op(OpName::Mix).unwrap().to_string(), "mix get=90 set=10");
        let told = Shape { mix: Some("children=3".parse().unwrap()), ..shape };
        assert_eq!(told.op(OpName::Mix).unwrap().to_string(), "mix children=3");
    }
}
