//! What is wrong with a board.

use std::fmt;

use serde::Serialize;

/// Something that keeps a board from being calibrated. Cells, pairs and bits count from 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Finding {
    /// A converter returns the same code whatever happens.
    AdcStuck {
        /// The cell.
        cell: usize,
        /// The code.
        code: i16,
    },
    /// A converter is at the end of its range whatever happens.
    AdcAtRail {
        /// The cell.
        cell: usize,
        /// The positive end, or the negative one.
        high: bool,
    },
    /// The DAC of a cell moves nothing.
    NoDrive {
        /// The cell.
        cell: usize,
    },
    /// Two converters show each other's cell.
    AdcsSwapped {
        /// A cell.
        first: usize,
        /// The other one.
        second: usize,
    },
    /// A step of a cell is not seen by its own converter.
    ShownElsewhere {
        /// The cell.
        cell: usize,
        /// The converter that sees it.
        shows: Option<usize>,
    },
    /// An element of a self-term bank does not follow its switch.
    StuckSelf {
        /// The cell.
        cell: usize,
        /// The element.
        bit: usize,
        /// Always connected, or never.
        on: bool,
    },
    /// An element of a coupling bank does not follow its switch.
    StuckCoupling {
        /// A cell of the pair.
        i: usize,
        /// The other one.
        j: usize,
        /// The element.
        bit: usize,
        /// Always connected, or never.
        on: bool,
    },
    /// A value is further from nominal than the profile's spread and the error of the measurement allow.
    Implausible {
        /// What, with cell, pair and bit.
        what: String,
        /// Measured value over nominal, or the value where there is no nominal.
        value: f64,
        /// Standard deviation of the measurement.
        sigma: f64,
        /// Lowest and highest plausible value.
        limits: (f64, f64),
        /// What it most likely is.
        remedy: &'static str,
    },
    /// The noise generator of a cell makes another noise than it should.
    Noise {
        /// The cell.
        cell: usize,
        /// Measured over expected root mean square.
        ratio: f64,
        /// Standard deviation of the ratio.
        sigma: f64,
    },
    /// Responses are not those of coupled RLC cells.
    Misfit {
        /// The bank setting, from 0; `None`: the settings do not agree with each other.
        setting: Option<usize>,
        /// χ² over its degrees of freedom, or variance of a sample over the limit.
        excess: f64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stuck = |on: bool| if on { "always connected" } else { "never connected" };
        match self {
            Self::AdcStuck { cell, code } => write!(
                f,
                "the ADC of cell {cell} is stuck at code {code}; check its clock, its data lanes and \
                 the cable to the FPGA"
            ),
            Self::AdcAtRail { cell, high } => write!(
                f,
                "the ADC of cell {cell} is at its {} rail; check its input for a short or a failed \
                 amplifier",
                if *high { "positive" } else { "negative" }
            ),
            Self::NoDrive { cell } => write!(
                f,
                "cell {cell} is dead: its DAC moves nothing; check the DAC, its output stage and the \
                 cell's connection"
            ),
            Self::AdcsSwapped { first, second } => write!(
                f,
                "the ADC channels of cells {first} and {second} are swapped; exchange their cables or \
                 lanes"
            ),
            Self::ShownElsewhere { cell, shows: Some(shows) } => write!(
                f,
                "a step of cell {cell} shows at the ADC of cell {shows} instead of its own; check the \
                 order of the channels"
            ),
            Self::ShownElsewhere { cell, shows: None } => write!(
                f,
                "a step of cell {cell} does not show at its ADC while its couplings are open; check \
                 the cell's DAC connection"
            ),
            Self::StuckSelf { cell, bit, on } => write!(
                f,
                "element {bit} of the self-term bank of cell {cell} is stuck: {}; replace its switch \
                 or capacitor",
                stuck(*on)
            ),
            Self::StuckCoupling { i, j, bit, on } => write!(
                f,
                "element {bit} of the coupling bank of cells {i} and {j} is stuck: {}; replace its \
                 switch or capacitor",
                stuck(*on)
            ),
            Self::Implausible { what, value, sigma, limits, remedy } => write!(
                f,
                "{what} is {value:.4} ± {sigma:.1e}, outside {:.4} to {:.4}; {remedy}",
                limits.0, limits.1
            ),
            Self::Noise { cell, ratio, sigma } => write!(
                f,
                "the noise of cell {cell} is {ratio:.3} ± {sigma:.3} times what its generator and DAC \
                 should make; check its noise path in the gateware"
            ),
            Self::Misfit { setting: Some(setting), excess } => write!(
                f,
                "the responses at bank setting {setting} are not those of coupled RLC cells (excess \
                 {excess:.1}); look for intermittent contacts, nonlinearity or interference"
            ),
            Self::Misfit { setting: None, excess } => write!(
                f,
                "the bank settings disagree about the board's values (χ² {excess:.2} times its \
                 degrees of freedom); look for switches with memory, drift or interference"
            ),
        }
    }
}
