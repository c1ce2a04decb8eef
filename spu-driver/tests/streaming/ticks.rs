//! A frame's tick, against the sequencer itself: a run that keeps every tick from the start says
//! what each tick's codes are.

use std::io;

use spu_driver::{AcquirePlan, Device, FrameBlock, Report, Sink, open};
use spu_protocol::code::AdcCode;

use crate::{plan, program, soon};

/// Keeps each frame with its tick.
#[derive(Default)]
struct Ticked {
    cells: usize,
    decimation: u64,
    frames: Vec<(u64, Vec<AdcCode>)>,
    lost: u64,
}

impl Sink for Ticked {
    fn frames(&mut self, block: &FrameBlock<'_>) -> io::Result<()> {
        let ticks = (block.tick.0..).step_by(self.decimation as usize);
        let frames = block.codes.chunks(self.cells).map(<[AdcCode]>::to_vec);
        self.frames.extend(ticks.zip(frames));
        self.lost += block.lost_before;
        Ok(())
    }
}

fn run(device: &mut dyn Device, plan: &AcquirePlan) -> (Ticked, Report) {
    device.load(&program(device.info()), soon()).unwrap();
    let mut sink = Ticked {
        cells: device.info().cells,
        decimation: plan.decimation.get().into(),
        ..Ticked::default()
    };
    let report = device.acquire(plan, &mut sink, soon()).unwrap();
    (sink, report)
}

#[test]
fn a_tick_is_where_the_sequencer_sampled_it() {
    let mut device = open("sim:profile=ideal").unwrap();
    let (every, report) = run(device.as_mut(), &plan(0, 1, 30_000));
    assert_eq!(report.ticks.0, 30_000);
    for (tick, frame) in every.frames.iter().enumerate() {
        assert_eq!(frame.0, tick as u64);
    }
    for (settle, decimation, count) in [(0, 1, 1), (1, 1, 5), (777, 3, 9000), (5, 1000, 29)] {
        let plan = plan(settle, decimation, count);
        let (some, report) = run(device.as_mut(), &plan);
        assert_eq!(some.frames.len(), count as usize);
        for (tick, codes) in &some.frames {
            assert_eq!(codes, &every.frames[*tick as usize].1, "tick {tick} of {plan:?}");
        }
        let last = some.frames.last().unwrap().0;
        assert_eq!(last + 1, report.ticks.0, "the tick after the last kept one is not run");
    }
}

#[test]
fn ticks_stay_right_where_frames_are_lost() {
    // So long a look ahead runs past the end of the capture memory.
    let mut device = open("sim:profile=ideal,quantum=200000").unwrap();
    let (every, _) = run(device.as_mut(), &plan(0, 1, 500_000));
    let plan = AcquirePlan { realtime: true, ..plan(100, 2, 240_000) };
    let (some, report) = run(device.as_mut(), &plan);
    assert!(report.lost > 0, "nothing was lost");
    assert!(!some.frames.is_empty());
    assert_eq!(some.frames.len() as u64 + report.lost, report.kept);
    for (tick, codes) in &some.frames {
        assert_eq!(codes, &every.frames[*tick as usize].1, "tick {tick}");
    }
}
