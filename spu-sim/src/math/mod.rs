//! Small dense linear algebra with fixed order of operations.
//!
//! Everything that reaches a code is computed here, in plain IEEE additions, multiplications,
//! divisions and square roots, which are correctly rounded on every CPU, and in transcendentals of
//! the `libm` crate. Nothing picks its instructions at run time, so the results are the same bits
//! everywhere.

mod complex;
mod matrix;
mod svd;

pub(crate) use complex::Complex;
pub(crate) use matrix::Matrix;
pub(crate) use svd::{Svd, svd};
