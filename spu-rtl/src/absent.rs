//! In place of the Verilated model where there is none.

use spu_sim::{AdcRow, DacRow};

use crate::error::RtlError;
use crate::pins::{Constants, Inputs, Run};

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

    pub(crate) const fn set(&mut self, _inputs: &Inputs) {
        match *self {}
    }

    pub(crate) const fn miso(&self) -> bool {
        match *self {}
    }

    pub(crate) const fn set_codes(&mut self, _codes: &AdcRow) {
        match *self {}
    }

    pub(crate) const fn run(&mut self, _run: &mut Run, _rows: &mut [DacRow]) -> u32 {
        match *self {}
    }
}
