//! The bodies of the fuzz targets: plain functions that read bytes as a story and panic where a promise is broken.
//!
//! libFuzzer calls them from `tests/fuzz`, with bytes that it bends towards code not reached yet; the test `corpus` calls
//! them with every file that was worth keeping, on any toolchain.
//!
//! | target | the story | the promise |
//! |---|---|---|
//! | `wire` | bytes as records of ZooKeeper's protocol | never a panic; what decodes encodes to bytes that decode to the same |
//! | `connection` | clients of a node that is alone | the answers do not depend on where bytes were cut; a restart finds the same state |
//! | `peer` | somebody who speaks to a node's links, or through them to the node | they stay sound and bounded, however the bytes were cut; messages decode or are refused; no message breaks a node, nor what its log holds then |
//! | `recovery` | a log's files, damaged | an error or a log, and the same again; what was synced and not touched is there |
//! | `commands` | sessions' commands at two partitions of two replicas | replies are the model's, and replicas agree |
//!
//! Bytes become a story by `draw`: what is missing at the end is zeros, so every input is one.
//!
//! # Running
//!
//! ```text
//! cargo install cargo-fuzz
//! cd tests/fuzz && cargo +nightly fuzz run --sanitizer none wire -- -max_total_time=180
//! ```
//!
//! There is no unsafe code here for a sanitizer to look at. On a stable toolchain, `RUSTC_BOOTSTRAP=1 cargo fuzz …` does as
//! well. libFuzzer adds what it finds to `corpus/<target>`; `cargo fuzz cmin` leaves what is needed for the same coverage. An
//! input that broke a promise is kept there under a name that says what it broke.

mod commands;
mod connection;
mod draw;
mod hostile;
mod image;
mod peer;
mod recovery;
mod replicas;
mod requests;
pub mod served;
mod wire;

/// One fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Runs one input; panics if a promise is broken.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 5] = [
    Target { name: "wire", run: wire::wire },
    Target { name: "connection", run: connection::connection },
    Target { name: "peer", run: peer::peer },
    Target { name: "recovery", run: recovery::recovery },
    Target { name: "commands", run: commands::commands },
];

/// Runs one input of the target of this name. Panics if there is none, or a promise is broken.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of this name");
    (target.run)(bytes);
}
