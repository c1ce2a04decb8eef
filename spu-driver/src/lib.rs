//! Host driver of the spu stack.
//!
//! [`Device`] is what every rung looks like from the host, from the in-process simulator to a board
//! behind a cable. Operations (inversion, sampling) are functions over `dyn Device`, so no
//! back end writes them again; an ensemble runs them on several copies of a board and judges
//! whether the copies agree.

mod agreement;
pub mod blocks;
pub mod board_model;
pub mod bulk;
pub mod calibrate;
pub mod calibration;
pub mod characterise;
pub mod client;
pub mod device;
pub mod discover;
pub mod doctor;
pub mod ensemble;
pub mod error;
pub mod factored;
pub mod flash;
pub mod invert;
pub mod linalg;
pub mod link;
pub mod matrix;
pub mod mcu;
mod merge;
pub mod model;
pub mod open;
pub mod ops;
pub mod plan;
pub mod prepare;
mod quantise;
pub mod rc;
mod readout;
pub mod recording;
pub mod refine;
pub mod route;
pub mod sample;
pub mod scaling;
pub mod seeds;
#[cfg(feature = "sim")]
pub mod sim;
pub mod sinks;
pub mod solve;
mod spd;
mod spread;
pub mod stats;
pub mod systematic;
#[cfg(all(test, feature = "sim"))]
mod testing;
pub mod time;
mod timing;
pub mod updates;
pub mod uri;

pub use bulk::Bulk;
pub use client::Client;
pub use device::{
    AcquirePlan, Applied, BoardInfo, CancelHandle, Deadline, Device, FrameBlock, Moments, NullSink,
    Outcome, Phases, Program, Report, ResetLevel, SelfTestReport, Sink,
};
pub use discover::list;
pub use error::Error;
pub use link::{FaultyLink, Link, LinkStats};
pub use open::{default_uri, open, open_copies, open_default};
pub use timing::TimeLedger;
pub use updates::Updates;
pub use uri::DeviceUri;
