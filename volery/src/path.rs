//! Paths: what is a legal one, and how it falls apart. They are kept as `Arc<str>`, shared by all who name a znode.

use crate::wire::ErrorCode;
use std::sync::Arc;

/// The root, above which there is nothing.
pub const ROOT: &str = "/";
/// What ZooKeeper keeps for itself.
pub const ZOOKEEPER: &str = "/zookeeper";
/// The ensemble's configuration.
pub const CONFIG: &str = "/zookeeper/config";
/// The quotas.
pub const QUOTA: &str = "/zookeeper/quota";

/// Whether `path` is one that ZooKeeper's servers take; BadArguments if not.
///
/// It begins with a slash and ends with none but the root's; no component is empty, `.` or `..`, or has a control
/// character or one that ZooKeeper cannot name. The name of a sequential znode is validated with its number.
pub fn validate(path: &str) -> Result<(), ErrorCode> {
    let below = path.strip_prefix('/').ok_or(ErrorCode::BadArguments)?;
    let legal = |component: &str| !matches!(component, "" | "." | "..") && component.chars().all(is_legal);
    if below.is_empty() || below.split('/').all(legal) { Ok(()) } else { Err(ErrorCode::BadArguments) }
}

/// Whether a path may hold the character. Control characters may not, nor private and special ones; nor any beyond the
/// basic plane, which ZooKeeper sees as surrogates.
fn is_legal(c: char) -> bool {
    !matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..)
}

/// Whether the path is of a znode that is there from the start and cannot be deleted.
pub fn is_special(path: &str) -> bool {
    matches!(path, ROOT | ZOOKEEPER | CONFIG | QUOTA)
}

/// The parent's path and the znode's name; the root is its own parent, under the empty name. `None` for what has no slash.
pub fn split(path: &str) -> Option<(&str, &str)> {
    let slash = path.rfind('/')?;
    let parent = if slash == 0 { ROOT } else { &path[..slash] };
    Some((parent, &path[slash + 1..]))
}

/// The parent's path; `None` for the root.
pub fn parent(path: &str) -> Option<&str> {
    split(path).filter(|_| path != ROOT).map(|(parent, _)| parent)
}

/// The paths above one, the nearest first.
pub fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(path), |path| parent(path))
}

/// The last component; empty for the root.
pub fn name(path: &str) -> &str {
    split(path).map_or(path, |(_, name)| name)
}

/// The components from the root down; the root has none.
pub fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|component| !component.is_empty())
}

/// The path of a child.
pub fn join(parent: &str, name: &str) -> Arc<str> {
    let parent = if parent == ROOT { "" } else { parent };
    [parent, "/", name].concat().into()
}

/// Whether `path` is `ancestor` itself or below it.
pub fn is_within(path: &str, ancestor: &str) -> bool {
    ancestor == ROOT
        || path.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_may_name() {
        let legal = [
            "/",
            "/a",
            "/a/b",
            "/...",
            "/a./.b",
            "/..a/b..",
            "/a b",
            "/\u{e9}",
            "/\u{ffef}",
            "/\u{a0}",
            "/-",
        ];
        for path in legal {
            assert_eq!(validate(path), Ok(()), "{path:?}");
        }
        let illegal = [
            "",
            "a",
            "a/b",
            "/a/",
            "//",
            "//a",
            "/a//b",
            "/.",
            "/..",
            "/a/.",
            "/a/./b",
            "/../a",
            "/a\0",
            "/\u{1}",
            "/\u{1f}",
            "/\u{7f}",
            "/\u{9f}",
            "/\u{e000}",
            "/\u{f8ff}",
            "/\u{fff0}",
            "/\u{ffff}",
            "/\u{1f600}",
        ];
        for path in illegal {
            assert_eq!(validate(path), Err(ErrorCode::BadArguments), "{path:?}");
        }
    }

    #[test]
    fn paths_fall_apart_and_together() {
        assert_eq!(
            (parent("/a/b"), parent("/a"), parent("/"), parent("")),
            (Some("/a"), Some("/"), None, None)
        );
        assert_eq!((name("/a/b"), name("/a"), name("/")), ("b", "a", ""));
        assert_eq!((split("/"), split("/a/"), split("a")), (Some(("/", "")), Some(("/a", "")), None));
        assert_eq!((&*join("/", "a"), &*join("/a", "b")), ("/a", "/a/b"));
        assert_eq!(components("/a/b").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(components("/").count(), 0);
        assert!(
            is_within("/a/b", "/a")
                && is_within("/a", "/a")
                && is_within("/a", "/")
                && !is_within("/ab", "/a")
        );
    }
}
