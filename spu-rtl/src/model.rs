//! The Verilated model.

use std::fmt;
use std::ptr::NonNull;

use crate::error::RtlError;
use crate::pins::{Constants, Inputs, Outputs};

#[repr(C)]
struct SpuRtl {
    _private: [u8; 0],
}

unsafe extern "C" {
    fn spu_rtl_new(board: *const Constants, seed: u32) -> *mut SpuRtl;
    fn spu_rtl_free(rtl: *mut SpuRtl);
    fn spu_rtl_eval(rtl: *mut SpuRtl, inputs: *const Inputs, outputs: *mut Outputs);
}

/// The gateware, pin by pin.
pub(crate) struct Model(NonNull<SpuRtl>);

// SAFETY: the model has a context of its own and no thread-local state; it is reached through
// `&mut` only.
unsafe impl Send for Model {}

/// Whether this build has the Verilated gateware.
///
/// # Errors
/// [`RtlError::Unavailable`] says what was missing when it was built.
#[allow(clippy::unnecessary_wraps, reason = "as where there is no model")]
pub const fn available() -> Result<(), RtlError> {
    Ok(())
}

impl Model {
    /// A model of this board before its reset. What no reset reaches starts as bits drawn from
    /// `seed`.
    #[allow(clippy::unnecessary_wraps, reason = "as where there is no model")]
    pub(crate) fn new(board: &Constants, seed: u32) -> Result<Self, RtlError> {
        // Verilator takes 0 for a seed of its own choice, and 31 bits.
        let seed = seed >> 1 | 1;
        // SAFETY: `board` is a live `Constants`, laid out as the shim's struct, read in the call.
        let rtl = unsafe { spu_rtl_new(board, seed) };
        Ok(Self(NonNull::new(rtl).expect("operator new throws where it has nothing")))
    }

    /// Sets the inputs and reads the outputs that follow.
    pub(crate) fn eval(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        // SAFETY: the pointer came from `spu_rtl_new` and is freed in `drop` only; `&mut self` keeps
        // others away. Both structs are laid out as the shim's; the shim writes 0 and 1 to the
        // outputs that are `bool` here, as they are wires of one bit.
        unsafe { spu_rtl_eval(self.0.as_ptr(), inputs, outputs) }
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
