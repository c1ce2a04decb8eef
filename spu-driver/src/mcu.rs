//! A board's microcontroller: how it started, how its last run ended, and how well it keeps time.

use std::fmt;

use serde::Serialize;
use spu_protocol::regs::{self, mcu_control, mcu_start};

use crate::device::{Deadline, Device};
use crate::error::Error;

/// Why the microcontroller last started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartCause {
    /// Power came on.
    PowerOn,
    /// A reset was asked for.
    Requested,
    /// The firmware panicked.
    Panic,
    /// The processor met a fault.
    Fault,
    /// The watchdog, the reset pin or a debugger.
    Watchdog,
    /// The supply dipped.
    BrownOut,
    /// A cause that this driver does not know.
    Unknown,
}

impl StartCause {
    fn of(word: u32) -> Self {
        match word & mcu_start::CAUSE_MASK {
            mcu_start::CAUSE_POWER_ON => Self::PowerOn,
            mcu_start::CAUSE_REQUESTED => Self::Requested,
            mcu_start::CAUSE_PANIC => Self::Panic,
            mcu_start::CAUSE_FAULT => Self::Fault,
            mcu_start::CAUSE_WATCHDOG => Self::Watchdog,
            mcu_start::CAUSE_BROWN_OUT => Self::BrownOut,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for StartCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowerOn => "power came on",
            Self::Requested => "a reset that was asked for",
            Self::Panic => "the firmware panicked",
            Self::Fault => "the processor met a fault",
            Self::Watchdog => "watchdog, reset pin or debugger",
            Self::BrownOut => "the supply dipped",
            Self::Unknown => "unknown to this driver",
        })
    }
}

/// How the last run of a microcontroller ended. It tells each run's end once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastRun {
    /// What ended it.
    pub cause: StartCause,
    /// Where it panicked, or what fault it met.
    pub text: String,
}

impl fmt::Display for LastRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.text)
    }
}

/// Reads the report of `octets` through `read`, from which words at an address come.
///
/// # Errors
/// Those of `read`.
pub(crate) fn last_run(
    octets: u32,
    mut read: impl FnMut(u16, &mut [u32]) -> Result<(), Error>,
) -> Result<LastRun, Error> {
    let mut start = [0];
    read(regs::MCU_START, &mut start)?;
    let mut words = [0; regs::MCU_REPORT_LEN];
    read(regs::mcu_report(0), &mut words)?;
    let mut text: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    text.truncate(octets as usize);
    Ok(LastRun {
        cause: StartCause::of(start[0]),
        text: String::from_utf8_lossy(&text).into_owned(),
    })
}

/// How well a microcontroller keeps time, since it started or since [`clear`]. Times are in
/// microseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timing {
    /// Number of the microcontroller's board.
    pub board: u32,
    /// Why it last started.
    pub cause: StartCause,
    /// Starts since power came on, before this one.
    pub starts: u32,
    /// Rate of the counter behind the times, in hertz: their resolution.
    pub counter_hz: u32,
    /// Rate of the tick that paces the firmware, in hertz.
    pub tick_hz: u32,
    /// Ticks that came.
    pub ticks: u32,
    /// Ticks that did not come.
    pub ticks_lost: u32,
    /// Most that a tick came early.
    pub early_us: f64,
    /// Most that a tick came late.
    pub late_us: f64,
    /// Longest piece of work of the main loop.
    pub service_us: f64,
    /// The same in counts of the counter.
    pub service_counts: u32,
    /// Most octets of the stack that were ever used.
    pub stack_used: u32,
    /// Octets of the stack.
    pub stack_size: u32,
    /// Octets from the host that found no room.
    pub receive_overruns: u32,
    /// Most octets from the host that waited.
    pub receive_high: u32,
    /// Most frames seen in the capture memory.
    pub fifo_high: u32,
}

/// What a device's microcontroller says of its timing; `None` where there is no microcontroller, or
/// its firmware is too old to tell.
///
/// # Errors
/// Those of the device.
pub fn timing(device: &mut dyn Device, deadline: Deadline) -> Result<Option<Timing>, Error> {
    const COUNT: usize = ((regs::MCU_FIFO_HIGH - regs::MCU_BOARD) / 4) as usize + 1;
    let mut words = [0; COUNT];
    match device.read_regs(regs::MCU_BOARD, &mut words, deadline) {
        Err(Error::Device { code: spu_protocol::error::ErrorCode::BadAddress, .. }) => {
            return Ok(None);
        }
        result => result?,
    }
    let word = |address: u16| words[usize::from((address - regs::MCU_BOARD) / 4)];
    let counter_hz = word(regs::MCU_COUNTER_HZ);
    if word(regs::MCU_BOARD) == 0 || counter_hz == 0 {
        return Ok(None);
    }
    let micros = |address| f64::from(word(address)) * 1e6 / f64::from(counter_hz);
    let start = word(regs::MCU_START);
    Ok(Some(Timing {
        board: word(regs::MCU_BOARD),
        cause: StartCause::of(start),
        starts: start >> mcu_start::STARTS_SHIFT,
        counter_hz,
        tick_hz: word(regs::MCU_TICK_HZ),
        ticks: word(regs::MCU_TICKS),
        ticks_lost: word(regs::MCU_TICKS_LOST),
        early_us: micros(regs::MCU_TICK_EARLY),
        late_us: micros(regs::MCU_TICK_LATE),
        service_us: micros(regs::MCU_SERVICE),
        service_counts: word(regs::MCU_SERVICE),
        stack_used: word(regs::MCU_STACK_USED),
        stack_size: word(regs::MCU_STACK_SIZE),
        receive_overruns: word(regs::MCU_RX_OVERRUNS),
        receive_high: word(regs::MCU_RX_HIGH),
        fifo_high: word(regs::MCU_FIFO_HIGH),
    }))
}

/// Starts the worst cases of [`timing`] afresh.
///
/// # Errors
/// Those of the device.
pub fn clear(device: &mut dyn Device, deadline: Deadline) -> Result<(), Error> {
    device.write_regs(regs::MCU_CONTROL, &[mcu_control::CLEAR_TIMING], deadline)
}
