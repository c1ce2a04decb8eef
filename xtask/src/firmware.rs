//! `cargo xtask firmware`: images for microcontrollers, and how much of them they fill.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, SectionKind, elf};
use serde::{Deserialize, Serialize};
use spu_boot::pack::{Meta, SigningKey};
use spu_protocol::image::{BoardId, ImageKind};

use crate::root;

/// Arguments of `firmware`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this board
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
    /// Print this figure alone as `cargo xtask figures` wants it: `fw.BOARD.flash_kib`,
    /// `fw.BOARD.ram_kib` or `fw.boot_kib`
    #[arg(long, value_name = "NAME", conflicts_with_all = ["board", "save"])]
    figure: Option<String>,
    /// Taken for every figure: these are as quick as a build
    #[arg(long, hide = true, requires = "figure")]
    quick: bool,
    /// Lint the images' code instead, with warnings denied
    #[arg(long, conflicts_with_all = ["figure", "save"])]
    lint: bool,
    /// Keep the sizes as those that later builds are compared with
    #[arg(long)]
    save: bool,
}

/// A board that there is an image for.
struct Board {
    name: &'static str,
    target: &'static str,
    /// The package of its boot loader and of what else runs from where it starts, and those images.
    others: Option<(&'static str, &'static [&'static str])>,
    /// Address that the boot loader loads the firmware to, where there is one.
    load_address: Option<u32>,
    /// Most flash and memory, in octets.
    budget: Size,
}

const KIB: u64 = 1024;

/// That of a boot loader; its memory is free again when the firmware runs.
const BOOT_BUDGET: Size = Size { flash: 24 * KIB, ram: 32 * KIB };
/// The budget of every image.
const BUDGET: Size = Size { flash: 64 * KIB, ram: 32 * KIB };

const BOARDS: [Board; 3] = [
    Board {
        name: "mps2-an386",
        target: "thumbv7em-none-eabihf",
        others: Some(("mps2-an386-boot", &["mps2-an386-boot", "mps2-an386-bare"])),
        load_address: Some(spu_boot::mps2::LOAD_ADDRESS),
        budget: BUDGET,
    },
    Board {
        name: "lm3s6965evb",
        target: "thumbv7m-none-eabi",
        others: None,
        load_address: None,
        budget: BUDGET,
    },
    Board {
        name: "nucleo-h743zi",
        target: "thumbv7em-none-eabihf",
        others: None,
        load_address: None,
        budget: BUDGET,
    },
];

/// What an image fills, in octets; the memory includes the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) flash: u64,
    pub(crate) ram: u64,
}

/// Builds the images and puts them into `target/firmware`.
///
/// # Errors
/// Where one does not build or exceeds its budget.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(name) = &arguments.figure {
        return figure(name);
    }
    let boards: Vec<_> = BOARDS
        .iter()
        .filter(|board| arguments.board.as_ref().is_none_or(|name| name == board.name))
        .collect();
    if boards.is_empty() {
        let names: Vec<_> = BOARDS.iter().map(|board| board.name).collect();
        bail!("no such board; there are {}", names.join(", "));
    }
    if arguments.lint {
        return boards.into_iter().try_for_each(lint);
    }
    let mut saved = saved()?;
    for board in boards {
        let image = build(board)?;
        let size = size(&image)?;
        let before = saved.insert(board.name.into(), size);
        println!("{}", line(board.name, board.budget, size, before));
        ensure!(
            size.flash <= board.budget.flash && size.ram <= board.budget.ram,
            "the image for {} exceeds its budget",
            board.name
        );
        crate::panics::check(&image)?;
        if let Some(load_address) = board.load_address {
            let boot_loader = format!("{}-boot", board.name);
            let size = self::size(&image_path(&boot_loader))?;
            let before = saved.insert(boot_loader.clone(), size);
            println!("{}", line(&boot_loader, BOOT_BUDGET, size, before));
            ensure!(size.flash <= BOOT_BUDGET.flash, "{boot_loader} exceeds its budget");
            pack(board, &image, load_address)?;
        }
    }
    if arguments.save {
        let text = serde_json::to_string_pretty(&saved)?;
        fs::write(sizes_path(), text + "\n")?;
    }
    Ok(())
}

/// Builds what a figure is about, and prints it.
fn figure(name: &str) -> Result<()> {
    let what = name.strip_prefix("fw.").context("a figure of firmware is named fw.…")?;
    let (board, part) = match what.split_once('.') {
        Some((board, part)) => (board, part),
        None => (BOARDS[0].name, what),
    };
    let found = BOARDS.iter().find(|known| known.name == board);
    let board = found.with_context(|| format!("no board {board}"))?;
    let image = build(board)?;
    let (octets, budget) = match part {
        "flash_kib" => (size(&image)?.flash, board.budget.flash),
        "ram_kib" => (size(&image)?.ram, board.budget.ram),
        "boot_kib" => {
            (size(&image_path(&format!("{}-boot", board.name)))?.flash, BOOT_BUDGET.flash)
        }
        _ => bail!("no figure {name}"),
    };
    let value = octets as f64 / KIB as f64;
    let detail = format!("{}: {octets} octets of {budget}", board.name);
    println!("{}", serde_json::json!({ "value": value, "detail": detail }));
    Ok(())
}

fn image_path(board: &str) -> PathBuf {
    root().join("target/firmware").join(format!("{board}.elf"))
}

/// Folder of what is built.
fn target() -> PathBuf {
    let parent =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    parent.join("boards")
}

/// Cargo with `task` for a board's packages.
fn cargo(task: &str, board: &Board) -> Result<Command> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([task, "--quiet", "--release", "--package", board.name, "--target", board.target])
        .args(board.others.iter().flat_map(|(package, _)| ["--package", package]))
        .arg("--manifest-path")
        .arg(root().join("spu-firmware/boards/Cargo.toml"))
        .arg("--target-dir")
        .arg(target())
        // The HAL's messages are about each register that it sets up.
        .env("DEFMT_LOG", "debug,embassy_stm32=error")
        .env("CARGO_ENCODED_RUSTFLAGS", remapped()?.join("\u{1f}"));
    Ok(cargo)
}

/// Lints a board's code and the runtime.
fn lint(board: &Board) -> Result<()> {
    let mut cargo = cargo("clippy", board)?;
    let status = cargo.args(["--package", "spu-board-runtime", "--", "-D", "warnings"]).status()?;
    ensure!(status.success(), "the code for {} has warnings", board.name);
    Ok(())
}

/// Builds an image; where it is then.
fn build(board: &Board) -> Result<PathBuf> {
    let status = cargo("build", board)?.status()?;
    ensure!(status.success(), "the image for {} does not build", board.name);
    let image = image_path(board.name);
    fs::create_dir_all(image.parent().unwrap_or(Path::new(".")))?;
    let others = board.others.map_or(&[][..], |(_, images)| images);
    for name in std::iter::once(board.name).chain(others.iter().copied()) {
        let built = target().join(board.target).join("release").join(name);
        fs::copy(&built, image_path(name))
            .with_context(|| format!("{} cannot be copied", built.display()))?;
    }
    Ok(image)
}

/// Compiler flags that leave this computer's folders out of the places of panics: they take flash,
/// and images would differ from computer to computer.
fn remapped() -> Result<Vec<String>> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let mut folders = vec![root().to_path_buf()];
    if let Some(registries) = home.map(|home| home.join("registry/src"))
        && registries.is_dir()
    {
        for registry in fs::read_dir(registries)? {
            folders.push(registry?.path());
        }
    }
    let flag = |folder: PathBuf| format!("--remap-path-prefix={}/=", folder.display());
    Ok(folders.into_iter().map(flag).collect())
}

/// Packs and signs the image that a boot loader takes, by the development key: `NAME.img` beside
/// the program.
fn pack(board: &Board, image: &Path, load_address: u32) -> Result<()> {
    let data = fs::read(image)?;
    let file = object::File::parse(&*data)?;
    let mut binary = Vec::new();
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
        let stored = sh_flags & u64::from(elf::SHF_ALLOC) != 0
            && !matches!(section.kind(), SectionKind::UninitializedData);
        let octets = section.data()?;
        if !stored || octets.is_empty() {
            continue;
        }
        ensure!(sh_flags & u64::from(elf::SHF_WRITE) == 0, "initialised data is not packed");
        let at = section
            .address()
            .checked_sub(load_address.into())
            .with_context(|| format!("{} is linked below its load address", board.name))?;
        let at = usize::try_from(at)?;
        binary.resize(binary.len().max(at + octets.len()), 0xFF);
        binary[at..at + octets.len()].copy_from_slice(octets);
    }
    let target = BoardId::from_name(board.name).context("a board without a number")?;
    let meta = Meta {
        kind: ImageKind::Firmware,
        target: target as u32,
        build_id: 0,
        version: spu_firmware::FIRMWARE_VERSION,
        load_address,
    };
    let packed = spu_boot::pack::pack(&binary, &meta, &SigningKey::development());
    let path = image.with_extension("img");
    fs::write(&path, packed).with_context(|| format!("{} cannot be written", path.display()))
}

/// What an image fills.
fn size(image: &Path) -> Result<Size> {
    let data = fs::read(image).with_context(|| format!("{} cannot be read", image.display()))?;
    let file = object::File::parse(&*data)?;
    let mut size = Size { flash: 0, ram: 0 };
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
        if sh_flags & u64::from(elf::SHF_ALLOC) == 0 {
            continue;
        }
        let stored = !matches!(section.kind(), SectionKind::UninitializedData);
        if stored {
            size.flash += section.size();
        }
        if !stored || sh_flags & u64::from(elf::SHF_WRITE) != 0 {
            size.ram += section.size();
        }
    }
    let symbol = |name| {
        let symbol = file.symbol_by_name(name);
        symbol.map(|symbol| symbol.address()).with_context(|| format!("no symbol {name}"))
    };
    // A boot loader's stack is what its memory leaves.
    if let Ok(end) = symbol("_stack_end") {
        size.ram += symbol("_stack_start")? - end;
    }
    Ok(size)
}

fn line(name: &str, budget: Size, size: Size, before: Option<Size>) -> String {
    let part = |what, now: u64, most: u64, before: Option<u64>| {
        let change = match before {
            Some(before) => format!("{:+} since the sizes were saved", now as i64 - before as i64),
            None => "new".into(),
        };
        format!(
            "{what} {:.1} KiB of {:.0} ({now} octets, {change})",
            now as f64 / KIB as f64,
            most as f64 / KIB as f64
        )
    };
    format!(
        "{name}: {}, {}",
        part("flash", size.flash, budget.flash, before.map(|size| size.flash)),
        part("memory", size.ram, budget.ram, before.map(|size| size.ram)),
    )
}

fn sizes_path() -> PathBuf {
    root().join("spu-firmware/boards/sizes.json")
}

/// The sizes that builds are compared with.
fn saved() -> Result<BTreeMap<String, Size>> {
    match fs::read_to_string(sizes_path()) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error.into()),
    }
}
