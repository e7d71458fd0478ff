//! Checkers: each judges what a run left behind, by one property.

pub mod answers;
pub mod freshness;
pub mod lifetimes;
pub mod linearizability;
pub mod permissions;
pub mod sessions;
pub mod times;
pub mod watches;
mod wgl;
