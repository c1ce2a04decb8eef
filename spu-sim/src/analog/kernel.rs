//! A block of ticks: DAC codes to inputs, the serial recursion, states to ADC codes.
//!
//! Only the recursion is serial, and with modes it is two fused multiply-adds deep. Inputs and
//! readout work on a few ticks at once, so that each coefficient is loaded once for all of them.

use crate::analog::plan::{Plan, Recursion, STATES};
use crate::dispatch::{Kernel, MulAdd};
use crate::{AdcRow, BLOCK, DacRow, LANES};

/// Ticks whose inputs are computed together.
const INPUT_TICKS: usize = 2;
/// Ticks whose readout is computed together.
const READOUT_TICKS: usize = 4;

/// Buffers of one block.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(crate) struct Work {
    drive: [[f64; LANES]; BLOCK],
    states: [[f64; STATES]; BLOCK],
}

impl Work {
    pub(crate) fn new() -> Box<Self> {
        Box::new(Self { drive: [[0.0; LANES]; BLOCK], states: [[0.0; STATES]; BLOCK] })
    }
}

/// Steps the state by one tick per row of `dac`, at most [`BLOCK`], and reads the converters at
/// ticks `first`, `first + every` …: one row of `adc` each.
pub(crate) struct Advance<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) work: &'a mut Work,
    pub(crate) state: &'a mut [f64; STATES],
    pub(crate) dac: &'a [DacRow],
    pub(crate) first: usize,
    pub(crate) every: usize,
    pub(crate) adc: &'a mut [AdcRow],
}

impl Kernel for Advance<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let Self { plan, work, state, dac, first, every, adc } = self;
        for (row, codes) in work.drive.iter_mut().zip(dac) {
            for lane in 0..LANES {
                row[lane] = f64::from(codes[lane].0);
            }
        }
        let ticks = dac.len();
        inputs::<M>(plan, work, ticks);
        let states = &mut work.states[..ticks];
        match &plan.recursion {
            Recursion::Modal(steps) => modal::<M>(steps, state, states),
            Recursion::Dense(columns) => dense::<M>(columns, state, states),
        }
        if every != 1 || first != 0 {
            for k in 0..adc.len() {
                work.states[k] = work.states[first + k * every];
            }
        }
        readout::<M>(plan, &work.states, adc);
    }
}

/// x = W u. Rows past `ticks` that share a pass with it are computed from what is in the buffer
/// and not used.
#[inline(always)]
fn inputs<M: MulAdd>(plan: &Plan, work: &mut Work, ticks: usize) {
    let passes = ticks.div_ceil(INPUT_TICKS);
    let drive = work.drive.chunks_exact(INPUT_TICKS);
    let states = work.states.chunks_exact_mut(INPUT_TICKS);
    for (drive, states) in drive.zip(states).take(passes) {
        let mut sums = [[0.0; STATES]; INPUT_TICKS];
        for (cell, weights) in plan.inputs.iter().enumerate() {
            for tick in 0..INPUT_TICKS {
                for k in 0..STATES {
                    sums[tick][k] = M::mul_add(weights[k], drive[tick][cell], sums[tick][k]);
                }
            }
        }
        states.copy_from_slice(&sums);
    }
}

#[inline(always)]
fn modal<M: MulAdd>(
    steps: &[[f64; LANES]; 4],
    state: &mut [f64; STATES],
    states: &mut [[f64; STATES]],
) {
    let [b00, b01, b10, b11] = *steps;
    let mut p: [f64; LANES] = std::array::from_fn(|lane| state[lane]);
    let mut q: [f64; LANES] = std::array::from_fn(|lane| state[LANES + lane]);
    for x in states.iter_mut() {
        let (mut next_p, mut next_q) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            let cross = M::mul_add(b01[lane], q[lane], x[lane]);
            next_p[lane] = M::mul_add(b00[lane], p[lane], cross);
        }
        for lane in 0..LANES {
            let cross = M::mul_add(b10[lane], p[lane], x[LANES + lane]);
            next_q[lane] = M::mul_add(b11[lane], q[lane], cross);
        }
        x[..LANES].copy_from_slice(&next_p);
        x[LANES..].copy_from_slice(&next_q);
        (p, q) = (next_p, next_q);
    }
    state[..LANES].copy_from_slice(&p);
    state[LANES..].copy_from_slice(&q);
}

#[inline(always)]
fn dense<M: MulAdd>(
    columns: &[[f64; STATES]; STATES],
    state: &mut [f64; STATES],
    states: &mut [[f64; STATES]],
) {
    let mut z = *state;
    for x in states.iter_mut() {
        // Two sums: half the depth of one chain of multiply-adds.
        let mut even = *x;
        let mut odd = [0.0; STATES];
        for pair in 0..STATES / 2 {
            for k in 0..STATES {
                even[k] = M::mul_add(columns[2 * pair][k], z[2 * pair], even[k]);
                odd[k] = M::mul_add(columns[2 * pair + 1][k], z[2 * pair + 1], odd[k]);
            }
        }
        for k in 0..STATES {
            z[k] = even[k] + odd[k];
        }
        *x = z;
    }
    *state = z;
}

/// Code = P z + offset, cut to the converter's range and rounded to nearest, ties to even.
#[inline(always)]
fn readout<M: MulAdd>(plan: &Plan, states: &[[f64; STATES]; BLOCK], adc: &mut [AdcRow]) {
    // Added to a small number, this leaves its nearest integer in the low bits of the sum.
    const ROUND: f64 = 1.5 * (1_u64 << 52) as f64;
    let limit = plan.limit;
    for (adc, states) in adc.chunks_mut(READOUT_TICKS).zip(states.chunks_exact(READOUT_TICKS)) {
        let mut sums = [plan.offset; READOUT_TICKS];
        for (k, weights) in plan.readout.iter().enumerate() {
            for tick in 0..READOUT_TICKS {
                for cell in 0..LANES {
                    sums[tick][cell] = M::mul_add(weights[cell], states[tick][k], sums[tick][cell]);
                }
            }
        }
        let mut codes = [AdcRow::default(); READOUT_TICKS];
        for tick in 0..READOUT_TICKS {
            for cell in 0..LANES {
                let code = sums[tick][cell];
                let code = if code > limit { limit } else { code };
                let code = if code < -limit { -limit } else { code };
                codes[tick][cell].0 = (code + ROUND).to_bits() as i16;
            }
        }
        adc.copy_from_slice(&codes[..adc.len()]);
    }
}
