//! Commands over real replicas, whose exchanges are carried by hand.

mod cluster;
mod model;

mod random;
mod sessions;
mod znodes;
