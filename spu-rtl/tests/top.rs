//! The constants of `spu_top.v` are those of profile rev-a.

use spu_protocol::regs;
use spu_sim::analog::BankCodes;
use spu_sim::converters::{Converters, Kept};
use spu_sim::{AdcRow, DacRow, Dispatch, Fpga, Profile};

/// Converters that are asked nothing.
struct Nothing;

impl Converters for Nothing {
    fn set_banks(&mut self, _codes: &BankCodes) {}

    fn discharge(&mut self) {}

    fn convert(&mut self, _dac: &[DacRow], _kept: Kept, _adc: &mut [AdcRow]) -> usize {
        0
    }
}

#[test]
fn the_board_of_spu_top_is_rev_a() {
    let profile = Profile::named("rev-a").unwrap();
    let mut fpga = Fpga::new(&profile, 0, Nothing, Dispatch::scalar()).unwrap();
    let text = include_str!("../../hardware/gateware/spu_top.v");
    let name = (0..4)
        .rev()
        .fold(0, |name, word| name << 32 | u128::from(fpga.read(regs::profile_name(word))));
    let mut expected = vec![format!("parameter [127:0] PROFILE_NAME = 128'h{name:032X}")];
    for register in regs::MAP {
        if (regs::BOARD..=regs::STORAGE_LSB_FARAD).contains(&register.address) {
            let value = fpga.read(register.address);
            match register.address {
                regs::SERIAL_LO
                | regs::SERIAL_HI
                | regs::CALIBRATION_ID_LO
                | regs::CALIBRATION_ID_HI => {}
                address if address == regs::profile_name(0) => {}
                _ => expected.push(format!("parameter [31:0] {} = 32'h{value:08X}", register.name)),
            }
        }
    }
    let missing: Vec<_> = expected.iter().filter(|line| !text.contains(line.as_str())).collect();
    assert!(missing.is_empty(), "spu_top.v should have {missing:#?}");
}
