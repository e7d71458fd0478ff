//! What is printed.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this file is for")]

use crate::failure::Failure;
use serde::Serialize;
use std::fmt::Display;
use std::net::SocketAddr;

/// Prints a result on stdout: as one JSON object, or as its text.
pub fn result(json: bool, result: &impl Serialize, text: impl Display) {
    if json {
        println!("{}", serde_json::to_string(result).expect("figures and names are JSON"));
    } else {
        print!("{text}");
    }
}

/// Says on stderr why there is no result.
pub fn failure(failure: &Failure) {
    eprintln!("bench: {failure}");
}

/// Says on stderr what is being done.
pub fn progress(what: &str) {
    eprintln!("{what}");
}

/// Says on stdout where a server listens.
pub fn listening(address: SocketAddr) {
    println!("listening on {address}");
}

/// A length of time for people.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        _ => format!("{} min {} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_times_are_told_in_minutes() {
        assert_eq!([0.4, 59.4, 59.6, 3_725.0].map(duration), ["0 s", "59 s", "1 min 0 s", "62 min 5 s"]);
    }
}
