//! Files that appear whole or not at all.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::FileError;

/// Writes `bytes` to a temporary file beside `path`, then moves it there. A device or pipe (such
/// as `/dev/stdout`) is written to directly, since moving would replace it.
///
/// # Errors
/// [`FileError::Write`].
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write(path, bytes).map_err(|source| FileError::Write { path: path.into(), source })
}

/// Checks, before anything long starts, that a file can be created there.
///
/// # Errors
/// [`FileError::Write`].
pub fn check_writable(path: &Path) -> Result<(), FileError> {
    let check = match target(path) {
        Target::Special => fs::OpenOptions::new().write(true).open(path).map(drop),
        Target::Directory => Err(io::ErrorKind::IsADirectory.into()),
        Target::File(file) => temporary(&file).map(drop),
    };
    check.map_err(|source| FileError::Write { path: path.into(), source })
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match target(path) {
        Target::Special => fs::OpenOptions::new().write(true).open(path)?.write_all(bytes),
        Target::Directory => Err(io::ErrorKind::IsADirectory.into()),
        Target::File(file) => {
            let mut temporary = temporary(&file)?;
            temporary.write_all(bytes)?;
            temporary.as_file().sync_all()?;
            temporary.persist(&file)?;
            Ok(())
        }
    }
}

enum Target {
    Special,
    Directory,
    /// A file, links resolved, so that a link stays one.
    File(PathBuf),
}

fn target(path: &Path) -> Target {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Target::Directory,
        Ok(metadata) if !metadata.is_file() => Target::Special,
        Ok(_) => Target::File(fs::canonicalize(path).unwrap_or_else(|_| path.into())),
        Err(_) => Target::File(path.into()),
    }
}

/// An empty file in the directory of `file`; it is removed when dropped.
fn temporary(file: &Path) -> io::Result<tempfile::NamedTempFile> {
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".spu-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As for any new file: the umask takes away what it should.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    // The plain kind and cause, without the random name of the temporary file.
    builder.tempfile_in(directory).map_err(|error| {
        error.get_ref().map_or_else(|| error.kind().into(), |_| io::Error::from(error.kind()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "a long text from before").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        check_writable(&dir.path().join("b")).unwrap();
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_atomically(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told() {
        let error = write_atomically(Path::new("/dev/full"), b"x").unwrap_err().to_string();
        assert!(error.contains("/dev/full") && error.contains("free some space"), "{error}");
        assert!(fs::metadata("/dev/full").unwrap().len() == 0);
    }

    #[test]
    fn a_directory_that_is_not_there_is_told() {
        let error = check_writable(Path::new("/nowhere/a.npy")).unwrap_err().to_string();
        assert!(error.contains("create its directory first"), "{error}");
        let dir = tempfile::tempdir().unwrap();
        assert!(check_writable(dir.path()).is_err());
        assert!(write_atomically(dir.path(), b"x").is_err());
    }
}
