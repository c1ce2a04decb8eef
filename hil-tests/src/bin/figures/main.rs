//! Measures one headline figure and prints it as one JSON object: `{"value": …, "detail": …}`.
//!
//! `cargo xtask figures` calls this once for each figure and compares the value with its goal.

mod accuracy;
mod calibrated;
mod faults;
mod link;
#[cfg(unix)]
mod qemu;
mod raw;
mod speed;
mod spice;
mod training;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;

/// Measures one headline figure.
#[derive(Debug, Parser)]
struct Arguments {
    /// Name of the figure, e.g. `sim.step_ratio`.
    #[arg(required_unless_present = "serve")]
    name: Option<String>,
    /// Serve a board on this Unix socket instead, for a figure that kills the process.
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
    /// Stay under 20 s.
    #[arg(long)]
    quick: bool,
}

/// A measured value.
struct Figure {
    value: f64,
    /// How it was measured.
    detail: String,
}

fn main() -> anyhow::Result<()> {
    let Arguments { name, serve, quick } = Arguments::parse();
    if let Some(socket) = serve {
        return hil_tests::unplug::serve_forever(&socket);
    }
    let name = name.unwrap_or_default();
    let figure = match name.as_str() {
        "sim.step_ratio" => speed::step_ratio(quick)?,
        "codec.gbps" => speed::codec(quick)?,
        "stream.inproc_msps" => speed::stream(quick)?,
        "roundtrip.inproc_us" => speed::round_trip(quick)?,
        "sim.lyapunov_error" => accuracy::lyapunov(quick)?,
        "invert.uncalibrated_error" => accuracy::uncalibrated(quick)?,
        "invert.ideal_error_over_bound" => accuracy::ideal_over_bound(quick)?,
        "accuracy.rev-a.median" => calibrated::median("rev-a", quick)?,
        "accuracy.rev-b.median" => calibrated::median("rev-b", quick)?,
        "accuracy.rev-b.over_bound" => calibrated::over_bound(quick)?,
        "accuracy.mitigation_gain" => calibrated::mitigation(quick)?,
        "accuracy.coverage" => calibrated::coverage(quick)?,
        "accuracy.any_spd" => calibrated::any(quick)?,
        "accuracy.256" => calibrated::large(quick)?,
        "thermox.speedup" => calibrated::against_thermox(quick)?,
        "spice.resonance_error" => spice::resonance()?,
        "spice.step_error" => spice::step(quick)?,
        "spice.covariance_z" => spice::covariance(quick)?,
        "faults.schedules" => faults::schedules(quick)?,
        "unplug.wrong" => faults::unplug(quick)?,
        "flash.power_cuts" | "flash.bricked" => power_cuts(&name),
        #[cfg(unix)]
        "qemu.throughput_ratio" => qemu::throughput(quick)?,
        #[cfg(unix)]
        "qemu.roundtrip_ratio" => qemu::round_trip(quick)?,
        #[cfg(unix)]
        "qemu.differences" => qemu::differences(quick)?,
        #[cfg(unix)]
        "timing.lost_ticks" | "timing.jitter_ticks" => qemu::timing(&name, quick)?,
        other => link::figure(other, quick)?
            .map_or_else(|| training::figure(other, quick), |figure| Ok(Some(figure)))?
            .with_context(|| format!("no figure {other}; `cargo xtask figures` names them"))?,
    };
    println!("{}", serde_json::json!({ "value": figure.value, "detail": figure.detail }));
    Ok(())
}

/// Cuts of the power at every operation of an update, in a model of the flash memory.
fn power_cuts(name: &str) -> Figure {
    let counts = spu_boot::power_cut::power_cuts();
    let value = match name {
        "flash.bricked" => counts.bricked + counts.not_rolled_back,
        _ => counts.power_cuts(),
    };
    Figure { value: value as f64, detail: format!("{counts:?}") }
}
