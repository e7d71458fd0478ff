//! Events tell nobody of what may not be read: kind of watch by kind of event by identity.

use super::client::Client;
use EventType::{NodeChildrenChanged, NodeCreated, NodeDataChanged, NodeDeleted};
use tests::fuzz::served::Served;
use volery::acl::digest;
use volery::wire::{
    Acl, AddWatchMode, Create, CreateMode, Delete, ErrorCode, EventType, Permissions, Request, SetData,
    SetWatches, WatcherType,
};

const ABOVE: &str = "/p";
const SECRET: &str = "/p/s";
const BELOW: &str = "/p/s/c";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    Data,
    Children,
    Persistent,
    Recursive,
    RecursiveAbove,
}

impl Watch {
    const ALL: [Watch; 5] =
        [Watch::Data, Watch::Children, Watch::Persistent, Watch::Recursive, Watch::RecursiveAbove];

    fn request(self, znode_is_there: bool) -> Option<Request> {
        let (path, watch) = (SECRET.into(), true);
        Some(match self {
            Watch::Data if znode_is_there => Request::GetData { path, watch },
            Watch::Data => Request::Exists { path, watch },
            Watch::Children if znode_is_there => Request::GetChildren { path, watch },
            Watch::Children => return None,
            Watch::Persistent => Request::AddWatch { path, mode: AddWatchMode::Persistent },
            Watch::Recursive => Request::AddWatch { path, mode: AddWatchMode::PersistentRecursive },
            Watch::RecursiveAbove => {
                Request::AddWatch { path: ABOVE.into(), mode: AddWatchMode::PersistentRecursive }
            }
        })
    }

    fn tells(self, event: EventType) -> bool {
        match self {
            Watch::Data | Watch::Recursive | Watch::RecursiveAbove => event != NodeChildrenChanged,
            Watch::Children => matches!(event, NodeDeleted | NodeChildrenChanged),
            Watch::Persistent => true,
        }
    }
}

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Somebody who may not read the znode.
    Stranger,
    /// Somebody who may.
    Owner,
    /// Somebody who may since the watch was armed.
    Late,
}

fn private() -> Vec<Acl> {
    vec![Acl { permissions: Permissions::ALL, scheme: "digest".into(), id: digest("owner", "secret") }]
}

fn create(path: &str, acl: Vec<Acl>) -> Request {
    Request::Create(Create {
        path: path.into(),
        data: None,
        acl,
        mode: Ok(CreateMode::Persistent),
        with_stat: false,
    })
}

fn change(event: EventType) -> Request {
    let path = SECRET.into();
    match event {
        NodeCreated => create(SECRET, private()),
        NodeDataChanged => Request::SetData(SetData { path, data: None, version: -1 }),
        NodeDeleted => Request::Delete(Delete { path, version: -1 }),
        _ => create(BELOW, Acl::open_unsafe()),
    }
}

/// A node, and the owner of the secret znode, which is there and readable by all if it is to be there.
fn served(znode_is_there: bool) -> (Served, Client) {
    let mut served = Served::on_empty_disk();
    let mut owner = Client::new(&mut served, 1);
    owner.authenticate(&mut served, "owner");
    owner.ask(&mut served, &create(ABOVE, Acl::open_unsafe())).expect("created");
    if znode_is_there {
        owner.ask(&mut served, &create(SECRET, Acl::open_unsafe())).expect("created");
    }
    (served, owner)
}

fn hide(served: &mut Served, owner: &mut Client) {
    let request = Request::SetAcl { path: SECRET.into(), acl: private(), version: -1 };
    owner.ask(served, &request).expect("the list is set");
}

#[test]
fn an_event_is_told_to_those_alone_who_may_read_the_znode_then() {
    for event in [NodeCreated, NodeDataChanged, NodeDeleted, NodeChildrenChanged] {
        for watch in Watch::ALL {
            for who in [Who::Stranger, Who::Owner, Who::Late] {
                let is_there = event != NodeCreated;
                let Some(request) = watch.request(is_there) else { continue };
                let (mut served, mut owner) = served(is_there);
                let mut watcher = Client::new(&mut served, 2);
                if who == Who::Owner {
                    watcher.authenticate(&mut served, "owner");
                }
                let armed = watcher.ask(&mut served, &request);
                assert!(armed.is_ok() || armed == Err(ErrorCode::NoNode));
                if is_there {
                    hide(&mut served, &mut owner);
                }
                if who == Who::Late {
                    watcher.authenticate(&mut served, "owner");
                }
                owner.ask(&mut served, &change(event)).expect("changed");
                let told = watcher.told_of(&served, SECRET);
                let due = who != Who::Stranger && watch.tells(event);
                assert_eq!(told, if due { vec![event] } else { vec![] }, "{event} {watch:?} {who:?}");
                if who == Who::Stranger {
                    let path = if watch == Watch::RecursiveAbove { ABOVE } else { SECRET };
                    let check = Request::CheckWatches { path: path.into(), kind: WatcherType::Any };
                    assert!(watcher.ask(&mut served, &check).is_ok(), "{event} {watch:?}: still armed");
                }
            }
        }
    }
}

#[test]
fn a_change_of_an_open_znode_below_a_secret_one_is_told() {
    let (mut served, mut owner) = served(true);
    let mut stranger = Client::new(&mut served, 2);
    let above = Watch::RecursiveAbove.request(true).expect("a request");
    stranger.ask(&mut served, &above).expect("armed");
    hide(&mut served, &mut owner);
    owner.ask(&mut served, &create(BELOW, Acl::open_unsafe())).expect("created");
    assert_eq!(stranger.told_of(&served, BELOW), [NodeCreated], "its own list counts, as in ZooKeeper");
}

#[test]
fn what_changed_while_a_client_was_away_is_told_to_those_alone_who_may_read_it() {
    let list = |asked: bool| if asked { vec![SECRET.into()] } else { Vec::new() };
    let lists = |relative_zxid, at: usize| SetWatches {
        relative_zxid,
        data: list(at == 0),
        exist: list(at == 1),
        child: list(at == 2),
        persistent: Vec::new(),
        persistent_recursive: Vec::new(),
    };
    let told = [NodeDataChanged, NodeCreated, NodeChildrenChanged];
    for (at, event) in told.into_iter().enumerate() {
        for may_read in [false, true] {
            let (mut served, mut owner) = served(true);
            hide(&mut served, &mut owner);
            let mut watcher = Client::new(&mut served, 2).back(&mut served, 3);
            if may_read {
                watcher.authenticate(&mut served, "owner");
            }
            let request = Request::SetWatches(lists(0, at));
            watcher.ask(&mut served, &request).expect("armed again");
            let expected = if may_read { vec![event] } else { vec![] };
            assert_eq!(watcher.told_of(&served, SECRET), expected, "{event}");
            owner
                .ask(&mut served, &Request::Delete(Delete { path: SECRET.into(), version: -1 }))
                .expect("gone");
            assert_eq!(watcher.told_of(&served, SECRET), [], "it has fired, or still may not be told");
        }
    }
}

#[test]
fn exists_tells_of_an_absent_znode_and_of_one_that_may_be_read() {
    let (mut served, mut owner) = served(false);
    let mut stranger = Client::new(&mut served, 2);
    let exists = Request::Exists { path: SECRET.into(), watch: true };
    assert_eq!(stranger.ask(&mut served, &exists), Err(ErrorCode::NoNode));
    owner.ask(&mut served, &create(SECRET, private())).expect("created");
    assert_eq!(stranger.ask(&mut served, &exists), Err(ErrorCode::NoAuth));
    stranger.authenticate(&mut served, "owner");
    assert!(stranger.ask(&mut served, &exists).is_ok());
}
