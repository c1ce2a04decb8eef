//! What the machine boots: kernel, modules and programs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::process::output;
use crate::{cache, root};

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Modules that the machine loads, with what they need.
const MODULES: [&str; 7] = [
    "virtio_pci",
    "virtio_console",
    "dummy_hcd",
    "libcomposite",
    "usb_f_fs",
    "usb_f_acm",
    "cdc-acm",
];
/// Programs that are built for it.
const BINARIES: [&str; 2] = ["spu-guest", "spu"];
const SUITE: &str = "hil";
/// Lines of the kernel's messages that are shown where the machine dies.
const TAIL: usize = 60;

/// What is needed from outside, found.
pub(super) struct Tools {
    kernel: PathBuf,
    version: String,
    busybox: PathBuf,
}

impl Tools {
    /// The kernel's image.
    pub(super) fn vmlinuz(&self) -> PathBuf {
        self.kernel.join(format!("boot/vmlinuz-{}", self.version))
    }
}

/// Finds what is needed; the error says what is missing and how to get it.
pub(super) fn tools(kernel: Option<PathBuf>) -> Result<Tools, String> {
    let missing =
        |what: &str, package: &str| Err(format!("no {what} (Debian: `apt-get install {package}`)"));
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return Err("the machine's programs are built on Linux for x86-64".into());
    }
    for (program, package) in
        [("qemu-system-x86_64", "qemu-system-x86"), ("cpio", "cpio"), ("modprobe", "kmod")]
    {
        if find(program).is_none() {
            return missing(program, package);
        }
    }
    let Some(busybox) = find("busybox").filter(|path| is_static(path)) else {
        return missing("static busybox", "busybox-static");
    };
    let kernel = match (kernel, std::env::home_dir()) {
        (Some(kernel), _) => kernel,
        (None, Some(home)) => home.join(".cache/spu-guest/kernel"),
        (None, None) => return Err("no home folder; name the kernel's folder by --kernel".into()),
    };
    let images = fs::read_dir(kernel.join("boot")).into_iter().flatten().flatten();
    let version = images
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("vmlinuz-").map(String::from))
        .find(|version| kernel.join("lib/modules").join(version).is_dir());
    let Some(version) = version else {
        return Err(format!(
            "no Debian kernel in {0}; download one without installing it: `apt-get download \
             linux-image-6.1.0-56-amd64 && dpkg-deb -x linux-image-*.deb {0}` (for the newest, see \
             `apt-cache depends linux-image-amd64`)",
            kernel.display()
        ));
    };
    Ok(Tools { kernel, version, busybox })
}

/// The program's file, looked for in `PATH` and where Debian has those of root.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/sbin".into(), "/usr/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// True if a program names no dynamic loader at its start, where ELF files have it.
fn is_static(program: &Path) -> bool {
    fs::read(program).is_ok_and(|bytes| {
        let start = &bytes[..bytes.len().min(4096)];
        !start.windows(8).any(|window| window == b"ld-linux")
    })
}

/// What is ready to boot.
pub(super) struct Image {
    folder: PathBuf,
}

impl Image {
    /// Where what belongs to the machine is kept.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The archive that becomes the root of the machine's files.
    pub(super) fn archive(&self) -> PathBuf {
        self.folder.join("root.cpio")
    }

    /// Where the kernel's messages go.
    pub(super) fn console(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    /// The last of them.
    pub(super) fn console_tail(&self) -> String {
        let bytes = fs::read(self.console()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(TAIL)..];
        format!("the console's last lines:\n{}", tail.join("\n"))
    }
}

/// Builds the programs and packs them with the modules.
///
/// # Errors
/// Where a program does not build or a module is missing.
pub(super) fn build(tools: &Tools) -> Result<Image> {
    let programs = programs()?;
    let image = Image { folder: cache("guest")? };
    let staged = image.folder.join("root");
    if staged.exists() {
        fs::remove_dir_all(&staged)?;
    }
    for folder in ["bin", "modules", "etc"] {
        fs::create_dir_all(staged.join(folder))?;
    }
    fs::copy(&tools.busybox, staged.join("bin/busybox"))?;
    fs::copy(root().join("hil-tests/guest/init.sh"), staged.join("init"))?;
    // The shell's first line, and users to be: root, and one who may nothing.
    fs::write(staged.join("etc/passwd"), "root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n")?;
    for (name, program) in programs {
        fs::copy(program, staged.join("bin").join(name))?;
    }
    let modules = modules(tools)?;
    let mut order = String::new();
    for module in &modules {
        let name = module.file_name().and_then(|name| name.to_str()).context("odd module name")?;
        fs::copy(module, staged.join("modules").join(name))?;
        order.push_str(name);
        order.push('\n');
    }
    fs::write(staged.join("modules/order"), order)?;
    executable(&staged.join("init"))?;
    pack(&staged, &image.archive())?;
    Ok(image)
}

#[cfg(unix)]
fn executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

#[cfg(not(unix))]
fn executable(_path: &Path) -> Result<()> {
    Ok(())
}

/// Builds the machine's programs without shared libraries, and gives their names and files.
fn programs() -> Result<Vec<(&'static str, PathBuf)>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build
        .current_dir(root())
        .args(["build", "--message-format", "json", "--target", TARGET])
        .args(BINARIES.iter().flat_map(|name| ["--bin", name]))
        .args(["--test", SUITE])
        // The C library and libusb inside, the latter without libudev.
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-C target-feature=+crt-static")
        .env("LIBUDEV_NO_PKG_CONFIG", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "false");
    let messages = output(&mut build)?;
    let mut programs = Vec::new();
    for message in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(message)?;
        let name = message["target"]["name"].as_str().unwrap_or_default();
        let known = BINARIES.iter().chain([&SUITE]).find(|known| **known == name);
        if let (Some(known), Some(file)) = (known, message["executable"].as_str()) {
            programs.push((*known, PathBuf::from(file)));
        }
    }
    ensure!(programs.len() == BINARIES.len() + 1, "cargo built only {programs:?}");
    Ok(programs)
}

/// The modules' files, each after those that it needs.
fn modules(tools: &Tools) -> Result<Vec<PathBuf>> {
    let base = &tools.kernel;
    if !base.join("lib/modules").join(&tools.version).join("modules.dep").exists() {
        output(
            Command::new(find("depmod").context("no depmod")?)
                .arg("-b")
                .arg(base)
                .arg(&tools.version),
        )?;
    }
    let mut files: Vec<PathBuf> = Vec::new();
    for module in MODULES {
        let lines = output(
            Command::new(find("modprobe").context("no modprobe")?).arg("-d").arg(base).args([
                "-S",
                &tools.version,
                "--show-depends",
                module,
            ]),
        )?;
        for line in lines.lines() {
            let Some(file) = line.trim().strip_prefix("insmod ") else { continue };
            let file = PathBuf::from(file.trim());
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    Ok(files)
}

/// Packs a folder in the format that kernels unpack.
fn pack(folder: &Path, archive: &Path) -> Result<()> {
    let mut names = Vec::new();
    list(folder, folder, &mut names)?;
    let mut cpio = Command::new("cpio")
        .args(["--create", "--quiet", "--format", "newc", "--owner", "0:0"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(fs::File::create(archive)?)
        .spawn()
        .context("cpio cannot be started")?;
    let mut input = cpio.stdin.take().context("no pipe")?;
    input.write_all(names.join("\n").as_bytes())?;
    drop(input);
    let status = cpio.wait()?;
    ensure!(status.success(), "cpio: {status}");
    Ok(())
}

fn list(folder: &Path, base: &Path, names: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        names.push(path.strip_prefix(base)?.to_str().context("odd file name")?.to_owned());
        if path.is_dir() {
            list(&path, base, names)?;
        }
    }
    Ok(())
}
