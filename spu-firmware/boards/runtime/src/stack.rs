//! How much of the stack was ever used: it is painted before anything runs (`cortex-m-rt`, feature
//! `paint-stack`), and what is still painted was not.

use core::ptr;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// What `cortex-m-rt` paints with.
const PAINT: u32 = cortex_m_rt::STACK_PAINT_VALUE;

/// Octets of the stack that were ever used, and those that there are.
pub(crate) fn depth() -> (u32, u32) {
    let top = ptr::addr_of!(_stack_start);
    let bottom = ptr::addr_of!(_stack_end);
    let size = (top as usize).saturating_sub(bottom as usize);
    let words = size / size_of::<u32>();
    let painted = (0..words)
        .take_while(|&word| {
            // SAFETY: the linker script sets both symbols, the lower one first, at multiples of
            // four; all between is memory of this machine. Reading words that others write gives
            // some value, which is all that is asked: the part that is in use is beyond the first
            // word that differs.
            unsafe { ptr::read_volatile(bottom.wrapping_add(word)) == PAINT }
        })
        .count();
    let size = size as u32;
    (size.saturating_sub((painted as u32).saturating_mul(4)), size)
}
