//! Factored boards: three resistor arrays J, H and Jᵀ relax N nodes under F = Jᵀ H J + λ
//! (arXiv 2405.13817, appendix C).
//!
//! [`Factored::load`] scales each row of J to the array's codes and writes it to J and Jᵀ, row by row:
//! the host keeps one row. [`Factored::relax`] sets H with the rows' scales in it, λ, input, start and
//! noise, runs for a number of ticks and reads N ADC codes. The array's drift is σF with σ as large as
//! codes allow, a time t of F is t/σ of the array. Nothing of the law is computed here.

mod descriptor;
mod paper;
mod reciprocity;
mod relax;
#[cfg(all(test, feature = "sim"))]
mod tests;

use std::time::{Duration, Instant};

use spu_protocol::payload::bulk::Region;
use spu_protocol::regs;

pub use descriptor::Descriptor;
pub use paper::PaperTime;
pub use relax::{RelaxOptions, Relaxation};

use crate::device::{Deadline, Device};
use crate::error::Error;
use crate::time;

/// Largest deviation of an element in units of its spread: parts beyond are no parts of the board.
const CUT: f64 = 4.05;

/// A factored board's array.
#[derive(Debug, Clone)]
pub struct Factored {
    descriptor: Descriptor,
}

/// Arrays J and Jᵀ as they are on the board, and H as it will be.
#[derive(Debug, Clone)]
pub struct Loaded {
    rows: usize,
    columns: usize,
    /// diag(s) H diag(s), s the largest magnitude of each row of J.
    h: Vec<f64>,
    /// Largest magnitude of `h`.
    largest: f64,
    /// Σ ‖row‖².
    squares: f64,
    /// Frobenius norm of H.
    norm: f64,
    spread: f64,
    /// Time that it took.
    pub took: Duration,
}

impl Loaded {
    /// Bound of the drift's deviation ‖E‖₂ from Jᵀ H J by the stated tolerances of the elements,
    /// whatever their draw: `‖J‖_F² ‖H‖_F ((1 + δ)³ − 1)`, δ = 4.05 σ.
    ///
    /// Below λ the drift is stable on every board of the profile. Above, it need not be: the nominal
    /// codes do not tell, and [`Factored::relax`] reports a read-out that no stable drift gives. What of
    /// it is not symmetric, [`Factored::asymmetry`] measures.
    pub fn drift_bound(&self) -> f64 {
        let delta = CUT * self.spread;
        self.curvature_bound() * ((1.0 + delta).powi(3) - 1.0)
    }

    /// Whether tolerances cannot make the drift unstable at this damping.
    pub fn is_stable(&self, damping: f64) -> bool {
        self.drift_bound() < damping
    }

    /// Rows and columns in use.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Bound of ‖Jᵀ H J‖₂.
    fn curvature_bound(&self) -> f64 {
        self.squares * self.norm
    }
}

impl Factored {
    /// The array of this device.
    ///
    /// # Errors
    /// As [`Descriptor::read`].
    pub fn new(device: &mut dyn Device, timeout: Duration) -> Result<Self, Error> {
        let descriptor = Descriptor::read(device, Deadline::after(timeout))?;
        Ok(Self { descriptor })
    }

    /// Sizes and nominal values.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Writes J and Jᵀ. `row` fills row r of J, `columns` entries; `h` has `rows` × `rows` entries, or
    /// is left out for the identity. What was written is read back and compared, unless `verify` is
    /// off.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for arrays that do not fit or entries that are not finite;
    /// [`Error::Corrupt`] where another code reads back; link errors. Each request may take `timeout`.
    pub fn load(
        &self,
        device: &mut dyn Device,
        (rows, columns): (usize, usize),
        row: &mut dyn FnMut(usize, &mut [f32]),
        h: Option<&[f64]>,
        (verify, timeout): (bool, Duration),
    ) -> Result<Loaded, Error> {
        let start = time::now();
        self.descriptor.check(rows, columns)?;
        if let Some(h) = h.filter(|h| h.len() != rows * rows || h.iter().any(|x| !x.is_finite())) {
            return Err(unsupported(format!(
                "H has {} entries where {rows} x {rows} finite ones are needed",
                h.len()
            )));
        }
        let deadline = || Deadline::after(timeout);
        device.write_regs(regs::ARRAY_ROWS, &[rows as u32, columns as u32], deadline())?;
        let top = f64::from(self.descriptor.top);
        let words = Region::row_words(columns);
        let (mut values, mut codes) = (vec![0.0_f32; columns], vec![0_i16; columns]);
        let (mut scales, mut squares) = (Vec::with_capacity(rows), 0.0);
        for r in 0..rows {
            row(r, &mut values);
            if let Some(n) = values.iter().position(|x| !x.is_finite()) {
                return Err(unsupported(format!("entry ({r}, {n}) of J is not finite")));
            }
            let scale = values.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            let factor = if scale > 0.0 { top / f64::from(scale) } else { 0.0 };
            for (code, x) in codes.iter_mut().zip(&values) {
                *code = (f64::from(*x) * factor).round_ties_even() as i16;
            }
            squares += values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
            scales.push(f64::from(scale));
            for region in [Region::J, Region::Jt] {
                write(device, region, r * words, &codes, (verify, timeout))?;
            }
        }
        let entry = |r: usize, s: usize| match h {
            Some(h) => h[r * rows + s],
            None => f64::from(u8::from(r == s)),
        };
        let norm = match h {
            Some(h) => h.iter().map(|x| x * x).sum::<f64>().sqrt(),
            // The identity's ‖·‖₂, which bounds as well.
            None => 1.0,
        };
        let h: Vec<f64> = (0..rows * rows)
            .map(|at| {
                let (r, s) = (at / rows, at % rows);
                scales[r] * entry(r, s) * scales[s]
            })
            .collect();
        let largest = h.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        let spread = self.descriptor.spread;
        let took = since(start);
        Ok(Loaded { rows, columns, h, largest, squares, norm, spread, took })
    }
}

/// Writes codes, and compares what reads back.
fn write(
    device: &mut dyn Device,
    region: Region,
    first: usize,
    codes: &[i16],
    (verify, timeout): (bool, Duration),
) -> Result<(), Error> {
    let bulk = device.bulk()?;
    bulk.write(region, first, codes, Deadline::after(timeout))?;
    if !verify {
        return Ok(());
    }
    let mut back = vec![0; codes.len()];
    bulk.read(region, first, &mut back, Deadline::after(timeout))?;
    match codes.iter().zip(&back).position(|(sent, back)| sent != back) {
        None => Ok(()),
        Some(at) => Err(Error::Corrupt {
            what: format!(
                "code {at} from word {first} of {region:?} was set to {} but reads back {}",
                codes[at], back[at]
            ),
        }),
    }
}

fn unsupported(reason: String) -> Error {
    Error::Unsupported { reasons: vec![reason] }
}

fn since(start: Instant) -> Duration {
    time::now().saturating_duration_since(start)
}
