//! Image files.

use std::fmt::Write as _;

use serde::Serialize;
use spu_boot::pack::verify;
use spu_boot::{KEYS, Key};
use spu_protocol::image::{BoardId, FpgaId, ImageHeader, ImageKind};

use super::{FlashError, version_text};

/// An image file that is whole and signed.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    header: ImageHeader,
    payload: &'a [u8],
    kind: ImageKind,
}

impl<'a> Image<'a> {
    /// Checks a file's octets: header, length, SHA-256, and signature by a key of this release.
    ///
    /// # Errors
    /// [`FlashError::Image`], [`FlashError::UnknownKind`].
    pub fn check(file: &'a [u8]) -> Result<Self, FlashError> {
        Self::check_with(file, KEYS)
    }

    /// As [`check`](Self::check), with other keys.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_with(file: &'a [u8], keys: &[Key]) -> Result<Self, FlashError> {
        let (header, payload) = verify(file, keys)?;
        let kind = ImageKind::from_u16(header.kind).ok_or(FlashError::UnknownKind(header.kind))?;
        Ok(Self { header, payload, kind })
    }

    /// Firmware or gateware.
    pub const fn kind(&self) -> ImageKind {
        self.kind
    }

    /// Its header.
    pub const fn header(&self) -> &ImageHeader {
        &self.header
    }

    /// What follows the header.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// What its header says.
    pub fn info(&self) -> ImageInfo {
        ImageInfo::new(&self.header)
    }
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageInfo {
    /// `firmware`, `gateware`, or a number.
    pub kind: String,
    /// Number of what it is for.
    pub target: u32,
    /// Name of that.
    pub target_name: String,
    /// Version.
    pub version: String,
    /// Identity of the build; of gateware, what its register `GATEWARE_ID` reads.
    pub build_id: u32,
    /// Octets of the payload.
    pub length: u32,
    /// Address that firmware is linked for.
    pub load_address: u32,
    /// SHA-256 of the payload, in hexadecimal.
    pub sha256: String,
    /// Number of the key that signed it.
    pub key_id: u32,
}

impl ImageInfo {
    /// What this header says; nothing of it is checked.
    pub fn new(header: &ImageHeader) -> Self {
        let kind = ImageKind::from_u16(header.kind);
        Self {
            kind: kind.map_or_else(|| header.kind.to_string(), |kind| kind.name().into()),
            target: header.target,
            target_name: target_name(header.kind, header.target),
            version: version_text(header.version),
            build_id: header.build_id,
            length: header.length,
            load_address: header.load_address,
            sha256: header.sha256.iter().fold(String::new(), |mut text, octet| {
                let _ = write!(text, "{octet:02x}");
                text
            }),
            key_id: header.key_id,
        }
    }
}

/// What an image of this kind with this target is for: `board sim`, `FPGA lfe5u-25f`.
pub fn target_name(kind: u16, target: u32) -> String {
    match ImageKind::from_u16(kind) {
        Some(ImageKind::Firmware) => BoardId::from_u32(target).map_or_else(
            || format!("board number {target}, unknown to this release"),
            |board| format!("board {}", board.name()),
        ),
        Some(ImageKind::Gateware) => FpgaId::from_u32(target).map_or_else(
            || format!("FPGA {target:#010x}, unknown to this release"),
            |fpga| format!("FPGA {}", fpga.name()),
        ),
        None => format!("target {target:#x}"),
    }
}
