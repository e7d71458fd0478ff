//! Authentication: what a connection may call itself.

use super::plan::{Here, Plan};
use crate::acl::{Caller, Identity, digest};
use crate::command::{Change, Operation};
use crate::faults::BURST_OF_ANY_CALLER;

/// How many identities a connection may have: they travel with each of its commands. One more is refused.
const IDENTITIES_MAX: usize = 32;
/// How many bytes they may take together. An identity that does not fit is refused.
const IDENTITIES_BYTES_MAX: usize = 4 << 10;

/// Adds the identity that the credentials prove; says whether they prove one. `super_digest` is the digest
/// (`user:base64(sha1(user:password))`) of the user whom no list keeps out.
pub fn authenticate(caller: &mut Caller, scheme: &str, auth: &[u8], super_digest: Option<&str>) -> bool {
    match scheme {
        "digest" => authenticate_digest(caller, auth, super_digest),
        // The address is known already.
        "ip" => true,
        _ => false,
    }
}

/// What keeps the place of an addAuth that succeeded among the requests: nothing is done, and no burst goes across it.
pub fn plan() -> Plan {
    match BURST_OF_ANY_CALLER.is_planted() {
        true => Plan::Operate(Operation::Change(Change::Check { path: "/".into(), version: -1 }), None),
        false => Plan::Here(Here::Authenticated),
    }
}

fn authenticate_digest(caller: &mut Caller, auth: &[u8], super_digest: Option<&str>) -> bool {
    let Ok(auth) = std::str::from_utf8(auth) else { return false };
    let (user, password) = auth.split_once(':').unwrap_or((auth, ""));
    let id = digest(user, password);
    caller.superuser |= super_digest == Some(id.as_str());
    let identity = Identity { scheme: "digest".into(), id };
    if caller.identities.contains(&identity) {
        return true;
    }
    let bytes = |identity: &Identity| identity.scheme.len() + identity.id.len();
    let taken: usize = caller.identities.iter().chain([&identity]).map(bytes).sum();
    let room = caller.identities.len() < IDENTITIES_MAX && taken <= IDENTITIES_BYTES_MAX;
    if room {
        caller.identities.push(identity);
    }
    room
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many identities a connection gets whose users have names of so many bytes.
    fn taken(user_bytes: usize) -> usize {
        let mut caller = Caller::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let user = |n: usize| format!("{n:0user_bytes$}:secret");
        (0..10 * IDENTITIES_MAX)
            .filter(|n| authenticate(&mut caller, "digest", user(*n).as_bytes(), None))
            .count()
    }

    #[test]
    fn identities_are_bounded_in_number_and_in_bytes() {
        assert_eq!(taken(3), IDENTITIES_MAX);
        let beside = "digest".len() + digest("", "").len();
        assert_eq!(taken(IDENTITIES_BYTES_MAX - beside), 1);
        assert_eq!(taken(IDENTITIES_BYTES_MAX - beside + 1), 0);
        assert_eq!(taken(10 * IDENTITIES_BYTES_MAX), 0);
        assert_eq!(taken(IDENTITIES_BYTES_MAX / 4), 3);
    }

    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn a_digest_is_an_identity_and_perhaps_the_superuser() {
        let mut caller = Caller::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let root = digest("root", "secret");
        assert!(authenticate(&mut caller, "digest", b"bob:bobsecret", Some(&root)));
        assert!(authenticate(&mut caller, "digest", b"bob:bobsecret", Some(&root)));
        assert_eq!((caller.identities.len(), caller.superuser), (1, false));
        assert!(authenticate(&mut caller, "digest", b"root:secret", Some(&root)));
        assert!(caller.superuser);
        assert!(!authenticate(&mut caller, "kerberos", b"", None));
        assert!(!authenticate(&mut caller, "digest", b"\xff", None));
    }
}
