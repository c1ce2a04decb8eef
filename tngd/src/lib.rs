//! Thermodynamic natural gradient descent (Donatella et al., "Thermodynamic natural gradient
//! descent", arXiv 2405.13817).
//!
//! A natural-gradient step solves (G + λI) x = g, where g is the gradient of the loss over a batch
//! and G its [curvature]. An Ornstein–Uhlenbeck device relaxes towards that x; it is read after a
//! finite time t, so t = 0 is plain gradient descent when it starts at g, t → ∞ the natural
//! gradient. [`backend::NaturalGradient`] is the seam: a board, or one of the digital emulations
//! and solvers here, which say that they are digital. [`optim::Tngd`] turns what is read into steps.
//!
//! - [`model`]: what a user's model gives: loss, gradient, curvature
//! - [`nn`]: layers with forward mode, reverse mode and per-sample Jacobians in factored form
//! - [`loss`]: losses over the outputs, with their Hessians
//! - [`curvature`]: generalized Gauss–Newton matrix and empirical Fisher as operators, damping
//! - [`krylov`]: Lanczos tridiagonalisation and functions of matrices
//! - [`backend`]: the device law, its emulations, the k-cell Krylov contract, digital solvers
//! - [`data`]: examples and the files they come from
//! - [`optim`]: SGD, Adam, TNGD and TNGD-Adam, schedules, checkpoints
//! - [`train`]: the training loop

pub mod backend;
mod bits;
pub mod curvature;
pub mod data;
pub mod krylov;
mod linalg;
pub mod loss;
pub mod model;
pub mod nn;
pub mod optim;
mod random;
pub mod train;
