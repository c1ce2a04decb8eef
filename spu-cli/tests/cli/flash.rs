//! `spu flash` and `spu image`, on a board that outlives the command.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use spu_sim::serve::{self, Endpoint, Served};
use spu_sim::{Profile, SimBoard, SimConfig};
use tempfile::TempDir;

use crate::{fails, file, json, run, spu};

/// A board of its own, as a cable leads to.
struct Bench {
    directory: TempDir,
    served: Served,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let profile = Profile::named("rev-a").unwrap();
        let without = std::collections::BTreeSet::new();
        let board = SimBoard::new(SimConfig { profile, seed: 5, copy: 0, without }).unwrap();
        let socket = directory.path().join("board.sock");
        let endpoint: Endpoint = format!("unix:{}", socket.display()).parse().unwrap();
        Self { directory, served: serve::spawn(board, &endpoint).unwrap() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Arguments of a command on this board.
    fn on<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [arguments, &["--device", self.served.uri()]].concat()
    }

    fn power_cycle(&self) {
        self.served.handle().control(|board| board.power_cycle()).unwrap();
    }

    fn version(&self) -> String {
        json(&self.on(&["info"]), 0)["firmware"].as_str().unwrap().to_owned()
    }

    /// State of each slot: firmware A, B, gateware A, B.
    fn states(&self) -> Vec<String> {
        let answer = json(&self.on(&["flash", "--status"]), 0);
        let pairs = answer["slots"].as_array().unwrap();
        let slots = pairs.iter().flat_map(|pair| pair["slots"].as_array().unwrap());
        slots.map(|slot| slot["state"].as_str().unwrap().to_owned()).collect()
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn binary(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 + (n >> 8)) as u8).collect()
}

/// Packs a binary with these options.
fn pack(directory: &Path, name: &str, length: usize, options: &[&str]) -> String {
    let input = text(&file(directory, &format!("{name}.bin"), &binary(length)));
    let out = text(&directory.join(format!("{name}.img")));
    let answer = json(&[&["image", "pack", &input, "-o", &out], options].concat(), 0);
    assert_eq!((&answer["hash"], &answer["signature"]), (&Value::Bool(true), &Value::Bool(true)));
    out
}

fn firmware(directory: &Path, version: &str) -> String {
    let options = ["--board", "sim", "--load-address", "0", "--version", version];
    pack(directory, &format!("firmware-{version}"), 40_000, &options)
}

fn gateware(directory: &Path, fpga: &str) -> String {
    let options = ["--fpga", fpga, "--build-id", "0x53494d55", "--version", "0.2.0"];
    pack(directory, &format!("gateware-{fpga}"), 100_000, &options)
}

#[test]
fn firmware_is_flashed_and_kept() {
    let bench = Bench::new();
    let before = bench.version();
    let image = firmware(bench.path(), "1.2.3");
    let output = run(&bench.on(&["flash", &image]));
    let (shown, lines) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{lines}");
    for words in ["firmware 1.2.3 runs", "40,000 octets for board sim", "confirmed"] {
        assert!(shown.contains(words), "{shown} lacks {words:?}");
    }
    for words in ["erasing", "sending the firmware", "verifying", "restarting", "checking"] {
        assert!(lines.contains(words), "{lines} lacks {words:?}");
    }
    assert_eq!(bench.version(), "1.2.3");
    bench.power_cycle();
    assert_eq!(bench.version(), "1.2.3");

    // Back again, if that is meant.
    let older = firmware(bench.path(), "0.0.9");
    let error = fails(&bench.on(&["flash", &older]), 5);
    assert!(error.contains("1.2.3 runs") && error.contains("--allow-downgrade"), "{error}");
    let answer = json(&bench.on(&["flash", &older, "--allow-downgrade"]), 0);
    assert_eq!(answer["previous"], "1.2.3");
    assert_eq!(answer["confirmed"], true);
    assert_eq!(answer["image"]["version"], "0.0.9");
    assert!(before != bench.version());
    let shown = String::from_utf8(run(&bench.on(&["flash", "--status"])).stdout).unwrap();
    assert!(shown.contains("firmware for board sim") && shown.contains("runs"), "{shown}");
}

#[test]
fn an_image_on_trial_is_confirmed_or_rolled_back() {
    let bench = Bench::new();
    let before = bench.version();
    let image = firmware(bench.path(), "2.0.0");
    for keep in [false, true] {
        let answer = json(&bench.on(&["flash", &image, "--no-confirm"]), 0);
        assert_eq!(answer["confirmed"], false);
        assert_eq!((&*bench.version(), &*bench.states()[1]), ("2.0.0", "trial"));
        let error = fails(&bench.on(&["flash", &image]), 5);
        assert!(error.contains("spu flash --confirm"), "{error}");
        if keep {
            let answer = json(&bench.on(&["flash", "--confirm"]), 0);
            assert_eq!(answer["confirmed"][0], "firmware");
        }
        bench.power_cycle();
        let expected = if keep { ("2.0.0", "confirmed") } else { (&*before, "rolled-back") };
        assert_eq!((&*bench.version(), &*bench.states()[1]), expected);
    }
    let answer = json(&bench.on(&["flash", "--confirm"]), 0);
    assert_eq!(answer["confirmed"].as_array().unwrap().len(), 0);
}

#[test]
fn gateware_is_flashed_by_the_same_command() {
    let bench = Bench::new();
    let answer = json(&bench.on(&["flash", &gateware(bench.path(), "lfe5u-25f")]), 0);
    assert_eq!(answer["image"]["kind"], "gateware");
    assert_eq!(json(&bench.on(&["info"]), 0)["gateware_id"], 0x5349_4d55);
    assert_eq!(bench.states()[2..], ["confirmed", "confirmed"]);
    let error = fails(&bench.on(&["flash", &gateware(bench.path(), "lfe5u-85f")]), 5);
    assert!(error.contains("lfe5u-85f") && error.contains("lfe5u-25f"), "{error}");
}

#[test]
fn files_that_no_board_should_get_are_refused_before_one_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let good = fs::read(firmware(directory.path(), "9.0.0")).unwrap();
    let mut damaged = good.clone();
    damaged[5000] ^= 1;
    let mut unsigned = good.clone();
    unsigned[200] ^= 1;
    for (name, content, words) in [
        ("damaged.img", &damaged[..], "SHA-256"),
        ("unsigned.img", &unsigned, "signature is wrong"),
        ("truncated.img", &good[..20_000], "octets of payload"),
        ("matrix.csv", b"1,2\n2,5\n", "not an image"),
        ("empty.img", b"", "not an image"),
    ] {
        let path = text(&file(directory.path(), name, content));
        // No such device: it is not looked for.
        let error = fails(&["flash", &path, "--device", "serial:/dev/ttyNONE7"], 3);
        assert!(error.contains(words) && error.contains(name), "{error}");
    }
    let shown = json(&["image", "show", &text(&directory.path().join("damaged.img"))], 3);
    assert_eq!((&shown["hash"], &shown["signature"]), (&Value::Bool(false), &Value::Bool(true)));
    assert!(shown["problem"].as_str().unwrap().contains("SHA-256"));

    let options = ["--board", "mps2-an386", "--load-address", "0x100", "--version", "9.0.0"];
    let other = pack(directory.path(), "mps2", 100, &options);
    let answer = json(&["flash", &other, "--device", "sim"], 5);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("board mps2-an386") && message.contains("board sim"), "{message}");
    let error = fails(&["flash", "/nowhere/a.img"], 3);
    assert!(error.contains("/nowhere/a.img"), "{error}");
    fails(&["flash"], 2);
    fails(&["flash", &other, "--status"], 2);
}

#[test]
fn a_key_of_ones_own() {
    let directory = tempfile::tempdir().unwrap();
    // RFC 8032, section 7.1, test 1.
    let (secret, public) = (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\n",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\n",
    );
    let secret = text(&file(directory.path(), "own.key", secret.as_bytes()));
    let public = text(&file(directory.path(), "own.pub", public.as_bytes()));
    let common = ["--board", "sim", "--load-address", "0", "--version", "9.0.0", "--key", &secret];
    let image = pack(directory.path(), "own", 100, &[&common[..], &["--key-id", "7"]].concat());
    let shown = json(&["image", "show", &image], 3);
    assert!(shown["problem"].as_str().unwrap().contains("key 7"), "{shown}");
    let shown = json(&["image", "show", &image, "--public", &public], 0);
    assert_eq!((&shown["image"]["key_id"], &shown["development"]), (&7.into(), &false.into()));
    let error = fails(&["flash", &image], 3);
    assert!(error.contains("key 7"), "{error}");
    // This board's firmware does not know the key either.
    let error = fails(&["flash", &image, "--public", &public], 9);
    assert!(error.contains("does not accept"), "{error}");
    // The development key's number is not free.
    let input = text(&directory.path().join("own.bin"));
    let pack = ["image", "pack", &input, "-o", &image];
    let error = fails(&[&pack[..], &common, &["--key-id", "1"]].concat(), 2);
    assert!(error.contains("never given twice"), "{error}");
    let short = text(&file(directory.path(), "short.key", b"abcd"));
    let options = ["--board", "sim", "--load-address", "0", "--version", "1.0.0"];
    let error = fails(&[&pack[..], &options, &["--key", &short, "--key-id", "7"]].concat(), 3);
    assert!(error.contains("64 hexadecimal digits"), "{error}");
    fails(&[&pack[..], &["--board", "sim", "--version", "1.0.0"]].concat(), 2);
    fails(&[&pack[..], &["--fpga", "lfe5u-25f", "--version", "1.0.0"]].concat(), 2);
}

#[test]
fn ctrl_c_during_the_transfer_leaves_what_runs() {
    let bench = Bench::new();
    let before = bench.version();
    // Large, so that there is time to press.
    let options = ["--fpga", "lfe5u-25f", "--build-id", "1", "--version", "0.2.0"];
    let image = pack(bench.path(), "large", 600_000, &options);
    let mut child = Command::new(env!("CARGO_BIN_EXE_spu"))
        .args(bench.on(&["flash", &image]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // While lines say that it is being sent or verified.
    let mut errors = child.stderr.take().unwrap();
    let mut said = String::new();
    let mut octet = [0];
    while !said.contains("sending") {
        assert_eq!(errors.read(&mut octet).unwrap(), 1, "{said}");
        said.push(char::from(octet[0]));
    }
    let pressed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(pressed.success());
    errors.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7), "{said}");
    assert!(said.contains("leaving what runs") && said.contains("cancelled; what ran"), "{said}");
    sleep(Duration::from_millis(10));
    bench.power_cycle();
    assert_eq!(bench.version(), before);
    assert_eq!(bench.states()[2..], ["confirmed", "empty"]);
}

/// A folder with a tool that notes its arguments, and copies the file that it got last.
fn fake_tool(directory: &Path, name: &str, code: i32) -> PathBuf {
    let folder = directory.join(format!("{name}-{code}"));
    fs::create_dir(&folder).unwrap();
    let script = format!(
        "#!/bin/sh\nhere=$(dirname \"$0\")\necho \"$@\" >> \"$here/arguments\"\n\
         for last; do :; done\n[ -f \"$last\" ] && cp \"$last\" \"$here/written\"\n\
         echo said by the tool\nexit {code}\n"
    );
    let tool = file(&folder, name, script.as_bytes());
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Runs `spu` with this folder before all others.
fn with_tool(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let output = spu(arguments).env("PATH", path).output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_probe_gets_elf_files_and_slots() {
    let directory = tempfile::tempdir().unwrap();
    let folder = fake_tool(directory.path(), "probe-rs", 0);
    let elf = text(&file(directory.path(), "a.elf", b"\x7fELF and so on"));
    let chip = ["--chip", "STM32H743ZITx"];
    let (code, out, _) = with_tool(&folder, &[&["flash", "--probe", &elf][..], &chip].concat());
    assert_eq!(code, 0);
    assert!(out.contains("said by the tool") && out.contains("flashed by probe-rs"), "{out}");
    let arguments = || fs::read_to_string(folder.join("arguments")).unwrap();
    assert_eq!(
        arguments(),
        format!("download --chip STM32H743ZITx {elf}\nreset --chip STM32H743ZITx\n")
    );
    assert!(fs::read(folder.join("written")).unwrap().starts_with(b"\x7fELF"));

    // An image goes to its slot, with its marks; the chip is known from its board.
    fs::remove_file(folder.join("arguments")).unwrap();
    let options = ["--board", "nucleo-h743zi", "--load-address", "0", "--version", "1.0.0"];
    let image = pack(directory.path(), "nucleo", 1000, &options);
    let slot = ["--address", "0x08020000", "--slot-size", "0x20000"];
    let (code, out, errors) =
        with_tool(&folder, &[&["flash", "--probe", &image, "--json"][..], &slot].concat());
    assert_eq!(code, 0, "{errors}");
    let answer: Value = serde_json::from_str(&out).expect("nothing of the tool is in it");
    assert!(errors.contains("said by the tool"), "{errors}");
    let command = answer["commands"][0].as_str().unwrap();
    let start = "probe-rs download --chip STM32H743ZITx --binary-format bin --base-address \
                 0x08020000 ";
    assert!(command.starts_with(start), "{command}");
    let written = fs::read(folder.join("written")).unwrap();
    assert_eq!(written.len(), 0x20000);
    assert!(written.starts_with(&fs::read(&image).unwrap()));
    assert!(written[0x20000 - 128..].starts_with(b"SPU mark"));

    // Before the tool runs: no place, no such place, gateware.
    fs::remove_file(folder.join("arguments")).unwrap();
    let raw = text(&file(directory.path(), "a.bin", b"raw"));
    for (arguments, code, words) in [
        (&["flash", "--probe", &image][..], 2, "--slot-size"),
        (&["flash", "--probe", &raw], 2, "--address"),
        (&["flash", "--probe", &elf, "--address", "0"], 2, "leave --address out"),
        (&["flash", "--probe", &image, "--address", "0", "--slot-size", "640"], 3, "smaller"),
        (&["flash", "--probe", &gateware(directory.path(), "lfe5u-25f")], 2, "over"),
        (&["flash", "--probe", "--dfu", &elf], 2, "cannot be used with"),
    ] {
        let (found, _, errors) = with_tool(&folder, arguments);
        assert!(found == code && errors.contains(words), "{arguments:?}: {found}, {errors}");
    }
    assert!(!folder.join("arguments").exists());
}

#[test]
fn dfu_gets_binaries() {
    let directory = tempfile::tempdir().unwrap();
    let folder = fake_tool(directory.path(), "dfu-util", 0);
    let raw = text(&file(directory.path(), "a.bin", b"raw"));
    let dfu = ["flash", "--dfu", &raw, "--address", "0x08000000"];
    let (code, _, errors) = with_tool(&folder, &dfu);
    assert_eq!(code, 0, "{errors}");
    assert_eq!(
        fs::read_to_string(folder.join("arguments")).unwrap(),
        format!("-d 0483:df11 -a 0 -s 0x08000000:leave -D {raw}\n")
    );
    let elf = text(&file(directory.path(), "a.elf", b"\x7fELF and so on"));
    let (code, _, errors) = with_tool(&folder, &["flash", "--dfu", &elf]);
    assert!(code == 2 && errors.contains("objcopy"), "{errors}");
}

#[test]
fn tools_that_are_missing_or_fail_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let elf = text(&file(directory.path(), "a.elf", b"\x7fELF and so on"));
    let raw = text(&file(directory.path(), "a.bin", b"raw"));
    let dfu = ["flash", "--dfu", &raw, "--address", "0x08000000"];
    let failing = fake_tool(directory.path(), "probe-rs", 3);
    let (code, _, errors) = with_tool(&failing, &["flash", "--probe", &elf]);
    assert!(code == 9 && errors.contains("exit status: 3"), "{errors}");
    let calls = fs::read_to_string(failing.join("arguments")).unwrap();
    assert_eq!(calls.lines().count(), 1, "no reset after a download that failed");
    let nowhere = directory.path().display().to_string();
    for (arguments, words) in [
        (&["flash", "--probe", &elf][..], "cargo install --locked probe-rs-tools"),
        (&dfu, "apt install dfu-util"),
    ] {
        let output = spu(arguments).env("PATH", &nowhere).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(4), "{errors}");
        assert!(errors.contains(words), "{errors}");
    }
}
