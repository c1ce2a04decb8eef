//! Images in flash: two slots, which of them starts, and how another is brought in.
//!
//! Boot loaders and the running firmware share this crate. A slot is header, payload and a trailer
//! of four marks ([`slots`]); [`boot`](boot::boot) picks the slot that starts, and rolls an image
//! back that nobody confirmed; [`Updater`] erases, writes, reads back and verifies the other slot
//! in bounded steps.
//!
//! **No copying between slots.** The boot loader loads the chosen image into memory, or the
//! microcontroller runs it in place; nothing is swapped. Every change of what starts is one mark of
//! 32 octets, which a cut of the power leaves erased, whole, or recognisably torn.
//!
//! Why not `embassy-boot` 0.7: it starts what is in the active partition without a look at hash or
//! signature, it needs four page operations a page to swap (an STM32H743's pages are 128 KiB), and
//! `tests/embassy_boot.rs` cuts its power with the same model: a half-erased page of its state can
//! leave the magic word and bring back the word that says that its progress is void.
//!
//! `no_std`, no heap, no panic that contents of flash can reach. The feature `std` adds what hosts
//! need: [`pack`](pack::pack), a model of flash memory, and cuts of its power.
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

pub mod boot;
pub mod flash;
pub mod keys;
#[cfg(feature = "std")]
#[allow(clippy::arithmetic_side_effects, reason = "on hosts, and checked there")]
pub mod model;
pub mod mps2;
#[cfg(feature = "std")]
#[allow(clippy::arithmetic_side_effects, reason = "on hosts, and checked there")]
pub mod pack;
#[cfg(feature = "std")]
#[allow(clippy::arithmetic_side_effects, reason = "on hosts, and checked there")]
pub mod power_cut;
pub mod slots;
pub mod update;
pub mod verify;

pub use boot::{Boot, NoImage, boot};
pub use flash::{Flash, FlashError, Nor};
pub use keys::{KEYS, Key};
pub use slots::{Layout, Slot, Slots};
pub use update::{UpdateError, Updater};
pub use verify::{Verify, ed25519};
