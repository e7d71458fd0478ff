//! The servers that a client may connect to.

use super::connection::Opened;
use super::{ClientError, Session, agreed, unreachable};
use crate::wire::ConnectRequest;
use std::net::SocketAddr;

/// A list of servers, and whose turn it is.
///
/// Every search goes once around the list. It begins behind the server of the last connection: one that has just been
/// lost may go on accepting connections and answer none, and would cost the session the time that it has left.
#[derive(Debug)]
pub(super) struct Servers {
    addresses: Vec<SocketAddr>,
    /// Where the next search begins.
    next: usize,
}

impl Servers {
    /// A list that was not searched yet: its first server comes first.
    pub(super) fn new(addresses: Vec<SocketAddr>) -> Servers {
        Servers { addresses, next: 0 }
    }

    /// Attaches to a session, or opens one, at the first server that is willing. A server that is silent gets a third of
    /// the timeout for each step, so that there is time to try the next before the session expires.
    pub(super) fn attach(
        &mut self,
        session: &Session,
        last_zxid_seen: i64,
    ) -> Result<(Session, Opened), ClientError> {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen,
            timeout_ms: session.timeout.as_millis().try_into().unwrap_or(i32::MAX),
            session_id: session.id,
            password: session.password.clone(),
            read_only: Some(false),
        };
        let mut reason = "there is no address".to_owned();
        for index in self.search() {
            match Opened::open(self.addresses[index], &request, session.timeout / 3) {
                Ok(opened) => {
                    self.next = (index + 1) % self.addresses.len();
                    return Ok((agreed(&opened.response)?, opened));
                }
                Err(error) => reason = error.to_string(),
            }
        }
        Err(unreachable(&self.addresses, reason))
    }

    /// The list's indices, in the order in which they are tried.
    fn search(&self) -> impl Iterator<Item = usize> + use<> {
        let (count, first) = (self.addresses.len(), self.next);
        (0..count).map(move |offset| (first + offset) % count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_goes_once_around() {
        let addresses = vec![SocketAddr::from(([127, 0, 0, 1], 1)); 3];
        let search = |next| Servers { addresses: addresses.clone(), next }.search().collect::<Vec<_>>();
        assert_eq!([search(0), search(1), search(2)], [[0, 1, 2], [1, 2, 0], [2, 0, 1]]);
        assert_eq!(Servers::new(Vec::new()).search().count(), 0);
    }
}
