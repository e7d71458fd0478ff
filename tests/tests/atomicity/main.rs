//! Two schedules by which a partitioned service stops being linearizable, kept for ever. Each runs on the code as built,
//! and with the fault planted that it is about: then it must fail.

mod registers;
mod world;

use eyrie::Fault;
use eyrie::faults::{NO_SIGNAL, SIGNAL_ON_DELIVERY};
use registers::{Command, Expression};
use world::World;

/// S-SMR, Figure 1. `xy` sets x and y; partition X delivers it and then a read of x, partition Y a read of y and then `xy`.
/// Without signals X answers at once, and the read of y, invoked after that of x has ended, still sees the old value.
fn figure_1(fault: Option<Fault>) -> World {
    let mut world = World::new(&["x", "y"], fault);
    world.invoke("xy", assign(&[('x', Expression::Constant(20)), ('y', Expression::Constant(20))]));
    world.invoke("read x", Command::Read('x'));
    world.deliver(0, &["xy", "read x"]);
    world.exchange();
    world.invoke("read y", Command::Read('y'));
    world.deliver(1, &["read y", "xy"]);
    world.exchange();
    world
}

/// Three partitions. `z0` sets a := b + 10, `z1` sets b and c. The middle partition delivers both at once; if it signals
/// `z1` then, while `z0` still waits, the last partition answers a read of c before the first one has begun.
fn three_partitions(fault: Option<Fault>) -> World {
    let mut world = World::new(&["a", "b", "c"], fault);
    world.invoke("z0", assign(&[('a', Expression::Sum('b', 10))]));
    world.invoke("z1", assign(&[('b', Expression::Constant(1)), ('c', Expression::Constant(1))]));
    world.invoke("read c", Command::Read('c'));
    world.deliver(1, &["z0", "z1"]);
    world.deliver(2, &["z1", "read c"]);
    world.exchange();
    world.invoke("read a", Command::Read('a'));
    world.deliver(0, &["read a", "z0"]);
    world.exchange();
    world
}

fn assign(assignments: &[(char, Expression)]) -> Command {
    Command::Assign(assignments.to_vec())
}

fn answers<const N: usize>(world: &World, names: [&str; N]) -> [Option<i64>; N] {
    names.map(|name| world.answer(name))
}

#[test]
fn figure_1_is_linearizable_as_built() {
    let world = figure_1(None);
    assert_eq!(answers(&world, ["xy", "read x", "read y"]), [Some(20), Some(20), Some(0)]);
    assert!(world.is_linearizable());
}

#[test]
fn figure_1_is_not_linearizable_without_signals() {
    let world = figure_1(Some(NO_SIGNAL));
    assert_eq!(answers(&world, ["read x", "read y"]), [Some(20), Some(0)]);
    assert!(!world.is_linearizable());
}

#[test]
fn three_partitions_are_linearizable_as_built() {
    let world = three_partitions(None);
    assert_eq!(answers(&world, ["z0", "read c", "read a"]), [Some(10), Some(1), Some(0)]);
    assert!(world.is_linearizable());
}

#[test]
fn three_partitions_are_not_linearizable_with_signals_on_delivery() {
    let world = three_partitions(Some(SIGNAL_ON_DELIVERY));
    assert_eq!(answers(&world, ["z0", "read c", "read a"]), [Some(10), Some(1), Some(0)]);
    assert!(!world.is_linearizable());
}
