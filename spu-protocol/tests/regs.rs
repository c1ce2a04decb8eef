//! The register map's promises: no overlap, the published addresses, look-up by address.

use spu_protocol::regs::{self, Access, Extent, MAP};

#[test]
fn registers_ascend_without_overlap() {
    for pair in MAP.windows(2) {
        let end = u32::from(pair[0].address) + u32::from(pair[0].stride) * u32::from(pair[0].count);
        assert!(end <= u32::from(pair[1].address), "{} and {}", pair[0].name, pair[1].name);
    }
    let last = MAP.last().unwrap();
    let end = u32::from(last.address) + u32::from(last.stride) * u32::from(last.count);
    assert!(end <= 0x1_0000, "{} does not fit", last.name);
}

#[test]
fn fields_fit_their_register_without_overlap() {
    for register in MAP {
        let mut used = 0_u32;
        for field in register.fields {
            let mask = (u32::MAX >> (32 - u32::from(field.width))) << field.shift;
            assert_eq!(used & mask, 0, "{}.{}", register.name, field.name);
            used |= mask;
            assert_eq!(field.of(mask), mask >> field.shift);
        }
        assert_eq!(register.reset & !used, 0, "{}", register.name);
    }
}

/// Addresses that firmware in the field relies on.
#[test]
fn published_addresses() {
    let first = [
        (regs::MAGIC, 0x0000),
        (regs::CALIBRATION_ID_LO, 0x0028),
        (regs::profile_name(3), 0x003C),
        (regs::STREAM_FRAMES_PER_S, 0x0074),
        (regs::scratch(3), 0x008C),
        (regs::CONTROL, 0x0100),
        (regs::COUNT, 0x0110),
        (regs::STATUS, 0x0180),
        (regs::TICKS_HI, 0x0194),
        (regs::saturated(63), 0x02FC),
        (regs::self_bank(1), 0x0404),
        (regs::coupling_bank(511), 0x0FFC),
        (regs::noise_gain(0), 0x1000),
        (regs::bias(0), 0x1100),
        (regs::noise_seed(4 * 7 + 3), 0x187C),
        (regs::sum(2), 0x2008),
        (regs::product(1055), 0x347C),
        (regs::FIFO, 0x4000),
        (regs::BULK, 0x8000),
    ];
    for (found, expected) in first {
        assert_eq!(found, expected);
    }
    assert_eq!(regs::MAGIC_VALUE.to_be_bytes(), *b"SPUF");
}

#[test]
fn find_agrees_with_a_table_of_every_element() {
    let mut table = vec![None; 0x1_0000];
    for register in MAP {
        for index in 0..register.count {
            let address = register.address + register.stride * index;
            table[usize::from(address)] = Some((register.name, usize::from(index)));
        }
    }
    for address in 0..=u16::MAX {
        let found = regs::find(address).map(|(register, index)| (register.name, index));
        assert_eq!(found, table[usize::from(address)], "{address:#06x}");
    }
}

#[test]
fn arrays_have_the_board_s_length() {
    let len = |address, cells| regs::find(address).unwrap().0.len(cells);
    assert_eq!(len(regs::self_bank(0), 8), 8);
    assert_eq!(len(regs::coupling_bank(0), 8), 28);
    assert_eq!(len(regs::noise_seed(0), 8), 32);
    assert_eq!(len(regs::sum(0), 8), 16);
    assert_eq!(len(regs::product(0), 8), 72);
    assert_eq!(len(regs::scratch(0), 8), 4);
    for register in MAP {
        assert_eq!(register.len(0) == 0, register.extent != Extent::Fixed, "{}", register.name);
        assert_eq!(register.len(usize::MAX), usize::from(register.count), "{}", register.name);
    }
}

#[test]
fn only_the_control_registers_are_write_only() {
    let write_only: Vec<_> =
        MAP.iter().filter(|r| r.access == Access::Wo).map(|r| r.address).collect();
    assert_eq!(write_only, [regs::CONTROL, regs::MCU_CONTROL]);
}

#[test]
fn the_microcontroller_answers_behind_the_windows() {
    for register in MAP {
        assert_eq!(register.mcu, register.address >= regs::MCU_BOARD, "{}", register.name);
    }
}
