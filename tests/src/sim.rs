//! # Whole clusters in one thread, on virtual time
//!
//! Gateways, clients and checkers on [`eyrie::sim`]'s world.

pub mod campaign;
pub mod checkers;
pub mod client;
pub mod cluster;
pub mod history;
pub mod museum;
pub mod registry;
pub mod run;
pub mod workload;
