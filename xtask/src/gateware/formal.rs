//! Proofs of the gateware's blocks: Yosys and z3 on the harnesses of `hardware/gateware/formal`.
//!
//! A harness `NAME.v` has two modules. `NAME` leaves its inputs free: its properties are proved by
//! induction, hence for runs of any length. `NAME_run` plays one run, from reset: what it covers
//! shows that the assumptions leave room, and a mistake planted in a block must break a property in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result, bail};

use super::{folder, planted, there};
use crate::cache;
use crate::process::output;

/// Jobs at once.
const THREADS: usize = 2;

struct Harness {
    name: &'static str,
    /// Sources that it is about.
    blocks: &'static [&'static str],
    /// Steps of the induction.
    induction: usize,
    /// Passes of Yosys before it is written for the solver.
    passes: &'static str,
    /// Steps of the run.
    run: usize,
    /// Mistakes: a file, an expression that stands there once, and what is written for it.
    mistakes: &'static [(&'static str, &'static str, &'static str)],
}

const HARNESSES: [Harness; 3] = [
    Harness {
        name: "spi",
        blocks: &["spu_spi.v", "spu_sync.v"],
        induction: 12,
        passes: "opt -full; clk2fflogic;",
        run: 580,
        mistakes: &[
            // What one transaction asked for comes in the next.
            ("spu_spi.v", "fetched <= 6'd0;", ""),
            ("spu_spi.v", "octet == 8'h80", "octet == 8'h00"),
        ],
    },
    Harness {
        name: "sequencer",
        blocks: &["spu_sequencer.v", "spu_commands.v", "spu_ticks.v"],
        induction: 3,
        passes: "",
        run: 330,
        mistakes: &[
            ("spu_sequencer.v", "left == 32'd0", "left == 32'd1"),
            ("spu_sequencer.v", "run_stream && !run_realtime", "run_stream"),
        ],
    },
    Harness {
        name: "capture",
        blocks: &["spu_capture.v"],
        induction: 4,
        // Without arrays the solver has bits only, and its faster way.
        passes: "memory_map;",
        run: 260,
        mistakes: &[
            ("spu_capture.v", "used < capacity[ADDRESS:0]", "used <= capacity[ADDRESS:0]"),
            ("spu_capture.v", "{rest[11:4], word_in[15:8]}", "{rest[11:4], word_in[7:0]}"),
            ("spu_capture.v", "read_taken && found[1]", "read_taken && found[0]"),
            ("spu_capture.v", "there_late && !clear", "there_late"),
        ],
    },
];

/// What is done with a harness.
#[derive(Clone, Copy)]
enum Job {
    Prove,
    Cover,
    Mistake(usize),
}

/// Proves every harness, plays its run, and plants its mistakes.
///
/// # Errors
/// Where a property fails, something is not covered or a mistake is not found, after all were tried.
pub(super) fn run() -> Result<()> {
    for (program, flag) in [("yosys", "-V"), ("yosys-smtbmc", "-h"), ("z3", "--version")] {
        if !there(program, flag, "formal", "Debian: `apt-get install yosys z3`") {
            return Ok(());
        }
    }
    let mut jobs = Vec::new();
    // The longest first.
    for harness in &HARNESSES {
        jobs.push((harness, Job::Prove));
    }
    for harness in &HARNESSES {
        jobs.push((harness, Job::Cover));
        jobs.extend((0..harness.mistakes.len()).map(|number| (harness, Job::Mistake(number))));
    }
    let jobs = Mutex::new(jobs.into_iter());
    let failed = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let next = || jobs.lock().expect("nothing panics").next();
                while let Some((harness, job)) = next() {
                    match harness.done(job) {
                        Ok(said) => println!("PASS formal {}: {said}", harness.name),
                        Err(why) => {
                            println!("FAIL formal {}: {why:#}", harness.name);
                            *failed.lock().expect("nothing panics") += 1;
                        }
                    }
                }
            });
        }
    });
    match failed.into_inner().expect("nothing panics") {
        0 => Ok(()),
        failed => bail!("formal: {failed} checks failed"),
    }
}

impl Harness {
    /// Does one job; what there is to say of it.
    fn done(&self, job: Job) -> Result<String> {
        let run = format!("{}_run", self.name);
        match job {
            Job::Prove => {
                let model = self.model(self.name, self.name, "chformal -cover -remove", None)?;
                // From reset, then from any state in which they held for as many steps.
                let steps = self.induction.to_string();
                let base = (self.induction + 1).to_string();
                for arguments in [["-t", &base].as_slice(), &["--noincr", "-i", "-t", &steps]] {
                    let said = solve(&model, arguments)?;
                    if !said.passed {
                        bail!("{}", said.failure(&model));
                    }
                }
                Ok(format!("proved by induction, k = {steps}"))
            }
            Job::Cover => {
                let model = self.model(&run, &run, "chformal -assert -remove", None)?;
                let said = solve(&model, &["-c", "-t", &self.run.to_string()])?;
                if !said.passed {
                    bail!("{}", said.failure(&model));
                }
                Ok(format!("{} covers reached within {} steps", said.count("Reached"), self.run))
            }
            Job::Mistake(number) => {
                let (file, from, to) = self.mistakes[number];
                let name = format!("{}_mistake{number}", self.name);
                let model =
                    self.model(&run, &name, "chformal -cover -remove", Some((file, from, to)))?;
                let said = solve(&model, &["-t", &format!("0:20:{}", self.run)])?;
                if said.passed {
                    bail!("{to:?} for {from:?} in {file} breaks no property");
                }
                if said.count("Assert failed") == 0 {
                    bail!("{}", said.failure(&model));
                }
                Ok(format!("a counterexample to {to:?} for {from:?} in {file}"))
            }
        }
    }

    /// Writes `top` for the solver as `name`.
    fn model(
        &self,
        top: &str,
        name: &str,
        only: &str,
        mistake: Option<(&str, &str, &str)>,
    ) -> Result<PathBuf> {
        let out = cache("formal")?;
        let mut sources = vec![folder().join("formal").join(self.name).with_extension("v")];
        for block in self.blocks {
            let mut source = folder().join(block);
            if let Some((file, from, to)) = mistake
                && file == *block
            {
                let text = fs::read_to_string(&source)?;
                source = out.join(name).with_extension("v");
                fs::write(&source, planted(file, &text, from, to)?)?;
            }
            sources.push(source);
        }
        let sources: Vec<_> = sources.iter().map(|path| path.display().to_string()).collect();
        let model = out.join(name).with_extension("smt2");
        output(Command::new("yosys").args(["-q", "-p"]).arg(format!(
            "read_verilog -formal -sv -I {} {}; prep -top {top} -flatten; {only}; {} opt -full; \
             dffunmap; clean; write_smt2 -wires {}",
            folder().display(),
            sources.join(" "),
            self.passes,
            model.display()
        )))?;
        Ok(model)
    }
}

/// What the solver said.
struct Said {
    passed: bool,
    text: String,
}

impl Said {
    fn count(&self, what: &str) -> usize {
        self.text.lines().filter(|line| line.contains(what)).count()
    }

    /// The properties that fail or are not covered, and where the trace is.
    fn failure(&self, model: &Path) -> String {
        let said = ["Assert failed", "Unreached", "Status", "rror"];
        let mut lines: Vec<_> =
            self.text.lines().filter(|line| said.iter().any(|word| line.contains(word))).collect();
        lines.dedup();
        let trace = model.with_extension("vcd");
        if trace.exists() {
            format!("{}\ntrace: {}", lines.join("\n"), trace.display())
        } else {
            lines.join("\n")
        }
    }
}

fn solve(model: &Path, arguments: &[&str]) -> Result<Said> {
    let trace = model.with_extension("vcd");
    if trace.exists() {
        fs::remove_file(&trace)?;
    }
    let end = Command::new("yosys-smtbmc")
        .args(["-s", "z3", "--unroll", "--noprogress"])
        .args(arguments)
        .arg("--dump-vcd")
        .args([&trace, model])
        .output()
        .context("yosys-smtbmc cannot be started")?;
    let mut text = String::from_utf8_lossy(&end.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&end.stderr));
    Ok(Said { passed: end.status.success(), text })
}
