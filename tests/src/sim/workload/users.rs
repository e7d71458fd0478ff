//! The users of a run, and the znodes whose access-control lists never change.

use std::sync::Arc;
use volery::acl::digest;
use volery::wire::{Acl, Permissions, Request};

/// A user whom a client may authenticate as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct User(pub usize);

/// How many users there are; the last one is the superuser.
pub const USERS: usize = 4;

/// The superuser, whom no list keeps out.
pub const SUPERUSER: User = User(USERS - 1);

impl User {
    /// All of them.
    pub fn all() -> impl Iterator<Item = User> {
        (0..USERS).map(User)
    }

    /// The name.
    pub fn name(self) -> String {
        format!("user{}", self.0)
    }

    fn password(self) -> String {
        format!("secret{}", self.0)
    }

    /// What stands for the user in an access-control list.
    pub fn digest(self) -> String {
        digest(&self.name(), &self.password())
    }

    /// The request that proves a connection to be this user's.
    pub fn auth(self) -> Request {
        let auth = format!("{}:{}", self.name(), self.password());
        Request::Auth { kind: 0, scheme: "digest".into(), auth: auth.into() }
    }

    /// Which user a request proves, if it proves one.
    pub fn of(request: &Request) -> Option<User> {
        User::all().find(|user| user.auth() == *request)
    }

    fn entry(self, permissions: Permissions) -> Acl {
        Acl { permissions, scheme: "digest".into(), id: self.digest() }
    }
}

/// Who may do one thing with a znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody.
    Anybody,
    /// This user, and the superuser.
    Only(User),
}

impl Who {
    /// Whether a caller with these identities is among them.
    pub fn includes(self, mut callers: impl Iterator<Item = User>) -> bool {
        match self {
            Who::Anybody => true,
            Who::Only(user) => callers.any(|caller| caller == user || caller == SUPERUSER),
        }
    }
}

/// A znode whose list never changes, and that nobody deletes: so it is known who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// The path.
    pub path: &'static str,
    /// Who may read it.
    pub read: Who,
    /// Who may write it, and see its list in full.
    pub write: Who,
}

/// All znodes of that kind.
pub const GUARDED: [Guarded; 3] = [
    Guarded { path: "/a/0", read: Who::Only(User(0)), write: Who::Only(User(0)) },
    Guarded { path: "/a/1", read: Who::Anybody, write: Who::Only(User(1)) },
    Guarded { path: "/a/2", read: Who::Only(User(2)), write: Who::Only(User(2)) },
];

impl Guarded {
    /// The one at a path.
    pub fn at(path: &str) -> Option<Guarded> {
        GUARDED.into_iter().find(|guarded| guarded.path == path)
    }

    /// Its list.
    pub fn acl(self) -> Vec<Acl> {
        let entry = |who, permissions| match who {
            Who::Anybody => Acl::world(permissions),
            Who::Only(user) => user.entry(permissions),
        };
        vec![entry(self.read, Permissions::READ), entry(self.write, Permissions::WRITE | Permissions::ADMIN)]
    }

    /// All their paths.
    pub fn paths() -> Vec<Arc<str>> {
        GUARDED.into_iter().map(|guarded| guarded.path.into()).collect()
    }
}

/// Lists for znodes whose lists change: some keep most callers out, one stands for whoever asks, one is illegal.
pub fn lists() -> [Vec<Acl>; 6] {
    let auth = Acl { permissions: Permissions::ALL, scheme: "auth".into(), id: String::new() };
    [
        Acl::open_unsafe(),
        vec![auth],
        vec![User(0).entry(Permissions::ALL)],
        vec![User(1).entry(Permissions::ALL), Acl::world(Permissions::READ)],
        vec![Acl::world(Permissions::READ | Permissions::ADMIN)],
        Vec::new(),
    ]
}
