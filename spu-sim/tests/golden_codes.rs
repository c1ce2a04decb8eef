//! SHA-256 of the first million ADC codes of each profile, as little-endian 16-bit integers, cell
//! by cell and tick by tick: the same in debug and release, with and without vector instructions,
//! on every CPU. If this fails, simulated data has changed: say so in the change log, and only
//! then change the hash.

use sha2::{Digest, Sha256};
use spu_protocol::code::AdcCode;
use spu_protocol::regs::{self, mode, status};
use spu_sim::{Dispatch, Profile};

mod common;

const CODES: u32 = 1_000_000;

const GOLDEN: [(&str, &str); 3] = [
    ("ideal", "9c86c362fb0f70aae41f4c78fa639dfef69f2b33a15588e634ad6f161eb8c599"),
    ("rev-a", "603dfed712fb653fbfb8ecf013446c38df638b538dc1246eec3a1121d549bc3c"),
    ("rev-b", "362aaf34a6bab06ced0c23011360bda6b49e7dbd2f270aca95762f9a6757a675"),
];

fn hash(profile: &str, dispatch: Dispatch) -> String {
    let mut board = common::fpga(profile, 2024, dispatch);
    let format = common::format(&Profile::named(profile).expect("shipped profile"));
    common::start(&mut board, mode::STREAM, 0, 1, CODES / 8);
    let mut hash = Sha256::new();
    let mut codes: Vec<AdcCode> = Vec::new();
    while board.read(regs::STATUS) & status::STATE_MASK != status::STATE_DONE {
        board.advance(u64::MAX);
        codes.clear();
        common::drain(&mut board, &format, &mut codes);
        for code in &codes {
            hash.update(code.0.to_le_bytes());
        }
    }
    hash.finalize().iter().fold(String::new(), |text, octet| format!("{text}{octet:02x}"))
}

#[test]
fn a_million_codes_with_the_instructions_of_this_cpu() {
    for (profile, golden) in GOLDEN {
        assert_eq!(hash(profile, Dispatch::detect()), golden, "{profile}");
    }
}

#[test]
fn a_million_codes_with_plain_instructions() {
    for (profile, golden) in GOLDEN {
        assert_eq!(hash(profile, Dispatch::scalar()), golden, "{profile}");
    }
}
