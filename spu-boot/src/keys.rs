//! Keys that images may be signed with. `hardware/keys/README.md` says how they are replaced.

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its number; never given twice.
    pub id: u32,
    /// Ed25519 public key.
    pub public: [u8; 32],
}

/// Keys that this release accepts.
pub const KEYS: &[Key] = &[DEVELOPMENT];

/// The development key: its secret is in the repository.
pub const DEVELOPMENT: Key =
    Key { id: 1, public: hex(include_bytes!("../../hardware/keys/development.pub")) };

/// The octets that 64 hexadecimal digits at the start of `text` stand for; fails to compile where
/// they are none.
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "evaluated by the compiler only"
)]
const fn hex(text: &[u8]) -> [u8; 32] {
    const fn digit(character: u8) -> u8 {
        match character {
            b'0'..=b'9' => character - b'0',
            b'a'..=b'f' => character - b'a' + 10,
            _ => panic!("a key is 64 hexadecimal digits, small letters"),
        }
    }
    let mut octets = [0; 32];
    let mut index = 0;
    while index < 32 {
        octets[index] = digit(text[2 * index]) << 4 | digit(text[2 * index + 1]);
        index += 1;
    }
    octets
}
