//! Usage: the bytes that a gateway holds for its clients, one by one and all together.
//!
//! Requests count from when they are received until their replies are written into the output, and output until it is written
//! to the socket. What a client may have is bounded, and so is what all may have. Where all have that much, a client still gets
//! its share, the bound divided by the clients, so that those who ask for little are served while others hold much.

/// Bytes held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of requests: those received and not answered, and what has come of the next.
    pub accepted: usize,
    /// Of replies and notifications that are not written.
    pub output: usize,
}

impl Usage {
    /// A client that had `before` has `after`.
    pub fn replace(&mut self, before: Usage, after: Usage) {
        self.accepted = self.accepted - before.accepted + after.accepted;
        self.output = self.output - before.output + after.output;
    }
}

/// How much one client may have, and how much all may have together.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Of one client.
    pub each: usize,
    /// Of all.
    pub all: usize,
}

impl Bound {
    /// Whether one of so many clients, which has `held` while all have `held_by_all`, may have more.
    pub fn has_room(self, held: usize, held_by_all: usize, clients: usize) -> bool {
        held < self.each && (held_by_all < self.all || held < self.all / clients.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_share_when_all_have_all() {
        let bound = Bound { each: 100, all: 1_000 };
        assert!(bound.has_room(99, 999, 50) && !bound.has_room(100, 100, 50));
        assert!(!bound.has_room(20, 1_000, 50) && bound.has_room(19, 1_000, 50));
        assert!(bound.has_room(0, 10_000, 50) && bound.has_room(99, 1_000, 0));
    }

    #[test]
    fn what_changes_is_counted_once() {
        let mut all = Usage { accepted: 10, output: 20 };
        all.replace(Usage { accepted: 4, output: 0 }, Usage { accepted: 0, output: 7 });
        assert_eq!(all, Usage { accepted: 6, output: 27 });
    }
}
