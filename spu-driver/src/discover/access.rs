//! Who may open a device file.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::link::ids;

/// How this user gets access to a device file.
pub(crate) fn fix(path: &Path) -> String {
    if path.canonicalize().is_ok_and(|real| real.starts_with("/dev/pts")) {
        return "another user's program made this pseudo terminal; run both as one user".into();
    }
    let rule = ids::access_fix();
    match group_of(path) {
        Some(group) if group != "root" => format!(
            "join its group (`sudo usermod -aG {group} $USER`, then log in again), or {rule}"
        ),
        _ => rule,
    }
}

/// Name of the group that a file belongs to.
fn group_of(path: &Path) -> Option<String> {
    let id = fs::metadata(path).ok()?.gid();
    group_name(&fs::read_to_string("/etc/group").ok()?, id)
}

/// Name of a group in the text of `/etc/group`.
fn group_name(groups: &str, id: u32) -> Option<String> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, found) = (fields.next()?, fields.nth(1)?);
        (found.parse() == Ok(id)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named() {
        let groups = "root:x:0:\nbroken\ndialout:x:20:eve,mallory\nplugdev:x:46:\n";
        assert_eq!(group_name(groups, 20).as_deref(), Some("dialout"));
        assert_eq!(group_name(groups, 46).as_deref(), Some("plugdev"));
        assert_eq!(group_name(groups, 2), None);
    }
}
