//! Replays what fuzzing has found worth keeping.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use tests::fuzz::{TARGETS, Target};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// The inputs of a target, by name.
fn inputs(target: &Target) -> Vec<PathBuf> {
    let directory = corpus().join(target.name);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut inputs: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    inputs.sort();
    inputs
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of this name");
    let inputs = inputs(target);
    assert!(inputs.len() >= 10, "{name} has a corpus of {} inputs", inputs.len());
    let broken = inputs.iter().filter(|input| {
        let bytes = fs::read(input).expect("a readable input");
        catch_unwind(|| (target.run)(&bytes)).is_err()
    });
    let broken: Vec<_> = broken.collect();
    assert!(broken.is_empty(), "promises are broken by {broken:#?}");
}

#[test]
fn wire() {
    replay("wire");
}

#[test]
fn connection() {
    replay("connection");
}

#[test]
fn peer() {
    replay("peer");
}

#[test]
fn recovery() {
    replay("recovery");
}

#[test]
fn commands() {
    replay("commands");
}

#[test]
fn every_corpus_is_a_targets() {
    let entries = fs::read_dir(corpus()).expect("the corpora");
    let mut directories: Vec<_> = entries.map(|entry| entry.expect("a readable entry").file_name()).collect();
    directories.sort();
    let mut names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    names.sort();
    assert_eq!(directories, names);
}
