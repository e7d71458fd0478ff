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

/// Says on stdout where a server listens.
pub fn listening(address: SocketAddr) {
    println!("listening on {address}");
}
