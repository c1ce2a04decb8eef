//! Ids and strings of the device; a test compares the ids with the driver's.

/// Vendor id of <https://pid.codes>, for testing only.
pub const VENDOR: u16 = 0x1209;
/// Product id of a board that runs its firmware.
pub const BOARD: u16 = 0x0001;

/// Manufacturer's name.
pub const MANUFACTURER: &str = "spu";
/// Product's name.
pub const PRODUCT: &str = "SPU board";

/// A board's serial number as its string descriptor has it: 16 lower-case hexadecimal digits.
pub const fn serial_digits(serial: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    let (mut rest, mut left): (u64, &mut [u8]) = (serial, &mut digits);
    while let Some((digit, others)) = left.split_last_mut() {
        let nibble = (rest & 0xF) as u8;
        *digit = if nibble < 10 {
            b'0' | nibble
        } else {
            b'a'.saturating_add(nibble.saturating_sub(10))
        };
        rest >>= 4;
        left = others;
    }
    digits
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn digits_are_those_of_the_number() {
        for serial in [0, 1, 0x0123_4567_89AB_CDEF, u64::MAX, 0xA0] {
            assert_eq!(serial_digits(serial), format!("{serial:016x}").as_bytes());
        }
    }

    #[test]
    fn the_driver_has_the_same_ids() {
        let driver = include_str!("../../../spu-driver/src/link/ids.rs");
        for (name, id) in [("VENDOR", VENDOR), ("BOARD", BOARD)] {
            let line = format!("pub const {name}: u16 = 0x{id:04x};");
            assert!(driver.contains(&line), "no line {line:?}");
        }
    }
}
