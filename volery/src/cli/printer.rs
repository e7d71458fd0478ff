//! Runs commands and prints what they bring.

#![allow(clippy::disallowed_methods, reason = "a command line: events are printed with the time of day")]

use super::command::{Command, CreateArguments};
use super::failure::Failure;
use super::timestamp::Timestamp;
use crate::client::Client;
use crate::wire::{AddWatchMode, ErrorCode, Stat};
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long one wait for an event lasts; without an event there is another.
const WAIT: Duration = Duration::from_secs(60);

/// Prints what commands bring.
pub(super) struct Printer<'a> {
    pub(super) client: &'a mut Client,
    pub(super) output: &'a mut dyn Write,
}

impl Printer<'_> {
    pub(super) fn run(&mut self, command: &Command) -> Result<(), Failure> {
        let path = command.path();
        match command {
            Command::Ls { recursive: false, .. } => self.list(path),
            Command::Ls { recursive: true, .. } => self.list_all(path),
            Command::Get { stat, .. } => self.get(path, *stat),
            Command::Set { data, version, .. } => self.set(path, data, *version),
            Command::Create(create) => self.create(create),
            Command::Delete { recursive: false, version, .. } => self.delete(path, *version),
            Command::Delete { recursive: true, .. } => self.delete_all(path),
            Command::Stat { .. } => self.stat(path),
            Command::Watch { recursive, count, .. } => self.watch(path, *recursive, *count),
        }
    }

    fn list(&mut self, path: &str) -> Result<(), Failure> {
        for name in self.children(path)? {
            writeln!(self.output, "{name}")?;
        }
        Ok(())
    }

    /// Prints a subtree, parents first.
    fn list_all(&mut self, path: &str) -> Result<(), Failure> {
        for path in self.subtree(path)? {
            writeln!(self.output, "{path}")?;
        }
        Ok(())
    }

    fn get(&mut self, path: &str, with_stat: bool) -> Result<(), Failure> {
        let (data, stat) = self.client.get(path).map_err(|error| Failure::at(path, error))?;
        self.output.write_all(&data)?;
        writeln!(self.output)?;
        if with_stat { self.print_stat(&stat) } else { Ok(()) }
    }

    fn set(&mut self, path: &str, data: &str, version: Option<i32>) -> Result<(), Failure> {
        let set = self.client.set(path, data.to_owned(), version.unwrap_or(-1));
        let stat = set.map_err(|error| Failure::at(path, error))?;
        Ok(writeln!(self.output, "version {}", stat.version)?)
    }

    fn create(&mut self, create: &CreateArguments) -> Result<(), Failure> {
        let created = self.client.create(&create.path, create.data.clone(), create.mode());
        let path = created.map_err(|error| Failure::at(&create.path, error))?;
        Ok(writeln!(self.output, "{path}")?)
    }

    fn delete(&mut self, path: &str, version: Option<i32>) -> Result<(), Failure> {
        self.client.delete(path, version.unwrap_or(-1)).map_err(|error| Failure::at(path, error))
    }

    /// Deletes a subtree, children first.
    fn delete_all(&mut self, path: &str) -> Result<(), Failure> {
        self.subtree(path)?.iter().rev().try_for_each(|path| self.delete(path, None))
    }

    fn stat(&mut self, path: &str) -> Result<(), Failure> {
        let stat = self.client.exists(path).map_err(|error| Failure::at(path, error))?;
        let stat = stat.ok_or_else(|| Failure::at(path, ErrorCode::NoNode.into()))?;
        self.print_stat(&stat)
    }

    fn watch(&mut self, path: &str, recursive: bool, count: Option<u64>) -> Result<(), Failure> {
        let mode = if recursive { AddWatchMode::PersistentRecursive } else { AddWatchMode::Persistent };
        self.client.add_watch(path, mode).map_err(|error| Failure::at(path, error))?;
        let mut printed = 0;
        while count.is_none_or(|count| printed < count) {
            let waited = self.client.wait_event(Instant::now() + WAIT);
            if let Some(event) = waited.map_err(|error| Failure::at(path, error))? {
                writeln!(self.output, "{}  {}  {}", now(), event.kind.name(), event.path)?;
                self.output.flush()?;
                printed += 1;
            }
        }
        Ok(())
    }

    fn print_stat(&mut self, stat: &Stat) -> Result<(), Failure> {
        let output = &mut self.output;
        writeln!(output, "created   {}  zxid {:#x}", Timestamp(stat.ctime), stat.czxid)?;
        writeln!(output, "modified  {}  zxid {:#x}", Timestamp(stat.mtime), stat.mzxid)?;
        writeln!(output, "version   {}", stat.version)?;
        writeln!(output, "data      {} bytes", stat.data_length)?;
        writeln!(
            output,
            "children  {}  changed {} times, last by zxid {:#x}",
            stat.num_children, stat.cversion, stat.pzxid
        )?;
        writeln!(output, "acl       changed {} times", stat.aversion)?;
        match stat.ephemeral_owner {
            0 => Ok(()),
            owner => Ok(writeln!(output, "owner     {owner:#x}")?),
        }
    }

    /// The names of the children, sorted.
    fn children(&mut self, path: &str) -> Result<Vec<String>, Failure> {
        let children = self.client.children(path).map_err(|error| Failure::at(path, error))?;
        let mut names: Vec<String> = children.iter().map(|name| name.to_string()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The paths of a subtree in the order of a walk. The tree may change meanwhile: this is not a snapshot.
    fn subtree(&mut self, path: &str) -> Result<Vec<String>, Failure> {
        let mut paths = Vec::new();
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            let prefix = if path == "/" { "" } else { path.as_str() };
            open.extend(self.children(&path)?.iter().rev().map(|name| format!("{prefix}/{name}")));
            paths.push(path);
        }
        Ok(paths)
    }
}

fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(elapsed.as_millis().try_into().unwrap_or(i64::MAX))
}
