//! In place of the Verilated model where there is none.

use crate::error::RtlError;
use crate::pins::{Constants, Inputs, Outputs};

const MISSING: RtlError = RtlError::Unavailable { why: env!("SPU_RTL_MISSING") };

/// No value: there is no model.
#[derive(Debug)]
pub(crate) enum Model {}

/// Whether this build has the Verilated gateware.
///
/// # Errors
/// [`RtlError::Unavailable`] says what was missing when it was built.
pub const fn available() -> Result<(), RtlError> {
    Err(MISSING)
}

impl Model {
    pub(crate) const fn new(_board: &Constants, _seed: u32) -> Result<Self, RtlError> {
        Err(MISSING)
    }

    pub(crate) const fn eval(&mut self, _inputs: &Inputs, _outputs: &mut Outputs) {
        match *self {}
    }
}
