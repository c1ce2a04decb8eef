//! Verilates the gateware and compiles it with the shim. Without Verilator or a C++ compiler the
//! crate builds too, and says at run time what was missing.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The converters around the core.
const BOARD: &str = "../hardware/gateware/tests/spu_board.v";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(spu_rtl)");
    // Another folder of sources, for tests that must fail.
    println!("cargo::rerun-if-env-changed=SPU_GATEWARE");
    let gateware = env::var_os("SPU_GATEWARE")
        .map_or_else(|| Path::new("../hardware/gateware").into(), PathBuf::from);
    println!("cargo::rerun-if-changed={}", gateware.display());
    println!("cargo::rerun-if-changed=shim");
    println!("cargo::rerun-if-changed={BOARD}");
    match verilate(&gateware) {
        Ok(()) => println!("cargo::rustc-cfg=spu_rtl"),
        Err(why) => {
            println!("cargo::rustc-env=SPU_RTL_MISSING={}", why.replace('\n', " "));
        }
    }
}

fn verilate(gateware: &Path) -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join("verilated");
    let _ = std::fs::remove_dir_all(&out);
    let mut sources = vec![gateware.join("generated/spu_regs.v")];
    let folder =
        std::fs::read_dir(gateware).map_err(|error| format!("{}: {error}", gateware.display()))?;
    for entry in folder.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("spu_") && name.ends_with(".v") && name != "spu_top.v" {
            sources.push(entry.path());
        }
    }
    sources.sort();
    sources.push(BOARD.into());
    // Words that reset does not reach start as random numbers: nothing may depend on them.
    let mut verilator = Command::new("verilator");
    verilator
        .args(["--cc", "--top-module", "spu_board", "--prefix", "Vspu_board"])
        .args(["-O3", "--x-assign", "fast", "--x-initial", "unique", "--noassert", "-Wno-fatal"])
        .arg("-Mdir")
        .arg(&out)
        .args(&sources);
    run(verilator, "verilator")?;
    let mut root = Command::new("verilator");
    root.args(["--getenv", "VERILATOR_ROOT"]);
    let include = PathBuf::from(run(root, "verilator")?.trim()).join("include");
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .opt_level(2)
        .warnings(false)
        .include(&out)
        .include(&include)
        .include(include.join("vltstd"))
        .file("shim/spu_rtl.cpp")
        .file(include.join("verilated.cpp"))
        .file(include.join("verilated_threads.cpp"));
    let files = std::fs::read_dir(&out).map_err(|error| error.to_string())?;
    for entry in files.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "cpp") {
            build.file(entry.path());
        }
    }
    build.try_compile("spu_rtl").map_err(|error| format!("the C++ compiler: {error}"))
}

fn run(mut command: Command, name: &str) -> Result<String, String> {
    let output = command.output().map_err(|error| {
        format!("{name} does not run ({error}); Debian: apt-get install {name}")
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    // A gateware that does not compile is a mistake in it and no missing tool.
    panic!("{name}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}
