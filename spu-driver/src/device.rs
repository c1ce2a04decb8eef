//! The [`Device`] trait and the values that go in and out of it.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde::Serialize;
use spu_protocol::code::{AdcCode, CouplingCode, DacCode, GainCode, Ticks};
use spu_protocol::payload::InfoReply;
use spu_protocol::payload::info::BoardKind;
use spu_protocol::payload::load::SeedWords;

use crate::bulk::Bulk;
use crate::error::Error;
use crate::link::LinkStats;
use crate::mcu::LastRun;
use crate::time;
use crate::updates::Updates;

/// A stochastic processing unit, on whatever rung.
///
/// Object-safe, `Send`, synchronous. Every call ends by its deadline. An error leaves the device
/// usable unless it is [`Error::Disconnected`] or [`Error::Version`].
pub trait Device: Send {
    /// Identity and profile, read when the device was opened.
    fn info(&self) -> &BoardInfo;

    /// The URI that opens this device again.
    fn uri(&self) -> &str;

    /// Sets self terms, couplings, drive, bias and seeds, and returns the values that were
    /// actually applied, read back from the board.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with every reason if the board cannot hold the program; nothing is
    /// changed then. Link errors.
    fn load(&mut self, program: &Program, deadline: Deadline) -> Result<Applied, Error>;

    /// Lets the board settle and samples it. Frames go to `sink`, if the plan streams; moments
    /// come in the report. A cancelled acquisition is not an error: the report says
    /// [`Outcome::Cancelled`] and holds what was measured.
    ///
    /// # Errors
    /// [`Error::Unsupported`], [`Error::Timeout`], [`Error::Sink`]; link errors.
    fn acquire(
        &mut self,
        plan: &AcquirePlan,
        sink: &mut dyn Sink,
        deadline: Deadline,
    ) -> Result<Report, Error>;

    /// Reads consecutive 32-bit registers from byte address `address`.
    ///
    /// # Errors
    /// [`Error::Device`] for an address outside the map; link errors.
    fn read_regs(&mut self, address: u16, out: &mut [u32], deadline: Deadline)
    -> Result<(), Error>;

    /// Writes consecutive 32-bit registers from byte address `address`.
    ///
    /// # Errors
    /// [`Error::Device`] for an address outside the map or read-only; link errors.
    fn write_regs(&mut self, address: u16, words: &[u32], deadline: Deadline) -> Result<(), Error>;

    /// Runs the on-board tests up to `level` (0 bus, 1 digital path, 2 analog path).
    ///
    /// # Errors
    /// Link errors; a failed test is not an error but in the report.
    fn self_test(&mut self, level: u32, deadline: Deadline) -> Result<SelfTestReport, Error>;

    /// Resets the board and opens a new session.
    ///
    /// # Errors
    /// Link errors.
    fn reset(&mut self, level: ResetLevel, deadline: Deadline) -> Result<(), Error>;

    /// Sends `payload` there and back.
    ///
    /// # Errors
    /// Link errors.
    fn ping(&mut self, payload: &[u8], deadline: Deadline) -> Result<(), Error>;

    /// Counters of the link since the device was opened.
    fn link_stats(&self) -> LinkStats;

    /// A handle that cancels a running acquisition from another thread.
    fn cancel_handle(&self) -> CancelHandle;

    /// Its updates of firmware and gateware, which [`flash`](crate::flash) goes by.
    ///
    /// # Errors
    /// [`Error::Unsupported`] of a device that takes none.
    fn updates(&mut self) -> Result<&mut dyn Updates, Error> {
        Err(Error::Unsupported { reasons: vec![format!("{} takes no updates", self.uri())] })
    }

    /// Its bulk memory, which [`factored`](crate::factored) goes by.
    ///
    /// # Errors
    /// [`Error::Unsupported`] of a device that is not a factored board.
    fn bulk(&mut self) -> Result<&mut dyn Bulk, Error> {
        Err(Error::Unsupported { reasons: vec![format!("{} has no bulk memory", self.uri())] })
    }
}

/// A moment by which a call must end.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    start: Instant,
    allowed: Duration,
}

impl Deadline {
    /// This long from now.
    pub fn after(allowed: Duration) -> Self {
        Self { start: time::now(), allowed }
    }

    /// This many seconds from now.
    pub fn after_secs(seconds: u64) -> Self {
        Self::after(Duration::from_secs(seconds))
    }

    /// Time left, zero if passed.
    pub fn left(&self) -> Duration {
        self.allowed.saturating_sub(time::now().saturating_duration_since(self.start))
    }

    /// This deadline, or this long from now, whichever is sooner.
    #[must_use]
    pub fn within(&self, at_most: Duration) -> Self {
        Self::after(at_most.min(self.left()))
    }

    /// True once it has passed.
    pub fn passed(&self) -> bool {
        self.left().is_zero()
    }

    /// The whole time that was allowed.
    pub fn allowed(&self) -> Duration {
        self.allowed
    }

    /// [`Error::Timeout`] of this deadline.
    pub fn timeout(&self, op: &'static str) -> Error {
        Error::Timeout { op, after: self.allowed }
    }
}

/// Identity and nominal values of an opened board.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BoardInfo {
    /// Serial number.
    pub serial: u64,
    /// Profile name, e.g. `rev-a`.
    pub profile: String,
    /// Firmware version.
    pub firmware: String,
    /// Identity of the gateware's build.
    pub gateware_id: u32,
    /// Content hash of the calibration in board memory, if there is one.
    pub calibration_id: Option<u64>,
    /// Number of cells.
    pub cells: usize,
    /// Number of couplings, `cells (cells − 1) / 2`.
    pub couplings: usize,
    /// How the last run of its microcontroller ended, if it ended badly and nobody was told yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
    /// Everything else, as the board said it. Its `kind` is known to this driver.
    #[serde(skip)]
    pub raw: InfoReply,
}

impl BoardInfo {
    /// Kind of the analog board.
    pub fn kind(&self) -> BoardKind {
        BoardKind::from_u16(self.raw.kind).unwrap_or(BoardKind::Rlc)
    }

    /// What such a board is for, to end a refusal with.
    pub fn purpose(&self) -> &'static str {
        match self.kind() {
            BoardKind::Rlc => "its covariance inverts (`spu invert`)",
            BoardKind::Rc => "it relaxes to a mean: use RcBoard, `spu solve` or `spu train`",
            BoardKind::Factored => {
                "it relaxes a node for each parameter: `spu train --backend array`"
            }
        }
    }

    /// True if a simulator takes the place of gateware and cells: those name themselves `SIM` and a
    /// digit. Their time runs by no clock.
    pub fn is_simulated(&self) -> bool {
        is_simulated(self.gateware_id)
    }

    /// Sample period, in seconds.
    pub fn sample_period_s(&self) -> f64 {
        1.0 / f64::from(self.raw.sample_clock_hz)
    }

    /// Index of coupling `(i, j)`, `i < j < cells`, in the coupling arrays.
    pub fn pair(&self, i: usize, j: usize) -> usize {
        pair_index(self.cells, i, j)
    }
}

/// True for the identity of a simulator's gateware.
pub(crate) fn is_simulated(gateware_id: u32) -> bool {
    gateware_id.to_be_bytes().starts_with(b"SIM")
}

/// Index of the unordered pair `(i, j)`, `i ≠ j`, among the pairs (0,1), (0,2) … (1,2) … of `n`.
pub fn pair_index(n: usize, i: usize, j: usize) -> usize {
    let (i, j) = (i.min(j), i.max(j));
    i * (2 * n - i - 1) / 2 + j - i - 1
}

/// What is set on a board before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Self-term code of each cell.
    pub self_codes: Vec<CouplingCode>,
    /// Coupling code of each pair, ordered as [`pair_index`].
    pub coupling_codes: Vec<CouplingCode>,
    /// Noise gain of each cell.
    pub gain_codes: Vec<GainCode>,
    /// Bias current of each cell.
    pub bias_codes: Vec<DacCode>,
    /// Storage code of each cell; empty for boards without storage banks.
    pub storage_codes: Vec<CouplingCode>,
    /// Seeds of the noise generators; `None` lets them run on.
    pub seeds: Option<Vec<SeedWords>>,
    /// Start from zero volts and amperes.
    pub discharge: bool,
}

impl Program {
    /// Every switch open, no noise, no bias, started from zero.
    pub fn open(info: &BoardInfo) -> Self {
        let storage = if info.raw.storage_bits > 0 { info.cells } else { 0 };
        Self {
            self_codes: vec![CouplingCode(0); info.cells],
            coupling_codes: vec![CouplingCode(0); info.couplings],
            gain_codes: vec![GainCode(0); info.cells],
            bias_codes: vec![DacCode(0); info.cells],
            storage_codes: vec![CouplingCode(0); storage],
            seeds: None,
            discharge: true,
        }
    }
}

/// What was applied, read back from the board: codes, and by the profile's nominal LSBs values.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The codes.
    pub program: Program,
    /// Nominal matrix of self terms and couplings, `cells × cells`: the Maxwell capacitance matrix with
    /// stray capacitance, in farads, or of RC boards the conductance matrix with leakage, in siemens.
    pub network: ndarray::Array2<f64>,
    /// Nominal root-mean-square noise current of each cell, in amperes.
    pub noise_rms_ampere: Vec<f64>,
}

/// What to sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AcquirePlan {
    /// Ticks before the first sample.
    #[serde(serialize_with = "ticks")]
    pub settle: Ticks,
    /// One tick in this many is kept; nothing is averaged.
    pub decimation: NonZeroU32,
    /// Ticks to keep.
    pub count: NonZeroU32,
    /// Accumulate moments on the board.
    pub moments: bool,
    /// Send the kept frames.
    pub stream: bool,
    /// Lose (and count) frames where the link is too slow, instead of stalling the clock.
    pub realtime: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn ticks<S: serde::Serializer>(ticks: &Ticks, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(ticks.0)
}

/// Consecutive kept frames.
#[derive(Debug)]
pub struct FrameBlock<'a> {
    /// Index of the first frame among all kept ones, lost ones included.
    pub first_frame: u64,
    /// Tick at which the first frame was sampled, from 0 at the start of the sequencer: settling
    /// time plus [`first_frame`](Self::first_frame) times the decimation. Each further frame is a
    /// decimation later.
    pub tick: Ticks,
    /// Frames lost just before this block.
    pub lost_before: u64,
    /// Codes, frame by frame, `cells` each.
    pub codes: &'a [AdcCode],
}

/// Takes what an acquisition delivers.
pub trait Sink {
    /// Called before the first frames of an acquisition, which has to end by this deadline: a sink
    /// that waits gives up then.
    fn begin(&mut self, deadline: Deadline) {
        let _ = deadline;
    }

    /// Takes frames. An error stops the acquisition.
    ///
    /// # Errors
    /// Whatever keeps the sink from storing them.
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()>;

    /// Frames that are stored so far, where that is not simply all that it took; goes into
    /// [`Error::Sink`].
    fn stored(&self) -> Option<u64> {
        None
    }

    /// Called now and then with the number of kept ticks so far and in all.
    fn progress(&mut self, kept: u64, total: u64) {
        let _ = (kept, total);
    }
}

/// Drops all frames.
#[derive(Debug, Default, Clone, Copy)]
pub struct NullSink;

impl Sink for NullSink {
    fn frames(&mut self, _block: &FrameBlock<'_>) -> std::io::Result<()> {
        Ok(())
    }
}

/// How an acquisition ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All that was planned.
    Complete,
    /// Cancelled; the report holds what was measured until then.
    Cancelled,
}

/// Moments of ADC codes, summed on the board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moments {
    /// Number of samples.
    pub count: u64,
    /// Sum of each cell's codes.
    pub sums: Vec<i128>,
    /// Sum of products of codes, pairs (0,0), (0,1) … (0,n−1), (1,1) ….
    pub products: Vec<i128>,
}

/// Wall time spent by phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Phases {
    /// Building requests.
    pub encode: Duration,
    /// Setting banks and registers.
    pub program: Duration,
    /// Waiting for the cells to settle, and sampling, as seen from the host.
    pub acquire: Duration,
    /// Moving bytes.
    pub transfer: Duration,
    /// Parsing and unpacking.
    pub decode: Duration,
}

impl Phases {
    /// All of them together.
    pub fn total(&self) -> Duration {
        self.encode + self.program + self.acquire + self.transfer + self.decode
    }

    /// Adds the times of another run.
    pub fn add(&mut self, other: &Self) {
        self.encode += other.encode;
        self.program += other.program;
        self.acquire += other.acquire;
        self.transfer += other.transfer;
        self.decode += other.decode;
    }
}

/// Result of an acquisition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// Ticks kept, lost ones included.
    pub kept: u64,
    /// Kept frames that were lost on the way.
    pub lost: u64,
    /// Ticks run, settling included: sampled time on the board.
    #[serde(serialize_with = "ticks")]
    pub ticks: Ticks,
    /// Kept samples of each cell at the end of the converter's range.
    pub saturated: Vec<u64>,
    /// Moments over the kept ticks, if planned.
    pub moments: Option<Moments>,
    /// Wall time by phase.
    pub phases: Phases,
}

/// How deep a reset goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum ResetLevel {
    /// Sequencer and session.
    Session = 0,
    /// The FPGA's registers too.
    Fpga = 1,
    /// The microcontroller.
    Controller = 2,
}

/// Result of the on-board tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SelfTestReport {
    /// Name of each test that ran, and whether it passed.
    pub tests: Vec<(String, bool)>,
    /// Expected and found value of the first failure.
    pub first_failure: Option<(u32, u32)>,
}

impl SelfTestReport {
    /// True if every test that ran passed.
    pub fn passed(&self) -> bool {
        self.tests.iter().all(|(_, ok)| *ok)
    }
}

/// Cancels acquisitions from another thread. Cancelling is sticky until [`CancelHandle::clear`].
#[derive(Clone, Default)]
pub struct CancelHandle(Arc<Cancel>);

#[derive(Default)]
struct Cancel {
    cancelled: AtomicBool,
    wakers: Mutex<Vec<Weak<dyn Wake>>>,
}

/// Something that may be waiting when an acquisition is cancelled.
pub(crate) trait Wake: Send + Sync {
    /// Looks again at whether it is cancelled. Called after it was.
    fn wake(&self);
}

impl CancelHandle {
    /// A new handle.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the running acquisition to stop.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        let wakers: Vec<_> = self.wakers().iter().filter_map(Weak::upgrade).collect();
        for waker in wakers {
            waker.wake();
        }
    }

    /// True once cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Allows acquisitions again.
    pub fn clear(&self) {
        self.0.cancelled.store(false, Ordering::Release);
    }

    /// Wakes this at each cancel, as long as it exists.
    pub(crate) fn wake_too(&self, waker: Weak<dyn Wake>) {
        let mut wakers = self.wakers();
        wakers.retain(|waker| waker.strong_count() > 0);
        wakers.push(waker);
    }

    fn wakers(&self) -> MutexGuard<'_, Vec<Weak<dyn Wake>>> {
        // Every change of the list is a single step.
        self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelHandle").field(&self.is_cancelled()).finish()
    }
}
