//! What the board answers where nothing goes wrong.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroU32;

use spu_driver::link::InProcess;
use spu_driver::seeds::noise_seeds;
use spu_driver::{
    AcquirePlan, BoardInfo, Client, Deadline, Device, FrameBlock, Moments, Program, Sink,
};
use spu_protocol::code::{AdcCode, CouplingCode, DacCode, GainCode, Ticks};

use super::Sampling;
use super::board::board;

/// Cells of the board.
pub(crate) const CELLS: usize = 8;
/// Most frames of a run.
const FRAMES: u32 = 2048;

/// Program number `variant`, below 7, of a board like `info`, with a bias that tells it from
/// others.
pub(crate) fn program(info: &BoardInfo, variant: u64, mark: i16) -> Program {
    let top = 15 - variant as i16;
    Program {
        self_codes: vec![CouplingCode(top); info.cells],
        coupling_codes: (0..info.couplings)
            .map(|pair| CouplingCode(i16::from(pair % 5 == variant as usize % 5)))
            .collect(),
        gain_codes: vec![GainCode(3000); info.cells],
        bias_codes: (0..info.cells).map(|i| DacCode(if i == 0 { mark } else { 0 })).collect(),
        storage_codes: Vec::new(),
        seeds: Some(noise_seeds(variant, 0, info.cells)),
        discharge: true,
    }
}

/// The plan of a sampling.
pub(crate) fn plan(sampling: Sampling) -> AcquirePlan {
    let at_least_one = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    AcquirePlan {
        settle: Ticks(100),
        decimation: at_least_one(sampling.decimation),
        count: at_least_one(sampling.frames.min(FRAMES)),
        moments: true,
        stream: sampling.stream,
        realtime: sampling.realtime,
    }
}

/// Keeps delivered frames with their indices.
#[derive(Debug, Default)]
pub(crate) struct Keep {
    pub(crate) frames: Vec<(u64, Vec<AdcCode>)>,
    pub(crate) lost: u64,
}

impl Sink for Keep {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        self.lost += block.lost_before;
        let frames = block.codes.chunks(CELLS).map(<[_]>::to_vec);
        self.frames.extend((block.first_frame..).zip(frames));
        Ok(())
    }
}

/// Codes of runs without faults, kept by what was asked.
#[derive(Default)]
pub(crate) struct Truth {
    runs: HashMap<(u64, u32), Vec<Vec<AdcCode>>>,
}

impl Truth {
    /// The first frames of a run of this program, as many as any plan keeps.
    pub(crate) fn of(
        &mut self,
        variant: u64,
        sampling: Sampling,
    ) -> anyhow::Result<&[Vec<AdcCode>]> {
        let frames = FRAMES;
        let plan = plan(Sampling { frames, stream: true, realtime: false, ..sampling });
        let key = (variant, plan.decimation.get());
        match self.runs.entry(key) {
            Entry::Occupied(run) => Ok(run.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(undisturbed(variant, &plan)?)),
        }
    }
}

fn undisturbed(variant: u64, plan: &AcquirePlan) -> anyhow::Result<Vec<Vec<AdcCode>>> {
    let soon = || Deadline::after_secs(60);
    let mut device = Client::open(InProcess::new(board()), "reference", soon())?;
    let program = program(device.info(), variant, 0);
    device.load(&program, soon())?;
    let mut keep = Keep::default();
    device.acquire(plan, &mut keep, soon())?;
    Ok(keep.frames.into_iter().map(|(_, codes)| codes).collect())
}

/// Moments of these frames.
pub(crate) fn moments_of(frames: &[Vec<AdcCode>]) -> Moments {
    let mut sums = vec![0; CELLS];
    let mut products = vec![0; CELLS * (CELLS + 1) / 2];
    for frame in frames {
        let mut pair = 0;
        for i in 0..CELLS {
            sums[i] += i128::from(frame[i].0);
            for j in i..CELLS {
                products[pair] += i128::from(frame[i].0) * i128::from(frame[j].0);
                pair += 1;
            }
        }
    }
    Moments { count: frames.len() as u64, sums, products }
}
