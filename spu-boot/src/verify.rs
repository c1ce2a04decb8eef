//! Hash and signature of an image.

use hmac_sha256::Hash;
use spu_protocol::image::ImageHeader;

use crate::flash::FlashError;
use crate::keys::Key;
use crate::slots::{MARK, Slot, Slots};

/// Verifies an Ed25519 signature: public key, message, signature.
pub type Verify = fn(&[u8; 32], &[u8], &[u8; 64]) -> bool;

/// Verifies an Ed25519 signature (RFC 8032).
pub fn ed25519(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    salty::PublicKey::try_from(public)
        .is_ok_and(|key| key.verify(message, &salty::Signature::from(signature)).is_ok())
}

/// Why an image is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// No key of this number is accepted.
    #[error("signed with key {0}, which is not accepted; sign it with another")]
    UnknownKey(u32),
    /// The signature is not the key's.
    #[error("the signature is wrong; sign it with the key that the header names")]
    BadSignature,
    /// The payload's SHA-256 is not the header's.
    #[error("the payload is damaged, its SHA-256 differs; flash it again")]
    BadHash,
}

/// Fails unless one of `keys` signed the header.
///
/// # Errors
/// [`Untrusted::UnknownKey`], [`Untrusted::BadSignature`].
pub fn check_signature(
    header: &ImageHeader,
    keys: &[Key],
    verify: Verify,
) -> Result<(), Untrusted> {
    let key = find_key(header, keys)?;
    if verify(&key.public, header.signed(), &header.signature) {
        Ok(())
    } else {
        Err(Untrusted::BadSignature)
    }
}

/// The key that the header names.
pub(crate) fn find_key<'k>(header: &ImageHeader, keys: &'k [Key]) -> Result<&'k Key, Untrusted> {
    let key = keys.iter().find(|key| key.id == header.key_id);
    key.ok_or(Untrusted::UnknownKey(header.key_id))
}

/// SHA-256 in pieces.
#[derive(Clone, Copy)]
pub(crate) struct Hasher(Hash);

impl core::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Hasher")
    }
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self(Hash::new())
    }

    pub(crate) fn update(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    pub(crate) fn is(self, sha256: &[u8; 32]) -> bool {
        self.0.finalize() == *sha256
    }
}

/// Reads `part.len()` octets of a payload from `done` on. The memory is read by 32 octets, so the
/// last of `buffer` may be other octets; its length is a multiple of 32.
pub(crate) fn read_payload<'b>(
    slots: &mut Slots<'_>,
    slot: Slot,
    done: u32,
    length: u32,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], FlashError> {
    let left = length.saturating_sub(done);
    let part = (left as usize).min(buffer.len());
    let read = part.next_multiple_of(MARK as usize);
    let from = slots.layout.payload(slot).checked_add(done).ok_or(FlashError::OutOfRange)?;
    let room = buffer.get_mut(..read).ok_or(FlashError::NotAligned)?;
    slots.flash.read(from, room)?;
    buffer.get(..part).ok_or(FlashError::NotAligned)
}
