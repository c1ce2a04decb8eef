//! The figures and their goals.

use std::fmt;
use std::process::Command;

use crate::{cargo, root};

/// What a value is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// At least this much.
    AtLeast(f64),
    /// At most this much.
    AtMost(f64),
    /// From the first to the second.
    Within(f64, f64),
}

impl Goal {
    /// True if `value` meets the goal; never for NaN.
    pub(super) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Within(least, most) => (least..=most).contains(&value),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::Within(least, most) => write!(f, "{least} to {most}"),
        }
    }
}

/// A headline figure. Its command is the binary `figures` of the crate `hil-tests`, called with
/// the figure's name, or `cargo xtask guest`, `firmware` or `gateware`.
#[derive(Debug)]
pub(super) struct Figure {
    /// Name, area first.
    pub(super) name: &'static str,
    /// Unit of the value.
    pub(super) unit: &'static str,
    /// What the value is to be.
    pub(super) goal: Goal,
    /// What it is measured on: `sim` in process, `served`, `guest`, `qemu`, `rtl`, `spice` (ngspice
    /// beside the simulator) or `board`; `digital`: no board;
    /// `image`: nothing ran;
    /// `model`: boot code over a model of flash memory.
    pub(super) rung: &'static str,
}

// Without `-p`, so that the features, and with them the builds, are those of every other command.
const BINARY: [&str; 3] = ["--release", "--bin", "figures"];

impl Figure {
    /// Arguments of `cargo` that measure it.
    pub(super) fn arguments(&self, quick: bool) -> Vec<&'static str> {
        let mut arguments = match self.rung {
            // Measured in the virtual machine.
            "guest" => vec!["xtask", "guest", "--figure"],
            // Read off the linked images.
            "image" => vec!["xtask", "firmware", "--figure"],
            // Of the gateware.
            "rtl" => vec!["xtask", "gateware", "--figure"],
            _ => [&["run", "-q"][..], &BINARY, &["--"]].concat(),
        };
        arguments.push(self.name);
        arguments.extend(quick.then_some("--quick"));
        arguments
    }
}

/// Every figure.
pub(super) const FIGURES: [Figure; 56] = [
    // Ticks per second of the simulated 8-cell rev-a board on one core, over 12 MHz.
    Figure { name: "sim.step_ratio", unit: "x 12 MHz", goal: Goal::AtLeast(2.0), rung: "sim" },
    // Octets of frames encoded and decoded per second, on one core.
    Figure { name: "codec.gbps", unit: "GB/s", goal: Goal::AtLeast(1.0), rung: "sim" },
    // Raw samples of each of the 8 channels per second, delivered to a sink.
    Figure { name: "stream.inproc_msps", unit: "MS/s", goal: Goal::AtLeast(12.0), rung: "sim" },
    Figure { name: "roundtrip.inproc_us", unit: "us", goal: Goal::AtMost(5.0), rung: "sim" },
    // Relative Frobenius distance of the ideal board's sampled covariance from the discrete Lyapunov
    // solution, at N_eff 3e7 (quick: 1.5e7), where noise alone leaves about 5e-4 (7e-4).
    Figure { name: "sim.lyapunov_error", unit: "1", goal: Goal::AtMost(1e-3), rung: "sim" },
    // Median over board draws of the relative Frobenius error of the rev-a inverse, against the
    // published 25 to 31 %.
    Figure {
        name: "invert.uncalibrated_error",
        unit: "1",
        goal: Goal::Within(0.25, 0.31),
        rung: "sim",
    },
    // Relative Frobenius error of the ideal board's inverse over the error that its effective
    // number of samples predicts.
    Figure {
        name: "invert.ideal_error_over_bound",
        unit: "1",
        goal: Goal::AtMost(1.2),
        rung: "sim",
    },
    // Median relative Frobenius error of the inverse on calibrated boards, condition up to 10, N_eff 12,000:
    // at most 1.5 times what the samples leave (0.023), and 0.01: of rev-a what quantisation leaves.
    accuracy("accuracy.rev-a.median", "1", Goal::AtMost(0.044)),
    accuracy("accuracy.rev-b.median", "1", Goal::AtMost(0.044)),
    accuracy("accuracy.rev-b.over_bound", "1", Goal::AtMost(1.5)),
    // Part of the entries that lie inside their 95 % intervals (quick: 36 inverses).
    accuracy("accuracy.coverage", "1", Goal::Within(0.93, 0.97)),
    // Median error of any matrix beyond what the samples leave; error of a 256 x 256 inverse by blocks
    // (quick: 128 x 128).
    accuracy("accuracy.any_spd", "1", Goal::AtMost(0.01)),
    accuracy("accuracy.256", "1", Goal::AtMost(0.03)),
    // Error of quantisation of one programming over that of sixteen that make up for each other.
    accuracy("accuracy.mitigation_gain", "1", Goal::AtLeast(3.0)),
    // Time of thermox over that of simulated rev-b boards for an 8 x 8 inverse of equal error (quick: 1e5
    // independent samples instead of 1e6); skipped where SPU_THERMOX_PYTHON names no Python that has thermox.
    accuracy("thermox.speedup", "1", Goal::AtLeast(5.0)),
    // Test accuracy of TNGD through the whole stack after 100 steps of 64 of 10,000 MNIST images, median over
    // 10 seeds (quick: 3), and its lead over a tuned Adam, paired; after 10 epochs (quick: one seed). Skipped
    // without the images (`cargo xtask data mnist`).
    training("tngd.acc100", "1", Goal::AtLeast(0.945), "sim"),
    training("tngd.lead100", "points", Goal::AtLeast(0.8), "sim"),
    training("tngd.acc_10epochs", "1", Goal::AtLeast(0.965), "sim"),
    // Seconds of 10 epochs (quick: by 80 steps), and time of a step over Adam's.
    training("tngd.exactlaw_s", "s", Goal::AtMost(120.0), "digital"),
    training("tngd.board_s", "s", Goal::AtMost(180.0), "sim"),
    training("tngd.exactlaw_ratio", "1", Goal::AtMost(40.0), "digital"),
    training("tngd.board_ratio", "1", Goal::AtMost(15.0), "sim"),
    // Exponent of the time of a step in the number of parameters, from 3e4 to 1e6; of the dense natural
    // gradient from 8e2 to 3e3 (quick: to 1.6e3).
    training("tngd.exponent", "1", Goal::AtMost(1.1), "sim"),
    training("ngd.exponent", "1", Goal::AtLeast(2.5), "digital"),
    // ngspice against the simulated board, its netlist made of the same parts: largest relative difference of
    // a mode's frequency; largest difference of a sample over full scale; largest distance of an element of the
    // covariance from the simulator's, in standard deviations of a record (false alarms below 1e-6 at 8).
    // Skipped without ngspice.
    spice("spice.resonance_error", "1", Goal::AtMost(1e-3)),
    spice("spice.step_error", "1", Goal::AtMost(1e-3)),
    spice("spice.covariance_z", "sigma", Goal::AtMost(8.0)),
    // Random schedules of calls and faults without a violation (quick: 10,000 of them).
    Figure {
        name: "faults.schedules",
        unit: "schedules",
        goal: Goal::AtLeast(10_000.0),
        rung: "sim",
    },
    // Calls that did not end as disconnected or right when the plug was pulled at a random moment,
    // 1,000 times each way (quick: 50).
    Figure { name: "unplug.wrong", unit: "calls", goal: Goal::AtMost(0.0), rung: "served" },
    // Rate of a raw stream through the driver over that of a plain copy through the same kind of
    // link, or over 1.25 times the board's full rate where that is lower.
    link_ratio("link.inproc.ceiling_ratio", "sim"),
    link_ratio("link.unix.ceiling_ratio", "served"),
    link_ratio("link.pty.ceiling_ratio", "served"),
    link_ratio("link.tcp.ceiling_ratio", "served"),
    // Median round trip of a command of 64 bytes, less that of a plain message of its length.
    link_added("link.inproc.added_p50_us", "sim"),
    link_added("link.unix.added_p50_us", "served"),
    link_added("link.pty.added_p50_us", "served"),
    link_added("link.tcp.added_p50_us", "served"),
    // Samples of a raw stream through the driver over plain bulk reads of the same endpoint; and the
    // median of a ping less that of plain bytes to something as far away.
    link_ratio("link.usb.ceiling_ratio", "guest"),
    link_added("link.usb.added_p50_us", "guest"),
    // The firmware's image over a bare image that does the same without frames, sessions and
    // interrupts: rate of a raw stream; bare time of a round trip over that of a ping.
    Figure { name: "qemu.throughput_ratio", unit: "1", goal: Goal::AtLeast(0.8), rung: "qemu" },
    Figure { name: "qemu.roundtrip_ratio", unit: "1", goal: Goal::AtLeast(0.8), rung: "qemu" },
    // Entries of an inverse on three emulated copies that are not those of the simulator.
    Figure { name: "qemu.differences", unit: "entries", goal: Goal::AtMost(0.0), rung: "qemu" },
    // Ticks of the firmware that did not come, and the spread of those that came, by a clock that
    // counts instructions, over 100,000 ticks (quick: 10,000).
    Figure { name: "timing.lost_ticks", unit: "ticks", goal: Goal::AtMost(0.0), rung: "qemu" },
    Figure { name: "timing.jitter_ticks", unit: "ticks", goal: Goal::AtMost(0.5), rung: "qemu" },
    // Sample ticks of the Verilated gateware in lockstep with the simulated FPGA, every octet that either
    // gives compared (skipped where --quick is given: CI has a stage of its own for it); and planted
    // mistakes that the comparison does not find.
    Figure { name: "rtl.identical_ticks", unit: "ticks", goal: Goal::AtLeast(1e7), rung: "rtl" },
    Figure { name: "rtl.mutants_missed", unit: "mutants", goal: Goal::AtMost(0.0), rung: "rtl" },
    // Core clock that place and route reached, by the one that the board has.
    Figure { name: "rtl.fmax_ratio", unit: "ratio", goal: Goal::AtLeast(1.25), rung: "rtl" },
    // What the images fill; memory includes the stack.
    size("fw.mps2-an386.flash_kib", 64.0),
    size("fw.mps2-an386.ram_kib", 32.0),
    size("fw.lm3s6965evb.flash_kib", 64.0),
    size("fw.lm3s6965evb.ram_kib", 32.0),
    size("fw.nucleo-h743zi.flash_kib", 64.0),
    size("fw.nucleo-h743zi.ram_kib", 32.0),
    size("fw.boot_kib", 24.0),
    // Cuts of the power at every flash operation of an update and of the recovery from a cut, in a
    // model of the memory; and starts after them that found no valid image or kept a bad one.
    Figure {
        name: "flash.power_cuts",
        unit: "cuts",
        goal: Goal::AtLeast(100_000.0),
        rung: "model",
    },
    Figure { name: "flash.bricked", unit: "boards", goal: Goal::AtMost(0.0), rung: "model" },
];

const fn size(name: &'static str, most: f64) -> Figure {
    Figure { name, unit: "KiB", goal: Goal::AtMost(most), rung: "image" }
}

const fn accuracy(name: &'static str, unit: &'static str, goal: Goal) -> Figure {
    Figure { name, unit, goal, rung: "sim" }
}

const fn spice(name: &'static str, unit: &'static str, goal: Goal) -> Figure {
    Figure { name, unit, goal, rung: "spice" }
}

const fn training(
    name: &'static str,
    unit: &'static str,
    goal: Goal,
    rung: &'static str,
) -> Figure {
    Figure { name, unit, goal, rung }
}

const fn link_ratio(name: &'static str, rung: &'static str) -> Figure {
    Figure { name, unit: "1", goal: Goal::AtLeast(0.8), rung }
}

const fn link_added(name: &'static str, rung: &'static str) -> Figure {
    Figure { name, unit: "us", goal: Goal::AtMost(50.0), rung }
}

/// The command that builds what measures the figures.
pub(super) fn build() -> Command {
    let mut command = Command::new(cargo());
    command.current_dir(root()).args(["build", "-q"]).args(BINARY);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_hold_up_to_their_ends() {
        assert!(Goal::AtLeast(2.0).holds(2.0) && !Goal::AtLeast(2.0).holds(1.99));
        assert!(Goal::AtMost(5.0).holds(5.0) && !Goal::AtMost(5.0).holds(5.01));
        let band = Goal::Within(0.25, 0.31);
        assert!(band.holds(0.25) && band.holds(0.31) && !band.holds(0.24) && !band.holds(0.32));
        for goal in [Goal::AtLeast(2.0), Goal::AtMost(5.0), band] {
            assert!(!goal.holds(f64::NAN));
        }
    }

    #[test]
    fn names_differ() {
        for (i, figure) in FIGURES.iter().enumerate() {
            assert!(FIGURES[..i].iter().all(|other| other.name != figure.name));
        }
    }
}
