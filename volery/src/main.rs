//! volery
fn main() {}
