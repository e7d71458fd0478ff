//! Which directories there are, and which connection works where.

use crate::tree::Tree;
use std::sync::Arc;
use volery::placement::Placement;

/// A tree, and a server and a directory for each connection.
#[derive(Clone)]
pub struct Layout {
    /// The znodes.
    pub tree: Arc<Tree>,
    /// One per connection.
    pub seats: Vec<Seat>,
}

/// The place of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The index of its server.
    pub server: usize,
    /// The index of its directory.
    pub directory: usize,
}

impl Layout {
    /// A directory per connection, wherever it is kept, and connections that go to so many servers round robin.
    pub fn round_robin(connections: usize, keys: usize, servers: usize) -> Layout {
        assert!(servers > 0, "a connection needs a server");
        let seat = |connection| Seat { server: connection % servers, directory: connection };
        Layout { tree: Arc::new(Tree::new(connections, keys)), seats: (0..connections).map(seat).collect() }
    }

    /// A directory per connection, kept in the first so many partitions in turn. `leaders` has the index of the server
    /// that leads each partition; a connection goes to that of its directory's. The directories have the names that the
    /// cluster's own placement puts there.
    pub fn by_partition(connections: usize, keys: usize, loaded: usize, leaders: &[usize]) -> Layout {
        assert!((1..=leaders.len()).contains(&loaded), "{loaded} of {} partitions", leaders.len());
        Layout::in_partitions(connections, keys, loaded, leaders.len(), |connection| {
            leaders[connection % loaded]
        })
    }

    /// A directory per connection, kept in the first `loaded` of so many partitions in turn; `server` has the index of the
    /// server that a connection goes to.
    pub fn in_partitions(
        connections: usize,
        keys: usize,
        loaded: usize,
        partitions: usize,
        server: impl Fn(usize) -> usize,
    ) -> Layout {
        let partitions = u16::try_from(partitions).expect("a cluster has few partitions");
        let placement = Placement::over(partitions);
        let seat = |connection| Seat { server: server(connection), directory: connection };
        let names = (0..connections).map(|d| name_in(&placement, d, d % loaded)).collect();
        Layout {
            tree: Arc::new(Tree::of_groups(names, loaded, keys)),
            seats: (0..connections).map(seat).collect(),
        }
    }
}

/// The first of a series of names, other for each directory, that is placed in this partition.
fn name_in(placement: &Placement, directory: usize, partition: usize) -> String {
    let names = (0_u32..).map(|attempt| format!("p{partition}-d{directory}-{attempt}x"));
    let is_there = |name: &String| usize::from(placement.of(&Tree::path(name)).0) == partition;
    names.into_iter().find(is_there).expect("a hash leaves no partition out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_lie_where_they_are_wanted_with_their_keys() {
        for (partitions, loaded) in [(1, 1), (8, 8), (8, 1), (8, 3)] {
            let leaders: Vec<usize> = (0..partitions).map(|partition| partition + 100).collect();
            let layout = Layout::by_partition(16, 3, loaded, &leaders);
            let placement = Placement::over(partitions as u16);
            for (connection, seat) in layout.seats.iter().enumerate() {
                assert_eq!(*seat, Seat { server: 100 + connection % loaded, directory: connection });
                for key in layout.tree.keys(seat.directory) {
                    assert_eq!(usize::from(placement.of(key).0), connection % loaded, "{key}");
                }
            }
        }
    }

    #[test]
    fn connections_go_round_the_servers() {
        let servers: Vec<usize> = Layout::round_robin(5, 1, 3).seats.iter().map(|seat| seat.server).collect();
        assert_eq!(servers, [0, 1, 2, 0, 1]);
    }
}
