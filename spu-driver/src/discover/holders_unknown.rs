//! Which process has a device file open: only Linux tells.

use std::convert::Infallible;
use std::path::Path;

pub(crate) fn of(_path: &Path) -> Option<Infallible> {
    None
}

#[cfg(feature = "serial")]
pub(super) fn find(_proc: &Path, _path: &Path) -> Option<Infallible> {
    None
}
