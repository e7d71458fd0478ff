//! A share of a core that a process may not exceed: a control group of Linux, of version 1 or 2.
//!
//! An edge file: it writes to the kernel's file system of groups.

use crate::failure::Failure;
use std::fs;
use std::path::{Path, PathBuf};

/// Where version 1 keeps its groups for CPU time.
const VERSION_1: &str = "/sys/fs/cgroup/cpu";
/// Where version 2 keeps all groups.
const VERSION_2: &str = "/sys/fs/cgroup";
/// The period over which a share is enforced, in microseconds, unless the share of it would be too short.
const PERIOD_US: u64 = 10_000;
/// The kernel takes no shorter quota.
const QUOTA_US_MIN: u64 = 1_000;

/// A group of one process. When this is dropped the process goes back to where groups begin and the group is removed; a
/// SIGKILL leaves an empty group behind.
pub struct Cgroup {
    directory: PathBuf,
    root: PathBuf,
}

/// A share of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// After so many microseconds the process may run again.
    pub period_us: u64,
    /// So many microseconds of CPU time in each period.
    pub quota_us: u64,
}

impl Quota {
    /// So many of a hundred parts of a core, at least 1.
    pub fn of_percent(percent: u64) -> Quota {
        assert!((1..=100).contains(&percent), "a share of one core");
        let quota_us = (PERIOD_US * percent / 100).max(QUOTA_US_MIN);
        Quota { period_us: quota_us * 100 / percent, quota_us }
    }
}

impl Cgroup {
    /// Confines a process, with all its threads.
    pub fn confine(pid: u32, quota: Quota) -> Result<Cgroup, Failure> {
        let version_1 = Path::new(VERSION_1).join("cpu.cfs_quota_us").exists();
        let root = PathBuf::from(if version_1 { VERSION_1 } else { VERSION_2 });
        if !version_1 {
            allow_version_2(&root)?;
        }
        let directory = root.join(format!("bench-{pid}"));
        fs::create_dir(&directory).map_err(Failure::system(directory.display().to_string()))?;
        let group = Cgroup { directory, root };
        let Quota { period_us, quota_us } = quota;
        if version_1 {
            group.write("cpu.cfs_period_us", &period_us.to_string())?;
            group.write("cpu.cfs_quota_us", &quota_us.to_string())?;
        } else {
            group.write("cpu.max", &format!("{quota_us} {period_us}"))?;
        }
        group.write("cgroup.procs", &pid.to_string())?;
        Ok(group)
    }

    fn write(&self, file: &str, text: &str) -> Result<(), Failure> {
        let path = self.directory.join(file);
        fs::write(&path, text).map_err(Failure::system(path.display().to_string()))
    }
}

/// Has groups of version 2 account CPU time, which not every machine lets one do.
fn allow_version_2(root: &Path) -> Result<(), Failure> {
    let read = root.join("cgroup.controllers");
    let controllers = fs::read_to_string(&read).map_err(Failure::system(read.display().to_string()))?;
    if !controllers.split_ascii_whitespace().any(|controller| controller == "cpu") {
        return Err(Failure::Usage(format!("{} does not name cpu", read.display())));
    }
    let write = root.join("cgroup.subtree_control");
    fs::write(&write, "+cpu").map_err(Failure::system(write.display().to_string()))
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A group with a process in it cannot be removed. The process may have ended, and then there is none to move.
        let processes = fs::read_to_string(self.directory.join("cgroup.procs")).unwrap_or_default();
        for pid in processes.lines() {
            let _ = fs::write(self.root.join("cgroup.procs"), pid);
        }
        let _ = fs::remove_dir(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_small_share_has_a_longer_period() {
        assert_eq!(Quota::of_percent(50), Quota { period_us: 10_000, quota_us: 5_000 });
        assert_eq!(Quota::of_percent(10), Quota { period_us: 10_000, quota_us: 1_000 });
        assert_eq!(Quota::of_percent(8), Quota { period_us: 12_500, quota_us: 1_000 });
    }

    #[test]
    fn a_group_ends_with_its_value_and_its_process_does_not() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        // Where groups cannot be made there is nothing to see but that this is said.
        match Cgroup::confine(child.id(), Quota::of_percent(50)) {
            Ok(group) => {
                let directory = group.directory.clone();
                let members = fs::read_to_string(directory.join("cgroup.procs")).unwrap();
                assert_eq!(members.trim(), child.id().to_string());
                drop(group);
                assert!(!directory.exists());
                assert_eq!(child.try_wait().unwrap(), None);
            }
            Err(failure) => assert!(failure.to_string().contains("/sys/fs/cgroup"), "{failure}"),
        }
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
