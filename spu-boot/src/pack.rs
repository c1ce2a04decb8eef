//! Packing and signing of images, on hosts.

use spu_protocol::image::{HEADER_VERSION, ImageError, ImageHeader, ImageKind, MAGIC, SIGNED_LEN};

use crate::keys::{DEVELOPMENT, Key};
use crate::model::ModelFlash;
use crate::slots::{Layout, Slot, Slots, Which};
use crate::verify::{Hasher, Untrusted, check_signature, ed25519};

/// What the header of an image says beside what follows from the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Firmware or gateware.
    pub kind: ImageKind,
    /// A [`BoardId`](spu_protocol::image::BoardId) or a [`FpgaId`](spu_protocol::image::FpgaId).
    pub target: u32,
    /// Identity of the build; of gateware, what its register `GATEWARE_ID` reads.
    pub build_id: u32,
    /// Major, minor, patch.
    pub version: [u16; 3],
    /// Address that firmware is linked for; 0 for gateware.
    pub load_address: u32,
}

/// Why a key or an image is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// A key file of another form.
    #[error("a secret key is 64 hexadecimal digits; make one as hardware/keys/README.md says")]
    Key,
    /// The header.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The file ends before its payload does, or goes on after it.
    #[error("the file holds {found} octets of payload, its header says {expected}; pack it again")]
    Length {
        /// In the file.
        found: usize,
        /// In the header.
        expected: u32,
    },
    /// Hash or signature.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
}

/// A secret key and its number.
#[derive(Debug, Clone)]
pub struct SigningKey {
    id: u32,
    seed: [u8; 32],
}

impl SigningKey {
    /// The development key.
    pub fn development() -> Self {
        let text = include_str!("../../hardware/keys/development.key");
        Self::from_hex(DEVELOPMENT.id, text).unwrap_or(Self { id: 0, seed: [0; 32] })
    }

    /// The key number `id` whose secret is `text`, 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`PackError::Key`].
    pub fn from_hex(id: u32, text: &str) -> Result<Self, PackError> {
        let text = text.trim();
        let mut seed = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(PackError::Key);
        }
        for (index, octet) in seed.iter_mut().enumerate() {
            let digits = text.get(2 * index..2 * index + 2).ok_or(PackError::Key)?;
            *octet = u8::from_str_radix(digits, 16).map_err(|_| PackError::Key)?;
        }
        Ok(Self { id, seed })
    }

    /// The public half.
    pub fn public(&self) -> Key {
        let pair = salty::Keypair::from(&self.seed);
        Key { id: self.id, public: pair.public.to_bytes() }
    }
}

/// The SHA-256 of `octets`.
pub fn sha256(octets: &[u8]) -> [u8; 32] {
    hmac_sha256::Hash::hash(octets)
}

/// An image of a binary: header, signed with `key`, and payload. A binary of more than 4 GiB is
/// cut off.
pub fn pack(binary: &[u8], meta: &Meta, key: &SigningKey) -> Vec<u8> {
    let mut header = ImageHeader {
        magic: MAGIC,
        header_version: HEADER_VERSION,
        kind: meta.kind as u16,
        target: meta.target,
        build_id: meta.build_id,
        version: meta.version,
        reserved: 0,
        length: binary.len() as u32,
        load_address: meta.load_address,
        sha256: sha256(binary),
        key_id: key.id,
        padding: [0; 124],
        signature: [0; 64],
    };
    sign(&mut header, key);
    [bytemuck::bytes_of(&header), binary].concat()
}

/// Signs a header anew.
pub fn sign(header: &mut ImageHeader, key: &SigningKey) {
    header.key_id = key.id;
    let pair = salty::Keypair::from(&key.seed);
    header.signature = pair.sign(header.signed()).to_bytes();
    debug_assert_eq!(header.signed().len(), SIGNED_LEN);
}

/// The header and the payload of an image file, if it is whole and one of `keys` signed it.
///
/// # Errors
/// Any [`PackError`] but [`PackError::Key`].
pub fn verify<'a>(image: &'a [u8], keys: &[Key]) -> Result<(ImageHeader, &'a [u8]), PackError> {
    let (header, payload) = ImageHeader::parse(image)?;
    if payload.len() != header.length as usize {
        return Err(PackError::Length { found: payload.len(), expected: header.length });
    }
    let mut hasher = Hasher::new();
    hasher.update(payload);
    if !hasher.is(&header.sha256) {
        return Err(Untrusted::BadHash.into());
    }
    check_signature(&header, keys, ed25519)?;
    Ok((header, payload))
}

/// The contents of a slot of `size` octets (a multiple of 32) that holds `image`, confirmed, as
/// update number 1: for a probe or an emulator to put there.
///
/// # Errors
/// [`PackError::Image`] if it is no image or does not fit.
pub fn factory(image: &[u8], size: u32) -> Result<Vec<u8>, PackError> {
    let (header, payload) = ImageHeader::parse(image)?;
    let layout = Layout { a: 0, b: size, size };
    let room = layout.room();
    if header.length as usize != payload.len() || header.length > room {
        return Err(ImageError::Length { length: payload.len() as u32, room }.into());
    }
    let mut flash = ModelFlash::new(size, 2, 32);
    flash.fill(0, image);
    let kind = ImageKind::from_u16(header.kind).unwrap_or(ImageKind::Firmware);
    let accepts = spu_protocol::image::Accepts {
        kind,
        target: header.target,
        load_address: header.load_address,
    };
    let mut slots = Slots { flash: &mut flash, layout, accepts, keys: &[], verify: ed25519 };
    for which in [Which::Ready, Which::Tried, Which::Confirmed] {
        // The model's memory does not fail.
        let _ = slots.write_mark(Slot::A, which, 1);
    }
    Ok(flash.octets().get(..size as usize).unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KEYS;
    use sha2::Digest as _;

    fn meta() -> Meta {
        Meta {
            kind: ImageKind::Firmware,
            target: 2,
            build_id: 9,
            version: [1, 2, 3],
            load_address: 0x100,
        }
    }

    #[test]
    fn the_committed_keys_are_a_pair() {
        assert_eq!(SigningKey::development().public(), DEVELOPMENT);
    }

    /// RFC 8032, section 7.1, tests 1 and 2.
    #[test]
    fn signatures_are_those_of_the_standard() {
        for (secret, public, message, start) in [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                &[][..],
                [0xe5, 0x56, 0x43, 0x00],
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                &[0x72][..],
                [0x92, 0xa0, 0x09, 0xa9],
            ),
        ] {
            let key = SigningKey::from_hex(1, secret).unwrap();
            let public = SigningKey::from_hex(1, public).unwrap().seed;
            assert_eq!(key.public().public, public);
            let signature = salty::Keypair::from(&key.seed).sign(message).to_bytes();
            assert_eq!(signature[..4], start);
            assert!(ed25519(&public, message, &signature));
            assert!(!ed25519(&public, b"another", &signature));
        }
    }

    #[test]
    fn hashes_are_those_of_another_implementation() {
        let octets: Vec<u8> = (0..1000_u32).map(|i| (i * 7) as u8).collect();
        for length in [0, 1, 55, 56, 63, 64, 65, 127, 128, 1000] {
            let other: [u8; 32] = sha2::Sha256::digest(&octets[..length]).into();
            assert_eq!(sha256(&octets[..length]), other, "{length}");
        }
    }

    #[test]
    fn a_packed_image_verifies_and_no_changed_one_does() {
        let image = pack(b"payload of an image", &meta(), &SigningKey::development());
        let (header, payload) = verify(&image, KEYS).unwrap();
        assert_eq!((payload, header.version), (&b"payload of an image"[..], [1, 2, 3]));
        for at in 0..image.len() {
            let mut changed = image.clone();
            changed[at] ^= 1;
            assert!(verify(&changed, KEYS).is_err(), "octet {at}");
        }
        assert!(matches!(verify(&image[..270], KEYS), Err(PackError::Length { found: 14, .. })));
        let other = SigningKey::from_hex(2, &"ab".repeat(32)).unwrap();
        let image = pack(b"x", &meta(), &other);
        assert_eq!(verify(&image, KEYS), Err(Untrusted::UnknownKey(2).into()));
        let image = pack(b"x", &meta(), &SigningKey { id: 1, ..other });
        assert_eq!(verify(&image, KEYS), Err(Untrusted::BadSignature.into()));
    }
}
