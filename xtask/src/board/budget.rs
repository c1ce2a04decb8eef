//! Noise and headroom of each stage, by calculation.
//!
//! A cell alone, R, L and C in parallel, driven by a current that is held for each tick (see
//! `spu-sim::analog` for the law). Voltages are those at the cell, that is at the converter's input
//! divided by the gain before it.

use std::f64::consts::TAU;
use std::fmt::Write;

use super::profile::Profile;
use crate::gateware::CORE_MHZ;

/// Head of the page.
pub(super) const HEAD: &str = "\
# Budgets

Written by `cargo xtask board` from the profiles and the parts' figures, which stand with their sources in
`xtask/src/board`. Rung: *calculation*; nothing here was measured or simulated in SPICE. One cell is looked at, without
couplings, at a small and at the full capacitance of its self bank.
";

/// Boltzmann's constant times 298 K, in joules.
const KT: f64 = 1.380_649e-23 * 298.0;
/// Drive amplifier: load of each DAC output, its input and feedback resistors (parts.toml), in ohms.
const LOAD: f64 = 49.9;
const DRIVE_INPUT: f64 = 499.0;
const DRIVE_FEEDBACK: f64 = 2610.0;
/// Full-scale current of the DAC, 32 · 1.25 V / 2 kΩ (SBAS198C p. 11), in amperes.
const DAC_CURRENT: f64 = 0.02;
/// Glitch of the DAC at its load, in volt seconds: from memory, to be verified in SBAS198C.
const GLITCH: f64 = 2e-12;
/// LM6172: noise in V/√Hz from memory, to be verified in SNOS792D; unity gain bandwidth in hertz
/// (front page); distance of the output from a supply in volts (p. 5: 5 V − 3.0 V).
const DRIVE_NOISE: f64 = 12e-9;
const DRIVE_BANDWIDTH: f64 = 100e6;
const DRIVE_DROPOUT: f64 = 2.0;
/// Supply of drive and buffer, of switches, and of the converter driver (from ground), in volts.
const HIGH_SUPPLY: f64 = 7.5;
const SWITCH_SUPPLY: f64 = 2.5;
const DRIVER_SUPPLY: f64 = 5.0;
/// OPA2810: noise in V/√Hz (SBOS789C p. 1).
const BUFFER_NOISE: f64 = 6e-9;
/// THS4551: noise in V/√Hz (SBOS778D p. 1), its input resistors (parts.toml).
const DRIVER_NOISE: f64 = 3.3e-9;
const DRIVER_INPUT: f64 = 1000.0;
/// Filter before the converter, in ohms (both sides) and farads (parts.toml).
const FILTER_R: f64 = 40.0;
const FILTER_C: f64 = 150e-12;
/// An ADC with its driver.
struct Converter {
    /// Signal to noise in dB below full scale.
    snr: f64,
    /// Peak of full scale and common mode, in volts.
    peak: f64,
    common: f64,
    /// Most that a side may have, in volts; least is ground.
    most: f64,
    /// The driver's feedback resistors (parts.toml), in ohms.
    feedback: f64,
}

/// ADC12020: ENOB of 11.3 bits on the front page (July 2008), the rounding to 12 within; full scale is ± its
/// reference of 2.0 V, as the code table of ADC12010 has it; no side above its supply less 1 V (ADC12D040).
/// The common mode is chosen: nominal is half of the reference, which leaves nothing to ground.
const ADC12020: Converter =
    Converter { snr: 69.8, peak: 2.0, common: 1.2, most: 4.0, feedback: 2000.0 };
/// ADC14L020: JAJSAF2 p. 1, the rounding to 14 within; the reference of 1.0 V, common mode and limit are from
/// memory.
const ADC14L020: Converter =
    Converter { snr: 74.0, peak: 1.0, common: 1.5, most: 3.3, feedback: 1000.0 };

impl Converter {
    fn of(profile: &Profile) -> &'static Self {
        if profile.adc_bits > 12 { &ADC14L020 } else { &ADC12020 }
    }

    /// Gain of the driver.
    fn gain(&self) -> f64 {
        self.feedback / DRIVER_INPUT
    }
}

/// ADC12020: from its clock's edge, which is the tick's end, to the sample (SNAS186B), in seconds.
const APERTURE: f64 = 1.2e-9;
/// Jitter of the converters' clock as it leaves an FPGA without a PLL, in seconds: an assumption.
const JITTER: f64 = 50e-12;
/// TMUX1511: resistance in ohms and capacitance of an open terminal in farads, from memory.
const SWITCH_ON: f64 = 2.0;
const SWITCH_OFF: f64 = 2e-12;
/// Resistor in the discharge path (parts.toml), in ohms.
const DISCHARGE: f64 = 442.0;
/// The gateware, which has the clocks of a discharge.
const CORE: &str = include_str!("../../../hardware/gateware/spu_core.v");
/// As in `spu_driver::plan`: rms that a cell is driven to, of full scale; peak of the noise over rms.
const TARGET_RMS: f64 = 0.2;
const NOISE_PEAK: f64 = 4.05;

type Square = [[f64; 2]; 2];

fn product(a: &Square, b: &Square) -> Square {
    let entry = |i: usize, j: usize| a[i][0] * b[0][j] + a[i][1] * b[1][j];
    [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]
}

/// A cell's tick: state (v, i of the inductor), x⁺ = Φ x + Γ u.
struct Cell {
    phi: Square,
    gamma: [f64; 2],
    /// Resistance, inductance and capacitance, in ohms, henries and farads.
    parts: (f64, f64, f64),
}

impl Cell {
    fn new(r: f64, l: f64, c: f64, period: f64) -> Self {
        let drift = [[-1.0 / (r * c), -1.0 / c], [1.0 / l, 0.0]];
        // exp(A h) and its integral by their series: ‖A h‖ is below 1 in a suitable scale of current.
        let mut phi = [[1.0, 0.0], [0.0, 1.0]];
        let mut integral = [[period, 0.0], [0.0, period]];
        let mut term = phi;
        for order in 1..40 {
            term = product(&term, &drift).map(|row| row.map(|x| x * period / f64::from(order)));
            for i in 0..2 {
                for j in 0..2 {
                    phi[i][j] += term[i][j];
                    integral[i][j] += term[i][j] * period / f64::from(order + 1);
                }
            }
        }
        Self { phi, gamma: [integral[0][0] / c, integral[1][0] / c], parts: (r, l, c) }
    }

    /// Variance of the voltage for a drive of variance 1 A² a tick: Σ = Φ Σ Φᵀ + Γ Γᵀ by doubling.
    fn variance(&self) -> f64 {
        let [a, b] = self.gamma;
        let (mut sigma, mut phi) = ([[a * a, a * b], [a * b, b * b]], self.phi);
        for _ in 0..40 {
            let transposed = [[phi[0][0], phi[1][0]], [phi[0][1], phi[1][1]]];
            let more = product(&product(&phi, &sigma), &transposed);
            for i in 0..2 {
                for j in 0..2 {
                    sigma[i][j] += more[i][j];
                }
            }
            phi = product(&phi, &phi);
        }
        sigma[0][0]
    }

    /// Voltages after each tick of a step of 1 A, until it has died away.
    fn step(&self) -> Vec<f64> {
        let mut state = [0.0, 0.0];
        (0..4000)
            .map(|_| {
                let [v, i] = state;
                state = [0, 1].map(|k| self.phi[k][0] * v + self.phi[k][1] * i + self.gamma[k]);
                state[0]
            })
            .collect()
    }

    /// Largest voltage of a step of 1 A.
    fn step_peak(&self) -> f64 {
        self.step().into_iter().fold(0.0, f64::max)
    }

    /// Rms of the voltage under white noise current of one-sided density `density`, in A²/Hz.
    fn white(&self, density: f64) -> f64 {
        let (r, _, c) = self.parts;
        (density * r / (4.0 * c)).sqrt()
    }

    /// Resonance, in hertz.
    fn resonance(&self) -> f64 {
        let (_, l, c) = self.parts;
        1.0 / (TAU * (l * c).sqrt())
    }

    /// Time until what is slowest has decayed to a thousandth, in seconds.
    fn decay(&self) -> f64 {
        let (r, l, c) = self.parts;
        let damping = 1.0 / (2.0 * r * c);
        let rate = damping - (damping * damping - 1.0 / (l * c)).max(0.0).sqrt();
        1000.0_f64.ln() / rate
    }
}

/// Volts behind the cell's resistor for the DAC's currents at its two outputs.
fn drive_volts(out: f64, complement: f64) -> f64 {
    let at_plus =
        out * LOAD * (DRIVE_INPUT + DRIVE_FEEDBACK) / (LOAD + DRIVE_INPUT + DRIVE_FEEDBACK);
    let plus = at_plus * DRIVE_FEEDBACK / (DRIVE_INPUT + DRIVE_FEEDBACK);
    let at_minus = (complement + plus / DRIVE_INPUT) / (1.0 / LOAD + 1.0 / DRIVE_INPUT);
    plus - (at_minus - plus) * DRIVE_FEEDBACK / DRIVE_INPUT
}

/// A source of noise: name, volts rms at the cell.
type Source = (&'static str, f64);

/// Root mean square of the drive, in amperes: the target, or what the DAC's range allows.
fn drive_rms(profile: &Profile, cell: &Cell) -> f64 {
    let target = TARGET_RMS * profile.adc_full_scale / cell.variance().sqrt();
    target.min(profile.dac_full_scale / NOISE_PEAK)
}

/// What is not the drive's noise, each at the cell, in volts rms.
fn sources(profile: &Profile, cell: &Cell) -> Vec<Source> {
    let period = 1.0 / profile.sample_hz;
    let per_ampere = cell.variance().sqrt();
    let gain = DRIVE_FEEDBACK / (DRIVE_INPUT + LOAD);
    // Amplifier, two input and two feedback resistors, at its output.
    let drive = (DRIVE_NOISE * (1.0 + gain)).powi(2)
        + 2.0 * 4.0 * KT * ((DRIVE_INPUT + LOAD) * gain * gain + DRIVE_FEEDBACK);
    let adc = Converter::of(profile);
    let after = adc.gain();
    let driver = ((DRIVER_NOISE * (1.0 + after)).powi(2)
        + 2.0 * 4.0 * KT * (DRIVER_INPUT * after * after + adc.feedback))
        / (after * after);
    // Equivalent bandwidth of a first-order filter.
    let band = 1.0 / (4.0 * FILTER_R * FILTER_C);
    let converter = adc.peak / after / 2.0_f64.sqrt() * 10.0_f64.powf(-adc.snr / 20.0);
    let dac_lsb = profile.dac_full_scale / f64::from((1 << (profile.dac_bits - 1)) - 1);
    let signal = drive_rms(profile, cell) * per_ampere;
    // A differential board has a buffer on either side.
    let buffers = if profile.differential() { 2.0_f64 } else { 1.0 };
    vec![
        ("thermal noise of R: √(kT/C)", cell.white(4.0 * KT / profile.r)),
        ("drive amplifier and its resistors", cell.white(drive / profile.r.powi(2))),
        ("DAC, rounding of the code", dac_lsb / 12.0_f64.sqrt() * per_ampere),
        (
            "DAC, glitch at every update (bound)",
            GLITCH * (1.0 + gain) / (profile.r * period) * per_ampere,
        ),
        ("buffer", BUFFER_NOISE * (buffers * band).sqrt()),
        ("converter driver and its resistors", (driver * band).sqrt()),
        ("converter, its own noise and rounding", converter),
        ("jitter of the sampling clock", signal * TAU * cell.resonance() * JITTER),
    ]
}

fn micro(volts: f64) -> String {
    format!("{:.1}", volts * 1e6)
}

/// A board's cell at a small and at the full capacitance of its self bank, and how it is driven.
struct Cases {
    small: f64,
    full: f64,
    low: Cell,
    high: Cell,
    /// Drive in amperes rms, signal in volts rms.
    drives: [f64; 2],
    signals: [f64; 2],
}

/// A cell of a board with this resistance and capacitance of its bank.
fn cell_of(profile: &Profile, r: f64, farads: f64) -> Cell {
    Cell::new(r, profile.l, farads + profile.stray, 1.0 / profile.sample_hz)
}

impl Cases {
    fn of(profile: &Profile) -> Self {
        let small = profile.self_lsb * (600e-12 / profile.self_lsb).round();
        let full = profile.self_lsb * f64::from((1 << profile.self_bits) - 1);
        let [low, high] = [small, full].map(|farads| cell_of(profile, profile.r, farads));
        let drives = [&low, &high].map(|cell| drive_rms(profile, cell));
        let signals = [drives[0] * low.variance().sqrt(), drives[1] * high.variance().sqrt()];
        Self { small, full, low, high, drives, signals }
    }
}

/// Noise, headroom and side effects of the parts of a board.
pub(super) fn page(profile: &Profile) -> String {
    let cases = Cases::of(profile);
    noise(profile, &cases) + &headroom(profile, &cases) + &effects(profile, &cases)
}

fn noise(profile: &Profile, cases: &Cases) -> String {
    let Cases { low, high, drives, signals, .. } = cases;
    let mut text = format!("\n## Noise, {}\n\n", profile.name);
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "| | C = {:.0} pF, {:.0} kHz | C = {:.0} pF, {:.0} kHz |\n|---|---|---|",
        low.parts.2 * 1e12,
        low.resonance() / 1e3,
        high.parts.2 * 1e12,
        high.resonance() / 1e3,
    );
    let _ = writeln!(
        text,
        "| **drive's noise**, mA rms | {:.3} | {:.3} |\n| **signal**, mV rms at the cell | {:.1} | {:.1} |",
        drives[0] * 1e3,
        drives[1] * 1e3,
        signals[0] * 1e3,
        signals[1] * 1e3,
    );
    let all = [sources(profile, low), sources(profile, high)];
    for (a, b) in all[0].iter().zip(&all[1]) {
        let _ = writeln!(text, "| {}, µV rms | {} | {} |", a.0, micro(a.1), micro(b.1));
    }
    let totals = [0, 1]
        .map(|at: usize| all[at].iter().map(|source| source.1 * source.1).sum::<f64>().sqrt());
    let _ = writeln!(
        text,
        "| **all of them**, µV rms | {} | {} |\n| share of the signal's variance, 10⁻⁶ | {:.2} | {:.2} |",
        micro(totals[0]),
        micro(totals[1]),
        (totals[0] / signals[0]).powi(2) * 1e6,
        (totals[1] / signals[1]).powi(2) * 1e6,
    );
    text
}

fn headroom(profile: &Profile, cases: &Cases) -> String {
    let Cases { low, high, drives, signals, .. } = cases;
    let period = 1.0 / profile.sample_hz;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "\n## Headroom, {}\n\n| stage | most that comes | limit |\n|---|---|---|",
        profile.name
    );
    let behind = profile.dac_full_scale * profile.r;
    let made = drive_volts(DAC_CURRENT, 0.0);
    let _ = writeln!(
        text,
        "| DAC code | {:.2} of full scale at the noise's peak, {:.2} at C = {:.0} pF | 1 |",
        NOISE_PEAK * drives[1] / profile.dac_full_scale,
        NOISE_PEAK * drives[0] / profile.dac_full_scale,
        low.parts.2 * 1e12,
    );
    let _ = writeln!(
        text,
        "| DAC output | {:.2} V at {:.0} mA | 1.25 V compliance (from memory) |",
        DAC_CURRENT * LOAD,
        DAC_CURRENT * 1e3,
    );
    let _ = writeln!(
        text,
        "| drive amplifier, full scale | {behind:.2} V wanted ({:.1} mA × {:.0} Ω), {made:.2} V made | {:.1} V of ± {HIGH_SUPPLY} V{} |",
        profile.dac_full_scale * 1e3,
        profile.r,
        (HIGH_SUPPLY - DRIVE_DROPOUT) * if profile.differential() { 2.0 } else { 1.0 },
        if profile.differential() { ", both sides" } else { "" },
    );
    let lag = (1.0 + DRIVE_FEEDBACK / (DRIVE_INPUT + LOAD)) / (TAU * DRIVE_BANDWIDTH);
    let _ = writeln!(
        text,
        "| drive amplifier, lag | {:.1} ns, e^−{:.1} of a step is left at the tick's end | {:.1} ns a tick |",
        lag * 1e9,
        period / lag,
        period * 1e9,
    );
    // Half of a differential cell's voltage is on either side.
    let sides = if profile.differential() { 2.0 } else { 1.0 };
    let per_side = if profile.differential() { " a side" } else { "" };
    let peaks = [low, high].map(|cell| cell.step_peak() * profile.dac_full_scale / sides);
    let _ = writeln!(
        text,
        "| cell, noise | {:.2} V at five sigma | {:.2} V converter; ± {SWITCH_SUPPLY} V switches{per_side} |",
        5.0 * signals[0].max(signals[1]),
        profile.adc_full_scale,
    );
    let _ = writeln!(
        text,
        "| cell, step of full scale | {:.2} V and {:.2} V{per_side} | saturates the converter; beyond \
         ± {SWITCH_SUPPLY} V the switches' diodes take at most {:.1} mA |",
        peaks[0],
        peaks[1],
        (behind / sides - SWITCH_SUPPLY).max(0.0) / (profile.r / sides) * 1e3,
    );
    let adc = Converter::of(profile);
    let _ = writeln!(
        text,
        "| converter, each side | {:.2} to {:.2} V at full scale | 0 to {:.1} V; the driver's supply is 0 to \
         {DRIVER_SUPPLY} V |",
        adc.common - adc.peak / 2.0,
        adc.common + adc.peak / 2.0,
        adc.most,
    );
    let _ = writeln!(
        text,
        "| converter | {:.3} V of the profile | {:.3} V |",
        profile.adc_full_scale,
        adc.peak / adc.gain(),
    );
    text
}

/// Time of a discharge in the gateware, in seconds.
fn discharge_time() -> f64 {
    number(CORE, "DISCHARGE_CLOCKS = 12'd") / (CORE_MHZ * 1e6)
}

/// The number in a source that comes after these words; not a number where there is none.
pub(super) fn number(source: &str, words: &str) -> f64 {
    let found = source.split_once(words).map(|(_, rest)| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().unwrap_or(f64::NAN)
    });
    found.unwrap_or(f64::NAN)
}

/// Time in which a cell with this capacitance in its bank is at a thousandth, with so many ohms to ground,
/// in seconds.
fn discharged(profile: &Profile, ohms: f64, farads: f64) -> f64 {
    cell_of(profile, ohms * profile.r / (ohms + profile.r), farads).decay()
}

fn effects(profile: &Profile, cases: &Cases) -> String {
    let Cases { small, full, .. } = *cases;
    let mut text = String::new();
    let _ =
        writeln!(text, "\n## What the parts do to the cell, {}\n\n| | |\n|---|---|", profile.name);
    let _ = writeln!(
        text,
        "| resistance of the switches: lowers the cell's R by at most | {:.2} % |",
        100.0 * profile.r * SWITCH_ON * full / profile.l,
    );
    // A cell is the first of some pairs (capacitors) and the second of others (switches).
    let sides = if profile.differential() { 2 } else { 1 };
    let terminals = profile.self_bits + (profile.cells - 1) * profile.coupling_bits + 1;
    let _ = writeln!(
        text,
        "| open switches at a cell: {terminals}{} of {:.0} pF | {:.0} pF; the profile's stray is {:.0} pF |",
        if sides == 2 { ", two sides in series," } else { "" },
        SWITCH_OFF * 1e12,
        f64::from(terminals) * SWITCH_OFF * 1e12 / f64::from(sides),
        profile.stray * 1e12,
    );
    let _ = writeln!(
        text,
        "| sample | {:.1} ns after the tick's end, behind a filter of {:.1} ns |",
        APERTURE * 1e9,
        FILTER_R * FILTER_C * 1e9,
    );
    for (how, ohms) in [("by a bare switch", SWITCH_ON), ("through 442 Ω", DISCHARGE)] {
        let times = [small, full].map(|farads| discharged(profile, ohms, farads) * 1e6);
        let _ = writeln!(
            text,
            "| discharge to a thousandth {how} | {:.1} µs and {:.1} µs; the gateware gives {:.0} µs |",
            times[0],
            times[1],
            discharge_time() * 1e6,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell() -> Cell {
        Cell::new(1200.0, 820e-6, 1e-9, 1.0 / 12e6)
    }

    /// With many ticks in a period of the resonance, a held random current is white noise of
    /// two-sided density σ² h: var v = σ² h R / (2 C).
    #[test]
    fn a_fast_staircase_is_white_noise() {
        let period = 1e-9;
        let law = Cell::new(1200.0, 820e-6, 1e-9, period).variance();
        let white = period * 1200.0 / 2e-9;
        assert!((law / white - 1.0).abs() < 1e-3, "{law} {white}");
        // The same by the density of a white current: S = 2 σ² h.
        assert!((cell().white(2.0 * period).powi(2) / white - 1.0).abs() < 1e-12);
    }

    /// Thermal noise of R gives kT/C (equipartition).
    #[test]
    fn thermal_noise_is_equipartition() {
        let volts = cell().white(4.0 * KT / 1200.0);
        assert!((volts * volts / (KT / 1e-9) - 1.0).abs() < 1e-12);
    }

    /// Step of an underdamped cell against its closed form, v = I e^(−αt) sin(ωt) / (ω C).
    #[test]
    fn a_step_is_the_closed_form() {
        let (alpha, c) = (1.0 / (2.0 * 1200.0 * 1e-9), 1e-9);
        let omega = f64::sqrt(1.0 / (820e-6 * c) - alpha * alpha);
        for (tick, volts) in cell().step().iter().enumerate().take(200) {
            let t = (tick + 1) as f64 / 12e6;
            let closed = (-alpha * t).exp() * (omega * t).sin() / (omega * c);
            assert!((volts - closed).abs() < 1e-6 * 600.0, "tick {tick}: {volts} {closed}");
        }
    }

    /// The two outputs of a DAC give opposite voltages, and full scale is within 2 % of the profile's.
    #[test]
    fn the_drive_is_balanced_and_of_the_profile_s_scale() {
        let (up, down) = (drive_volts(DAC_CURRENT, 0.0), drive_volts(0.0, DAC_CURRENT));
        assert!((up + down).abs() < 1e-9, "{up} {down}");
        for name in crate::board::BOARDS {
            let profile = Profile::named(name).unwrap();
            let wanted = profile.dac_full_scale * profile.r;
            assert!((up / wanted - 1.0).abs() < 0.02, "{name}: {up} for {wanted}");
            let adc = Converter::of(&profile);
            assert!((adc.peak / adc.gain() / profile.adc_full_scale - 1.0).abs() < 0.02);
            // The driver reaches all codes, 0.2 V from its supplies, and they are within the converter's range.
            assert!(adc.common - adc.peak / 2.0 >= 0.2 - 1e-9, "{name}");
            assert!(adc.common + adc.peak / 2.0 < adc.most.min(DRIVER_SUPPLY - 0.2), "{name}");
        }
    }

    /// L/R of a bare switch, and a critically damped cell.
    #[test]
    fn decay_is_that_of_the_slower_pole() {
        let bare = Cell::new(2.0, 820e-6, 1e-9, 1e-9).decay();
        assert!((bare / (1000.0_f64.ln() * 820e-6 / 2.0) - 1.0).abs() < 1e-3, "{bare}");
        let critical = 0.5 * (820e-6_f64 / 1e-9).sqrt();
        let time = Cell::new(critical, 820e-6, 1e-9, 1e-9).decay();
        assert!((time / (1000.0_f64.ln() * 2.0 * critical * 1e-9) - 1.0).abs() < 1e-3, "{time}");
    }

    /// Every code of a self bank, with a fifth to spare.
    #[test]
    fn a_discharge_of_the_gateware_is_long_enough() {
        for name in crate::board::BOARDS {
            let profile = Profile::named(name).unwrap();
            for code in 0..1 << profile.self_bits {
                let time = discharged(&profile, DISCHARGE, profile.self_lsb * f64::from(code));
                assert!(1.2 * time < discharge_time(), "{name}: {time} s with code {code}");
            }
        }
    }

    #[test]
    fn no_stage_of_a_board_is_over_its_limit() {
        for name in crate::board::BOARDS {
            let profile = Profile::named(name).unwrap();
            let cell = Cell::new(profile.r, profile.l, 600e-12, 1.0 / profile.sample_hz);
            assert!(drive_volts(DAC_CURRENT, 0.0) < HIGH_SUPPLY - DRIVE_DROPOUT);
            assert!(NOISE_PEAK * TARGET_RMS * profile.adc_full_scale < SWITCH_SUPPLY, "{name}");
            let noise: f64 = sources(&profile, &cell).iter().map(|source| source.1.powi(2)).sum();
            let signal = drive_rms(&profile, &cell).powi(2) * cell.variance();
            assert!(noise < 1e-4 * signal, "{name}: {noise} of {signal}");
        }
    }
}
