//! What calibration asks of a device: step responses.

use std::num::NonZeroU32;
use std::time::Duration;

use spu_protocol::code::{AdcCode, CouplingCode, DacCode, GainCode, Ticks};

use super::local::StepRun;
use crate::board_model::bank_top;
use crate::device::{
    AcquirePlan, BoardInfo, Deadline, Device, FrameBlock, Outcome, Program, Report, Sink,
};
use crate::error::Error;

/// Bank codes of one programming.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programming {
    pub(super) selves: Vec<i16>,
    pub(super) couplings: Vec<i16>,
}

/// A device under calibration.
pub(super) struct Bench<'a> {
    pub(super) device: &'a mut dyn Device,
    pub(super) info: BoardInfo,
    pub(super) timeout: Option<Duration>,
    /// Ticks run so far.
    pub(super) ticks: u64,
}

/// Samples of all cells and how many of each were at the end of the range.
pub(super) struct Trace {
    pub(super) codes: Vec<i16>,
    pub(super) saturated: Vec<u64>,
}

impl Trace {
    /// The codes of one cell.
    pub(super) fn of(&self, cell: usize, cells: usize) -> impl Iterator<Item = i16> + '_ {
        self.codes.iter().skip(cell).step_by(cells).copied()
    }

    /// Highest minus lowest code of a cell.
    pub(super) fn swing(&self, cell: usize, cells: usize) -> i32 {
        let (low, high) = self
            .of(cell, cells)
            .fold((i16::MAX, i16::MIN), |(low, high), code| (low.min(code), high.max(code)));
        i32::from(high) - i32::from(low)
    }
}

impl<'a> Bench<'a> {
    pub(super) fn new(device: &'a mut dyn Device, timeout: Option<Duration>) -> Self {
        let info = device.info().clone();
        Self { device, info, timeout, ticks: 0 }
    }

    fn deadline(&self, ticks: u64) -> Deadline {
        Deadline::after(self.timeout.unwrap_or(Duration::from_secs(30 + ticks / 1_000_000)))
    }

    /// The program of these banks, without noise.
    pub(super) fn program(&self, programming: &Programming, bias: &[i16]) -> Program {
        Program {
            self_codes: programming.selves.iter().map(|code| CouplingCode(*code)).collect(),
            coupling_codes: programming.couplings.iter().map(|code| CouplingCode(*code)).collect(),
            gain_codes: vec![GainCode(0); self.info.cells],
            bias_codes: bias.iter().map(|code| DacCode(*code)).collect(),
            storage_codes: Vec::new(),
            seeds: None,
            discharge: true,
        }
    }

    /// Leaves the board without noise and bias, with all self terms connected.
    pub(super) fn rest(&mut self) -> Result<(), Error> {
        let programming = Programming {
            selves: vec![bank_top(self.info.raw.self_bits); self.info.cells],
            couplings: vec![0; self.info.couplings],
        };
        let program = self.program(&programming, &vec![0; self.info.cells]);
        self.load(&program)
    }

    pub(super) fn load(&mut self, program: &Program) -> Result<(), Error> {
        let deadline = self.deadline(0);
        self.device.load(program, deadline).map(drop)
    }

    pub(super) fn acquire(
        &mut self,
        plan: &AcquirePlan,
        sink: &mut dyn Sink,
    ) -> Result<Report, Error> {
        let ticks = plan.settle.0 + u64::from(plan.count.get()) * u64::from(plan.decimation.get());
        let deadline = self.deadline(ticks);
        let report = self.device.acquire(plan, sink, deadline)?;
        self.ticks += report.ticks.0;
        if report.outcome == Outcome::Cancelled {
            return Err(Error::Cancelled);
        }
        if report.lost > 0 {
            return Err(Error::Lost { frames: report.lost });
        }
        Ok(report)
    }

    /// Steps of these heights from rest, and the next `ticks` samples.
    pub(super) fn step(
        &mut self,
        programming: &Programming,
        bias: &[i16],
        ticks: usize,
    ) -> Result<Trace, Error> {
        let program = self.program(programming, bias);
        self.load(&program)?;
        let count = u32::try_from(ticks).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let plan = AcquirePlan {
            settle: Ticks(0),
            decimation: NonZeroU32::MIN,
            count,
            moments: false,
            stream: true,
            realtime: false,
        };
        let mut keep = Keep(Vec::with_capacity(ticks * self.info.cells));
        let report = self.acquire(&plan, &mut keep)?;
        if keep.0.len() != count.get() as usize * self.info.cells {
            return Err(Error::Corrupt {
                what: format!("{} codes of {count} ticks", keep.0.len()),
            });
        }
        Ok(Trace { codes: keep.0, saturated: report.saturated })
    }

    /// A step of one cell.
    pub(super) fn step_of(
        &mut self,
        programming: &Programming,
        input: usize,
        bias: i16,
        ticks: usize,
    ) -> Result<Trace, Error> {
        let mut all = vec![0; self.info.cells];
        all[input] = bias;
        self.step(programming, &all, ticks)
    }

    /// The same as data of a fit.
    pub(super) fn run(
        &mut self,
        programming: &Programming,
        input: usize,
        bias: i16,
        ticks: usize,
    ) -> Result<(StepRun, Vec<u64>), Error> {
        let trace = self.step_of(programming, input, bias, ticks)?;
        Ok((StepRun { input, bias: f64::from(bias), codes: trace.codes }, trace.saturated))
    }
}

/// Keeps codes.
struct Keep(Vec<i16>);

impl Sink for Keep {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        self.0.extend(block.codes.iter().map(|AdcCode(code)| *code));
        Ok(())
    }
}
