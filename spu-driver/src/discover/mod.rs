//! Finds devices without opening them. One file a bus.

#[cfg(all(unix, feature = "serial"))]
pub(crate) mod access;
#[cfg(all(unix, feature = "serial"))]
pub(crate) mod holders;
#[cfg(feature = "serial")]
pub(crate) mod serial;
