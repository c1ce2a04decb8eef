//! From a solution to the record of it.

use super::CalibrateOptions;
use super::global::{Nominal, Solution};
use super::local::Fit;
use super::measure::Programming;
use super::noise::NoiseRatio;
use super::plausible::{limit, limits};
use super::response::Schedule;
use crate::calibration::{
    BoardKey, CellEstimates, Estimate, FitSummary, NominalValues, Record, SentinelRun, SettingFit,
};
use crate::device::BoardInfo;

/// All that was measured.
pub(super) struct Measurement<'a> {
    pub(super) info: &'a BoardInfo,
    pub(super) nominal: &'a Nominal,
    pub(super) programmings: &'a [Programming],
    pub(super) schedules: &'a [Schedule],
    pub(super) fits: &'a [Fit],
    pub(super) variance: f64,
    pub(super) solution: &'a Solution,
    pub(super) noise: &'a [NoiseRatio],
    pub(super) ticks: u64,
}

/// A value must be known to this part of its nominal one.
const RESOLVED: f64 = 0.25;

impl Measurement<'_> {
    /// How far a deviation is inside its limits.
    fn margin(&self, at: usize, limits: &[(f64, f64)]) -> f64 {
        let (low, high) = limits[at];
        let x = self.solution.x[at];
        let bound = if x < 0.0 { low } else { high };
        if bound == 0.0 { 1.0 } else { 1.0 - x / bound }
    }

    fn relative(&self, at: usize, nominal: f64, limits: &[(f64, f64)]) -> Estimate {
        let sigma = self.solution.sigma(at);
        Estimate {
            value: nominal * (1.0 + self.solution.x[at]),
            sigma: nominal * sigma,
            margin: self.margin(at, limits),
            resolved: sigma < RESOLVED,
        }
    }

    /// A value whose inverse was measured.
    fn inverse(&self, at: usize, nominal: f64, limits: &[(f64, f64)]) -> Estimate {
        let factor = 1.0 / (1.0 + self.solution.x[at]);
        let sigma = self.solution.sigma(at) * factor;
        Estimate {
            value: nominal * factor,
            sigma: nominal * factor * sigma,
            margin: self.margin(at, limits),
            resolved: sigma < RESOLVED,
        }
    }

    fn absolute(&self, at: usize, from: f64, unit: f64, limits: &[(f64, f64)]) -> Estimate {
        let sigma = unit * self.solution.sigma(at);
        Estimate {
            value: unit.mul_add(self.solution.x[at], from),
            sigma,
            margin: self.margin(at, limits),
            resolved: sigma < unit,
        }
    }

    fn cell(&self, cell: usize, limits: &[(f64, f64)]) -> CellEstimates {
        let (layout, values) = (self.nominal.layout, self.nominal.model.cells[cell]);
        let noise = self.noise[cell];
        let most = limit(self.noise.len()) * noise.sigma;
        CellEstimates {
            r_ohm: self.inverse(layout.conductance(cell), values.r_ohm, limits),
            l_henry: self.inverse(layout.inverse_l(cell), values.l_henry, limits),
            stray_farad: self.absolute(
                layout.stray(cell),
                values.stray_farad,
                self.nominal.lsb,
                limits,
            ),
            drive_ampere: self.relative(layout.drive(cell), values.drive_ampere, limits),
            adc_gain: self.relative(layout.gain(cell), values.adc_gain, limits),
            adc_offset: self.absolute(layout.offset(cell), values.adc_offset, 1.0, limits),
            noise: Estimate {
                value: noise.ratio,
                sigma: noise.sigma,
                margin: 1.0 - (noise.ratio - 1.0).abs() / most,
                resolved: noise.sigma < RESOLVED,
            },
        }
    }

    fn fit(&self) -> FitSummary {
        let setting = |m: usize| SettingFit {
            self_codes: self.programmings[m].selves.clone(),
            coupling_codes: self.programmings[m].couplings.clone(),
            ticks: self.schedules[m].ticks() as u64,
            sample_variance: self.fits[m].variance(),
            chi_squared: self.solution.chi2[m],
        };
        FitSummary {
            settings: (0..self.fits.len()).map(setting).collect(),
            sample_variance: self.variance,
            chi_squared: self.solution.chi2.iter().sum(),
            degrees_of_freedom: self.solution.freedom as u64,
            p_value: self.solution.p_value(),
        }
    }
}

pub(super) fn record(
    measured: &Measurement<'_>,
    sentinel: SentinelRun,
    options: &CalibrateOptions,
) -> Record {
    let (nominal, info) = (measured.nominal, measured.info);
    let layout = nominal.layout;
    let limits = limits(nominal, info, measured.solution);
    let bank = |values: &[f64], at: &dyn Fn(usize) -> usize| -> Vec<Estimate> {
        let bits = values.iter().enumerate();
        bits.map(|(bit, farad)| measured.relative(at(bit), *farad, &limits)).collect()
    };
    let selves = nominal.model.selves.iter().enumerate();
    let couplings = nominal.model.couplings.iter().enumerate();
    let values = nominal.model.cells[0];
    let count = layout.count();
    let mut covariance = Vec::with_capacity(count * (count + 1) / 2);
    for row in 0..count {
        let row = &measured.solution.covariance[row * count..][..=row];
        covariance.extend(row.iter().map(|value| *value as f32));
    }
    Record {
        board: BoardKey::of(info),
        created: options.created,
        valid_s: options.valid_s,
        temperature_c: options.temperature_c,
        depth: options.depth,
        ticks: measured.ticks,
        nominal: NominalValues {
            r_ohm: values.r_ohm,
            l_henry: values.l_henry,
            stray_farad: values.stray_farad,
            drive_ampere: values.drive_ampere,
            adc_gain: values.adc_gain,
            self_lsb_farad: nominal.lsb,
            coupling_lsb_farad: f64::from(info.raw.coupling_lsb_farad),
            period_s: nominal.model.period_s,
        },
        cells: (0..layout.n).map(|cell| measured.cell(cell, &limits)).collect(),
        selves: selves
            .map(|(cell, values)| bank(values, &|bit| layout.element(cell, bit)))
            .collect(),
        couplings: couplings
            .map(|(pair, values)| bank(values, &|bit| layout.coupling(pair, bit)))
            .collect(),
        fit: measured.fit(),
        sentinel,
        covariance,
    }
}
