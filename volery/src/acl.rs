//! Access control: who asks, and whether a list allows it.
//!
//! A list allows what any of its entries allows; a superuser may do everything. An entry names an *identity* in a scheme:
//!
//! | scheme | id | who it is |
//! |---|---|---|
//! | `world` | `anyone` | everybody |
//! | `digest` | `user:hash`, see [`digest`] | who gave that user's password |
//! | `ip` | an address, or a network such as `10.0.0.0/8` or `fd00::/8` | who connects from there |
//! | `auth` | anything | in a request only: the caller's own identities, which replace it |
//!
//! Other schemes are refused, as ZooKeeper refuses those that it is not configured for.

use crate::wire::{Acl, ErrorCode, Identity as WireIdentity, Permissions};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// The longest list of a znode in bytes, with the caller's identities in place of `auth`: as long as the longest request that a
/// cluster file may allow. A longer one is an InvalidACL.
pub const LIST_BYTES_MAX: usize = 8 << 20;

/// Whom a connection has authenticated as, in one scheme.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The scheme.
    pub scheme: String,
    /// The identity, in the scheme's own form.
    pub id: String,
}

/// Who asks for an operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Caller {
    /// Where the client connects from.
    pub ip: IpAddr,
    /// Whom it has authenticated as. That it comes from `ip` is not among them.
    pub identities: Vec<Identity>,
    /// Whether every list lets it pass.
    pub superuser: bool,
}

impl Caller {
    /// Somebody from `ip` who has not authenticated.
    pub fn from(ip: IpAddr) -> Caller {
        Caller { ip, identities: Vec::new(), superuser: false }
    }

    /// Whom the connection counts as, without credentials.
    pub fn who_am_i(&self) -> Vec<WireIdentity> {
        let named = |scheme: &str, user: &str| WireIdentity { scheme: scheme.into(), user: user.into() };
        let user = |identity: &Identity| match identity.scheme.as_str() {
            "digest" => named("digest", identity.id.split(':').next().unwrap_or_default()),
            scheme => named(scheme, &identity.id),
        };
        let from = named("ip", &self.ip.to_canonical().to_string());
        std::iter::once(from).chain(self.identities.iter().map(user)).collect()
    }

    fn is(&self, scheme: &str, id: &str) -> bool {
        match scheme {
            "world" => id == "anyone",
            "ip" => Network::parse(id).is_some_and(|network| network.contains(self.ip)),
            _ => self.identities.iter().any(|identity| identity.scheme == scheme && identity.id == id),
        }
    }
}

/// Whether the list gives the caller any of the permissions.
pub fn allows(list: &[Acl], permissions: Permissions, caller: &Caller) -> bool {
    let gives =
        |entry: &Acl| entry.permissions.intersects(permissions) && caller.is(&entry.scheme, &entry.id);
    caller.superuser || list.iter().any(gives)
}

/// Who may read a znode: everybody, or whomever its list lets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readers(Option<Arc<[Acl]>>);

impl Readers {
    /// Everybody.
    pub const ALL: Readers = Readers(None);

    /// Whoever may read a znode with this list. The list is kept only where it keeps somebody out.
    pub fn of(list: &Arc<[Acl]>) -> Readers {
        let is_open = |entry: &Acl| {
            entry.permissions.intersects(Permissions::READ) && entry.scheme == "world" && entry.id == "anyone"
        };
        Readers((!list.iter().any(is_open)).then(|| list.clone()))
    }

    /// Whether the caller is among them.
    pub fn include(&self, caller: &Caller) -> bool {
        self.0.as_ref().is_none_or(|list| allows(list, Permissions::READ, caller))
    }
}

/// NoAuth unless the list gives the caller any of the permissions.
pub fn check(list: &[Acl], permissions: Permissions, caller: &Caller) -> Result<(), ErrorCode> {
    if allows(list, permissions, caller) { Ok(()) } else { Err(ErrorCode::NoAuth) }
}

/// The list that a znode gets when a caller asks for `list`: without repeats, and with the caller's identities in place
/// of `auth`. InvalidACL if it is empty or longer than [`LIST_BYTES_MAX`], if an entry is malformed, or if `auth` stands for
/// nobody.
pub fn resolve(list: &[Acl], caller: &Caller) -> Result<Vec<Acl>, ErrorCode> {
    let mut resolved = Resolved::default();
    let mut asked = BTreeSet::new();
    for entry in list.iter().filter(|entry| asked.insert(*entry)) {
        match entry.scheme.as_str() {
            "auth" => resolve_auth(entry.permissions, caller, &mut resolved)?,
            scheme if is_valid(scheme, &entry.id) => resolved.push(entry.clone())?,
            _ => return Err(ErrorCode::InvalidAcl),
        }
    }
    if resolved.list.is_empty() { Err(ErrorCode::InvalidAcl) } else { Ok(resolved.list) }
}

/// A list that grows up to its limit.
#[derive(Default)]
struct Resolved {
    list: Vec<Acl>,
    bytes: usize,
}

impl Resolved {
    fn push(&mut self, entry: Acl) -> Result<(), ErrorCode> {
        self.bytes += entry.bytes();
        if self.bytes > LIST_BYTES_MAX {
            return Err(ErrorCode::InvalidAcl);
        }
        self.list.push(entry);
        Ok(())
    }
}

fn resolve_auth(permissions: Permissions, caller: &Caller, resolved: &mut Resolved) -> Result<(), ErrorCode> {
    let before = resolved.list.len();
    for Identity { scheme, id } in &caller.identities {
        if !matches!(scheme.as_str(), "ip" | "super" | "world") {
            resolved.push(Acl { permissions, scheme: scheme.clone(), id: id.clone() })?;
        }
    }
    if resolved.list.len() == before { Err(ErrorCode::InvalidAcl) } else { Ok(()) }
}

fn is_valid(scheme: &str, id: &str) -> bool {
    match scheme {
        "world" => id == "anyone",
        "digest" => is_digest(id),
        "ip" => Network::parse(id).is_some(),
        _ => false,
    }
}

/// Two parts at a colon, the second not empty; ZooKeeper overlooks colons at the end.
fn is_digest(id: &str) -> bool {
    id.trim_end_matches(':').split(':').count() == 2
}

/// The id of a user in the scheme `digest`: `user:base64(sha1(user:password))`.
pub fn digest(user: &str, password: &str) -> String {
    let hash = Sha1::digest(format!("{user}:{password}"));
    format!("{user}:{}", STANDARD.encode(hash))
}

/// The list as a caller may see it: hashes of passwords only with ADMIN.
pub fn visible(list: &[Acl], caller: &Caller) -> Vec<Acl> {
    let mut visible = list.to_vec();
    if !allows(list, Permissions::ADMIN, caller) {
        for entry in visible.iter_mut().filter(|entry| entry.scheme == "digest") {
            if let Some((user, _)) = entry.id.split_once(':') {
                entry.id = format!("{user}:x");
            }
        }
    }
    visible
}

/// The addresses that agree with one in its first bits.
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(id: &str) -> Option<Network> {
        let (address, bits) = match id.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (id, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(width), |bits| bits.parse().ok())?;
        (bits <= width).then_some(Network { address, bits })
    }

    fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                agree(u128::from(ours.to_bits()) << 96, u128::from(theirs.to_bits()) << 96, self.bits)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => agree(ours.to_bits(), theirs.to_bits(), self.bits),
            _ => false,
        }
    }
}

/// Whether the first `bits` of both are the same.
fn agree(a: u128, b: u128, bits: u32) -> bool {
    (a ^ b).leading_zeros() >= bits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(ip: &str, users: &[&str]) -> Caller {
        let identity = |user: &&str| Identity { scheme: "digest".into(), id: digest(user, "secret") };
        Caller { identities: users.iter().map(identity).collect(), ..Caller::from(ip.parse().unwrap()) }
    }

    fn entry(permissions: Permissions, scheme: &str, id: &str) -> Acl {
        Acl { permissions, scheme: scheme.into(), id: id.into() }
    }

    #[test]
    fn a_digest_is_that_of_zookeeper() {
        assert_eq!(digest("super", "admin"), "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=");
    }

    #[test]
    fn who_is_allowed() {
        let ann = digest("ann", "secret");
        let table = [
            ("world", "anyone", "10.1.2.3", &[][..], true),
            ("digest", &ann, "10.1.2.3", &["ann"][..], true),
            ("digest", &ann, "10.1.2.3", &["bob", "ann"][..], true),
            ("digest", &ann, "10.1.2.3", &["bob"][..], false),
            ("ip", "10.1.2.3", "10.1.2.3", &[][..], true),
            ("ip", "10.1.2.3", "10.1.2.4", &[][..], false),
            ("ip", "10.0.0.0/8", "10.1.2.3", &[][..], true),
            ("ip", "10.0.0.0/9", "10.200.2.3", &[][..], false),
            ("ip", "0.0.0.0/0", "1.2.3.4", &[][..], true),
            ("ip", "10.1.2.3", "::ffff:10.1.2.3", &[][..], true),
            ("ip", "fd00::/8", "fd12::1", &[][..], true),
            ("ip", "fd00::/16", "fd12::1", &[][..], false),
            ("ip", "::/0", "1.2.3.4", &[][..], false),
            ("x509", "cn", "1.2.3.4", &[][..], false),
        ];
        for (scheme, id, ip, users, allowed) in table {
            let list = [entry(Permissions::READ, scheme, id)];
            assert_eq!(
                allows(&list, Permissions::READ, &caller(ip, users)),
                allowed,
                "{scheme}:{id} {ip} {users:?}"
            );
            assert!(!allows(&list, Permissions::WRITE, &caller(ip, users)));
            assert!(allows(&list, Permissions::READ | Permissions::ADMIN, &caller(ip, users)) == allowed);
        }
        let superuser = Caller { superuser: true, ..caller("1.2.3.4", &[]) };
        assert!(allows(&[entry(Permissions::READ, "digest", &ann)], Permissions::ADMIN, &superuser));
    }

    #[test]
    fn which_entries_are_valid() {
        let table = [
            ("world", "anyone", true),
            ("world", "someone", false),
            ("digest", "ann:hash", true),
            ("digest", ":hash", true),
            ("digest", "ann:hash:", true),
            ("digest", "ann", false),
            ("digest", "ann:", false),
            ("digest", "", false),
            ("digest", "a:b:c", false),
            ("ip", "10.0.0.1", true),
            ("ip", "10.0.0.0/32", true),
            ("ip", "10.0.0.0/33", false),
            ("ip", "10.0.0.0/-1", false),
            ("ip", "10.0.0", false),
            ("ip", "fd00::/128", true),
            ("ip", "fd00::/129", false),
            ("auth", "", false),
            ("sasl", "ann", false),
            ("", "", false),
        ];
        for (scheme, id, valid) in table {
            let resolved = resolve(&[entry(Permissions::ALL, scheme, id)], &caller("1.2.3.4", &[]));
            assert_eq!(resolved.is_ok(), valid, "{scheme}:{id}");
            assert!(valid || resolved == Err(ErrorCode::InvalidAcl));
        }
        assert_eq!(resolve(&[], &caller("1.2.3.4", &[])), Err(ErrorCode::InvalidAcl));
    }

    #[test]
    fn repeats_go_and_auth_becomes_the_callers_identities() {
        let ann_and_bob = caller("1.2.3.4", &["ann", "bob"]);
        let list = [
            Acl::world(Permissions::READ),
            entry(Permissions::ALL, "auth", ""),
            Acl::world(Permissions::READ),
            Acl::world(Permissions::WRITE),
        ];
        let ids = |user| entry(Permissions::ALL, "digest", &digest(user, "secret"));
        let resolved =
            [Acl::world(Permissions::READ), ids("ann"), ids("bob"), Acl::world(Permissions::WRITE)];
        assert_eq!(resolve(&list, &ann_and_bob).unwrap(), resolved);
    }

    #[test]
    fn a_caller_is_told_users_and_no_hashes() {
        let told: Vec<String> = caller("::ffff:1.2.3.4", &["ann"])
            .who_am_i()
            .iter()
            .map(|who| format!("{}:{}", who.scheme, who.user))
            .collect();
        assert_eq!(told, ["ip:1.2.3.4", "digest:ann"]);
    }

    #[test]
    fn hashes_are_for_administrators() {
        let ann = entry(Permissions::ADMIN, "digest", &digest("ann", "secret"));
        let list = [Acl::world(Permissions::READ), ann.clone()];
        assert_eq!(visible(&list, &caller("1.2.3.4", &["ann"])), list);
        let hidden = Acl { id: "ann:x".into(), ..ann };
        assert_eq!(visible(&list, &caller("1.2.3.4", &["bob"])), [Acl::world(Permissions::READ), hidden]);
    }

    #[test]
    fn a_list_that_auth_makes_too_long_is_refused() {
        let names: Vec<String> = (0..32).map(|n| format!("{n:0100}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let caller = caller("10.1.2.3", &names);
        let asked =
            |count: i32| -> Vec<Acl> { (0..count).map(|n| entry(Permissions(n), "auth", "")).collect() };
        let one: usize = resolve(&asked(1), &caller).unwrap().iter().map(Acl::bytes).sum();
        let most = (LIST_BYTES_MAX / one) as i32;
        assert_eq!(resolve(&asked(most), &caller).unwrap().len(), 32 * most as usize);
        assert_eq!(resolve(&asked(most + 1), &caller), Err(ErrorCode::InvalidAcl));
        assert_eq!(resolve(&asked(10 * most), &caller), Err(ErrorCode::InvalidAcl));
    }
}
