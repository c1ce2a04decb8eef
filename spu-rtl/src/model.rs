//! The Verilated model.

use std::fmt;
use std::ptr::NonNull;

use spu_sim::{AdcRow, DacRow};

use crate::error::RtlError;
use crate::pins::{Constants, Inputs, Run};

#[repr(C)]
struct SpuRtl {
    _private: [u8; 0],
}

unsafe extern "C" {
    fn spu_rtl_new(board: *const Constants, seed: u32) -> *mut SpuRtl;
    fn spu_rtl_free(rtl: *mut SpuRtl);
    fn spu_rtl_set(rtl: *mut SpuRtl, inputs: *const Inputs);
    fn spu_rtl_miso(rtl: *const SpuRtl) -> u8;
    fn spu_rtl_codes(rtl: *mut SpuRtl, codes: *const AdcRow);
    fn spu_rtl_run(rtl: *mut SpuRtl, run: *mut Run, rows: *mut DacRow, room: u32) -> u32;
}

/// The gateware with the converters around it.
pub(crate) struct Model(NonNull<SpuRtl>);

// SAFETY: the model has a context of its own and no thread-local state; it is reached through
// `&mut` only, but for the reading of one output.
unsafe impl Send for Model {}

/// Whether this build has the Verilated gateware.
///
/// # Errors
/// [`RtlError::Unavailable`] says what was missing when it was built.
#[allow(clippy::unnecessary_wraps, reason = "as where there is no model")]
pub const fn available() -> Result<(), RtlError> {
    Ok(())
}

// SAFETY of the calls below: the pointer came from `spu_rtl_new` and is freed in `drop` only;
// `&mut self` keeps others away. Structs are laid out as the shim's, rows as eight 16-bit codes.
impl Model {
    /// A model of this board before its reset. What no reset reaches starts as bits drawn from
    /// `seed`.
    #[allow(clippy::unnecessary_wraps, reason = "as where there is no model")]
    pub(crate) fn new(board: &Constants, seed: u32) -> Result<Self, RtlError> {
        // Verilator takes 0 for a seed of its own choice, and 31 bits.
        let seed = seed >> 1 | 1;
        // SAFETY: `board` is read in the call.
        let rtl = unsafe { spu_rtl_new(board, seed) };
        Ok(Self(NonNull::new(rtl).expect("operator new throws where it has nothing")))
    }

    /// Sets inputs between two edges of the core's clock.
    pub(crate) fn set(&mut self, inputs: &Inputs) {
        // SAFETY: `inputs` is read in the call.
        unsafe { spu_rtl_set(self.0.as_ptr(), inputs) }
    }

    /// What the gateware puts on the SPI's data.
    pub(crate) fn miso(&self) -> bool {
        // SAFETY: nothing is changed.
        unsafe { spu_rtl_miso(self.0.as_ptr()) != 0 }
    }

    /// Gives the codes of the last sample.
    pub(crate) fn set_codes(&mut self, codes: &AdcRow) {
        // SAFETY: `codes` is read in the call.
        unsafe { spu_rtl_codes(self.0.as_ptr(), codes) }
    }

    /// Runs until something stops it, and says what is to be done before the next clock: bits of
    /// [`event`](crate::pins::event), 0 for nothing. Rows that the DACs show go to `rows`, which has
    /// room for at least two.
    pub(crate) fn run(&mut self, run: &mut Run, rows: &mut [DacRow]) -> u32 {
        // A row may come late, after what the event asks for.
        let room = rows.len() as u32 - 1;
        assert!(run.rows <= room, "rows in use are in the slice");
        // SAFETY: the shim writes at most `room - run.rows + 1` rows from index `run.rows`.
        unsafe { spu_rtl_run(self.0.as_ptr(), run, rows.as_mut_ptr(), room) }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: made by `spu_rtl_new`, freed once.
        unsafe { spu_rtl_free(self.0.as_ptr()) }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Model")
    }
}
