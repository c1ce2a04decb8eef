//! The whole stack over the gateware under Verilator: same seed, same bits as the simulator.
#![cfg(feature = "rtl")]

use std::num::NonZeroU32;

use spu_driver::{AcquirePlan, Deadline, Device, Error, FrameBlock, Program, Sink, open};
use spu_protocol::code::{AdcCode, CouplingCode, DacCode, GainCode, Ticks};

/// Keeps all codes.
#[derive(Default)]
struct Keep(Vec<AdcCode>);

impl Sink for Keep {
    fn frames(&mut self, block: &FrameBlock<'_>) -> std::io::Result<()> {
        assert_eq!(block.lost_before, 0);
        self.0.extend_from_slice(block.codes);
        Ok(())
    }
}

/// The device, unless this build lacks it.
fn open_rtl(options: &str) -> Option<Box<dyn Device>> {
    match open(&format!("rtl:{options}")) {
        Ok(device) => Some(device),
        Err(Error::Unsupported { reasons }) => {
            println!("skipped: {}", reasons.join("; "));
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_run_on_the_gateware_has_the_simulators_bits() {
    for profile in ["rev-a", "rev-b", "ideal"] {
        let options = format!("profile={profile},seed=9,copy=2,quantum=700");
        let Some(rtl) = open_rtl(&options) else { return };
        let sim = open(&format!("sim:{options}")).unwrap();
        let [(sim, sim_codes), (rtl, rtl_codes)] = [sim, rtl].map(|mut device| {
            let deadline = || Deadline::after_secs(100);
            let info = device.info().clone();
            let signed = i16::from(info.raw.coupling_signed);
            let couplings = 0..info.couplings as i16;
            let program = Program {
                self_codes: (0..8).map(|cell| CouplingCode(15 - cell)).collect(),
                coupling_codes: couplings.map(|k| CouplingCode(k % 3 - signed)).collect(),
                gain_codes: vec![GainCode(2048); info.cells],
                bias_codes: (0..8).map(|cell| DacCode(10 * cell - 40)).collect(),
                storage_codes: Vec::new(),
                seeds: Some((1..=8).map(|cell| [cell, 2, 3, 4]).collect()),
                discharge: true,
            };
            let applied = device.load(&program, deadline()).unwrap();
            let plan = AcquirePlan {
                settle: Ticks(300),
                decimation: NonZeroU32::new(2).unwrap(),
                count: NonZeroU32::new(5000).unwrap(),
                moments: true,
                stream: true,
                realtime: false,
            };
            let mut sink = Keep::default();
            let report = device.acquire(&plan, &mut sink, deadline()).unwrap();
            let said = (info.serial, applied, report.ticks, report.moments, report.saturated);
            (said, sink.0)
        });
        assert_eq!(sim_codes.len(), 5000 * 8);
        assert!(sim_codes == rtl_codes, "{profile}: the codes differ");
        assert_eq!(sim, rtl, "{profile}");
    }
}

#[test]
fn faults_are_refused_with_the_remedy() {
    let Err(error) = open("rtl:fault=hang") else { panic!("it opened") };
    let text = error.to_string();
    assert!(text.contains("use sim"), "{text}");
}
