//! Registers: identity, values, access.

use spu_driver::Error;
use spu_protocol::error::ErrorCode;
use spu_protocol::payload::info::BoardKind;
use spu_protocol::regs::{self, Access, banks, board, converters, map_version};

use super::{read, read_many};
use crate::bench::{Bench, Outcome};
use crate::support::soon;

pub(super) fn identity(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let info = device.info().clone();
    let raw = info.raw;
    assert_eq!(read(device, regs::MAGIC)?, regs::MAGIC_VALUE);
    let major = |word: u32| word >> map_version::MAJOR_SHIFT & map_version::MAJOR_MASK;
    assert_eq!(major(read(device, regs::MAP_VERSION)?), major(regs::MAP_VERSION_VALUE));
    assert_eq!(read(device, regs::GATEWARE_ID)?, info.gateware_id);

    let word = read(device, regs::BOARD)?;
    assert_eq!(word >> board::KIND_SHIFT & board::KIND_MASK, u32::from(raw.kind));
    assert_eq!((word >> board::CELLS_SHIFT & board::CELLS_MASK) as usize, info.cells);
    assert!(info.cells >= 1);
    assert_eq!(info.couplings, info.cells * (info.cells - 1) / 2);

    let word = read(device, regs::BANKS)?;
    let field = |shift: u32, mask: u32| word >> shift & mask;
    assert_eq!(field(banks::SELF_BITS_SHIFT, banks::SELF_BITS_MASK), u32::from(raw.self_bits));
    assert_eq!(
        field(banks::COUPLING_BITS_SHIFT, banks::COUPLING_BITS_MASK),
        u32::from(raw.coupling_bits)
    );
    assert_eq!(word & banks::COUPLING_SIGNED != 0, raw.coupling_signed == 1);

    let word = read(device, regs::CONVERTERS)?;
    let field = |shift: u32, mask: u32| (word >> shift & mask) as u8;
    assert_eq!(field(converters::DAC_BITS_SHIFT, converters::DAC_BITS_MASK), raw.dac_bits);
    assert_eq!(field(converters::ADC_BITS_SHIFT, converters::ADC_BITS_MASK), raw.adc_bits);
    assert_eq!(field(converters::SAMPLE_BITS_SHIFT, converters::SAMPLE_BITS_MASK), raw.sample_bits);
    assert_eq!(
        field(converters::CONTROL_BITS_SHIFT, converters::CONTROL_BITS_MASK),
        raw.control_bits
    );
    assert_eq!(
        field(converters::SAMPLES_PER_FRAME_SHIFT, converters::SAMPLES_PER_FRAME_MASK),
        raw.samples_per_frame
    );
    assert!(raw.adc_bits + raw.control_bits <= raw.sample_bits, "a sample fits its word");

    let long = |words: Vec<u32>| u64::from(words[1]) << 32 | u64::from(words[0]);
    assert_eq!(long(read_many(device, regs::SERIAL_LO, 2)?), info.serial);
    let calibration = long(read_many(device, regs::CALIBRATION_ID_LO, 2)?);
    assert_eq!((calibration != 0).then_some(calibration), info.calibration_id);
    let name: Vec<u8> = read_many(device, regs::profile_name(0), regs::PROFILE_NAME_LEN)?
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .take_while(|octet| *octet != 0)
        .collect();
    assert_eq!(String::from_utf8(name)?, info.profile);
    assert_eq!(read(device, regs::SAMPLE_CLOCK_HZ)?, raw.sample_clock_hz);
    assert_eq!(read(device, regs::CAPTURE_FRAMES)?, raw.capture_frames);
    assert_eq!(read(device, regs::STREAM_FRAMES_PER_S)?, raw.stream_frames_per_s);
    assert!(raw.sample_clock_hz > 0 && raw.capture_frames > 0);
    Ok(())
}

pub(super) fn nominal_values(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let raw = device.info().raw;
    let rc = device.info().kind() == BoardKind::Rc;
    for (name, address, value, positive) in [
        ("noise", regs::NOISE_RMS, raw.noise_rms_code, true),
        ("R", regs::R_OHM, raw.r_ohm, true),
        ("L", regs::L_HENRY, raw.l_henry, !rc),
        ("self LSB", regs::SELF_LSB_FARAD, raw.self_lsb_farad, true),
        ("coupling LSB", regs::COUPLING_LSB_FARAD, raw.coupling_lsb_farad, true),
        ("stray", regs::STRAY_FARAD, raw.stray_farad, false),
        ("DAC LSB", regs::DAC_LSB_AMPERE, raw.dac_lsb_ampere, true),
        ("ADC LSB", regs::ADC_LSB_VOLT, raw.adc_lsb_volt, true),
        ("drive spread", regs::DRIVE_SPREAD, raw.drive_spread, false),
        ("bank spread", regs::BANK_SPREAD, raw.bank_spread, false),
        ("ADC gain spread", regs::ADC_GAIN_SPREAD, raw.adc_gain_spread, false),
        ("R spread", regs::R_SPREAD, raw.r_spread, false),
        ("L spread", regs::L_SPREAD, raw.l_spread, false),
    ] {
        assert_eq!(read(device, address)?, value.to_bits(), "{name}");
        let sensible = if positive { value > 0.0 } else { value >= 0.0 };
        assert!(value.is_finite() && sensible, "{name} is {value}");
    }
    Ok(())
}

pub(super) fn scratch(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let walking = (0..32).flat_map(|bit| [1_u32 << bit, !(1 << bit)]);
    for (round, word) in walking.chain([0, u32::MAX, 0x5555_5555, 0xAAAA_AAAA]).enumerate() {
        let words: Vec<u32> = (0..regs::SCRATCH_LEN as u32)
            .map(|index| word.rotate_left(index) ^ (round as u32 & index))
            .collect();
        device.write_regs(regs::scratch(0), &words, soon())?;
        assert_eq!(read_many(device, regs::scratch(0), words.len())?, words);
    }
    // One at a time, so that neighbours are seen to stay.
    device.write_regs(regs::scratch(0), &[1, 2, 3, 4], soon())?;
    device.write_regs(regs::scratch(2), &[33], soon())?;
    assert_eq!(read_many(device, regs::scratch(0), 4)?, [1, 2, 33, 4]);
    Ok(())
}

/// The address that the device refuses.
pub(super) fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> u16 {
    match result {
        Err(Error::Device { code: ErrorCode::BadAddress, detail }) => detail,
        other => panic!("not refused as a bad address: {other:?}"),
    }
}

pub(super) fn outside(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let (cells, couplings) = (device.info().cells, device.info().couplings);
    let self_end = regs::self_bank(0) + 4 * cells as u16;
    let coupling_end = regs::coupling_bank(0) + 4 * couplings as u16;
    let gap = regs::STORAGE_LSB_FARAD + 4;
    for address in [gap, 0x0001, 0x0002, regs::SCRATCH_LEN as u16 * 4 + regs::scratch(0)] {
        assert_eq!(refused(device.read_regs(address, &mut [0], soon())), address);
        assert_eq!(refused(device.write_regs(address, &[0], soon())), address);
    }
    for address in [self_end, coupling_end, regs::FIFO, regs::BULK, 0xFFFC] {
        assert_eq!(refused(device.read_regs(address, &mut [0], soon())), address);
    }
    // A run is refused at the first address that is wrong, and nothing of it is written.
    let before = read_many(device, regs::self_bank(0), cells)?;
    let run: Vec<u32> = before.iter().map(|word| word ^ 1).chain([0]).collect();
    assert_eq!(refused(device.write_regs(regs::self_bank(0), &run, soon())), self_end);
    assert_eq!(read_many(device, regs::self_bank(0), cells)?, before);
    // Beyond the address space.
    refused(device.read_regs(0xFFFC, &mut [0; 2], soon()));
    device.ping(b"still there", soon())?;
    Ok(())
}

pub(super) fn read_only(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let cells = device.info().cells;
    for register in regs::MAP.iter().filter(|r| r.address < regs::FIFO && r.len(cells) > 0) {
        match register.access {
            Access::Ro => {
                let before = read(device, register.address)?;
                let result = device.write_regs(register.address, &[!before], soon());
                assert_eq!(refused(result), register.address, "{}", register.name);
                assert_eq!(read(device, register.address)?, before, "{}", register.name);
            }
            Access::Wo => {
                let result = device.read_regs(register.address, &mut [0], soon());
                assert_eq!(refused(result), register.address, "{}", register.name);
            }
            Access::Rw => {
                read(device, register.address)?;
            }
        }
    }
    Ok(())
}
