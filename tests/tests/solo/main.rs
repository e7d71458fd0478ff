//! A node that is alone, from its clients' side, in a time of its own.

mod client;
mod clocks;
mod events;
