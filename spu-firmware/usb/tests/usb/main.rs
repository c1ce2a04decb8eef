//! The device as a host sees it, over a controller made of queues.

mod enumeration;
mod host;
mod transfers;
