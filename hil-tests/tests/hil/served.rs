//! Rung 2: `rev-a` boards that threads of this process serve over every link.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::Context as _;
use spu_driver::{Deadline, Error, NullSink};
use spu_protocol::regs;
use spu_sim::serve::{self, Endpoint, ServeError, Served};
use spu_sim::{After, Fault, Profile, SimBoard, SimConfig};
use tempfile::TempDir;

use crate::bench::{self, Bench, Case, Outcome};
use crate::support::{both, burst, lively, record, soon};
use crate::{conformance, inversion};

/// What runs on each served board.
pub(crate) const SUITES: [(&str, &[Case]); 3] =
    [("conformance", conformance::CASES), ("inversion", inversion::SHORT), ("served", CASES)];

const CASES: &[Case] = &[
    Case { name: "codes_are_those_in_process", needs: &[], run: same_codes },
    Case { name: "another_host_is_told_that_it_is_busy", needs: &[], run: busy },
    Case { name: "a_brown_out_is_an_error_and_no_wrong_data", needs: &[], run: brown_out },
    Case { name: "a_pulled_plug_is_a_disconnection", needs: &[], run: pulled },
];

const BOARD: &str = "sim:profile=rev-a,seed=7";

/// Where sockets and links are, until this process ends.
static FOLDER: LazyLock<std::io::Result<TempDir>> = LazyLock::new(tempfile::tempdir);

/// A board that this process serves.
pub(crate) struct ServedBoard(Served);

impl ServedBoard {
    /// URI that opens it.
    pub(crate) fn uri(&self) -> &str {
        self.0.uri()
    }

    fn handle(&self) -> &serve::Handle {
        self.0.handle()
    }
}

/// Serves and opens a board over each link; names the links, and says what this platform lacks.
pub(crate) fn open() -> Vec<(&'static str, Result<Arc<Bench>, String>)> {
    let path = |name: &str| match &*FOLDER {
        Ok(folder) => Ok(folder.path().join(name)),
        Err(error) => Err(format!("no folder for sockets: {error}")),
    };
    let endpoints = [
        ("tcp", Ok(Endpoint::Tcp { host: "127.0.0.1".into(), port: 0 })),
        ("unix", path("socket").map(|path| Endpoint::Unix { path })),
        ("pty", path("pty").map(|link| Endpoint::Pty { link: Some(link) })),
    ];
    endpoints
        .into_iter()
        .map(|(name, endpoint)| (name, endpoint.and_then(|endpoint| open_at(name, &endpoint))))
        .collect()
}

fn open_at(name: &str, endpoint: &Endpoint) -> Result<Arc<Bench>, String> {
    let profile = Profile::named("rev-a").map_err(|error| error.to_string())?;
    let config = SimConfig { profile, seed: 7, copy: 0, without: [].into() };
    let board = SimBoard::new(config).map_err(|error| error.to_string())?;
    let served = match serve::spawn(board, endpoint) {
        Ok(served) => served,
        Err(error @ ServeError::Absent { .. }) => return Err(error.to_string()),
        // A container may have none.
        Err(error @ ServeError::Io { what: "opening a pseudo-terminal", .. }) => {
            return Err(error.to_string());
        }
        Err(error) => panic!("{endpoint} is not served: {error}"),
    };
    match bench::open_served(name, ServedBoard(served)) {
        Err(Error::Unsupported { reasons }) => Err(reasons.join("; ")),
        opened => Ok(opened.unwrap_or_else(|error| panic!("{endpoint} does not open: {error}"))),
    }
}

fn served(bench: &Bench) -> anyhow::Result<&ServedBoard> {
    bench.served().context("a board that this process serves")
}

/// The same seed gives the same bits, whatever carries them.
fn same_codes(bench: &Bench) -> Outcome {
    let program = lively(bench.info(), 21);
    let mut here = spu_driver::open(BOARD)?;
    let mut lease = bench.device()?;
    assert_eq!(here.info().serial, lease.board().info().serial);
    for (decimation, count) in [(1, 200_000), (7, burst(bench.info()))] {
        let plan = both(300, decimation, count);
        let (expected, here) = record(here.as_mut(), &program, &plan)?;
        let (codes, there) = record(lease.board(), &program, &plan)?;
        assert!(codes.codes == expected.codes, "other codes than in process");
        assert_eq!(there.moments, here.moments);
        assert_eq!((there.kept, there.lost), (u64::from(count), 0));
    }
    Ok(())
}

fn busy(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    for _ in 0..2 {
        let error = bench.uri().open().err().context("a second host got in")?;
        assert!(matches!(error, Error::Busy { .. }), "{error}");
        lease.board().ping(b"still mine", soon())?;
    }
    Ok(())
}

/// Whatever call meets the restart fails or is whole; afterwards the program is gone, and the
/// board is as good as new.
fn brown_out(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let program = lively(bench.info(), 22);
    let plan = both(0, 1, 400_000);
    let (expected, _) = record(device, &program, &plan)?;
    device.write_regs(regs::scratch(0), &[9], soon())?;
    for after in [After::Ticks(0), After::Ticks(100_000), After::Blocks(40)] {
        let dip = Fault::BrownOut { after };
        served(bench)?.handle().control(move |board| board.inject(dip))??;
        let result = record(device, &program, &plan);
        // Between two calls it costs nothing but the session.
        if let Ok((codes, _)) = &result {
            assert!(codes.codes == expected.codes, "wrong data");
        }
        let mut word = [1];
        device.read_regs(regs::scratch(0), &mut word, soon())?;
        assert_eq!(word, [0], "the FPGA has started afresh");
        let (codes, _) = record(device, &program, &plan)?;
        assert!(codes.codes == expected.codes, "other codes after the restart");
    }
    Ok(())
}

/// A call ends at once when the plug is pulled, and the device works again once it is back.
fn pulled(bench: &Bench) -> Outcome {
    let mut lease = bench.device()?;
    let device = lease.board();
    let program = lively(bench.info(), 23);
    device.load(&program, soon())?;
    let plan = both(0, 50, u32::MAX);
    for _ in 0..2 {
        let handle = served(bench)?.handle().clone();
        let puller = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            handle.unplug()
        });
        let result = device.acquire(&plan, &mut NullSink, soon());
        puller.join().expect("the puller does not panic")?;
        assert!(matches!(result, Err(Error::Disconnected { .. })), "{result:?}");
        let missing = device.ping(b"?", Deadline::after(Duration::from_millis(50)));
        assert!(missing.is_err(), "it answers while it is unplugged");
        served(bench)?.handle().plug_in()?;
        device.ping(b"back", soon())?;
        let (codes, report) = record(device, &program, &both(0, 1, 1_000))?;
        assert_eq!((codes.frame_count(), report.lost), (1_000, 0));
    }
    Ok(())
}
