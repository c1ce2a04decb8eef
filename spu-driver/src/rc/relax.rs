//! Runs a relaxation on an RC board and reads its voltages.

use std::num::NonZeroU32;
use std::time::Duration;

use ndarray::ArrayRef2;
use serde::Serialize;
use spu_protocol::code::{DacCode, GainCode, full_scale_code};

use crate::device::{BoardInfo, Device, Phases, Report};
use crate::error::Error;
use crate::linalg::symmetric_eigen;
use crate::plan::NOISE_PEAK;
use crate::rc::model::{RcModel, require_rc};
use crate::rc::plan::{Banks, RcPlan};
use crate::rc::read::{Read, read};
use crate::seeds::noise_seeds;

/// Part of the slowest mode that is left when a board counts as settled.
const SETTLED: f64 = 1e-5;
/// Part of the converter's range that the largest voltage should reach at least.
const USED: f64 = 0.4;
/// Part of the DAC's range that the first run uses.
const FIRST: f64 = 0.1;
/// Part of the range that a repeated run aims at.
const AIM: f64 = 0.8;
/// Most runs to find an amplitude.
const MAX_RUNS: u32 = 12;

/// How to run a relaxation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RelaxOptions {
    /// κ₀: strength of the noise, `dx = −(T x − b) dt + N[0, 2κ₀ dt]`.
    pub noise: f64,
    /// Times it is run; the reads are averaged.
    pub reads: NonZeroU32,
    /// Seed of the noise; `None` lets the generators run on.
    pub seed: Option<u64>,
    /// Most wall time of one run.
    pub timeout: Duration,
}

impl Default for RelaxOptions {
    /// No noise, one read, 30 s.
    fn default() -> Self {
        let timeout = Duration::from_secs(30);
        Self { noise: 0.0, reads: NonZeroU32::MIN, seed: None, timeout }
    }
}

/// What a relaxation read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Relaxation {
    /// x at the end, n.
    pub x: Vec<f64>,
    /// Time that it ran, in T's units: the wanted one, as near as whole ticks come.
    pub time: f64,
    /// Ticks of one run.
    pub run_ticks: u64,
    /// Ticks of all runs, those that found the amplitude included.
    pub ticks: u64,
    /// Runs.
    pub runs: u32,
    /// Largest voltage over the converter's range.
    pub used: f64,
    /// The converter's step, in units of each x: a read is off by up to half of it.
    pub steps: Vec<f64>,
    /// Wall time by phase.
    pub phases: Phases,
}

/// Runs relaxations on RC boards of one model.
#[derive(Debug, Clone)]
pub struct Relaxer {
    model: RcModel,
    info: BoardInfo,
    banks: Banks,
}

impl Relaxer {
    /// For the board of this model, nominal or measured.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a board of another kind.
    pub fn new(info: &BoardInfo, model: RcModel) -> Result<Self, Error> {
        require_rc(info)?;
        let banks = Banks::new(&model);
        Ok(Self { model, info: info.clone(), banks })
    }

    /// The board's values.
    pub fn model(&self) -> &RcModel {
        &self.model
    }

    /// Cells of the board.
    pub fn cells(&self) -> usize {
        self.model.cell_count()
    }

    /// How the board holds `t`.
    ///
    /// # Errors
    /// As [`RcPlan::new`].
    pub fn plan(&self, t: &ArrayRef2<f64>) -> Result<RcPlan, Error> {
        RcPlan::on(&self.banks, &self.model, &self.info, t, None)
    }

    /// The same for a relaxation of `time`, in T's units: the capacitors are set so that it takes whole
    /// ticks. A time of less than a sixteenth of a tick cannot be slowed down to one.
    ///
    /// # Errors
    /// As [`RcPlan::new`].
    pub fn plan_for(&self, t: &ArrayRef2<f64>, time: f64) -> Result<RcPlan, Error> {
        RcPlan::on(&self.banks, &self.model, &self.info, t, Some(time))
    }

    /// Lets `ẋ = −(T x − b)` run from zero for `time`, in T's units, and reads x. Where the converter
    /// saturates or little of its range is used, the run is repeated with another bias. What is read depends
    /// on nothing that ran before, but for noise without a seed.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a time that is not positive or too long for the sequencer, a b that
    /// is not of n finite numbers, or a noise that the DAC cannot make; what the device says.
    pub fn relax(
        &self,
        device: &mut dyn Device,
        plan: &RcPlan,
        b: &[f64],
        time: f64,
        options: &RelaxOptions,
    ) -> Result<Relaxation, Error> {
        let refuse = |reason: String| Err(Error::Unsupported { reasons: vec![reason] });
        if b.len() != plan.n() || b.iter().any(|value| !value.is_finite()) {
            return refuse(format!("b has to be {} finite numbers", plan.n()));
        }
        if !(options.noise >= 0.0 && options.noise.is_finite()) {
            return refuse(format!("a noise of {} is not a number from 0 up", options.noise));
        }
        let tick = plan.rate() * self.model.period_s;
        let ticks = (time / tick).round().max(1.0);
        // Not a number, negative, or beyond the sequencer's 32 bits.
        if !(time > 0.0 && ticks < f64::from(u32::MAX)) {
            return refuse(format!(
                "a time of {time} cannot be run: it has to be positive and at most {:.3e}",
                tick * f64::from(u32::MAX)
            ));
        }
        if b.iter().all(|value| *value == 0.0) && options.noise == 0.0 {
            let (x, steps) = (vec![0.0; b.len()], vec![0.0; b.len()]);
            let (phases, time) = (Phases::default(), ticks * tick);
            return Ok(Relaxation {
                x,
                time,
                run_ticks: 0,
                ticks: 0,
                runs: 0,
                used: 0.0,
                steps,
                phases,
            });
        }
        let job = Job { plan, b, settle: ticks as u64 - 1, options };
        let mut runs = Runs { count: 0, ticks: 0, phases: Phases::default() };
        let mut top = FIRST;
        let (s, first) = loop {
            let (s, read) = self.run(device, &job, top, options.seed)?;
            runs.add(&read.report);
            let used = self.used(&read);
            let saturated = read.saturated().is_some();
            let wanted = if saturated { top / 4.0 } else { (top * AIM / used.max(0.02)).min(1.0) };
            let good = !saturated && (used >= USED || wanted <= top * 1.01);
            let least = 1.0 / f64::from(full_scale_code(self.info.raw.dac_bits));
            if good || runs.count >= MAX_RUNS || (saturated && top <= least) {
                break (s, read);
            }
            top = wanted.max(least);
        };
        if first.saturated().is_some() {
            return refuse(
                "the converters saturate at the smallest bias; the matrix is nearly singular: raise \
                 the damping"
                    .into(),
            );
        }
        let used = self.used(&first);
        let mut volts = self.volts(&first);
        for _ in 1..options.reads.get() {
            let (_, read) = self.run(device, &job, top, None)?;
            runs.add(&read.report);
            for (sum, value) in volts.iter_mut().zip(self.volts(&read)) {
                *sum += value;
            }
        }
        let unit = |i: usize| plan.scale[i] / s;
        let x = (0..b.len()).map(|i| unit(i) * volts[i] / f64::from(options.reads.get())).collect();
        let steps = (0..b.len()).map(|i| unit(i) / self.model.cells[i].adc_gain).collect();
        Ok(Relaxation {
            x,
            time: ticks * tick,
            run_ticks: ticks as u64,
            ticks: runs.ticks,
            runs: runs.count,
            used,
            steps,
            phases: runs.phases,
        })
    }

    /// Solves `T x = b` by the mean: waits until the slowest mode has settled and reads x.
    ///
    /// # Errors
    /// As [`relax`](Self::relax); [`Error::Unsupported`] for a matrix that the banks hold as one that is
    /// not positive definite.
    pub fn solve(
        &self,
        device: &mut dyn Device,
        plan: &RcPlan,
        b: &[f64],
        options: &RelaxOptions,
    ) -> Result<Relaxation, Error> {
        let (values, _) = symmetric_eigen(plan.held());
        let slowest = values.iter().copied().fold(f64::INFINITY, f64::min);
        if slowest <= 0.0 {
            return Err(Error::Unsupported {
                reasons: vec![
                    "as the banks hold the matrix it is not positive definite; its condition number is \
                     too large for their bits"
                        .into(),
                ],
            });
        }
        self.relax(device, plan, b, -SETTLED.ln() / slowest, options)
    }

    /// A run at this part of the DAC's range, with noise from a new seed if there is one: s, and what was
    /// read.
    fn run(
        &self,
        device: &mut dyn Device,
        job: &Job<'_>,
        top: f64,
        seed: Option<u64>,
    ) -> Result<(f64, Read), Error> {
        let Job { plan, b, settle, options } = *job;
        let noise = self.noise(plan, options.noise);
        let peaks: Vec<f64> = noise.iter().map(|rms| NOISE_PEAK * rms).collect();
        let (codes, s) = plan.bias(&self.model, &self.info, b, &peaks, top);
        let mut program = plan.program.clone();
        program.bias_codes = codes.into_iter().map(DacCode).collect();
        program.gain_codes = self.gains(s, &noise)?;
        if options.noise > 0.0 {
            program.seeds = seed.map(|seed| noise_seeds(seed, 0, self.cells()));
        }
        Ok((s, read(device, &program, settle, NonZeroU32::MIN, options.timeout)?))
    }

    /// Deviation of the DAC's code in each row for noise of strength κ₀ in x, per unit of s: with a current
    /// of σ held for ticks of h, `σ_i = s d_i √(2 κ₀ c₀ g₀ / h)`.
    fn noise(&self, plan: &RcPlan, strength: f64) -> Vec<f64> {
        let density = (2.0 * strength * plan.farad * plan.siemens / self.model.period_s).sqrt();
        let rows = plan.scale.iter().zip(&self.model.cells);
        rows.map(|(scale, cell)| scale * density / cell.drive_ampere).collect()
    }

    /// Gains that make this noise.
    fn gains(&self, s: f64, noise: &[f64]) -> Result<Vec<GainCode>, Error> {
        let rms = f64::from(self.info.raw.noise_rms_code);
        let mut gains = vec![GainCode(0); self.cells()];
        for (i, (gain, noise)) in gains.iter_mut().zip(noise).enumerate() {
            let code = (s * noise / rms / GainCode(1).factor()).round();
            if code > f64::from(u16::MAX) {
                return Err(Error::Unsupported {
                    reasons: vec![format!(
                        "this noise is more than the generator of cell {i} makes; ask for less of it"
                    )],
                });
            }
            *gain = GainCode(code as u16);
        }
        Ok(gains)
    }

    fn volts(&self, read: &Read) -> Vec<f64> {
        let cells = read.codes.iter().zip(&self.model.cells);
        cells.map(|(code, cell)| (code - cell.adc_offset) / cell.adc_gain).collect()
    }

    /// Largest code over full scale.
    fn used(&self, read: &Read) -> f64 {
        let largest = read.codes.iter().fold(0.0_f64, |most, code| most.max(code.abs()));
        largest / f64::from(full_scale_code(self.info.raw.adc_bits))
    }
}

/// What all runs of a relaxation share.
#[derive(Clone, Copy)]
struct Job<'a> {
    plan: &'a RcPlan,
    b: &'a [f64],
    /// Ticks before the one that is sampled.
    settle: u64,
    options: &'a RelaxOptions,
}

/// What runs took together.
struct Runs {
    count: u32,
    ticks: u64,
    phases: Phases,
}

impl Runs {
    fn add(&mut self, report: &Report) {
        self.count += 1;
        self.ticks += report.ticks.0;
        self.phases.add(&report.phases);
    }
}
