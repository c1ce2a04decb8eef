//! Does the device keep the contract of the register map and of `Device`? All exact but where a
//! test says otherwise.

mod programs;
mod registers;
mod sampling;
mod session;

use spu_driver::{Device, Error};

use crate::bench::{Bench, Case, Need, Outcome};
use crate::support::soon;

/// The suite.
pub(crate) const CASES: &[Case] = &[
    case("identity_is_what_the_registers_say", registers::identity),
    case("nominal_values_are_what_the_registers_say", registers::nominal_values),
    case("scratch_registers_hold_every_bit", registers::scratch),
    case("addresses_outside_the_map_are_refused", registers::outside),
    case("read_only_registers_stay", registers::read_only),
    case("random_programs_read_back", programs::random_programs),
    case("programs_at_both_ends_read_back", programs::program_ends),
    case("refused_programs_change_nothing", programs::refused_programs),
    case("saturation_counts_are_the_streams", sampling::converter_ends),
    case("stream_and_moments_agree_to_the_bit", sampling::stream_and_moments),
    case("report_is_what_the_registers_say", sampling::report_registers),
    Case {
        name: "decimation_keeps_every_dth_sample",
        needs: &[Need::SimulatedCells],
        run: sampling::decimation,
    },
    Case { name: "seeds_fix_the_noise", needs: &[Need::SimulatedCells], run: sampling::seeds },
    Case {
        name: "without_seeds_the_noise_runs_on",
        needs: &[Need::SimulatedCells],
        run: sampling::runs_on,
    },
    case("pings_of_every_size", session::pings),
    case("a_deadline_holds_and_the_device_goes_on", session::deadline),
    case("cancelling_keeps_what_was_measured", session::cancel),
    case("cancelling_is_sticky_until_cleared", session::sticky_cancel),
    case("reset_leaves_a_usable_device", session::reset),
    case("self_tests_pass", session::self_tests),
];

const fn case(name: &'static str, run: fn(&Bench) -> Outcome) -> Case {
    Case { name, needs: &[], run }
}

fn read(device: &mut dyn Device, address: u16) -> Result<u32, Error> {
    let mut word = [0];
    device.read_regs(address, &mut word, soon())?;
    Ok(word[0])
}

fn read_many(device: &mut dyn Device, address: u16, count: usize) -> Result<Vec<u32>, Error> {
    let mut words = vec![0; count];
    device.read_regs(address, &mut words, soon())?;
    Ok(words)
}
