//! Commands over real replicas, whose exchanges are carried by hand.

mod cluster;

mod random;
mod sessions;
mod slices;
mod znodes;
