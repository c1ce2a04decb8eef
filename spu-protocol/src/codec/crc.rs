//! CRC-32C (Castagnoli; reflected, initial value and final XOR 0xffffffff), in parts.

#[cfg(feature = "std")]
mod implementation {
    use crc_fast::{CrcAlgorithm::Crc32Iscsi, Digest};

    pub(in crate::codec) struct Crc32c(Digest);

    impl Crc32c {
        pub(in crate::codec) fn new() -> Self {
            Self(Digest::new(Crc32Iscsi))
        }

        pub(in crate::codec) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        pub(in crate::codec) fn finish(self) -> u32 {
            self.0.finalize() as u32
        }
    }
}

#[cfg(not(feature = "std"))]
mod implementation {
    use crc::{CRC_32_ISCSI, Crc, Digest};

    // 1 KiB of table: a microcontroller's flash and cache are better spent elsewhere than on the
    // wider tables.
    static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

    pub(in crate::codec) struct Crc32c(Digest<'static, u32>);

    impl Crc32c {
        pub(in crate::codec) fn new() -> Self {
            Self(CRC.digest())
        }

        pub(in crate::codec) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        pub(in crate::codec) fn finish(self) -> u32 {
            self.0.finalize()
        }
    }
}

pub(super) use implementation::Crc32c;

#[cfg(test)]
mod tests {
    use super::Crc32c;

    fn crc(parts: &[&[u8]]) -> u32 {
        let mut crc = Crc32c::new();
        for part in parts {
            crc.update(part);
        }
        crc.finish()
    }

    /// The check value of the catalogue of parametrised CRCs, and RFC 3720 appendix B.4.
    #[test]
    fn published_vectors() {
        assert_eq!(crc(&[b"123456789"]), 0xe306_9283);
        assert_eq!(crc(&[&[0; 32]]), 0x8a91_36aa);
        assert_eq!(crc(&[&[0xff; 32]]), 0x62a8_ab43);
        let rising: [u8; 32] = core::array::from_fn(|i| i as u8);
        assert_eq!(crc(&[&rising]), 0x46dd_794e);
    }

    #[test]
    fn parts_equal_the_whole() {
        let bytes: [u8; 300] = core::array::from_fn(|i| (i * 7) as u8);
        for split in 0..=bytes.len() {
            let (start, end) = bytes.split_at(split);
            assert_eq!(crc(&[start, end]), crc(&[&bytes]));
        }
    }
}
