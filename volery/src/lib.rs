//! volery
