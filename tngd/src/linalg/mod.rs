//! Products and sums that everything else stands on.

mod matmul;
mod vector;

pub(crate) use matmul::{Mat, MatMut, matmul};
pub(crate) use vector::{axpy, dot, finite, norm, scale};
