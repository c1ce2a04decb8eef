//! Where a board keeps its images.

use spu_boot::Slots;
use spu_protocol::image::ImageKind;

/// The flash memories of a board.
pub trait Storage {
    /// Whether there are any slots: without, an image carries no code to update.
    const UPDATES: bool;

    /// The slots of this kind of image, the same at each call.
    fn slots(&mut self, kind: ImageKind) -> Option<Slots<'_>>;
}

/// None: the board is flashed by a probe or its own boot loader.
#[derive(Debug)]
pub struct NoStorage;

impl Storage for NoStorage {
    const UPDATES: bool = false;

    fn slots(&mut self, _kind: ImageKind) -> Option<Slots<'_>> {
        None
    }
}
