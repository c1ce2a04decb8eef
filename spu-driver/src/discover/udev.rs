//! The udev rule that gives users of Linux access to boards.

use std::fs;
use std::path::{Path, PathBuf};

/// The rule file.
pub const RULE: &str = include_str!("../../../hardware/udev/70-spu.rules");

/// Where it is installed.
pub const RULE_PATH: &str = "/etc/udev/rules.d/70-spu.rules";

/// Command that installs it.
pub const INSTALL: &str = "spu list --udev-rule | sudo tee /etc/udev/rules.d/70-spu.rules && \
                           sudo udevadm control --reload && sudo udevadm trigger";

/// Folders that udev reads, the first one overriding the others.
const FOLDERS: [&str; 4] =
    ["etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d"];

/// Whether the rule is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installed {
    /// As this driver has it.
    Current(PathBuf),
    /// Another text under its name.
    Other(PathBuf),
    /// No.
    No,
    /// This system has no udev: a container, or a system of another kind.
    NoUdev,
}

/// Whether the rule is installed, below this root of the file system.
pub fn installed(root: &Path) -> Installed {
    let name = Path::new(RULE_PATH).file_name().unwrap_or_default();
    let mut folders = FOLDERS.iter().map(|folder| root.join(folder)).filter(|path| path.exists());
    let Some(first) = folders.next() else { return Installed::NoUdev };
    let found = std::iter::once(first).chain(folders).find_map(|folder| {
        let path = folder.join(name);
        fs::read_to_string(&path).ok().map(|text| (path, text))
    });
    match found {
        Some((path, text)) if text.trim() == RULE.trim() => Installed::Current(path),
        Some((path, _)) => Installed::Other(path),
        None => Installed::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::ids;

    /// Parts of a rule: key, operator and value.
    fn parts(line: &str) -> Vec<(&str, &str, &str)> {
        line.split(", ")
            .map(|part| {
                let operator = part.find(['=', '+']).unwrap();
                let (key, rest) = part.split_at(operator);
                let value = rest.trim_start_matches(['=', '+']);
                let operator = &rest[..rest.len() - value.len()];
                let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
                (key, operator, value.unwrap_or_else(|| panic!("{part}: no quotes")))
            })
            .collect()
    }

    fn rules() -> impl Iterator<Item = Vec<(&'static str, &'static str, &'static str)>> {
        RULE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(parts)
    }

    #[test]
    fn the_rule_has_the_ids_of_the_driver() {
        for subsystem in ["usb", "tty"] {
            let rules = rules().filter(|rule| rule.contains(&("SUBSYSTEM", "==", subsystem)));
            let mut ids: Vec<(u16, u16)> = rules
                .map(|rule| {
                    assert!(rule.contains(&("TAG", "+=", "uaccess")), "{rule:?}");
                    let id = |name| {
                        let (_, _, value) = rule
                            .iter()
                            .find(|(key, operator, _)| key.contains(name) && *operator == "==")
                            .unwrap();
                        u16::from_str_radix(value, 16).unwrap()
                    };
                    (id("{idVendor}"), id("{idProduct}"))
                })
                .collect();
            ids.sort_unstable();
            assert_eq!(ids, [(ids::VENDOR, ids::BOARD), (ids::VENDOR, ids::BOOT_LOADER)]);
        }
    }

    #[test]
    fn every_key_is_one_of_udev() {
        let known = [
            ("SUBSYSTEM", "=="),
            ("DRIVER", "=="),
            ("ENV{DEVTYPE}", "=="),
            ("ATTR{idVendor}", "=="),
            ("ATTR{idProduct}", "=="),
            ("ATTRS{idVendor}", "=="),
            ("ATTRS{idProduct}", "=="),
            ("ATTR{latency_timer}", "="),
            ("ENV{ID_MM_DEVICE_IGNORE}", "="),
            ("ENV{ID_MM_PORT_IGNORE}", "="),
            ("MODE", "="),
            ("GROUP", "="),
            ("TAG", "+="),
        ];
        for (key, operator, value) in rules().flatten() {
            assert!(known.contains(&(key, operator)), "{key}{operator}\"{value}\"");
        }
        assert!(RULE.contains(RULE_PATH) && INSTALL.contains(RULE_PATH));
    }

    #[test]
    fn an_installed_rule_is_found_and_compared() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(installed(root), Installed::NoUdev);
        let [etc, .., lib] = FOLDERS.map(|folder| root.join(folder));
        fs::create_dir_all(&lib).unwrap();
        assert_eq!(installed(root), Installed::No);
        fs::write(lib.join("70-spu.rules"), RULE).unwrap();
        assert_eq!(installed(root), Installed::Current(lib.join("70-spu.rules")));
        fs::create_dir_all(&etc).unwrap();
        fs::write(etc.join("70-spu.rules"), "# nothing\n").unwrap();
        assert_eq!(installed(root), Installed::Other(etc.join("70-spu.rules")));
    }
}
