//! `spu info`: what a device is.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use spu_driver::mcu::{self, Timing};
use spu_driver::{BoardInfo, Deadline};
use spu_protocol::payload::InfoReply;

use super::{DeviceArg, rung};
use crate::answer::Answer;
use crate::exit::Failure;
use crate::text::{facts, percent, si};

/// Show what a device is: versions, profile, converters, nominal values
#[derive(Debug, Args)]
pub(crate) struct Info {
    #[command(flatten)]
    device: DeviceArg,
    /// Show how well its microcontroller keeps time: ticks, worst jitter, longest service, deepest
    /// stack
    #[arg(long)]
    timing: bool,
    /// With --timing: start the worst cases afresh afterwards
    #[arg(long, requires = "timing")]
    clear: bool,
}

/// Time for a few registers.
const SOON: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize)]
pub(crate) struct InfoAnswer {
    uri: String,
    rung: &'static str,
    #[serde(flatten)]
    board: BoardInfo,
    nominal: Nominal,
    /// None unless it was asked for, and of devices without a microcontroller.
    #[serde(skip_serializing_if = "Option::is_none")]
    timing: Option<Timing>,
    #[serde(skip)]
    asked_for_timing: bool,
}

/// Nominal values and stated spreads, in SI units.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Nominal {
    sample_clock_hz: u32,
    self_bits: u8,
    coupling_bits: u8,
    coupling_signed: bool,
    dac_bits: u8,
    adc_bits: u8,
    sample_bits: u8,
    control_bits: u8,
    capture_frames: u32,
    stream_frames_per_s: u32,
    r_ohm: f32,
    l_henry: f32,
    self_lsb_farad: f32,
    coupling_lsb_farad: f32,
    stray_farad: f32,
    dac_lsb_ampere: f32,
    adc_lsb_volt: f32,
    noise_rms_code: f32,
    drive_spread: f32,
    bank_spread: f32,
    adc_gain_spread: f32,
    r_spread: f32,
    l_spread: f32,
}

impl Nominal {
    /// From what the board said.
    pub(crate) fn of(raw: &InfoReply) -> Self {
        Self {
            sample_clock_hz: raw.sample_clock_hz,
            self_bits: raw.self_bits,
            coupling_bits: raw.coupling_bits,
            coupling_signed: raw.coupling_signed == 1,
            dac_bits: raw.dac_bits,
            adc_bits: raw.adc_bits,
            sample_bits: raw.sample_bits,
            control_bits: raw.control_bits,
            capture_frames: raw.capture_frames,
            stream_frames_per_s: raw.stream_frames_per_s,
            r_ohm: raw.r_ohm,
            l_henry: raw.l_henry,
            self_lsb_farad: raw.self_lsb_farad,
            coupling_lsb_farad: raw.coupling_lsb_farad,
            stray_farad: raw.stray_farad,
            dac_lsb_ampere: raw.dac_lsb_ampere,
            adc_lsb_volt: raw.adc_lsb_volt,
            noise_rms_code: raw.noise_rms_code,
            drive_spread: raw.drive_spread,
            bank_spread: raw.bank_spread,
            adc_gain_spread: raw.adc_gain_spread,
            r_spread: raw.r_spread,
            l_spread: raw.l_spread,
        }
    }

    /// Names and values, as text.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let si = |x: f32, unit| si(f64::from(x), unit);
        let spread = |x: f32| match x {
            0.0 => "exact".to_owned(),
            x => format!("± {} (1 σ)", percent(f64::from(x))),
        };
        let signs = if self.coupling_signed { "either sign" } else { "no sign" };
        let rate = match self.stream_frames_per_s {
            0 => "raw frames at the sample clock".to_owned(),
            rate => format!("at most {}", si(rate as f32, "frames/s")),
        };
        vec![
            ("sample clock", si(self.sample_clock_hz as f32, "Hz")),
            ("self terms", format!("{} bits of {}", self.self_bits, si(self.self_lsb_farad, "F"))),
            (
                "couplings",
                format!(
                    "{} bits of {}, {signs}",
                    self.coupling_bits,
                    si(self.coupling_lsb_farad, "F")
                ),
            ),
            ("bank elements", spread(self.bank_spread)),
            ("stray capacitance", si(self.stray_farad, "F")),
            ("resistance", format!("{}, {}", si(self.r_ohm, "Ω"), spread(self.r_spread))),
            ("inductance", format!("{}, {}", si(self.l_henry, "H"), spread(self.l_spread))),
            (
                "noise DAC",
                format!(
                    "{} bits of {}, gain {}",
                    self.dac_bits,
                    si(self.dac_lsb_ampere, "A"),
                    spread(self.drive_spread)
                ),
            ),
            (
                "ADC",
                format!(
                    "{} bits of {}, gain {}",
                    self.adc_bits,
                    si(self.adc_lsb_volt, "V"),
                    spread(self.adc_gain_spread)
                ),
            ),
            (
                "samples",
                format!(
                    "JESD204B words of {} bits, {} control bits; {} frames of capture memory; {rate}",
                    self.sample_bits, self.control_bits, self.capture_frames
                ),
            ),
        ]
    }
}

impl Info {
    pub(crate) fn run(&self) -> Result<InfoAnswer, Failure> {
        let mut device = self.device.open()?;
        let timing =
            if self.timing { mcu::timing(device.as_mut(), Deadline::after(SOON))? } else { None };
        if self.clear && timing.is_some() {
            mcu::clear(device.as_mut(), Deadline::after(SOON))?;
        }
        let board = device.info().clone();
        Ok(InfoAnswer {
            uri: device.uri().to_owned(),
            rung: rung(device.uri(), Some(device.info())),
            nominal: Nominal::of(&board.raw),
            board,
            timing,
            asked_for_timing: self.timing,
        })
    }
}

/// Names and values of the timing, as text.
fn timing_facts(timing: &Timing) -> Vec<(&'static str, String)> {
    let us = |time: f64| si(time * 1e-6, "s");
    vec![
        ("last start", format!("{}, start {} since power-up", timing.cause, timing.starts)),
        ("ticks", format!("{} at {} Hz, {} lost", timing.ticks, timing.tick_hz, timing.ticks_lost)),
        ("worst jitter", format!("{} early, {} late", us(timing.early_us), us(timing.late_us))),
        (
            "longest service",
            format!(
                "{} ({} counts of {})",
                us(timing.service_us),
                timing.service_counts,
                si(f64::from(timing.counter_hz), "Hz")
            ),
        ),
        ("deepest stack", format!("{} of {} bytes", timing.stack_used, timing.stack_size)),
        (
            "from the host",
            format!(
                "at most {} bytes waiting, {} without room",
                timing.receive_high, timing.receive_overruns
            ),
        ),
        ("capture memory", format!("at most {} frames seen", timing.fifo_high)),
    ]
}

/// Names of the identity, as text.
pub(crate) fn identity(board: &BoardInfo) -> Vec<(&'static str, String)> {
    vec![
        (
            "profile",
            format!("{}, {} cells, {} couplings", board.profile, board.cells, board.couplings),
        ),
        ("serial number", format!("{:016x}", board.serial)),
        ("firmware", board.firmware.clone()),
        ("gateware", format!("{:08x}", board.gateware_id)),
    ]
}

impl Answer for InfoAnswer {
    fn text(&self) -> String {
        let mut all = vec![("rung", self.rung.to_owned())];
        all.extend(identity(&self.board));
        let calibration = self.board.calibration_id;
        all.push(("calibration", calibration.map_or("none".into(), |id| format!("{id:016x}"))));
        all.extend(self.board.last_run.iter().map(|end| ("last run ended", end.to_string())));
        all.extend(self.nominal.facts());
        match &self.timing {
            Some(timing) => all.extend(timing_facts(timing)),
            None if self.asked_for_timing => {
                let none =
                    "none: the firmware runs without a microcontroller, or is too old to tell";
                all.push(("timing", none.into()));
            }
            None => {}
        }
        format!("{}\n{}", self.uri, facts(&all))
    }
}
