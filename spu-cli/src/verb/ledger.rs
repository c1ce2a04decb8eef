//! Where the time of a run went.

use serde::Serialize;
use spu_driver::TimeLedger;
use spu_driver::device::Phases;

use crate::text::{count, duration, table};

/// Wall time on the device, in seconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct PhasesView {
    pub(crate) encode: f64,
    pub(crate) program: f64,
    pub(crate) acquire: f64,
    pub(crate) transfer: f64,
    pub(crate) decode: f64,
}

impl From<Phases> for PhasesView {
    fn from(phases: Phases) -> Self {
        Self {
            encode: phases.encode.as_secs_f64(),
            program: phases.program.as_secs_f64(),
            acquire: phases.acquire.as_secs_f64(),
            transfer: phases.transfer.as_secs_f64(),
            decode: phases.decode.as_secs_f64(),
        }
    }
}

/// Time of one copy: ticks of the board's sample clock, and seconds on this computer's. The parts of each
/// add up to its `all`.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct LedgerView {
    pub(crate) ticks: TicksView,
    pub(crate) wall_s: WallView,
    /// Effective independent samples, as measured, a second on the board.
    pub(crate) effective_per_board_s: f64,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct TicksView {
    /// The run that sets the noise gain.
    pub(crate) gain: u64,
    pub(crate) settle: u64,
    pub(crate) sample: u64,
    pub(crate) all: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct WallView {
    pub(crate) program: f64,
    /// Waiting for the board, divided by its ticks: the run that sets the gain,
    pub(crate) gain: f64,
    /// settling,
    pub(crate) settle: f64,
    /// and sampling.
    pub(crate) sample: f64,
    pub(crate) transfer: f64,
    /// Building requests, and parsing replies.
    pub(crate) encode: f64,
    pub(crate) decode: f64,
    /// Planning, read-out, error bars.
    pub(crate) host: f64,
    pub(crate) all: f64,
}

impl LedgerView {
    /// `period_s`: sample period, in seconds.
    pub(crate) fn new(time: &TimeLedger, period_s: f64) -> Self {
        let TimeLedger { gain_ticks: gain, settle_ticks: settle, ticks: all, .. } = *time;
        let sample = time.sample_ticks();
        let Phases { encode, program, acquire, transfer, decode } = time.phases;
        let share = |ticks: u64| acquire.as_secs_f64() * ticks as f64 / all.max(1) as f64;
        let board_s = all as f64 * period_s;
        Self {
            ticks: TicksView { gain, settle, sample, all },
            wall_s: WallView {
                program: program.as_secs_f64(),
                gain: share(gain),
                settle: share(settle),
                sample: share(sample),
                transfer: transfer.as_secs_f64(),
                encode: encode.as_secs_f64(),
                decode: decode.as_secs_f64(),
                host: time.host.as_secs_f64(),
                all: (time.phases.total() + time.host).as_secs_f64(),
            },
            effective_per_board_s: if all == 0 { 0.0 } else { time.effective / board_s },
        }
    }
}

/// Both tables, a line a copy.
pub(crate) fn text(copies: &[(usize, LedgerView)], wall_s: f64, period_s: f64) -> String {
    let board: Vec<Vec<String>> = copies
        .iter()
        .map(|(copy, ledger)| {
            let TicksView { gain, settle, sample, all } = ledger.ticks;
            let ticks = [gain, settle, sample, all].map(count);
            let rest = [
                duration(all as f64 * period_s),
                count(ledger.effective_per_board_s.round() as u64),
            ];
            std::iter::once(copy.to_string()).chain(ticks).chain(rest).collect()
        })
        .collect();
    let host: Vec<Vec<String>> = copies
        .iter()
        .map(|(copy, ledger)| {
            let wall = ledger.wall_s;
            let times = [
                wall.program,
                wall.gain,
                wall.settle,
                wall.sample,
                wall.transfer,
                wall.encode + wall.decode,
                wall.host,
                wall.all,
            ];
            std::iter::once(copy.to_string()).chain(times.map(duration)).collect()
        })
        .collect();
    let on_board = ["copy", "set gain", "settle", "sample", "ticks", "on the board", "N_eff/s"];
    let on_host =
        ["copy", "program", "set gain", "settle", "sample", "transfer", "codec", "host", "in all"];
    format!(
        "\nTime on the board, in ticks\n{}\nWall time: {} in all\n{}",
        table(&on_board, &board),
        duration(wall_s),
        table(&on_host, &host)
    )
}
