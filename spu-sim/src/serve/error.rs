//! Errors of serving.

use std::io;
use std::path::PathBuf;

/// Why a board cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Not an endpoint.
    #[error("{text:?} is no endpoint: {why}")]
    Endpoint {
        /// What was asked for.
        text: String,
        /// What is wrong and what would be right.
        why: String,
    },
    /// Another server has the address.
    #[error("{uri} is in use by another server; stop it or take another address")]
    InUse {
        /// The address.
        uri: String,
    },
    /// Something that is no left-over of a server is at the path.
    #[error("{} exists and {what}; remove it or take another path", path.display())]
    Occupied {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// This user may not have the address.
    #[error("{uri} is denied to this user; take {remedy}")]
    Denied {
        /// The address.
        uri: String,
        /// What would be right.
        remedy: &'static str,
    },
    /// This platform has no such endpoints.
    #[error("this platform has no {what}; serve over TCP")]
    Absent {
        /// The kind of endpoint.
        what: &'static str,
    },
    /// The operating system refuses.
    #[error("{uri}: {what}: {source}")]
    Io {
        /// The address.
        uri: String,
        /// What was being done.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The board is no longer served.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// The board is no longer served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the board is no longer served")]
pub struct Ended;
