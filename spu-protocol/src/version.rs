//! Protocol versions.

/// Oldest protocol version that this crate still speaks.
pub const MIN: u8 = 1;
/// Protocol version that this crate speaks first.
pub const CURRENT: u8 = 1;

const _: () = assert!(MIN <= CURRENT);
