//! What is demanded of how Volery scales.

use crate::verdict::{Bound, Verdict, demand};

/// CPU per command.
pub const CPU: Verdict = demand("CPU per local command, 8 partitions / 1", Bound::AtMost, 1.15, 1.05);
/// Cells.
pub const CELLS: Verdict =
    demand("throughput of cells under a CPU quota, 8 partitions / 1", Bound::AtLeast, 6.5, 7.6);
/// The tail beside idle partitions.
pub const TAIL: Verdict = demand("p99 of local commands, 7 idle partitions / none", Bound::AtMost, 1.2, 1.05);
/// Commands over two partitions.
pub const GLOBAL: Verdict =
    demand("throughput with 10 % two-partition commands / none", Bound::AtLeast, 0.4, 0.8);
/// Syncs of one log.
pub const SYNCS: Verdict = demand("syncs per second, 8 loaded rings / 1, one node", Bound::AtMost, 1.5, 1.1);
