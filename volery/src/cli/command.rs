//! The commands, as clap reads them from the command line and from a line of the shell.

use crate::wire::CreateMode;
use clap::{Args, Parser, Subcommand};

/// What can be asked of a server.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// List the children of a znode.
    Ls {
        /// All descendants, by their full paths.
        #[arg(short = 'R', long)]
        recursive: bool,
        /// The znode.
        #[arg(value_name = "PATH")]
        path: String,
    },
    /// Print a znode's data.
    Get {
        /// Print the stat too.
        #[arg(short, long)]
        stat: bool,
        /// The znode.
        #[arg(value_name = "PATH")]
        path: String,
    },
    /// Replace a znode's data.
    Set {
        /// The znode.
        #[arg(value_name = "PATH")]
        path: String,
        /// The new data.
        #[arg(value_name = "DATA", allow_hyphen_values = true)]
        data: String,
        /// Only if the znode has this version.
        #[arg(short = 'v', long, value_name = "N")]
        version: Option<i32>,
    },
    /// Create a znode.
    Create(CreateArguments),
    /// Delete a znode.
    Delete {
        /// Its descendants too: one by one, from the leaves up.
        #[arg(short = 'R', long, conflicts_with = "version")]
        recursive: bool,
        /// The znode.
        #[arg(value_name = "PATH")]
        path: String,
        /// Only if the znode has this version.
        #[arg(short = 'v', long, value_name = "N")]
        version: Option<i32>,
    },
    /// Print a znode's stat.
    Stat {
        /// The znode.
        #[arg(value_name = "PATH")]
        path: String,
    },
    /// Print what happens to a znode and its children, until interrupted.
    Watch {
        /// The znode.
        #[arg(value_name = "PATH")]
        path: String,
        /// All descendants too.
        #[arg(short = 'R', long)]
        recursive: bool,
        /// End after this many events.
        #[arg(long, value_name = "N")]
        count: Option<u64>,
    },
}

/// What to create.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct CreateArguments {
    /// It goes with this session, which ends with this command or shell.
    #[arg(short, long, conflicts_with_all = ["container", "ttl_ms"])]
    pub ephemeral: bool,
    /// The server appends a number to the name.
    #[arg(short, long, conflicts_with = "container")]
    pub sequential: bool,
    /// It goes some time after its last child has gone.
    #[arg(short, long)]
    pub container: bool,
    /// It goes when it has no children and was not modified for so long.
    #[arg(short, long = "ttl", value_name = "TTL_MS", conflicts_with = "container")]
    pub ttl_ms: Option<i64>,
    /// The znode.
    #[arg(value_name = "PATH")]
    pub path: String,
    /// Its data.
    #[arg(value_name = "DATA", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub data: String,
}

impl CreateArguments {
    /// The mode that the flags mean. Clap has refused those that contradict each other.
    pub fn mode(&self) -> CreateMode {
        match (self.ttl_ms, self.container, self.ephemeral, self.sequential) {
            (Some(ttl_ms), _, _, false) => CreateMode::Ttl(ttl_ms),
            (Some(ttl_ms), _, _, true) => CreateMode::TtlSequential(ttl_ms),
            (None, true, _, _) => CreateMode::Container,
            (None, false, true, false) => CreateMode::Ephemeral,
            (None, false, true, true) => CreateMode::EphemeralSequential,
            (None, false, false, false) => CreateMode::Persistent,
            (None, false, false, true) => CreateMode::PersistentSequential,
        }
    }
}

impl Command {
    /// The path that it is about, for messages.
    pub(super) fn path(&self) -> &str {
        match self {
            Command::Create(create) => &create.path,
            Command::Ls { path, .. }
            | Command::Get { path, .. }
            | Command::Set { path, .. }
            | Command::Delete { path, .. }
            | Command::Stat { path }
            | Command::Watch { path, .. } => path,
        }
    }
}

/// A line of the shell.
#[derive(Debug, Parser)]
#[command(multicall = true, disable_version_flag = true, about = "Commands of the shell")]
pub(super) struct Line {
    #[command(subcommand)]
    pub(super) said: Said,
}

/// What a line of the shell says.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub(super) enum Said {
    #[command(flatten)]
    Command(Command),
    /// Leave the shell and end the session.
    #[command(visible_alias = "exit")]
    Quit,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn mode(words: &[&str]) -> Result<CreateMode, clap::Error> {
        let words = ["create"].iter().chain(words);
        match Line::try_parse_from(words)?.said {
            Said::Command(Command::Create(create)) => Ok(create.mode()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn clap_accepts_the_definition() {
        Line::command().debug_assert();
    }

    #[test]
    fn flags_become_a_mode() {
        assert_eq!(mode(&["/a"]).unwrap(), CreateMode::Persistent);
        assert_eq!(mode(&["-e", "-s", "/a"]).unwrap(), CreateMode::EphemeralSequential);
        assert_eq!(mode(&["-es", "/a", "-data"]).unwrap(), CreateMode::EphemeralSequential);
        assert_eq!(mode(&["-s", "-t", "60000", "/a"]).unwrap(), CreateMode::TtlSequential(60_000));
        assert_eq!(mode(&["-c", "/a", "data"]).unwrap(), CreateMode::Container);
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        for words in [["-e", "-c", "/a"], ["-s", "-c", "/a"], ["-e", "-t5", "/a"], ["-c", "-t5", "/a"]] {
            assert!(mode(&words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn the_shell_has_a_way_out() {
        assert_eq!(Line::try_parse_from(["exit"]).unwrap().said, Said::Quit);
        assert_eq!(Line::try_parse_from(["quit"]).unwrap().said, Said::Quit);
    }
}
