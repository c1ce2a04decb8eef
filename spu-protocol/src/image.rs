//! The header of an image: what firmware and gateware are packed with to be flashed.
//!
//! An image is a header of [`HEADER_LEN`] octets and the payload behind it. The header names the
//! board that the payload is for and its SHA-256, and is signed (Ed25519, RFC 8032). What is here
//! checks the header's own fields; hash and signature are checked by `spu-boot`.

use bytemuck::{Pod, Zeroable};

/// First octets of every image.
pub const MAGIC: [u8; 4] = *b"SPUI";
/// Version of the header that this crate reads and writes.
pub const HEADER_VERSION: u16 = 1;
/// Octets of the header: what follows it in flash is aligned to this, whatever is written at once.
pub const HEADER_LEN: usize = 256;
/// Octets at the header's start that the signature covers: all before it.
pub const SIGNED_LEN: usize = 192;

/// What an image is for, in [`ImageHeader::kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum ImageKind {
    /// The microcontroller's firmware.
    Firmware = 1,
    /// The FPGA's bitstream.
    Gateware = 2,
}

impl ImageKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Firmware, Self::Gateware];

    /// The kind with this number.
    pub fn from_u16(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u16 == number)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Firmware => "firmware",
            Self::Gateware => "gateware",
        }
    }
}

/// Boards that firmware is built for, in [`ImageHeader::target`]. A number, once published, never
/// changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum BoardId {
    /// The simulator in the host's process.
    Simulator = 1,
    /// Arm's MPS2 with application note 386.
    Mps2An386 = 2,
    /// TI's LM3S6965 evaluation board.
    Lm3s6965Evb = 3,
    /// ST's Nucleo-H743ZI.
    NucleoH743Zi = 4,
}

impl BoardId {
    /// Every board.
    pub const ALL: [Self; 4] =
        [Self::Simulator, Self::Mps2An386, Self::Lm3s6965Evb, Self::NucleoH743Zi];

    /// The board with this number.
    pub fn from_u32(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|board| *board as u32 == number)
    }

    /// The board of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|board| board.name() == name)
    }

    /// Its name, as folders and commands have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simulator => "sim",
            Self::Mps2An386 => "mps2-an386",
            Self::Lm3s6965Evb => "lm3s6965evb",
            Self::NucleoH743Zi => "nucleo-h743zi",
        }
    }
}

/// FPGAs that gateware is built for, in [`ImageHeader::target`]: their JTAG identification codes
/// (IEEE 1149.1 IDCODE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum FpgaId {
    /// Lattice LFE5U-25F; the simulator's FPGA is modelled on it.
    Ecp5U25 = 0x4111_1043,
    /// Lattice LFE5U-45F.
    Ecp5U45 = 0x4111_2043,
    /// Lattice LFE5U-85F.
    Ecp5U85 = 0x4111_3043,
}

impl FpgaId {
    /// Every FPGA.
    pub const ALL: [Self; 3] = [Self::Ecp5U25, Self::Ecp5U45, Self::Ecp5U85];

    /// The FPGA with this identification code.
    pub fn from_u32(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|fpga| *fpga as u32 == number)
    }

    /// The FPGA of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fpga| fpga.name() == name)
    }

    /// Its name, as commands have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ecp5U25 => "lfe5u-25f",
            Self::Ecp5U45 => "lfe5u-45f",
            Self::Ecp5U85 => "lfe5u-85f",
        }
    }
}

/// The header of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ImageHeader {
    /// [`MAGIC`].
    pub magic: [u8; 4],
    /// [`HEADER_VERSION`].
    pub header_version: u16,
    /// An [`ImageKind`].
    pub kind: u16,
    /// What it is for: a [`BoardId`] for firmware, an [`FpgaId`] for gateware.
    pub target: u32,
    /// Identity of the build; of gateware, what its register `GATEWARE_ID` reads.
    pub build_id: u32,
    /// Major, minor, patch.
    pub version: [u16; 3],
    /// Zero.
    pub reserved: u16,
    /// Octets of the payload, at least 1.
    pub length: u32,
    /// Address that firmware is linked for; 0 for gateware.
    pub load_address: u32,
    /// SHA-256 of the payload.
    pub sha256: [u8; 32],
    /// Number of the key that signed it.
    pub key_id: u32,
    /// Zero.
    pub padding: [u8; 124],
    /// Ed25519 signature of the [`SIGNED_LEN`] octets before it.
    pub signature: [u8; 64],
}
const _: () = assert!(size_of::<ImageHeader>() == HEADER_LEN);
const _: () = assert!(core::mem::offset_of!(ImageHeader, signature) == SIGNED_LEN);

/// Why a header is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The octets do not start with [`MAGIC`], or are fewer than a header.
    #[error("not an image: the header is missing or damaged; pack the binary first")]
    NotAnImage,
    /// A header of another version.
    #[error(
        "image header of version {0}, this release reads {HEADER_VERSION}; pack it with this release"
    )]
    HeaderVersion(u16),
    /// A field that must be zero is not.
    #[error("the header's reserved octets are not zero; pack it with this release")]
    Reserved,
    /// Another kind of image than the slot holds, or none that is known.
    #[error("image of kind {found}, the slot holds kind {expected}; choose the right file")]
    WrongKind {
        /// In the header.
        found: u16,
        /// Of the slot.
        expected: u16,
    },
    /// For another board or FPGA.
    #[error("image for target {found:#x}, this is {expected:#x}; choose the file for this board")]
    WrongTarget {
        /// In the header.
        found: u32,
        /// Of this board or FPGA.
        expected: u32,
    },
    /// Linked for another address.
    #[error(
        "image linked for {found:#010x}, this board runs it at {expected:#010x}; build it again"
    )]
    WrongAddress {
        /// In the header.
        found: u32,
        /// Of this board.
        expected: u32,
    },
    /// No payload, or more than a slot holds.
    #[error("payload of {length} octets, a slot holds 1 to {room}; build a smaller image")]
    Length {
        /// In the header.
        length: u32,
        /// Most octets.
        room: u32,
    },
}

/// What a slot takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepts {
    /// Kind of image.
    pub kind: ImageKind,
    /// A [`BoardId`] or an [`FpgaId`].
    pub target: u32,
    /// Address that the payload runs at; 0 for gateware.
    pub load_address: u32,
}

impl ImageHeader {
    /// The header at the start of `image`, and what follows it.
    ///
    /// # Errors
    /// [`ImageError::NotAnImage`], [`ImageError::HeaderVersion`], [`ImageError::Reserved`].
    pub fn parse(image: &[u8]) -> Result<(Self, &[u8]), ImageError> {
        let (header, payload) =
            crate::payload::split::<Self>(image).ok_or(ImageError::NotAnImage)?;
        header.check_format()?;
        Ok((header, payload))
    }

    /// Fails if it is no header that this crate understands.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn check_format(&self) -> Result<(), ImageError> {
        if self.magic != MAGIC {
            return Err(ImageError::NotAnImage);
        }
        if self.header_version != HEADER_VERSION {
            return Err(ImageError::HeaderVersion(self.header_version));
        }
        if self.reserved != 0 || self.padding != [0; 124] {
            return Err(ImageError::Reserved);
        }
        Ok(())
    }

    /// Fails if a slot of `room` octets for `accepts` does not take such an image.
    ///
    /// # Errors
    /// Any [`ImageError`].
    pub fn check(&self, accepts: &Accepts, room: u32) -> Result<(), ImageError> {
        self.check_format()?;
        let expected = accepts.kind as u16;
        if self.kind != expected {
            return Err(ImageError::WrongKind { found: self.kind, expected });
        }
        let expected = accepts.target;
        if self.target != expected {
            return Err(ImageError::WrongTarget { found: self.target, expected });
        }
        let expected = accepts.load_address;
        if self.load_address != expected {
            return Err(ImageError::WrongAddress { found: self.load_address, expected });
        }
        if self.length == 0 || self.length > room {
            return Err(ImageError::Length { length: self.length, room });
        }
        Ok(())
    }

    /// The octets that the signature covers.
    pub fn signed(&self) -> &[u8] {
        bytemuck::bytes_of(self).split_at(SIGNED_LEN).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPTS: Accepts = Accepts {
        kind: ImageKind::Firmware,
        target: BoardId::Mps2An386 as u32,
        load_address: 0x100,
    };

    fn header() -> ImageHeader {
        ImageHeader {
            magic: MAGIC,
            header_version: HEADER_VERSION,
            kind: ImageKind::Firmware as u16,
            target: BoardId::Mps2An386 as u32,
            build_id: 7,
            version: [1, 2, 3],
            reserved: 0,
            length: 1000,
            load_address: 0x100,
            sha256: [1; 32],
            key_id: 1,
            padding: [0; 124],
            signature: [2; 64],
        }
    }

    #[test]
    fn each_field_that_is_wrong_has_its_error() {
        let check = |change: fn(&mut ImageHeader)| {
            let mut header = header();
            change(&mut header);
            header.check(&ACCEPTS, 1000)
        };
        assert_eq!(check(|_| ()), Ok(()));
        assert_eq!(check(|header| header.magic[3] = 0), Err(ImageError::NotAnImage));
        assert_eq!(check(|header| header.header_version = 2), Err(ImageError::HeaderVersion(2)));
        assert_eq!(check(|header| header.reserved = 1), Err(ImageError::Reserved));
        assert_eq!(check(|header| header.padding[123] = 1), Err(ImageError::Reserved));
        assert_eq!(
            check(|header| header.kind = 2),
            Err(ImageError::WrongKind { found: 2, expected: 1 })
        );
        assert_eq!(
            check(|header| header.target = 3),
            Err(ImageError::WrongTarget { found: 3, expected: 2 })
        );
        assert_eq!(
            check(|header| header.load_address = 0),
            Err(ImageError::WrongAddress { found: 0, expected: 0x100 })
        );
        for length in [0, 1001, u32::MAX] {
            let mut header = header();
            header.length = length;
            assert_eq!(
                header.check(&ACCEPTS, 1000),
                Err(ImageError::Length { length, room: 1000 })
            );
        }
    }

    #[test]
    fn short_octets_are_no_image() {
        let octets = bytemuck::bytes_of(&header()).to_vec();
        assert_eq!(ImageHeader::parse(&octets[..255]), Err(ImageError::NotAnImage));
        assert_eq!(ImageHeader::parse(&octets), Ok((header(), &[][..])));
        assert_eq!(header().signed().len(), SIGNED_LEN);
    }

    #[test]
    fn boards_have_names_and_numbers_of_their_own() {
        for board in BoardId::ALL {
            assert_eq!(BoardId::from_u32(board as u32), Some(board));
            assert_eq!(BoardId::from_name(board.name()), Some(board));
        }
        assert_eq!(BoardId::from_u32(0), None);
        for fpga in FpgaId::ALL {
            assert_eq!(FpgaId::from_u32(fpga as u32), Some(fpga));
            assert_eq!(FpgaId::from_name(fpga.name()), Some(fpga));
        }
        assert_eq!(FpgaId::from_u32(0), None);
        assert_eq!(ImageKind::from_u16(3), None);
    }
}
