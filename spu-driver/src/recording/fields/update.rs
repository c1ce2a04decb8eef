//! The fields of updates.

use spu_protocol::error::ErrorCode;
use spu_protocol::image::ImageKind;
use spu_protocol::payload::update::{SlotState, UpdateState};

use super::Walk;

impl Walk<'_> {
    pub(super) fn image_kind<const N: usize>(&mut self) -> Option<()> {
        self.named::<N>("kind", |number| {
            let kind = ImageKind::from_u16(u16::try_from(number).ok()?)?;
            Some(format!("{kind:?}"))
        })
    }

    pub(super) fn update_begin(&mut self) -> Option<()> {
        self.u32("flags")?;
        self.u32("reserved")?;
        self.data::<4>("magic")?;
        self.u16("header_version")?;
        self.image_kind::<2>()?;
        self.hex::<4>("target")?;
        self.hex::<4>("build_id")?;
        self.version("version")?;
        self.u16("reserved")?;
        self.u32("length")?;
        self.hex::<4>("load_address")?;
        self.data::<32>("sha256")?;
        self.hex::<4>("key_id")?;
        self.data::<124>("padding")?;
        self.data::<64>("signature")
    }

    pub(super) fn update_progress(&mut self) -> Option<()> {
        self.named::<2>("state", |number| {
            let state = UpdateState::from_u16(number as u16)?;
            Some(format!("{state:?}"))
        })?;
        self.named::<2>("error", |number| match number as u16 {
            0 => Some("none".into()),
            number => ErrorCode::from_u16(number).map(|code| format!("{code:?}")),
        })?;
        self.u32("done")?;
        self.u32("total")?;
        Some(())
    }

    pub(super) fn update_status(&mut self) -> Option<()> {
        self.update_progress()?;
        for name in ["room", "page", "piece"] {
            self.u32(name)?;
        }
        self.hex::<4>("target")?;
        self.u32("running")?;
        for _ in 0..2 {
            self.hex::<4>("build_id")?;
            self.u32("length")?;
            self.u32("sequence")?;
            self.version("version")?;
            self.named::<1>("slot", |number| {
                let state = SlotState::from_u8(number as u8)?;
                Some(format!("{state:?}"))
            })?;
            self.u8("reserved")?;
        }
        Some(())
    }
}
