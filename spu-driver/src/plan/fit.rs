//! Codes that hold a matrix, and plans from them.

use ndarray::Array2;
use spu_protocol::code::{CouplingCode, DacCode, GainCode};

use super::drive::{drive, safe_gain};
use super::{Budget, InversionPlan, SETTLE_RESIDUE, Settle};
use crate::board_model::{BoardModel, bank_top};
use crate::device::{BoardInfo, Program, pair_index};
use crate::error::Error;
use crate::linalg::{frobenius, product, relative_error, solve, symmetric_eigen};
use crate::matrix::SpdMatrix;
use crate::model::{CellModel, Mode};
use crate::quantise::{Banks, Codes};
use crate::scaling::{Scaling, candidates};

/// Codes that hold a scaled matrix, and how well.
#[derive(Clone)]
pub(super) struct Fit {
    scaling: Scaling,
    d: Vec<f64>,
    farads: f64,
    codes: Codes,
    quantisation: f64,
    /// Relative Frobenius error of the inverse.
    error: f64,
}

impl Fit {
    /// The best fit over gains from half to all of the banks' range.
    pub(super) fn best(a: &SpdMatrix, banks: &Banks, scaling: Scaling, d: &[f64]) -> Option<Self> {
        const GAINS: u32 = 256;
        // Gains whose plain rounding is best, of which each is refined.
        const REFINED: usize = 12;
        let n = a.n();
        let eye = Array2::eye(n);
        let unscaled = |inverse: Array2<f64>| {
            Array2::from_shape_fn((n, n), |(i, j)| d[i] * inverse[[i, j]] * d[j])
        };
        let scaled = Array2::from_shape_fn((n, n), |(i, j)| d[i] * a.entries()[[i, j]] * d[j]);
        let wanted = unscaled(solve(&scaled, &eye));
        let full = banks.full_range(&scaled);
        let none = Array2::zeros((n, n));
        let error_of = |capacitance: &Array2<f64>| {
            relative_error(&unscaled(solve(capacitance, &eye)), &wanted)
        };
        let mut rounded: Vec<(f64, f64, Codes)> = (0..=GAINS)
            .map(|k| full * (1.0 - f64::from(k) / f64::from(2 * GAINS)))
            .filter_map(|farads| {
                let codes = banks.nearest(&scaled, farads)?;
                Some((error_of(&(&codes.capacitance / farads)), farads, codes))
            })
            .collect();
        rounded.sort_by(|x, y| x.0.total_cmp(&y.0));
        rounded.truncate(REFINED);
        rounded
            .into_iter()
            .filter_map(|(_, farads, mut codes)| {
                let _ = banks.refine(&mut codes, &scaled, farads, d, &none);
                let capacitance = &codes.capacitance / farads;
                (symmetric_eigen(&capacitance).0[0] > 0.0).then(|| Self {
                    scaling,
                    d: d.to_vec(),
                    farads,
                    quantisation: relative_error(&capacitance, &scaled),
                    error: error_of(&capacitance),
                    codes,
                })
            })
            .min_by(|x, y| x.error.total_cmp(&y.error))
            .filter(|fit| fit.error.is_finite())
    }

    /// The best fit of these scalings.
    pub(super) fn of(
        a: &SpdMatrix,
        info: &BoardInfo,
        model: &BoardModel,
        scalings: &[Scaling],
    ) -> Result<Self, Error> {
        let banks = Banks::new(model, a.n(), info.raw.coupling_signed == 1);
        let mut candidates = candidates(a, info.raw.coupling_signed == 1)
            .map_err(|reasons| Error::Unsupported { reasons })?;
        candidates.retain(|(scaling, _)| scalings.contains(scaling));
        if candidates.is_empty() {
            return Err(Error::Unsupported {
                reasons: vec!["the matrix is not diagonally dominant as it is".into()],
            });
        }
        candidates
            .into_iter()
            .filter_map(|(scaling, d)| Self::best(a, &banks, scaling, &d))
            .min_by(|x, y| x.error.total_cmp(&y.error))
            .ok_or_else(|| Error::Unsupported {
                reasons: vec![format!(
                    "condition {:.3e} is too high for banks of {} and {} bits: the quantised \
                     matrix would not be positive definite; use a profile with more bits or add \
                     --damping",
                    a.condition(),
                    info.raw.self_bits,
                    info.raw.coupling_bits
                )],
            })
    }

    /// The next member of an ensemble, of all gains the one that best makes up for `carry`, the sum of the
    /// errors of those before, in units of the inverse. Where none is regular it is this fit again.
    pub(super) fn next(&self, a: &SpdMatrix, banks: &Banks, carry: &mut Array2<f64>) -> Self {
        const GAINS: u32 = 64;
        let n = self.d.len();
        let d = &self.d;
        let eye = Array2::eye(n);
        let scaled = Array2::from_shape_fn((n, n), |(i, j)| d[i] * a.entries()[[i, j]] * d[j]);
        let smallest = symmetric_eigen(&scaled).0[0];
        let full = banks.full_range(&scaled);
        // The matrix whose inverse is off by as much as makes up for the others, to first order.
        let middle = Array2::from_shape_fn((n, n), |(i, j)| carry[[i, j]] / (d[i] * d[j]));
        let shifted = &scaled - &product(&product(&scaled, &middle), &scaled);
        let best = (0..=GAINS)
            .map(|k| full * (1.0 - f64::from(k) / f64::from(2 * GAINS)))
            .filter_map(|farads| {
                let mut codes = banks.nearest(&shifted, farads)?;
                let error =
                    banks.refine(&mut codes, &scaled, farads, d, &(&*carry / farads)) * farads;
                let capacitance = &codes.capacitance / farads;
                // Far enough from singular that its own error stays one of first order.
                (symmetric_eigen(&capacitance).0[0] > 0.5 * smallest).then(|| {
                    let fit = Self {
                        farads,
                        quantisation: relative_error(&capacitance, &scaled),
                        error: relative_error(&solve(&capacitance, &eye), &solve(&scaled, &eye)),
                        codes,
                        ..self.clone()
                    };
                    // What is left for the next ones, and this one's own error, whose square stays.
                    let weight = frobenius(&(&*carry + &error)).hypot(frobenius(&error));
                    (weight, error, fit)
                })
            })
            .min_by(|x, y| x.0.total_cmp(&y.0));
        match best {
            Some((_, error, fit)) => {
                *carry += &error;
                fit
            }
            None => self.clone(),
        }
    }

    /// The plan of one of so many programmings.
    pub(super) fn finish(
        self,
        info: &BoardInfo,
        model: &BoardModel,
        budget: &Budget,
        programmings: u32,
    ) -> InversionPlan {
        let n = self.d.len();
        let cell = CellModel::mean(&model.first(n));
        let (values, vectors) = symmetric_eigen(&self.codes.capacitance);
        let modes: Vec<Mode> = values.iter().map(|c| cell.mode(*c)).collect();
        let slowest = modes.iter().map(Mode::slowest_rate).fold(f64::INFINITY, f64::min);
        let settle_s = -libm::log(SETTLE_RESIDUE) / (2.0 * slowest);
        let settle = (settle_s / cell.period_s).ceil() as u64;
        let timing = crate::timing::choose(&modes, &vectors, &self.d, budget);
        let mut program = Program {
            self_codes: vec![CouplingCode(bank_top(info.raw.self_bits)); info.cells],
            coupling_codes: vec![CouplingCode(0); info.couplings],
            gain_codes: vec![GainCode(0); info.cells],
            bias_codes: vec![DacCode(0); info.cells],
            storage_codes: Vec::new(),
            seeds: None,
            discharge: true,
        };
        for i in 0..n {
            program.self_codes[i] = CouplingCode(self.codes.selves[i]);
            for j in i + 1..n {
                program.coupling_codes[info.pair(i, j)] =
                    CouplingCode(self.codes.couplings[pair_index(n, i, j)]);
            }
        }
        InversionPlan {
            n,
            scaling: self.scaling,
            d: self.d,
            farads: self.farads,
            program,
            capacitance: self.codes.capacitance,
            quantisation: self.quantisation,
            quantisation_error: self.error,
            safe_gain: safe_gain(info, &cell, modes[0].c),
            drive: drive(&model.first(n)),
            modes,
            vectors,
            settle,
            settling: Settle::default(),
            programmings: programmings.max(1),
            decimation: timing.decimation,
            samples: timing.samples,
            effective: timing.effective,
            predicted_error: timing.predicted_error,
        }
    }
}
