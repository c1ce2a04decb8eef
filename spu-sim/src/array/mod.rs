//! The factored array of arXiv 2405.13817, appendix C: three resistor arrays and N nodes.
//!
//! Array J (R × N) turns the nodes' voltages V into R intermediate ones, array H (R × R) those into R
//! more, and array Jᵀ (N × R) those into currents into the nodes; λ is a resistor from each node to
//! ground, and every node has a capacitor C, an input DAC and a noise DAC. With τ = RC and all
//! transmissions in units of 1/R
//!
//! ```text
//! τ dV/dt = −(J₂ᵀ H J₁ + λ) V + R I_in + R I_n.
//! ```
//!
//! J₁ and J₂ are set to the same codes, but each element has its own tolerance: the drift is not
//! symmetric, and may be unstable. `kernel::Scale` says how codes become transmissions, with
//! signs. DACs hold their codes for a tick, and a tick is one exact step (`steps`); the converters
//! are those of [`crate::fpga`]: codes are rounded to nearest and cut at full scale. Not
//! modelled: offsets, bandwidth and noise of the amplifiers between the arrays, and spread of
//! capacitors and converters. Only the converters saturate, voltages do not.

mod kernel;
mod memory;
mod square;
mod steps;

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spu_protocol::code::{AdcCode, DacCode, full_scale_code};
use spu_protocol::payload::bulk::Region;
use spu_protocol::payload::load::SeedWords;

use crate::converters::{ArrayControls, Converters, Kept};
use crate::dispatch::Dispatch;
use crate::noise::Noise;
use crate::profile::{ArrayParts, Profile};
use crate::{AdcRow, DacRow, LANES};
use kernel::{AddProduct, AddScaled, COLUMNS, Decode, Relax, Scale};
use memory::Memory;
use square::{Square, padded};
use steps::Step;

/// Ticks whose noise is drawn together: each element of J is decoded once for all of them.
const NOISY_TICKS: usize = 16;

/// The analog part of a factored board.
#[derive(Debug, Clone)]
pub struct Array {
    dispatch: Dispatch,
    /// A tick in units of τ.
    tick: f64,
    j: Scale,
    h: Scale,
    jt: Scale,
    /// Damping of code 1.
    damping_lsb: f64,
    /// R I of the largest DAC code, in volts.
    drive_volt: f64,
    dac_bits: u8,
    adc_lsb: f64,
    adc_limit: i16,
    code_limit: i16,
    memory: Memory,
    controls: ArrayControls,
    noise: Vec<Noise>,
    seed: SeedWords,
    /// p of [`steps`]; one entry for each node.
    p: Vec<f64>,
    /// q, one entry for each row.
    q: Vec<f64>,
    /// What follows from codes, controls and p: made where a run needs it.
    prepared: Option<Prepared>,
}

/// What a run needs.
#[derive(Debug, Clone)]
struct Prepared {
    /// H.
    h: Square,
    /// Steps of 1, 2, 4 … ticks, as many as were needed.
    steps: Vec<Step>,
    damping: f64,
    /// `R I_in`, and `f = H J R I_in`.
    input: Vec<f64>,
    f: Vec<f64>,
    /// g of [`steps`].
    g: Vec<f64>,
    /// First columns of J₂, of the nodes that are sampled at each tick.
    front: Vec<[f64; LANES]>,
    /// `R I_n` of noise code 1, in volts; 0 where there is no noise.
    noise_lsb: f64,
}

impl Array {
    /// The array that `seed` and `copy` draw from the profile, all switches open, at rest.
    pub fn new(
        profile: &Profile,
        parts: &ArrayParts,
        seed: u64,
        copy: u32,
        dispatch: Dispatch,
    ) -> Self {
        let r = profile.cell.r.value;
        let bits = parts.bits.value as u8;
        let top = full_scale_code(bits);
        let mut mixer = Xoshiro256PlusPlus::seed_from_u64(seed);
        let drawn = mixer.next_u64() ^ u64::from(copy) << 32;
        let scale = |region: Region| {
            // Arrays differ by their key, as copies do.
            let label = drawn ^ (region as u64 + 1);
            let key = Xoshiro256PlusPlus::seed_from_u64(label).next_u64();
            Scale {
                lsb: parts.element.value * r / f64::from(top),
                spread: parts.element.spread,
                key: [key as u32, (key >> 32) as u32],
            }
        };
        Self {
            dispatch,
            tick: profile.sample_period_s() / (r * parts.node.value),
            j: scale(Region::J),
            h: scale(Region::H),
            jt: scale(Region::Jt),
            damping_lsb: parts.damping_lsb() * r,
            drive_volt: profile.drive.full_scale.value * r,
            dac_bits: profile.dac_bits(),
            adc_lsb: profile.adc_lsb_volt(),
            adc_limit: full_scale_code(profile.adc_bits()),
            code_limit: top,
            memory: Memory::new(0, 0),
            controls: ArrayControls::default(),
            noise: Vec::new(),
            seed: [0; 4],
            p: Vec::new(),
            q: Vec::new(),
            prepared: None,
        }
    }

    /// Voltages of the nodes.
    pub fn volts(&self) -> Vec<f64> {
        let mut volts = self.p.clone();
        if self.q.iter().any(|q| *q != 0.0) {
            self.subtract_jt(&mut volts);
        }
        volts.truncate(self.memory.columns);
        volts
    }

    /// Nominal or drawn transmissions of an array's row, for tests.
    pub fn row(&self, region: Region, row: usize) -> Vec<f64> {
        let codes = self.memory.row(region, row);
        let mut out = vec![0.0; codes.len()];
        self.decode(region, row, 0, &mut out);
        out
    }

    /// Elements of a row from a column on; zeros beyond the row.
    fn decode(&self, region: Region, row: usize, column: usize, out: &mut [f64]) {
        let codes = self.memory.row(region, row);
        let scale = match region {
            Region::J => self.j,
            Region::H => self.h,
            _ => self.jt,
        };
        let index = (row * codes.len() + column) as u32;
        let codes = &codes[column.min(codes.len())..];
        let codes = &codes[..codes.len().min(out.len())];
        self.dispatch.run(Decode { scale, codes, index, out });
    }

    /// J₁ x for each padded x; R padded entries each.
    fn j_times(&self, xs: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let (rows, stride) = (self.memory.rows, padded(self.memory.columns));
        let mut out = vec![vec![0.0; padded(rows)]; xs.len()];
        let mut elements = [0.0; COLUMNS];
        for row in 0..rows {
            for start in (0..stride).step_by(COLUMNS) {
                let end = stride.min(start + COLUMNS);
                let elements = &mut elements[..end - start];
                self.decode(Region::J, row, start, elements);
                for (x, out) in xs.iter().zip(&mut out) {
                    let (a, b) = (&*elements, &x[start..end]);
                    let out = &mut out[row..=row];
                    self.dispatch.run(AddProduct { a, b, len: end - start, out });
                }
            }
        }
        out
    }

    /// out −= J₂ᵀ q.
    fn subtract_jt(&self, out: &mut [f64]) {
        let mut elements = [0.0; COLUMNS];
        for row in 0..self.memory.rows {
            let factor = -self.q[row];
            for (k, out) in out.chunks_mut(COLUMNS).enumerate() {
                let x = &mut elements[..out.len()];
                self.decode(Region::Jt, row, k * COLUMNS, x);
                self.dispatch.run(AddScaled { factor, x, out });
            }
        }
    }

    /// J₁ J₂ᵀ.
    fn gram(&self) -> Square {
        let (rows, stride) = (self.memory.rows, padded(self.memory.columns));
        let mut dense = vec![0.0; rows * rows];
        let (mut a, mut b) = (vec![0.0; rows * COLUMNS], vec![0.0; rows * COLUMNS]);
        for start in (0..stride).step_by(COLUMNS) {
            let len = COLUMNS.min(stride - start);
            let (a, b) = (&mut a[..rows * len], &mut b[..rows * len]);
            for (region, block) in [(Region::J, &mut *a), (Region::Jt, &mut *b)] {
                for (row, block) in block.chunks_exact_mut(len).enumerate() {
                    self.decode(region, row, start, block);
                }
            }
            self.dispatch.run(AddProduct { a, b, len, out: &mut dense });
        }
        Square::of(rows, &dense)
    }

    /// Goes from (p, q) to (p − J₂ᵀ q, 0): before the switches or the input change.
    fn collapse(&mut self) {
        if self.q.iter().any(|q| *q != 0.0) {
            let mut p = std::mem::take(&mut self.p);
            self.subtract_jt(&mut p);
            self.p = p;
            self.q.fill(0.0);
            if let Some(prepared) = &mut self.prepared {
                prepared.g.clear();
            }
        }
    }

    fn prepare(&mut self) -> Prepared {
        let rows = self.memory.rows;
        let controls = self.controls;
        let input_lsb = self.dac_lsb(controls.input_range);
        let mut input: Vec<f64> =
            self.memory.row(Region::Input, 0).iter().map(|c| f64::from(*c) * input_lsb).collect();
        input.resize(padded(self.memory.columns), 0.0);
        let noise_lsb =
            if controls.noise_gain.0 == 0 { 0.0 } else { self.dac_lsb(controls.noise_range) };
        let damping = f64::from(controls.damping) * self.damping_lsb;
        let (h, steps, front) = match self.prepared.take() {
            // The input alone changed.
            Some(old) if old.damping.to_bits() == damping.to_bits() => {
                (old.h, old.steps, old.front)
            }
            _ => {
                let mut dense = vec![0.0; rows * rows];
                for (row, out) in dense.chunks_exact_mut(rows.max(1)).enumerate() {
                    self.decode(Region::H, row, 0, out);
                }
                let h = Square::of(rows, &dense);
                let k = h.times(&self.gram(), self.dispatch);
                let step = Step::new(rows, &k, damping, self.tick, self.dispatch);
                let front = (0..rows).map(|row| {
                    let mut first = [0.0; LANES];
                    self.decode(Region::Jt, row, 0, &mut first);
                    first
                });
                (h, vec![step], front.collect())
            }
        };
        let both = self.j_times(&[input.clone(), self.p.clone()]);
        let [f, g] = [0, 1].map(|k: usize| h.apply(&both[k], self.dispatch));
        Prepared { h, steps, damping, input, f, g, front, noise_lsb }
    }

    /// R I of DAC code 1 in a range, in volts.
    fn dac_lsb(&self, range: u8) -> f64 {
        self.drive_volt / f64::from(full_scale_code(self.dac_bits)) / f64::from(1_u32 << range)
    }

    /// Runs ticks under the present input, with noise or without.
    fn advance(&mut self, prepared: &mut Prepared, ticks: usize) {
        if prepared.noise_lsb == 0.0 {
            self.advance_quiet(prepared, ticks);
        } else {
            let mut left = ticks;
            while left > 0 {
                let here = left.min(NOISY_TICKS);
                self.advance_noisy(prepared, here);
                left -= here;
            }
        }
    }

    fn advance_quiet(&mut self, prepared: &mut Prepared, ticks: usize) {
        for bit in 0..usize::BITS - ticks.leading_zeros() {
            let level = bit as usize;
            if prepared.steps.len() <= level {
                let time = self.tick * f64::from(1_u32 << bit);
                let last = prepared.steps.last().expect("the first step is always there");
                prepared.steps.push(last.doubled(prepared.damping, time, self.dispatch));
            }
            if ticks >> bit & 1 == 1 {
                let step = &prepared.steps[level];
                step.run(&mut self.q, &mut prepared.g, &prepared.f, self.dispatch);
                let (keep, factor, x) = (step.keep, step.gain, &prepared.input);
                self.dispatch.run(Relax { keep, factor, x, out: &mut self.p });
            }
        }
    }

    fn advance_noisy(&mut self, prepared: &mut Prepared, ticks: usize) {
        let mut rows = [DacRow::default(); NOISY_TICKS];
        let mut drawn = vec![vec![0.0; padded(self.memory.columns)]; ticks];
        for (block, noise) in self.noise.iter_mut().enumerate() {
            noise.generate(&mut rows[..ticks], self.dispatch);
            let nodes = block * LANES..self.memory.columns.min((block + 1) * LANES);
            for (row, drawn) in rows.iter().zip(&mut drawn) {
                for (code, volt) in row.iter().zip(&mut drawn[nodes.clone()]) {
                    *volt = f64::from(code.0) * prepared.noise_lsb;
                }
            }
        }
        let into_rows = self.j_times(&drawn);
        let step = &prepared.steps[0];
        for (jn, mut x) in into_rows.iter().zip(drawn) {
            let mut f = prepared.h.apply(jn, self.dispatch);
            f.iter_mut().zip(&prepared.f).for_each(|(f, constant)| *f += constant);
            x.iter_mut().zip(&prepared.input).for_each(|(x, constant)| *x += constant);
            step.run(&mut self.q, &mut prepared.g, &f, self.dispatch);
            let (keep, factor, x) = (step.keep, step.gain, &x);
            self.dispatch.run(Relax { keep, factor, x, out: &mut self.p });
        }
    }

    /// The converter's code of a voltage.
    fn code(&self, volt: f64) -> i16 {
        let limit = f64::from(self.adc_limit);
        // What is no number has overflowed.
        let code = if volt.is_nan() { limit } else { volt / self.adc_lsb };
        code.clamp(-limit, limit).round_ties_even() as i16
    }

    /// Codes of the nodes that are sampled at each tick.
    fn sample(&self, prepared: &Prepared) -> AdcRow {
        let mut row = AdcRow::default();
        for (node, code) in row.iter_mut().enumerate().take(self.memory.columns) {
            let mut volt = self.p[node];
            for (q, front) in self.q.iter().zip(&prepared.front) {
                volt = libm::fma(-q, front[node], volt);
            }
            *code = AdcCode(self.code(volt));
        }
        row
    }

    fn drive_noise(&mut self) {
        let gains = [self.controls.noise_gain; LANES];
        for noise in &mut self.noise {
            noise.drive(&gains, &[DacCode(0); LANES]);
        }
    }

    /// Loads the nodes' generators: node n has outputs 2n and 2n + 1 of the xoshiro256++ that the
    /// seed's two 64-bit halves start, low half first.
    fn seed_noise(&mut self) {
        let [a, b, c, d] = self.seed.map(u64::from);
        let mut source =
            Xoshiro256PlusPlus::seed_from_u64((a | b << 32) ^ (c | d << 32).rotate_left(17));
        for noise in &mut self.noise {
            let seeds: [SeedWords; LANES] = std::array::from_fn(|_| {
                let [first, second] = [source.next_u64(), source.next_u64()];
                [first as u32, (first >> 32) as u32, second as u32, (second >> 32) as u32]
            });
            noise.seed(&seeds);
        }
    }
}

impl Converters for Array {
    fn set_banks(&mut self, _: &crate::analog::BankCodes) {}

    fn discharge(&mut self) {
        self.p.fill(0.0);
        self.q.fill(0.0);
        if let Some(prepared) = &mut self.prepared {
            prepared.g.clear();
        }
    }

    fn convert(&mut self, dac: &[DacRow], kept: Kept, adc: &mut [AdcRow]) -> usize {
        let mut prepared = match self.prepared.take() {
            Some(prepared) if prepared.g.len() == padded(self.memory.rows) => prepared,
            old => {
                self.prepared = old;
                self.prepare()
            }
        };
        let count = kept.count(dac.len());
        let mut done = 0;
        for (index, adc) in adc.iter_mut().enumerate().take(count) {
            let next = kept.first + index * kept.every + 1;
            self.advance(&mut prepared, next - done);
            done = next;
            *adc = self.sample(&prepared);
        }
        self.advance(&mut prepared, dac.len() - done);
        self.prepared = Some(prepared);
        count
    }

    fn resize_array(&mut self, rows: usize, columns: usize) {
        if (rows, columns) == (self.memory.rows, self.memory.columns) {
            return;
        }
        self.memory = Memory::new(rows, columns);
        self.p = vec![0.0; padded(columns)];
        self.q = vec![0.0; padded(rows)];
        self.prepared = None;
        self.noise = vec![Noise::new(self.dac_bits); columns.div_ceil(LANES)];
        self.seed_noise();
        self.drive_noise();
    }

    fn set_array(&mut self, controls: &ArrayControls) {
        if self.controls == *controls {
            return;
        }
        self.collapse();
        if let Some(prepared) = &mut self.prepared {
            prepared.g.clear();
        }
        self.controls = *controls;
        self.drive_noise();
    }

    fn seed_array(&mut self, seed: &SeedWords) {
        self.seed = *seed;
        self.seed_noise();
    }

    fn initialise_array(&mut self) {
        self.discharge();
        for (volt, code) in self.p.iter_mut().zip(self.memory.row(Region::Initial, 0)) {
            *volt = f64::from(*code) * self.adc_lsb;
        }
    }

    fn write_bulk(&mut self, region: Region, word: usize, value: u32) {
        let limit = match region {
            Region::J | Region::H | Region::Jt => self.code_limit,
            Region::Input => full_scale_code(self.dac_bits),
            Region::Initial => self.adc_limit,
            Region::State => return,
        };
        match region {
            Region::J | Region::H | Region::Jt => {
                self.collapse();
                self.prepared = None;
            }
            Region::Input => {
                self.collapse();
                if let Some(prepared) = &mut self.prepared {
                    prepared.g.clear();
                }
            }
            Region::Initial | Region::State => {}
        }
        self.memory.write(region, word, value, limit);
    }

    fn read_bulk(&mut self, region: Region, word: usize) -> u32 {
        if region == Region::State {
            self.collapse();
            let codes = [2 * word, 2 * word + 1]
                .map(|node| if node < self.memory.columns { self.code(self.p[node]) } else { 0 });
            let [low, high] = codes.map(|code| u32::from(code.cast_unsigned()));
            return low | high << 16;
        }
        self.memory.read(region, word)
    }
}
