//! What a run may be of: data, update rule, backend.

use clap::ValueEnum;
use serde::Serialize;

/// What is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Set {
    /// Handwritten digits
    Mnist,
}

/// The update rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Method {
    /// Natural gradients with SGD
    Tngd,
    /// Natural gradients with Adam
    TngdAdam,
    /// Adam, digital
    Adam,
    /// SGD, digital
    Sgd,
}

impl Method {
    pub(super) fn is_natural(self) -> bool {
        matches!(self, Self::Tngd | Self::TngdAdam)
    }

    pub(super) fn is_adam(self) -> bool {
        matches!(self, Self::Adam | Self::TngdAdam)
    }
}

/// What gives the natural gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BackendName {
    /// The cells of a board, by Lanczos vectors of the host: RC cells relax, RLC cells give the limit
    /// (--time inf) by their covariance
    Board,
    /// The factored array of N nodes (profile rc-factored)
    Array,
    /// Kronecker factors of each layer, inverted on a board of either kind (--time inf)
    KfacBoard,
    /// Digital: the same with cells that are computed
    Krylov,
    /// Digital: the law of an ideal array of N cells
    ExactLaw,
    /// Digital: the same law in time steps of τ/10 (Euler–Maruyama)
    Euler,
    /// Digital solver of the limit (--time inf)
    Woodbury,
    /// Digital solver of the limit (--time inf)
    Cg,
    /// Digital: Kronecker factors, inverted by the host (--time inf)
    Kfac,
}

impl BackendName {
    pub(super) fn is_board(self) -> bool {
        matches!(self, Self::Board | Self::KfacBoard | Self::Array)
    }

    pub(super) fn is_kfac(self) -> bool {
        matches!(self, Self::Kfac | Self::KfacBoard)
    }
}
