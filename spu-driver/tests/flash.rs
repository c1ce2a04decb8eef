//! Updates over the wire, of boards in this process and served ones.
#![cfg(all(unix, feature = "sim", feature = "net"))]

use std::cell::Cell;
use std::sync::Mutex;
use std::time::Duration;

use spu_boot::pack::{Meta, PackError, SigningKey, pack};
use spu_driver::flash::{
    FlashError, FlashOptions, Flashed, Image, Progress, Quiet, Stage, confirm, flash, slots,
};
use spu_driver::{
    AcquirePlan, Applied, BoardInfo, CancelHandle, Deadline, Device, Error, LinkStats, Program,
    Report, ResetLevel, SelfTestReport, Sink, Updates, open,
};
use spu_protocol::error::ErrorCode;
use spu_protocol::image::{BoardId, FpgaId, ImageKind};
use spu_protocol::payload::{UpdateBegin, UpdateProgress, UpdateStatus};
use spu_sim::serve::{self, Endpoint, Served};
use spu_sim::{Profile, SimBoard, SimConfig};

fn soon() -> Deadline {
    Deadline::after_secs(60)
}

fn meta(version: [u16; 3]) -> Meta {
    let (kind, target) = (ImageKind::Firmware, BoardId::Simulator as u32);
    Meta { kind, target, build_id: 7, version, load_address: 0 }
}

fn gateware(build_id: u32) -> Meta {
    let target = FpgaId::Ecp5U25 as u32;
    Meta { kind: ImageKind::Gateware, target, build_id, ..meta([0, 2, 0]) }
}

fn image(meta: &Meta, length: u32) -> Vec<u8> {
    let payload: Vec<u8> = (0..length).map(|n| (n * 31 + (n >> 8)) as u8).collect();
    pack(&payload, meta, &SigningKey::development())
}

fn run(device: &mut dyn Device, file: &[u8]) -> Result<Flashed, FlashError> {
    flash(device, &Image::check(file)?, &FlashOptions::default(), soon(), &Quiet)
}

fn board() -> SimBoard {
    let profile = Profile::named("rev-a").unwrap();
    let config =
        SimConfig { profile, seed: 3, copy: 0, without: std::collections::BTreeSet::new() };
    SimBoard::new(config).unwrap()
}

fn served(endpoint: &str) -> Served {
    serve::spawn(board(), &endpoint.parse::<Endpoint>().unwrap()).unwrap()
}

fn power_cycle(served: &Served, device: &mut dyn Device) {
    served.handle().control(|board| board.power_cycle()).unwrap();
    device.updates().unwrap().reopen(soon()).unwrap();
}

fn running(device: &mut dyn Device, kind: usize) -> (String, &'static str) {
    let pair = slots(device, soon()).unwrap().remove(kind);
    let slot = pair.slots.into_iter().find(|slot| slot.running).unwrap();
    (slot.version.unwrap(), slot.state)
}

#[test]
fn firmware_is_updated_and_confirmed() {
    let mut device = open("sim").unwrap();
    let before = device.info().firmware.clone();
    // Not a multiple of 32, more than a piece.
    let flashed = run(device.as_mut(), &image(&meta([1, 2, 3]), 12_345)).unwrap();
    assert_eq!((flashed.previous, flashed.confirmed), (before, true));
    assert_eq!((&*flashed.image.version, flashed.image.length), ("1.2.3", 12_345));
    assert_eq!(device.info().firmware, "1.2.3");
    assert_eq!(running(device.as_mut(), 0), ("1.2.3".into(), "confirmed"));
    // The same once more, into the other slot.
    run(device.as_mut(), &image(&meta([1, 2, 3]), 12_345)).unwrap();
    let pair = slots(device.as_mut(), soon()).unwrap().remove(0);
    assert_eq!(
        pair.slots.map(|slot| (slot.state, slot.sequence)),
        [("confirmed", 3), ("confirmed", 2)]
    );
}

#[test]
fn gateware_is_updated() {
    let mut device = open("sim").unwrap();
    // The size of an uncompressed bitstream, as the slot holds.
    run(device.as_mut(), &image(&gateware(0x5349_4D77), 582_000)).unwrap();
    assert_eq!(device.info().gateware_id, 0x5349_4D77);
    assert_eq!(running(device.as_mut(), 1), ("0.2.0".into(), "confirmed"));
    let other = Meta { target: FpgaId::Ecp5U85 as u32, ..gateware(1) };
    let error = run(device.as_mut(), &image(&other, 100)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("FPGA lfe5u-85f") && text.contains("FPGA lfe5u-25f"), "{text}");
}

#[test]
fn what_the_board_would_refuse_is_refused_before() {
    let mut device = open("sim").unwrap();
    let requests = |device: &dyn Device| device.link_stats().requests;
    for (meta, length, words) in [
        (Meta { target: BoardId::NucleoH743Zi as u32, ..meta([9, 0, 0]) }, 10, "nucleo-h743zi"),
        (meta([0, 0, 1]), 10, "--allow-downgrade"),
        (meta([9, 0, 0]), 100_000, "build a smaller one"),
    ] {
        let file = image(&meta, length);
        let before = requests(device.as_ref());
        let error = run(device.as_mut(), &file).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(requests(device.as_ref()) - before, 1, "the status only");
    }
    // The board looks at the address.
    let file = image(&Meta { load_address: 0x100, ..meta([9, 0, 0]) }, 10);
    let error = run(device.as_mut(), &file).unwrap_err();
    assert!(matches!(error, FlashError::WrongAddress(0x100)), "{error}");
    let options = FlashOptions { allow_downgrade: true, ..FlashOptions::default() };
    let file = image(&meta([0, 0, 1]), 10);
    let older = Image::check(&file).unwrap();
    flash(device.as_mut(), &older, &options, soon(), &Quiet).unwrap();
    assert_eq!(device.info().firmware, "0.0.1");
}

#[test]
fn files_that_are_no_good_images_are_told_apart() {
    let good = image(&meta([9, 0, 0]), 1000);
    let refused = |file: &[u8]| match Image::check(file) {
        Err(FlashError::Image(error)) => error,
        other => panic!("{other:?}"),
    };
    let key = SigningKey::from_hex(1, &"ab".repeat(32)).unwrap();
    let wrong_key = pack(b"x", &meta([9, 0, 0]), &key);
    assert!(refused(&wrong_key).to_string().contains("signature"));
    let key = SigningKey::from_hex(77, &"ab".repeat(32)).unwrap();
    assert!(refused(&pack(b"x", &meta([9, 0, 0]), &key)).to_string().contains("key 77"));
    assert!(matches!(refused(&good[..900]), PackError::Length { found: 644, expected: 1000 }));
    let mut damaged = good.clone();
    damaged[700] ^= 4;
    assert!(refused(&damaged).to_string().contains("SHA-256"));
    assert!(refused(b"\x7fELF").to_string().contains("not an image"));
    let kind = Meta { kind: ImageKind::Firmware, ..meta([1, 0, 0]) };
    let mut file = pack(b"x", &kind, &SigningKey::development());
    let mut header = *Image::check(&file).unwrap().header();
    header.kind = 3;
    spu_boot::pack::sign(&mut header, &SigningKey::development());
    let header: [u8; 256] = bytemuck::cast(header);
    file[..256].copy_from_slice(&header);
    assert!(matches!(Image::check(&file), Err(FlashError::UnknownKind(3))));
}

/// Does something at a moment of the run.
struct At<'a, F: Fn()>(Stage, u64, F, Cell<bool>, &'a Mutex<Vec<Stage>>);

impl<F: Fn()> Progress for At<'_, F> {
    fn update(&self, stage: Stage, done: u64, _total: u64) {
        let mut stages = self.4.lock().unwrap();
        if stages.last() != Some(&stage) {
            stages.push(stage);
        }
        if stage == self.0 && done >= self.1 && !self.3.replace(true) {
            (self.2)();
        }
    }
}

fn run_with(
    device: &mut dyn Device,
    file: &[u8],
    moment: (Stage, u64),
    what: impl Fn(),
) -> (Result<Flashed, FlashError>, Vec<Stage>) {
    let stages = Mutex::new(Vec::new());
    let image = Image::check(file).unwrap();
    let at = At(moment.0, moment.1, what, Cell::new(false), &stages);
    let result = flash(device, &image, &FlashOptions::default(), soon(), &at);
    drop(at);
    (result, stages.into_inner().unwrap())
}

#[test]
fn a_cable_pulled_amid_the_transfer_leaves_what_ran() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("board.sock");
    let served = served(&format!("unix:{}", socket.display()));
    let mut device = open(served.uri()).unwrap();
    let before = device.info().firmware.clone();
    let file = image(&meta([2, 0, 0]), 60_000);
    let handle = served.handle();
    let (result, _) = run_with(device.as_mut(), &file, (Stage::Send, 20_000), || {
        handle.unplug().unwrap();
    });
    let error = result.unwrap_err();
    assert!(matches!(error, FlashError::Device(Error::Disconnected { .. })), "{error}");
    assert!(error.to_string().contains("what ran before goes on"), "{error}");
    handle.plug_in().unwrap();
    // Even after its power went.
    handle.control(|board| board.power_cycle()).unwrap();
    let (version, state) = running(device.as_mut(), 0);
    assert_eq!((version, state), (before, "confirmed"));
    assert_eq!(run(device.as_mut(), &file).unwrap().image.version, "2.0.0");
    drop(device);
    // Another program sees it, and it outlives the power.
    handle.control(|board| board.power_cycle()).unwrap();
    assert_eq!(open(served.uri()).unwrap().info().firmware, "2.0.0");
}

/// As a board on USB does: its port goes away with the restart and comes back.
#[test]
fn a_port_that_goes_with_the_restart_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    for moment in [Stage::Restart, Stage::Check] {
        let link = directory.path().join(format!("{moment:?}"));
        let served = served(&format!("pty:{}", link.display()));
        let mut device = open(served.uri()).unwrap();
        let file = image(&meta([2, 0, 0]), 5000);
        let handle = served.handle();
        let (result, stages) = run_with(device.as_mut(), &file, (moment, 0), || {
            handle.unplug().unwrap();
            let handle = handle.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(300));
                handle.plug_in().unwrap();
            });
        });
        assert!(result.unwrap().confirmed, "{stages:?}");
        assert_eq!(device.info().firmware, "2.0.0");
        assert!(device.link_stats().reconnects >= 1);
    }
}

#[test]
fn a_link_lost_while_it_is_checked_is_opened_again() {
    let served = served("tcp:127.0.0.1:0");
    let mut device = open(served.uri()).unwrap();
    let file = image(&meta([2, 0, 0]), 5000);
    let handle = served.handle();
    let (result, _) = run_with(device.as_mut(), &file, (Stage::Check, 0), || {
        handle.disconnect().unwrap();
    });
    assert!(result.unwrap().confirmed);
    assert_eq!(device.info().firmware, "2.0.0");
}

#[test]
fn an_image_that_was_not_confirmed_rolls_back_at_the_next_start() {
    let served = served("tcp:127.0.0.1:0");
    let mut device = open(served.uri()).unwrap();
    let before = device.info().firmware.clone();
    let file = image(&meta([2, 0, 0]), 5000);
    let checked = Image::check(&file).unwrap();
    let options = FlashOptions { confirm: false, ..FlashOptions::default() };
    let flashed = flash(device.as_mut(), &checked, &options, soon(), &Quiet).unwrap();
    assert!(!flashed.confirmed);
    assert_eq!(running(device.as_mut(), 0), ("2.0.0".into(), "trial"));
    // The other slot is what the rollback needs.
    let error = run(device.as_mut(), &file).unwrap_err();
    assert!(error.to_string().contains("spu flash --confirm"), "{error}");
    power_cycle(&served, device.as_mut());
    assert_eq!(running(device.as_mut(), 0), (before, "confirmed"));
    assert_eq!(slots(device.as_mut(), soon()).unwrap()[0].slots[1].state, "rolled-back");
    assert!(confirm(device.as_mut(), soon()).unwrap().is_empty());
    // On trial again, and confirmed this time.
    flash(device.as_mut(), &checked, &options, soon(), &Quiet).unwrap();
    assert_eq!(confirm(device.as_mut(), soon()).unwrap(), ["firmware"]);
    power_cycle(&served, device.as_mut());
    assert_eq!(running(device.as_mut(), 0), ("2.0.0".into(), "confirmed"));
}

/// What does not work with the new firmware.
#[derive(Clone, Copy, Debug)]
enum Broken {
    SelfTest,
    Protocol,
    Silent,
}

/// A board of whose new firmware something does not work.
struct Partly(Box<dyn Device>, Broken);

impl Partly {
    fn is_new(&self) -> bool {
        self.0.info().firmware == "2.0.0"
    }
}

impl Device for Partly {
    fn info(&self) -> &BoardInfo {
        self.0.info()
    }
    fn uri(&self) -> &str {
        self.0.uri()
    }
    fn load(&mut self, program: &Program, deadline: Deadline) -> Result<Applied, Error> {
        self.0.load(program, deadline)
    }
    fn acquire(
        &mut self,
        plan: &AcquirePlan,
        sink: &mut dyn Sink,
        deadline: Deadline,
    ) -> Result<Report, Error> {
        self.0.acquire(plan, sink, deadline)
    }
    fn read_regs(&mut self, at: u16, out: &mut [u32], deadline: Deadline) -> Result<(), Error> {
        self.0.read_regs(at, out, deadline)
    }
    fn write_regs(&mut self, at: u16, words: &[u32], deadline: Deadline) -> Result<(), Error> {
        self.0.write_regs(at, words, deadline)
    }
    fn self_test(&mut self, level: u32, deadline: Deadline) -> Result<SelfTestReport, Error> {
        let mut report = self.0.self_test(level, deadline)?;
        if self.is_new() && matches!(self.1, Broken::SelfTest) {
            report.tests[0].1 = false;
        }
        Ok(report)
    }
    fn reset(&mut self, level: ResetLevel, deadline: Deadline) -> Result<(), Error> {
        self.0.reset(level, deadline)
    }
    fn ping(&mut self, payload: &[u8], deadline: Deadline) -> Result<(), Error> {
        self.0.ping(payload, deadline)
    }
    fn link_stats(&self) -> LinkStats {
        self.0.link_stats()
    }
    fn cancel_handle(&self) -> CancelHandle {
        self.0.cancel_handle()
    }
    fn updates(&mut self) -> Result<&mut dyn Updates, Error> {
        Ok(self)
    }
}

impl Updates for Partly {
    fn begin(&mut self, begin: &UpdateBegin, deadline: Deadline) -> Result<UpdateProgress, Error> {
        self.0.updates()?.begin(begin, deadline)
    }
    fn write(&mut self, at: u32, octets: &[u8], by: Deadline) -> Result<UpdateProgress, Error> {
        self.0.updates()?.write(at, octets, by)
    }
    fn finish(&mut self, deadline: Deadline) -> Result<UpdateProgress, Error> {
        self.0.updates()?.finish(deadline)
    }
    fn status(&mut self, kind: ImageKind, deadline: Deadline) -> Result<UpdateStatus, Error> {
        self.0.updates()?.status(kind, deadline)
    }
    fn confirm(&mut self, kind: ImageKind, deadline: Deadline) -> Result<(), Error> {
        assert!(!self.is_new(), "an image that does not work is confirmed");
        self.0.updates()?.confirm(kind, deadline)
    }
    fn restart(&mut self, deadline: Deadline) -> Result<(), Error> {
        self.0.updates()?.restart(deadline)
    }
    fn reopen(&mut self, deadline: Deadline) -> Result<(), Error> {
        self.0.updates()?.reopen(deadline)?;
        match self.1 {
            Broken::Protocol if self.is_new() => Err(Error::Version {
                host: "protocol 1".into(),
                device: "protocol 9".into(),
                fix: "git pull".into(),
            }),
            Broken::Silent if self.is_new() => Err(deadline.timeout("opening a session")),
            _ => Ok(()),
        }
    }
}

#[test]
fn an_image_that_does_not_work_is_rolled_back() {
    for (broken, words) in [
        (Broken::SelfTest, "self test"),
        (Broken::Protocol, "protocol 9"),
        (Broken::Silent, "no answer in time"),
    ] {
        let mut device = Partly(open("sim").unwrap(), broken);
        let before = device.info().firmware.clone();
        let file = image(&meta([2, 0, 0]), 5000);
        let checked = Image::check(&file).unwrap();
        let (options, deadline) = (FlashOptions::default(), Deadline::after_secs(6));
        let error = flash(&mut device, &checked, &options, deadline, &Quiet).unwrap_err();
        let FlashError::RolledBack { running: back, why } = &error else { panic!("{error}") };
        assert!(why.contains(words), "{broken:?}: {why}");
        assert_eq!((back, &device.info().firmware), (&before, &before));
        assert_eq!(slots(&mut device, soon()).unwrap()[0].slots[1].state, "rolled-back");
    }
}

#[test]
fn an_image_that_restarts_by_itself_is_rolled_back() {
    let served = served("tcp:127.0.0.1:0");
    let mut device = open(served.uri()).unwrap();
    let before = device.info().firmware.clone();
    let handle = served.handle();
    let file = image(&meta([2, 0, 0]), 5000);
    let (result, _) = run_with(device.as_mut(), &file, (Stage::Check, 0), || {
        handle.control(|board| board.power_cycle()).unwrap();
    });
    let Err(FlashError::RolledBack { running: back, .. }) = &result else { panic!("{result:?}") };
    assert_eq!((back, &device.info().firmware), (&before, &before));
}

#[test]
fn cancelling_before_the_restart_leaves_what_ran() {
    for moment in [(Stage::Erase, 0), (Stage::Send, 8000), (Stage::Verify, 0)] {
        let served = served("tcp:127.0.0.1:0");
        let mut device = open(served.uri()).unwrap();
        let before = device.info().firmware.clone();
        let cancel: CancelHandle = device.cancel_handle();
        let file = image(&meta([2, 0, 0]), 60_000);
        let (result, stages) = run_with(device.as_mut(), &file, moment, || cancel.cancel());
        assert!(matches!(result, Err(FlashError::Cancelled)), "{moment:?}: {result:?}");
        assert!(!stages.contains(&Stage::Restart));
        power_cycle(&served, device.as_mut());
        device.cancel_handle().clear();
        assert_eq!(running(device.as_mut(), 0), (before, "confirmed"), "{moment:?}");
        assert_eq!(slots(device.as_mut(), soon()).unwrap()[0].slots[1].state, "empty");
    }
}

#[test]
fn damage_on_the_board_is_found_there() {
    // A header that is signed, a payload that is not the header's: as if damaged on the way.
    let mut device = open("sim").unwrap();
    let file = image(&meta([2, 0, 0]), 5000);
    let other = image(&meta([2, 0, 0]), 5000);
    let checked = Image::check(&file).unwrap();
    let updates = device.updates().unwrap();
    let begin =
        spu_protocol::payload::UpdateBegin { flags: 0, reserved: 0, header: *checked.header() };
    updates.begin(&begin, soon()).unwrap();
    let mut payload = other[256..].to_vec();
    payload[4000] ^= 1;
    let wait = |updates: &mut dyn Updates| loop {
        let progress = updates.status(ImageKind::Firmware, soon()).unwrap().progress;
        if progress.state != 1 && progress.state != 3 {
            break progress;
        }
    };
    wait(updates);
    updates.write(0, &payload[..4064], soon()).unwrap();
    updates.write(4064, &payload[4064..], soon()).unwrap();
    updates.finish(soon()).unwrap();
    let progress = wait(updates);
    assert_eq!((progress.state, progress.error), (5, ErrorCode::BadHash as u16));
    run(device.as_mut(), &file).unwrap();
}
