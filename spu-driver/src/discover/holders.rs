//! Which process has a device file open.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    id: u32,
    name: Option<String>,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.id == std::process::id() {
            return f.write_str("this program");
        }
        write!(f, "process {}", self.id)?;
        self.name.iter().try_for_each(|name| write!(f, " ({name})"))
    }
}

/// A process that has this device file open, as far as this user can see: Linux shows everybody
/// who holds a lock, but only to root what all processes have open.
pub(crate) fn of(path: &Path) -> Option<Process> {
    find(Path::new("/proc"), path)
}

/// As [`of`], with this `/proc`.
pub(super) fn find(proc: &Path, path: &Path) -> Option<Process> {
    let path = path.canonicalize().ok()?;
    let file = fs::metadata(&path).ok()?;
    let locks = fs::read_to_string(proc.join("locks")).unwrap_or_default();
    let id = lock_holder(&locks, file.dev(), file.ino()).or_else(|| opener(proc, &path))?;
    let name = fs::read_to_string(proc.join(id.to_string()).join("comm")).ok();
    Some(Process { id, name: name.map(|name| name.trim().to_owned()) })
}

/// The process that holds a lock on the file, from the text of `/proc/locks`.
fn lock_holder(locks: &str, device: u64, inode: u64) -> Option<u32> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        // Number, kind, strictness, access, process, file …; who waits has an arrow before.
        let fields: Vec<_> = line.split_whitespace().collect();
        (fields.get(1) == Some(&"FLOCK") && fields.get(5) == Some(&file.as_str()))
            .then(|| fields[4].parse().ok())
            .flatten()
    })
}

/// A process that has the file open.
fn opener(proc: &Path, path: &Path) -> Option<u32> {
    let entries = fs::read_dir(proc).ok()?;
    entries.filter_map(Result::ok).find_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let open = fs::read_dir(entry.path().join("fd")).ok()?;
        let mut open = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        open.any(|open| open == path).then_some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_read() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 00:06:17 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 12 00:05:17 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 13 00:06:17 0 EOF\n\
                     3: -> FLOCK  ADVISORY  WRITE 14 00:06:18 0 EOF\n";
        let device = rustix::fs::makedev(0, 6);
        assert_eq!(lock_holder(locks, device, 17), Some(13));
        assert_eq!(lock_holder(locks, device, 18), None);
        assert_eq!(lock_holder("", device, 17), None);
    }

    #[test]
    fn the_process_that_has_a_file_open_is_found() {
        let root = tempfile::tempdir().unwrap();
        let (proc, node) = (root.path().join("proc"), root.path().join("ttyACM0"));
        fs::write(&node, "").unwrap();
        assert_eq!(find(&proc, &node), None);
        for (id, name, open) in [("40", "cat", "elsewhere"), ("41", "minicom", "ttyACM0")] {
            let fds = proc.join(id).join("fd");
            fs::create_dir_all(&fds).unwrap();
            fs::write(proc.join(id).join("comm"), format!("{name}\n")).unwrap();
            let node = node.canonicalize().unwrap().with_file_name(open);
            std::os::unix::fs::symlink(node, fds.join("3")).unwrap();
        }
        let found = find(&proc, &node).unwrap();
        assert_eq!(found.to_string(), "process 41 (minicom)");
        let own = Process { id: std::process::id(), name: None };
        assert_eq!(own.to_string(), "this program");
    }
}
