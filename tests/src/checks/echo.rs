//! What was written through one node, read through another.

use super::Reads;
use crate::violation::Violation;
use bytes::Bytes;

/// A write that was acknowledged.
#[derive(Clone, Debug)]
pub struct Written {
    /// The znode.
    pub path: String,
    /// The version it was given.
    pub version: i32,
    /// The data it was given.
    pub data: Bytes,
    /// The node that acknowledged it, from 0.
    pub through: usize,
}

impl Written {
    /// Judges a read through `node` that began after the write had been acknowledged: it brings this write, or one that
    /// came after. The same version has the same data, however old reads may be.
    pub fn judge_echo(&self, reads: Reads, node: usize, version: i32, data: &[u8]) -> Option<Violation> {
        let (path, through, written) = (self.path.clone(), self.through + 1, self.version);
        let node = node + 1;
        if version < written && reads == Reads::Linearizable {
            return Some(Violation::EchoStale { path, through, written, node, seen: version });
        }
        let differs = version == written && *data != *self.data;
        differs.then(|| Violation::EchoDiffers { path, through, version, node, seen: shown(data) })
    }
}

fn shown(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is seen of a write of "new" as version 7 through the first node by a read through the third.
    fn judged(reads: Reads, version: i32, data: &str) -> Option<String> {
        let data_written = Bytes::from_static(b"new");
        let written = Written { path: "/a".to_owned(), version: 7, data: data_written, through: 0 };
        written.judge_echo(reads, 2, version, data.as_bytes()).map(|violation| violation.to_string())
    }

    #[test]
    fn the_write_itself_and_what_came_after_are_right() {
        assert_eq!(judged(Reads::Linearizable, 7, "new"), None);
        assert_eq!(judged(Reads::Linearizable, 8, "newer"), None);
    }

    #[test]
    fn a_read_through_another_node_that_misses_the_write_is_seen_unless_old_reads_are_allowed() {
        let stale = "/a: version 7 was acknowledged through node 1, and then node 3 read version 6";
        assert_eq!(judged(Reads::Linearizable, 6, "old").unwrap(), stale);
        assert_eq!(judged(Reads::Sequential, 6, "old"), None);
    }

    #[test]
    fn other_data_at_the_same_version_are_always_seen() {
        let differs = "/a: version 7 was acknowledged through node 1, and node 3 read it as \"other\"";
        assert_eq!(judged(Reads::Linearizable, 7, "other").unwrap(), differs);
        assert_eq!(judged(Reads::Sequential, 7, "other").unwrap(), differs);
    }
}
