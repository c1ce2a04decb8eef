//! `spu image`: packs, signs and shows images.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use spu_boot::keys::DEVELOPMENT;
use spu_boot::pack::{Meta, PackError, SigningKey, pack, sha256};
use spu_boot::verify::{Untrusted, check_signature};
use spu_boot::{KEYS, Key, ed25519};
use spu_driver::flash::ImageInfo;
use spu_protocol::image::{BoardId, FpgaId, ImageHeader, ImageKind};

use super::flash::read;
use crate::answer::Answer;
use crate::exit::{Exit, Failure};
use crate::matrix_file;
use crate::text::{count, facts};

/// Pack, sign and show images for `spu flash`
#[derive(Debug, Args)]
pub(crate) struct ImageVerb {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Pack(Pack),
    /// Show an image's header, and whether it is whole and signed
    Show {
        /// The image
        file: PathBuf,
        /// Check the signature with this key: a file with the public key, 64 hexadecimal digits
        /// [default: the keys of this release]
        #[arg(long, value_name = "FILE")]
        public: Option<PathBuf>,
    },
}

/// Pack a binary: header, signature, payload
#[derive(Debug, Args)]
struct Pack {
    /// Firmware as a binary (not ELF), or a bitstream
    binary: PathBuf,
    /// Board that firmware is for
    #[arg(long, value_name = "NAME", value_parser = board, required_unless_present = "fpga")]
    board: Option<BoardId>,
    /// FPGA that gateware is for
    #[arg(long, value_name = "NAME", value_parser = fpga, conflicts_with = "board")]
    fpga: Option<FpgaId>,
    /// Version that it says of itself
    #[arg(long, value_name = "X.Y.Z", value_parser = version)]
    version: Version,
    /// Address that firmware is linked for, e.g. 0x08020000
    #[arg(long, value_name = "ADDRESS", value_parser = number, requires = "board")]
    load_address: Option<u32>,
    /// Identity of the build; of gateware, what its register `GATEWARE_ID` reads [default: from the
    /// binary's hash, of firmware]
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    build_id: Option<u32>,
    /// Secret key to sign with: a file with 64 hexadecimal digits [default: the development key]
    #[arg(long, value_name = "FILE", requires = "key_id")]
    key: Option<PathBuf>,
    /// Number of that key
    #[arg(long, value_name = "N", requires = "key")]
    key_id: Option<u32>,
    /// The image to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Major, minor, patch.
#[derive(Debug, Clone, Copy)]
struct Version([u16; 3]);

#[expect(clippy::struct_excessive_bools, reason = "one verdict each")]
#[derive(Debug, Serialize)]
pub(crate) struct ImageAnswer {
    file: PathBuf,
    image: ImageInfo,
    /// The file ends where its payload does.
    whole: bool,
    /// The SHA-256 is that of the payload.
    hash: bool,
    /// The signature is that of a key that is accepted.
    signature: bool,
    /// The key is the one whose secret is public.
    development: bool,
    /// What is wrong first.
    problem: Option<String>,
    #[serde(skip)]
    packed: bool,
}

fn board(text: &str) -> Result<BoardId, String> {
    let names = || BoardId::ALL.map(BoardId::name).join(", ");
    BoardId::from_name(text).ok_or_else(|| format!("no such board; there are {}", names()))
}

fn fpga(text: &str) -> Result<FpgaId, String> {
    let names = || FpgaId::ALL.map(FpgaId::name).join(", ");
    FpgaId::from_name(text).ok_or_else(|| format!("no such FPGA; there are {}", names()))
}

fn version(text: &str) -> Result<Version, String> {
    let parts: Result<Vec<u16>, _> = text.split('.').map(str::parse).collect();
    let parts = parts.ok().and_then(|parts| parts.try_into().ok());
    parts.map(Version).ok_or_else(|| "give three numbers up to 65535: 1.2.3".to_owned())
}

/// A number, decimal or hexadecimal.
pub(crate) fn number(text: &str) -> Result<u32, String> {
    let plain = text.replace('_', "");
    let number = match plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u32::from_str_radix(digits, 16),
        _ => plain.parse(),
    };
    number.map_err(|_| "give a number of 32 bits, decimal or with 0x".to_owned())
}

/// The public key in a file.
pub(crate) fn public_key(path: &Path) -> Result<[u8; 32], Failure> {
    let wrong = || {
        let why = "a public key is 64 hexadecimal digits; make one as hardware/keys/README.md says";
        Failure::new(Exit::Input, format!("{}: {why}", path.display()))
    };
    let text = String::from_utf8(read(path)?).map_err(|_| wrong())?;
    let text = text.trim();
    let mut key = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    for (octet, at) in key.iter_mut().zip((0..64).step_by(2)) {
        *octet = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(key)
}

impl ImageVerb {
    pub(crate) fn run(&self) -> Result<ImageAnswer, Failure> {
        match &self.action {
            Action::Pack(pack) => pack.run(),
            Action::Show { file, public } => {
                let public = public.as_deref().map(public_key).transpose()?;
                show(file, public)
            }
        }
    }
}

impl Pack {
    fn run(&self) -> Result<ImageAnswer, Failure> {
        let binary = read(&self.binary)?;
        let input =
            |why: &str| Failure::new(Exit::Input, format!("{}: {why}", self.binary.display()));
        if binary.is_empty() {
            return Err(input("it is empty; build it first"));
        }
        if u32::try_from(binary.len()).is_err() {
            return Err(input("it has 4 GiB or more; no slot holds that"));
        }
        if binary.starts_with(b"\x7fELF") {
            return Err(input(
                "it is an ELF file; make a binary of it: `rust-objcopy -O binary FILE.elf FILE.bin`",
            ));
        }
        let hash = sha256(&binary);
        let meta = match (self.board, self.fpga) {
            (Some(board), _) => Meta {
                kind: ImageKind::Firmware,
                target: board as u32,
                build_id: self
                    .build_id
                    .unwrap_or(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])),
                version: self.version.0,
                load_address: self.load_address.ok_or_else(|| {
                    Failure::usage("firmware needs --load-address, where it is linked for")
                })?,
            },
            (None, Some(fpga)) => Meta {
                kind: ImageKind::Gateware,
                target: fpga as u32,
                build_id: self.build_id.ok_or_else(|| {
                    Failure::usage("gateware needs --build-id, what its register GATEWARE_ID reads")
                })?,
                version: self.version.0,
                load_address: 0,
            },
            (None, None) => return Err(Failure::usage("give --board or --fpga")),
        };
        let key = match (&self.key, self.key_id) {
            (Some(path), Some(id)) => {
                let wrong =
                    |why: String| Failure::new(Exit::Input, format!("{}: {why}", path.display()));
                let text = String::from_utf8(read(path)?)
                    .map_err(|_| wrong(PackError::Key.to_string()))?;
                SigningKey::from_hex(id, &text).map_err(|error| wrong(error.to_string()))?
            }
            _ => SigningKey::development(),
        };
        let public = key.public();
        if KEYS.iter().any(|known| known.id == public.id && *known != public) {
            return Err(Failure::usage(format!(
                "number {} is that of another key of this release; a number is never given twice",
                public.id
            )));
        }
        let image = pack(&binary, &meta, &key);
        matrix_file::write_atomically(&self.output, &image)?;
        let mut answer = verdict(&self.output, &image, &[public])?;
        answer.packed = true;
        Ok(answer)
    }
}

fn show(path: &Path, public: Option<[u8; 32]>) -> Result<ImageAnswer, Failure> {
    let file = read(path)?;
    let key = public.zip(ImageHeader::parse(&file).ok());
    let key = key.map(|(public, (header, _))| [Key { id: header.key_id, public }]);
    verdict(path, &file, key.as_ref().map_or(KEYS, |key| key))
}

/// What a file is, and what is wrong with it.
fn verdict(path: &Path, file: &[u8], keys: &[Key]) -> Result<ImageAnswer, Failure> {
    let (header, payload) = ImageHeader::parse(file)
        .map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", path.display())))?;
    let whole = payload.len() == header.length as usize;
    let hash = whole && sha256(payload) == header.sha256;
    let signed = check_signature(&header, keys, ed25519);
    let problem = match &signed {
        _ if !whole => {
            let (found, expected) = (payload.len(), header.length);
            Some(PackError::Length { found, expected }.to_string())
        }
        _ if !hash => Some(Untrusted::BadHash.to_string()),
        Err(error) => Some(error.to_string()),
        Ok(()) => None,
    };
    Ok(ImageAnswer {
        file: path.into(),
        image: ImageInfo::new(&header),
        whole,
        hash,
        signature: signed.is_ok(),
        development: header.key_id == DEVELOPMENT.id && keys.contains(&DEVELOPMENT),
        problem,
        packed: false,
    })
}

impl Answer for ImageAnswer {
    fn text(&self) -> String {
        let image = &self.image;
        let right = |right, word: &str| if right { word.to_owned() } else { "WRONG".into() };
        let signature = match (self.signature, self.development) {
            (true, true) => {
                format!("right, key {} (development: its secret is public)", image.key_id)
            }
            (true, false) => format!("right, key {}", image.key_id),
            (false, _) => format!("WRONG, key {}", image.key_id),
        };
        let mut facts_shown = vec![
            ("for", image.target_name.clone()),
            ("version", image.version.clone()),
            ("build", format!("{:08x}", image.build_id)),
            ("payload", format!("{} octets", count(image.length.into()))),
        ];
        if image.kind == "firmware" {
            facts_shown.push(("load address", format!("{:#010x}", image.load_address)));
        }
        facts_shown.extend([
            ("SHA-256", image.sha256.clone()),
            ("hash", right(self.hash, "right")),
            ("signature", signature),
        ]);
        let verb = if self.packed { "packed: " } else { "" };
        let mut text =
            format!("{verb}{}: {} image\n{}", self.file.display(), image.kind, facts(&facts_shown));
        if let Some(problem) = &self.problem {
            text += &format!("not usable: {problem}\n");
        }
        text
    }

    fn exit(&self) -> Exit {
        if self.problem.is_none() { Exit::Success } else { Exit::Input }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_versions() {
        assert_eq!(number("0x0802_0000"), Ok(0x0802_0000));
        assert_eq!(number("17"), Ok(17));
        for wrong in ["", "0x", "0x+1", "4294967296", "-1"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
        assert_eq!(version("1.2.65535").unwrap().0, [1, 2, 65535]);
        for wrong in ["1.2", "1.2.3.4", "1.2.x", "1.2.65536", ""] {
            assert!(version(wrong).is_err(), "{wrong}");
        }
        assert!(board("nosuch").unwrap_err().contains("mps2-an386"));
        assert!(fpga("nosuch").unwrap_err().contains("lfe5u-25f"));
    }
}
