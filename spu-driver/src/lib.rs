//! Host driver of the spu stack.
//!
//! [`Device`] is what every rung looks like from the host, from the in-process simulator to a board
//! behind a cable. Operations (inversion, sampling) are functions over `dyn Device`, so no
//! back end writes them again; an ensemble runs them on several copies of a board and judges
//! whether the copies agree.

pub mod device;
pub mod error;

pub use device::{
    AcquirePlan, Applied, BoardInfo, CancelHandle, Deadline, Device, FrameBlock, Moments, NullSink,
    Outcome, Phases, Program, Report, ResetLevel, SelfTestReport, Sink,
};
pub use error::Error;
