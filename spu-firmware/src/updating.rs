//! Updates of firmware and gateware, asked for by the host.

use spu_boot::{Slots, UpdateError, Updater};
use spu_protocol::error::ErrorCode;
use spu_protocol::image::ImageKind;
use spu_protocol::payload::{UpdateBegin, UpdateSelect, UpdateWrite, Writer, exact, split};

use crate::acquisition::Block;
use crate::board::Board;
use crate::dispatcher::Activity;
use crate::log::log;
use crate::refusal::Refusal;

impl From<UpdateError> for Refusal {
    fn from(error: UpdateError) -> Self {
        let (code, detail) = error.code();
        Self::new(code, detail)
    }
}

/// The slots of images of the kind `number`. Refuses with [`ErrorCode::BadPayload`] where there is
/// no such kind, [`ErrorCode::Unsupported`] where the board has none.
fn slots(board: &mut impl Board, number: u32) -> Result<Slots<'_>, Refusal> {
    let number = u16::try_from(number).ok();
    let kind = number.and_then(ImageKind::from_u16).ok_or(ErrorCode::BadPayload)?;
    board.slots(kind).ok_or(ErrorCode::Unsupported.into())
}

/// Starts an update; see [`Updater::begin`]. Refuses with [`ErrorCode::BadImage`] an image of no
/// kind that is known.
pub(crate) fn begin(
    updater: &mut Updater,
    board: &mut impl Board,
    payload: &[u8],
    out: &mut Writer<'_>,
) -> Result<(), Refusal> {
    let begin: UpdateBegin = exact(payload).ok_or(ErrorCode::BadPayload)?;
    if begin.flags & !UpdateBegin::ALLOW_DOWNGRADE != 0 || begin.reserved != 0 {
        return Err(ErrorCode::BadPayload.into());
    }
    if ImageKind::from_u16(begin.header.kind).is_none() {
        return Err(ErrorCode::BadImage.into());
    }
    let mut slots = slots(board, begin.header.kind.into())?;
    updater.begin(&mut slots, &begin)?;
    log!(info, "update of kind {}, {} octets", begin.header.kind, begin.header.length);
    out.put(&updater.progress());
    Ok(())
}

/// Takes a piece of the image; see [`Updater::write`].
pub(crate) fn write(
    updater: &mut Updater,
    board: &mut impl Board,
    payload: &[u8],
    out: &mut Writer<'_>,
) -> Result<(), Refusal> {
    let (piece, octets) = split::<UpdateWrite>(payload).ok_or(ErrorCode::BadPayload)?;
    if octets.is_empty() || piece.reserved != 0 {
        return Err(ErrorCode::BadPayload.into());
    }
    if updater.kind() == 0 {
        return Err(ErrorCode::NoUpdate.into());
    }
    let mut slots = slots(board, updater.kind().into())?;
    updater.write(&mut slots, piece.offset, octets)?;
    out.put(&updater.progress());
    Ok(())
}

/// Starts verifying; see [`Updater::finish`].
pub(crate) fn finish(updater: &mut Updater, out: &mut Writer<'_>) -> Result<(), Refusal> {
    updater.finish()?;
    out.put(&updater.progress());
    Ok(())
}

/// Tells the state of slots and update.
pub(crate) fn status(
    updater: &Updater,
    board: &mut impl Board,
    payload: &[u8],
    out: &mut Writer<'_>,
) -> Result<(), Refusal> {
    let UpdateSelect { kind } = exact(payload).ok_or(ErrorCode::BadPayload)?;
    out.put(&updater.status(&mut slots(board, kind)?));
    Ok(())
}

/// Keeps the image that runs; see [`Slots::confirm`].
pub(crate) fn confirm(board: &mut impl Board, payload: &[u8]) -> Result<(), Refusal> {
    let UpdateSelect { kind } = exact(payload).ok_or(ErrorCode::BadPayload)?;
    slots(board, kind)?.confirm().map_err(UpdateError::from)?;
    log!(info, "image of kind {} confirmed", kind);
    Ok(())
}

/// One bounded step: a page is erased, a piece hashed, or the signature verified.
pub(crate) fn follow(updater: &mut Updater, board: &mut impl Board, block: &mut Block) -> Activity {
    let Ok(mut slots) = slots(board, updater.kind().into()) else {
        updater.forget();
        return Activity::Worked;
    };
    // A multiple of 32 octets.
    let buffer = block.first_chunk_mut::<HASHED>().map(<[u8; HASHED]>::as_mut_slice);
    updater.step(&mut slots, buffer.unwrap_or_default());
    Activity::Worked
}

/// Octets that are hashed at once.
const HASHED: usize = 1024;
