//! What the suites share: programs, plans, sinks, moments, and the laws behind stated false alarms.

use std::num::NonZeroU32;

use ndarray::Array2;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spu_driver::invert::{InvertOptions, Quiet};
use spu_driver::matrix::SpdMatrix;
use spu_driver::plan::Budget;
use spu_driver::seeds::noise_seeds;
use spu_driver::{
    AcquirePlan, BoardInfo, Deadline, Device, FrameBlock, Moments, Program, Report, Sink,
};
use spu_protocol::code::{AdcCode, CouplingCode, DacCode, GainCode, Ticks, full_scale_code};

/// Highest probability that one test fails although the device is right.
pub(crate) const FALSE_ALARM: f64 = 1e-6;

/// Ample for a register access or a run of 20,000 frames on an emulated board and a busy computer.
pub(crate) fn soon() -> Deadline {
    Deadline::after_secs(300)
}

/// A generator with a fixed seed.
pub(crate) fn generator(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// A number from 0 to `limit − 1`.
pub(crate) fn below(rng: &mut Xoshiro256PlusPlus, limit: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(limit)) >> 64) as u64
}

/// Largest code of an unsigned bank.
pub(crate) fn bank_top(bits: u8) -> i16 {
    ((1_u32 << bits.min(15)) - 1) as i16
}

/// Storage codes of half of full scale, if the board has such banks.
pub(crate) fn storage(info: &BoardInfo) -> Vec<CouplingCode> {
    let half = 1 << info.raw.storage_bits >> 1;
    Program::open(info).storage_codes.iter().map(|_| CouplingCode(half)).collect()
}

/// A program within the board's ranges that moves every cell: couplings of a few codes, and noise
/// seeds from `seed`.
pub(crate) fn lively(info: &BoardInfo, seed: u64) -> Program {
    let raw = &info.raw;
    let self_top = bank_top(raw.self_bits);
    let coupling = |pair: usize| {
        let size = i16::from(pair.is_multiple_of(3)) * (bank_top(raw.coupling_bits) / 5);
        CouplingCode(if raw.coupling_signed == 1 && pair.is_multiple_of(2) { -size } else { size })
    };
    Program {
        self_codes: (0..info.cells)
            .map(|i| CouplingCode(self_top - (i as i16).min(self_top / 2)))
            .collect(),
        coupling_codes: (0..info.couplings).map(coupling).collect(),
        gain_codes: vec![GainCode(2048); info.cells],
        bias_codes: vec![DacCode(0); info.cells],
        storage_codes: storage(info),
        seeds: Some(noise_seeds(seed, 0, info.cells)),
        discharge: true,
    }
}

/// Any program that the board holds: codes over the whole ranges.
pub(crate) fn random_program(info: &BoardInfo, rng: &mut Xoshiro256PlusPlus) -> Program {
    let raw = &info.raw;
    let top = |bits| u64::try_from(bank_top(bits)).expect("a positive code");
    let (self_top, coupling_top) = (top(raw.self_bits), top(raw.coupling_bits));
    let full = i64::from(full_scale_code(raw.dac_bits));
    let signed = raw.coupling_signed == 1;
    Program {
        // At least 1, so that the matrix is positive definite whatever the couplings.
        self_codes: (0..info.cells)
            .map(|_| CouplingCode(1 + below(rng, self_top) as i16))
            .collect(),
        coupling_codes: (0..info.couplings)
            .map(|_| {
                let size = below(rng, coupling_top + 1) as i16;
                CouplingCode(if signed && below(rng, 2) == 1 { -size } else { size })
            })
            .collect(),
        gain_codes: (0..info.cells).map(|_| GainCode(rng.next_u32() as u16)).collect(),
        bias_codes: (0..info.cells)
            .map(|_| DacCode((below(rng, 2 * full as u64 + 1) as i64 - full) as i16))
            .collect(),
        storage_codes: storage(info),
        seeds: Some(noise_seeds(rng.next_u64(), 0, info.cells)),
        discharge: below(rng, 2) == 1,
    }
}

/// A plan that streams and sums `count` samples, one in `decimation` ticks.
pub(crate) fn both(settle: u64, decimation: u32, count: u32) -> AcquirePlan {
    AcquirePlan {
        settle: Ticks(settle),
        decimation: NonZeroU32::new(decimation).expect("a decimation"),
        count: NonZeroU32::new(count).expect("a count"),
        moments: true,
        stream: true,
        realtime: false,
    }
}

/// Samples that the board streams at full rate, whatever its link.
pub(crate) fn burst(info: &BoardInfo) -> u32 {
    info.raw.capture_frames.min(4096)
}

/// The least decimation at which the link takes a stream of any length.
pub(crate) fn sustained(info: &BoardInfo) -> u32 {
    match info.raw.stream_frames_per_s {
        0 => 1,
        rate => info.raw.sample_clock_hz.div_ceil(rate),
    }
}

/// Keeps every code and checks that frames come in order and none is lost.
pub(crate) struct Keep {
    pub(crate) codes: Vec<AdcCode>,
    cells: usize,
}

impl Keep {
    pub(crate) fn new(cells: usize) -> Self {
        Self { codes: Vec::new(), cells }
    }

    pub(crate) fn frame_count(&self) -> u64 {
        (self.codes.len() / self.cells) as u64
    }

    /// Codes of one cell.
    pub(crate) fn cell(&self, cell: usize) -> impl Iterator<Item = f64> {
        self.codes.iter().skip(cell).step_by(self.cells).map(|code| f64::from(code.0))
    }
}

impl Sink for Keep {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        if (block.first_frame, block.lost_before) != (self.frame_count(), 0) {
            return Err(std::io::Error::other(format!(
                "frame {} comes after frame {}, {} lost",
                block.first_frame,
                self.frame_count(),
                block.lost_before
            )));
        }
        self.codes.extend_from_slice(block.codes);
        Ok(())
    }
}

/// Loads `program` and runs `plan`; the codes that came and the report.
///
/// # Errors
/// Those of the device.
pub(crate) fn record(
    device: &mut dyn Device,
    program: &Program,
    plan: &AcquirePlan,
) -> Result<(Keep, Report), spu_driver::Error> {
    device.load(program, soon())?;
    let mut keep = Keep::new(device.info().cells);
    let report = device.acquire(plan, &mut keep, soon())?;
    Ok((keep, report))
}

/// The moments of these frames.
pub(crate) fn moments(codes: &[AdcCode], cells: usize) -> Moments {
    let mut moments = Moments::empty(cells);
    for frame in codes.chunks_exact(cells) {
        moments.count += 1;
        let mut products = moments.products.iter_mut();
        for (i, x) in frame.iter().enumerate() {
            moments.sums[i] += i128::from(x.0);
            for (y, product) in frame[i..].iter().zip(&mut products) {
                *product += i128::from(x.0) * i128::from(y.0);
            }
        }
    }
    moments
}

/// Options that ask for so many effective samples.
pub(crate) fn effective(samples: u64, seed: u64) -> InvertOptions {
    InvertOptions {
        budget: Budget { effective: Some(samples), ..Budget::default() },
        seed,
        ..InvertOptions::default()
    }
}

/// Inverts a matrix that the board must take.
///
/// # Errors
/// Those of the operation.
pub(crate) fn invert(
    device: &mut dyn Device,
    a: &SpdMatrix,
    options: &InvertOptions,
) -> anyhow::Result<spu_driver::invert::Inversion> {
    Ok(spu_driver::invert::invert(device, a, options, &Quiet)?)
}

/// `a` as a positive definite matrix.
pub(crate) fn spd(a: &Array2<f64>) -> SpdMatrix {
    SpdMatrix::new(a, 0.0).expect("a positive definite matrix")
}

/// A well-conditioned M-matrix: a ring of `n` nodes with unequal links, each grounded. Its
/// condition is below 4 for every n.
pub(crate) fn ring(n: usize) -> Array2<f64> {
    let mut a = Array2::eye(n) * 4.0;
    for i in 0..n {
        let j = (i + 1) % n;
        if i == j || (n == 2 && i == 1) {
            continue;
        }
        let link = if i.is_multiple_of(2) { 3.0 } else { 2.0 };
        a[[i, i]] += link;
        a[[j, j]] += link;
        a[[i, j]] = -link;
        a[[j, i]] = -link;
    }
    a
}
