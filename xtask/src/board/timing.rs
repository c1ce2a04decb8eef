//! Timing budgets of the interfaces between FPGA and parts.

use std::fmt::Write;

use super::budget::number;
use crate::gateware::CORE_MHZ;

/// Period of the core's clock, in nanoseconds.
const CLOCK: f64 = 1e3 / CORE_MHZ;
/// Skew between two outputs from registers of the FPGA's pins and along their traces, in ns: an
/// allowance, to be verified in FPGA-DS-02012 and on the layout.
const SKEW: f64 = 1.3;
/// Distortion of a pulse's width at an output, in ns: an allowance.
const DISTORTION: f64 = 0.5;

/// DAC2904, SBAS198C (Oct 2009) p. 7, in ns: set-up, hold, pulse width (the larger figure), least from
/// the update's edge to the write's edge. Most is the pulse's width less 2: with pulses as wide as their
/// pauses, which is how they are drawn there, it says that a write ends 2 ns before the next update.
const DAC_SETUP: f64 = 2.0;
const DAC_HOLD: f64 = 1.5;
const DAC_PULSE: f64 = 4.0;
const DAC_UPDATE_BEFORE: f64 = 0.0;
const DAC_WRITTEN: f64 = 2.0;
/// ADC12020, SNAS186B (AC Electrical Characteristics, 25 pF): periods from a sample to its code, which is
/// on the lines so many ns after a rising edge; narrowest pulse of the clock. ADC12040 (SNAS135G): 6, 15.7
/// and 11.25. Neither says how long the code before stays: from the edge on, it may be gone.
const ADC_LATENCY: f64 = 6.0;
const ADC_OUTPUT: f64 = 16.8;
const ADC_PULSE: f64 = 20.0;
/// Clocks of the core from `adc_sample` to the edge that the ADCs sample with.
const SAMPLED: f64 = 5.5;
/// The bridge, which has the phase that ends with the edge that takes the code, in the eighth slot.
const BRIDGE: &str = include_str!("../../../hardware/gateware/spu_adcs.v");
/// The way out to an ADC and back, most in ns: allowances, to be verified on the layout and in
/// FPGA-DS-02012.
const WAY: [(&str, f64); 4] = [
    ("output of the FPGA with 33 Ω", 5.0),
    ("traces", 2.0),
    ("33 Ω and input of the FPGA", 3.0),
    ("from the pin to a register, set-up", 6.0),
];
/// SN74LV595A at 5 V and ISO7740, from memory, in ns: set-up, hold, shortest pulse; skew between
/// channels of the isolator and distortion of a pulse.
const REGISTER_SETUP: f64 = 3.0;
const REGISTER_HOLD: f64 = 2.0;
const REGISTER_PULSE: f64 = 5.0;
const ISOLATOR_SKEW: f64 = 5.0;

/// What must hold: name, time there is, time that is needed, both in nanoseconds.
type Budget = (&'static str, f64, f64);

/// The DACs' buses: data for two clocks, the strobe in the second, the update half a clock after the last
/// one (`spu_dacs.v`).
fn dac() -> Vec<Budget> {
    vec![
        ("set-up of the data before the write's rising edge", CLOCK - SKEW, DAC_SETUP),
        ("hold after it", CLOCK - SKEW, DAC_HOLD),
        ("width of the write pulse", CLOCK - DISTORTION, DAC_PULSE),
        ("end of the last write before the update", CLOCK / 2.0 - SKEW, DAC_WRITTEN),
        ("update before the next tick's first write", CLOCK / 2.0 - SKEW, DAC_UPDATE_BEFORE),
        ("width of the update's pulse, and of its pause", 4.0 * CLOCK - DISTORTION, DAC_PULSE),
    ]
}

/// The ADCs at 12 MHz: the core looks at the lines once in a period.
fn adc() -> Vec<Budget> {
    let period = 8.0 * CLOCK;
    let edge = SAMPLED * CLOCK + ADC_LATENCY * period;
    let taken = (7.0 * 8.0 + number(BRIDGE, "TAKEN = 3'd") + 1.0) * CLOCK;
    let way: f64 = WAY.iter().map(|way| way.1).sum();
    vec![
        (
            "from the edge that sends the code: delay, way out and back",
            taken - edge,
            ADC_OUTPUT + way,
        ),
        ("to the next such edge, no delay and no way", edge + period - taken, 0.0),
        ("width of the clock's pulses, and of its pauses", 4.0 * CLOCK - DISTORTION, ADC_PULSE),
    ]
}

/// The chain of shift registers: data change four clocks before the clock's rising edge.
fn switches() -> Vec<Budget> {
    vec![
        ("set-up of the data", 4.0 * CLOCK - SKEW - ISOLATOR_SKEW, REGISTER_SETUP),
        ("hold", 4.0 * CLOCK - SKEW - ISOLATOR_SKEW, REGISTER_HOLD),
        ("width of the clock's pulses", 4.0 * CLOCK - DISTORTION - ISOLATOR_SKEW, REGISTER_PULSE),
    ]
}

/// The page's tables.
pub(super) fn page() -> String {
    let mut text = String::from("\n## Timing\n\nIn nanoseconds; a clock of the core is 10.42.\n");
    let way = WAY.map(|(what, most)| format!("{what} {most:.0}")).join(", ");
    for (name, rows) in [
        ("DAC2904 (SBAS198C p. 7)", dac()),
        (
            &format!(
                "ADC12020 at 12 MHz (SNAS186B). The way to an ADC and back, allowances in ns: {way}"
            ),
            adc(),
        ),
        ("SN74LV595A behind ISO7740 (their figures from memory)", switches()),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{name}:\n\n| | there is | needed | left |\n|---|---|---|---|");
        for (what, there, needed) in rows {
            let _ = writeln!(text, "| {what} | {there:.1} | {needed:.1} | {:.1} |", there - needed);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_budget_has_something_left() {
        for (what, there, needed) in [dac(), adc(), switches()].concat() {
            assert!(there > needed, "{what}: {there} ns of {needed} ns");
        }
    }
}
