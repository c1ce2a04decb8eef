//! The bytes of every published version of the wire.

mod v01;
