//! Timing budgets of the interfaces between FPGA and parts.

use std::fmt::Write;

/// Period of the core's clock, 96 MHz, in nanoseconds.
const CLOCK: f64 = 1e3 / 96.0;
/// Skew between two outputs from registers of the FPGA's pins and along their traces, in ns: an
/// allowance, to be verified in FPGA-DS-02012 and on the layout.
const SKEW: f64 = 1.3;
/// Distortion of a pulse's width at an output, in ns: an allowance.
const DISTORTION: f64 = 0.5;

/// DAC2904, SBAS198C (Oct 2009) p. 7, in ns: set-up, hold, pulse width (the larger figure), least and
/// most from the update's edge to the write's edge (most: the pulse's width less this).
const DAC_SETUP: f64 = 2.0;
const DAC_HOLD: f64 = 1.5;
const DAC_PULSE: f64 = 4.0;
const DAC_UPDATE_BEFORE: f64 = 0.0;
const DAC_UPDATE_LATEST: f64 = 2.0;
/// ADC3644, SBASA46 (May 2022), Timing Requirements: clocks from sample to code, DDR CMOS.
const ADC_LATENCY: f64 = 1.0;
/// Clocks of the core from `adc_sample` at the pins to the first code's fetch (`spu_top.v`).
const FETCH: f64 = 5.0;
/// SN74LV595A at 5 V and ISO7740, from memory, in ns: set-up, hold, shortest pulse; skew between
/// channels of the isolator and distortion of a pulse.
const REGISTER_SETUP: f64 = 3.0;
const REGISTER_HOLD: f64 = 2.0;
const REGISTER_PULSE: f64 = 5.0;
const ISOLATOR_SKEW: f64 = 5.0;

/// What must hold: name, time there is, time that is needed, both in nanoseconds.
type Budget = (&'static str, f64, f64);

/// The DACs' bus: data for a whole clock, the strobe in its second half, the update a quarter of a
/// clock after the edge that data change with.
fn dac() -> Vec<Budget> {
    vec![
        ("set-up of the data before the write's rising edge", CLOCK / 2.0 - SKEW, DAC_SETUP),
        ("hold after it", CLOCK / 2.0 - SKEW, DAC_HOLD),
        ("width of the write pulse", CLOCK / 2.0 - DISTORTION, DAC_PULSE),
        ("end of the last write before the update", CLOCK / 4.0 - SKEW, 0.0),
        ("update before the next tick's first write", CLOCK / 4.0 - SKEW, DAC_UPDATE_BEFORE),
        (
            "first write within the update's pulse, less 2 ns",
            CLOCK - DISTORTION - DAC_UPDATE_LATEST,
            CLOCK / 4.0 + SKEW,
        ),
    ]
}

/// The ADCs at 48 MHz: even cells on the rising edge of the data clock, odd ones half a period later,
/// and fetched a clock later. A clock of the core lies between the pin's register and the fetch.
fn adc() -> Vec<Budget> {
    let period = 2.0 * CLOCK;
    let needed = ADC_LATENCY * period + CLOCK;
    vec![
        ("even cells: sample to fetch", FETCH * CLOCK, needed),
        ("odd cells: sample to fetch", (FETCH + 1.0) * CLOCK, needed + period / 2.0),
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
    for (name, rows) in [
        ("DAC2904 with the bridge (not built; SBAS198C p. 7)", dac()),
        (
            "ADC3644 at 48 MHz with the bridge (not built; SBASA46). Left is what there is for the FPGA's \
             clock output, the converter's output delay, which was not read, and the pin's register",
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
        // An ADC's output delay and the FPGA's clock output fit in what is left.
        assert!(adc().iter().all(|(_, there, needed)| there - needed > 15.0));
    }
}
