//! ngspice and the simulator, side by side.

use nalgebra::{Complex, DMatrix, SMatrix};
use spu_protocol::code::{CouplingCode, DacCode, GainCode};
use spu_sim::analog::BankCodes;
use spu_sim::converters::{Converters as _, Kept};
use spu_sim::{AdcRow, DacRow, LANES};

use crate::analysis::{Analysis, converter};
use crate::codes;
use crate::error::SpiceError;
use crate::netlist::{Circuit, Imperfections};
use crate::ngspice;
use crate::poles::{self, Mode};

/// Steps of ngspice a sample period, at least. At 180 kHz, the fastest mode of a rev-a board, the
/// trapezoidal rule is then off by (ω h)²/12 = 3e-6 in frequency; the tests halve the step.
pub const STEPS: u32 = 16;
/// Ticks at the start of a noise record that are not used: the board starts at rest. Five of
/// the slowest time constants of a voltage, 2 R C at 6 nF: ten of its variance's.
pub const SETTLE: usize = 900;
/// Gain of the noise generators: a sixth of the converter's full scale, so that nothing clips.
pub const NOISE_GAIN: GainCode = GainCode(4096);

type Covariance = SMatrix<f64, LANES, LANES>;

/// Two sets of modes of one circuit.
#[derive(Debug, Clone)]
pub struct Resonance {
    /// By the AC response of ngspice.
    pub ngspice: Vec<Mode>,
    /// By the decay of the simulated board after a pulse.
    pub simulator: Vec<Mode>,
    /// Of ngspice's impedance of the driven cell by its curve alone: where it is largest, and that frequency
    /// over the width at −3 dB. Of one cell, that is its mode; what lies between it and the converter moves this
    /// less than a fit.
    pub curve: Mode,
}

impl Resonance {
    fn largest(&self, of: impl Fn(&Mode) -> f64) -> f64 {
        let pairs = self.ngspice.iter().zip(&self.simulator);
        pairs.map(|(a, b)| (of(a) / of(b) - 1.0).abs()).fold(0.0, f64::max)
    }

    /// Largest relative difference of the frequencies.
    pub fn hertz_error(&self) -> f64 {
        self.largest(|mode| mode.hertz)
    }

    /// Largest relative difference of the qualities.
    pub fn q_error(&self) -> f64 {
        self.largest(|mode| mode.q)
    }

    /// Relative difference of the splitting of a pair; 0 for one cell.
    pub fn splitting_error(&self) -> f64 {
        let splitting = |modes: &[Mode]| modes[modes.len() - 1].hertz - modes[0].hertz;
        if self.simulator.len() < 2 {
            return 0.0;
        }
        (splitting(&self.ngspice) / splitting(&self.simulator) - 1.0).abs()
    }
}

/// One cell (its code) or a coupled pair (both codes, that of the coupling) of a board, the other
/// cells uncoupled.
pub fn lone(self_codes: &[i16], coupling: i16) -> BankCodes {
    let mut codes = BankCodes::OPEN;
    for (code, &value) in codes.self_codes.iter_mut().zip(self_codes) {
        *code = CouplingCode(value);
    }
    codes.coupling_codes[0] = CouplingCode(coupling);
    codes
}

/// The modes of the first `coupled` cells of a board of RLC cells: of ngspice by the AC response of cell 0,
/// a rational function of 2 `coupled` poles; of the simulator by what its cell 0 does after a pulse
/// of one tick, a recurrence of the same order. The simulator's matrices are not looked at.
///
/// # Errors
/// As [`ngspice::run`]; [`SpiceError::Output`] where there are not as many modes on both sides.
pub fn resonance(circuit: &Circuit, coupled: usize) -> Result<Resonance, SpiceError> {
    let analysis = Analysis::Frequency { cell: 0, from: 20e3, to: 400e3, points: 400 };
    let run = ngspice::run(&circuit.netlist("response", &analysis))?;
    let spectrum = run.spectrum(&converter(0))?;
    let ngspice = poles::of_impedance(&spectrum, 2 * coupled).unwrap_or_default();

    let mut pulse = vec![DacRow::default(); 120];
    pulse[0][0] = DacCode(1000);
    let mut analog = circuit.analog();
    let decay: Vec<f64> = pulse.iter().map(|row| step(&mut analog, row)[0]).collect();
    let period = circuit.profile.sample_period_s();
    let simulator = poles::of_decay(&decay[1..], 2 * coupled, period).unwrap_or_default();

    if ngspice.len() != coupled || simulator.len() != coupled {
        let why = format!(
            "{coupled} modes expected, {} in ngspice, {} in the simulator: overdamped cells?",
            ngspice.len(),
            simulator.len()
        );
        return Err(SpiceError::Output { why });
    }
    let curve = curve(&spectrum).ok_or_else(|| SpiceError::Output {
        why: "the impedance has no peak with both its sides".into(),
    })?;
    Ok(Resonance { ngspice, simulator, curve })
}

/// Peak of |Z|², by the parabola through its largest three points, and its width at half its height.
fn curve(spectrum: &[(f64, Complex<f64>)]) -> Option<Mode> {
    let power: Vec<_> = spectrum.iter().map(|(_, z)| z.norm_sqr()).collect();
    let top: usize = (0..power.len()).max_by(|a, b| power[*a].total_cmp(&power[*b]))?;
    let (below, at) = (*power.get(top.checked_sub(1)?)?, power[top]);
    let above = *power.get(top + 1)?;
    let offset = 0.5 * (below - above) / (below - 2.0 * at + above);
    let step = spectrum[top + 1].0 - spectrum[top].0;
    let hertz = spectrum[top].0 + offset * step;
    let half = 0.5 * (at - 0.25 * (below - above) * offset);
    let crossing = |outer: usize, inner: usize| {
        let part = (half - power[outer]) / (power[inner] - power[outer]);
        spectrum[outer].0 + part * (spectrum[inner].0 - spectrum[outer].0)
    };
    let left = (0..top).rev().find(|k| power[*k] < half)?;
    let right = (top..power.len()).find(|k| power[*k] < half)?;
    let width = crossing(right, right - 1) - crossing(left, left + 1);
    Some(Mode { hertz, q: hertz / width })
}

/// Cell voltages after a tick.
fn step(analog: &mut spu_sim::Analog, row: &DacRow) -> [f64; LANES] {
    let mut adc = [AdcRow::default()];
    analog.convert(std::slice::from_ref(row), Kept::ALL, &mut adc);
    analog.cells().0
}

/// Samples of both, in volts at the converters: gain and offset in, neither rounded nor clipped.
#[derive(Debug, Clone)]
pub struct Samples {
    /// Of ngspice, a row a tick.
    pub ngspice: Vec<Vec<f64>>,
    /// Of the simulator.
    pub simulator: Vec<Vec<f64>>,
    full_scale: f64,
}

impl Samples {
    /// Largest difference over full scale.
    pub fn error(&self) -> f64 {
        let difference = |(a, b): (&Vec<f64>, &Vec<f64>)| {
            a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        let rows = self.ngspice.iter().zip(&self.simulator);
        rows.map(difference).fold(0.0, f64::max) / self.full_scale
    }

    /// Largest voltage over full scale: what the error is to be compared with.
    pub fn largest(&self) -> f64 {
        let values = self.simulator.iter().flatten();
        values.map(|value| value.abs()).fold(0.0, f64::max) / self.full_scale
    }
}

/// Plays `codes` into both from rest.
///
/// # Errors
/// As [`ngspice::run`].
pub fn samples(circuit: &Circuit, codes: &[DacRow], steps: u32) -> Result<Samples, SpiceError> {
    let ngspice = sampled(circuit, codes, steps)?;
    let (parts, lsb) = (&circuit.parts, circuit.profile.adc_lsb_volt());
    let mut analog = circuit.analog();
    let simulator = codes
        .iter()
        .map(|row| {
            let volts = step(&mut analog, row);
            (0..circuit.cells())
                .map(|cell| (volts[cell] * parts.adc_gain[cell] + parts.adc_offset[cell]) * lsb)
                .collect()
        })
        .collect();
    Ok(Samples { ngspice, simulator, full_scale: circuit.profile.adc.full_scale.value })
}

/// Plays `codes` into ngspice alone: volts at the converters, a row a tick.
///
/// # Errors
/// As [`ngspice::run`].
pub fn sampled(
    circuit: &Circuit,
    codes: &[DacRow],
    steps: u32,
) -> Result<Vec<Vec<f64>>, SpiceError> {
    let run = ngspice::run(&circuit.netlist("board", &Analysis::Transient { codes, steps }))?;
    let names: Vec<_> = (0..circuit.cells()).map(converter).collect();
    run.samples(&names, &circuit.profile, codes.len())
}

/// Covariance of samples after [`SETTLE`], in V².
pub fn covariance(samples: &[Vec<f64>]) -> DMatrix<f64> {
    let rows = &samples[SETTLE.min(samples.len())..];
    let (n, count) = (samples[0].len(), rows.len() as f64);
    let mean: Vec<f64> =
        (0..n).map(|cell| rows.iter().map(|row| row[cell]).sum::<f64>() / count).collect();
    DMatrix::from_fn(n, n, |i, j| {
        let products = rows.iter().map(|row| (row[i] - mean[i]) * (row[j] - mean[j]));
        products.sum::<f64>() / count
    })
}

/// Covariance of a record of ngspice and what the simulator's records of the same length say.
#[derive(Debug, Clone)]
pub struct Stationary {
    /// Largest of the elements' distances of ngspice's covariance from the mean of the simulator's, in standard
    /// deviations of the simulator's. The records of the simulator have noise codes of their own.
    pub z: f64,
    /// The same for the covariance of the simulator's record of the same noise codes.
    pub z_simulator: f64,
    /// Relative Frobenius distance of the two covariances of the same codes.
    pub same_codes: f64,
    /// Largest difference of their samples over full scale.
    pub sample_error: f64,
    /// Least number of independent samples that a record is worth, of the variances.
    pub effective: f64,
}

/// Bound of [`Stationary::z`], for records worth at least [`EFFECTIVE`] independent samples: false alarms below
/// 1e-6. A variance of N independent samples follows χ² over N; Chernoff's bound for 8 standard deviations,
/// at N = 100 from the mean, is exp(−N/2 (r − 1 − ln r)) with r = 1 + 8 √(2/N), 7e-9 on the upper side and less
/// on the lower; a covariance is half the difference of two variances, (x ± y)/√2. There are 36 elements.
pub const Z_BOUND: f64 = 8.0;
/// See [`Z_BOUND`].
pub const EFFECTIVE: f64 = 100.0;

/// Compares the stationary covariance of a board of eight cells that is driven by the noise codes of
/// `seed`. `records` records of the simulator give mean and spread.
///
/// # Errors
/// As [`ngspice::run`].
pub fn stationary(
    circuit: &Circuit,
    seed: u64,
    ticks: usize,
    records: u64,
) -> Result<Stationary, SpiceError> {
    let profile = &circuit.profile;
    let length = SETTLE + ticks;
    let samples = samples(circuit, &codes::noise(profile, seed, NOISE_GAIN, length), STEPS)?;
    let (ngspice, same) = (covariance(&samples.ngspice), covariance(&samples.simulator));

    let others: Vec<Covariance> = (1..=records)
        .map(|record| simulated(circuit, &codes::noise(profile, seed + record, NOISE_GAIN, length)))
        .collect();
    let count = records as f64;
    let mean = others.iter().sum::<Covariance>() / count;
    let spread = others
        .iter()
        .map(|other| (other - mean).component_mul(&(other - mean)))
        .sum::<Covariance>()
        .map(|square| (square / (count - 1.0)).sqrt());
    let largest = |found: &DMatrix<f64>| {
        let mut z = 0.0_f64;
        for i in 0..LANES {
            for j in 0..=i {
                z = z.max((found[(i, j)] - mean[(i, j)]).abs() / spread[(i, j)]);
            }
        }
        z
    };
    let effective = (0..LANES)
        .map(|i| 2.0 * (mean[(i, i)] / spread[(i, i)]).powi(2))
        .fold(f64::INFINITY, f64::min);
    Ok(Stationary {
        z: largest(&ngspice),
        z_simulator: largest(&same),
        same_codes: (&ngspice - &same).norm() / same.norm(),
        sample_error: samples.error(),
        effective,
    })
}

/// Covariance of a record of the simulator by its ADC codes, in V². Rounding adds 2e-8 V² to a variance.
fn simulated(circuit: &Circuit, codes: &[DacRow]) -> Covariance {
    let mut adc = vec![AdcRow::default(); codes.len()];
    circuit.analog().convert(codes, Kept::ALL, &mut adc);
    let rows = &adc[SETTLE..];
    let (mut sum, mut products) = ([0_i64; LANES], [[0_i64; LANES]; LANES]);
    for row in rows {
        for i in 0..LANES {
            sum[i] += i64::from(row[i].0);
            for j in 0..LANES {
                products[i][j] += i64::from(row[i].0) * i64::from(row[j].0);
            }
        }
    }
    let count = rows.len() as f64;
    let volts = circuit.profile.adc_lsb_volt().powi(2);
    Covariance::from_fn(|i, j| {
        (products[i][j] as f64 - sum[i] as f64 * sum[j] as f64 / count) / count * volts
    })
}

/// What an imperfection moves, relative to the board without it.
#[derive(Debug, Clone, Copy)]
pub struct Effect {
    /// Frequency at which the impedance of a lone cell is largest.
    pub hertz: f64,
    /// Its quality, by the width at −3 dB.
    pub q: f64,
    /// Relative Frobenius distance of the covariances of the same noise codes.
    pub covariance: f64,
    /// The same where a common factor, which a calibration takes out, is free.
    pub shape: f64,
}

/// Effects of imperfections on a board of RLC cells, in ngspice alone: on cell 0 at `self_code`, and on
/// the covariance of `ticks` ticks of noise. The boards' records share their codes, so that what differs
/// is not chance.
///
/// # Errors
/// As [`ngspice::run`].
pub fn effects(
    circuit: &Circuit,
    self_code: i16,
    ticks: usize,
    imperfections: &[Imperfections],
) -> Result<Vec<Effect>, SpiceError> {
    let codes = codes::noise(&circuit.profile, 1, NOISE_GAIN, SETTLE + ticks);
    let mut one = circuit.clone();
    one.codes = lone(&[self_code], 0);
    let measure = |what: Imperfections| -> Result<_, SpiceError> {
        let mode = resonance(&one.clone().with(what), 1)?.curve;
        let samples = sampled(&circuit.clone().with(what), &codes, STEPS)?;
        Ok((mode, covariance(&samples)))
    };
    let (mode, covariance) = measure(Imperfections::default())?;
    imperfections
        .iter()
        .map(|&what| {
            let (moved, other) = measure(what)?;
            let factor = other.dot(&covariance) / other.dot(&other);
            Ok(Effect {
                hertz: moved.hertz / mode.hertz - 1.0,
                q: moved.q / mode.q - 1.0,
                covariance: (&other - &covariance).norm() / covariance.norm(),
                shape: (&other * factor - &covariance).norm() / covariance.norm(),
            })
        })
        .collect()
}
