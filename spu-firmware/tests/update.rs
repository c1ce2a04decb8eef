//! Updates over the wire: what is refused, what starts, what rolls back.
#![allow(missing_docs)]

mod common;

use common::{Bench, image, moments, streaming};
use spu_protocol::error::ErrorCode;
use spu_protocol::image::ImageHeader;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::update::{SlotState, UpdateState};
use spu_protocol::payload::{UpdateBegin, UpdateWrite};

fn states(bench: &mut Bench) -> [SlotState; 2] {
    bench.slots().slots.map(|slot| SlotState::from_u8(slot.state).unwrap())
}

#[test]
fn an_update_starts_and_stays_once_confirmed() {
    let mut bench = Bench::with_slots();
    assert_eq!(bench.hello(3).unwrap().firmware, [5, 2, 3]);
    let progress = bench.update(&image(6, 3000), 0).unwrap();
    assert_eq!((progress.state, progress.error), (UpdateState::Ready as u16, 0));
    assert_eq!((progress.done, progress.total), (3000, 3000));
    assert_eq!(states(&mut bench), [SlotState::Confirmed, SlotState::Pending]);
    assert_eq!(bench.slots().running, 0);
    assert_eq!(bench.restart(), [6, 2, 3]);
    let status = bench.slots();
    assert_eq!((status.running, status.room, status.page), (1, 4096 - 384, 1024));
    let slot = status.slots[1];
    assert_eq!((slot.build_id, slot.length, slot.sequence), (0x1006, 3000, 2));
    assert_eq!(states(&mut bench), [SlotState::Confirmed, SlotState::Trial]);
    bench.confirm().unwrap();
    bench.confirm().unwrap();
    assert_eq!(bench.restart(), [6, 2, 3]);
    // Back into the first slot.
    bench.update(&image(7, 100), 0).unwrap();
    assert_eq!(bench.restart(), [7, 2, 3]);
    assert_eq!(bench.device.board_mut().flash.as_ref().unwrap().misuse(), 0);
}

#[test]
fn one_that_is_not_confirmed_rolls_back() {
    let mut bench = Bench::with_slots();
    bench.update(&image(6, 3000), 0).unwrap();
    assert_eq!(bench.restart(), [6, 2, 3]);
    assert_eq!(bench.restart(), [5, 2, 3]);
    assert_eq!(states(&mut bench), [SlotState::Confirmed, SlotState::RolledBack]);
    assert_eq!(bench.restart(), [5, 2, 3]);
    // And can be tried again.
    bench.update(&image(6, 3000), 0).unwrap();
    assert_eq!(bench.restart(), [6, 2, 3]);
}

#[test]
fn an_older_one_is_taken_if_that_is_allowed() {
    let mut bench = Bench::with_slots();
    bench.update(&image(4, 500), UpdateBegin::ALLOW_DOWNGRADE).unwrap();
    assert_eq!(bench.restart(), [4, 2, 3]);
    bench.confirm().unwrap();
    assert_eq!(bench.restart(), [4, 2, 3]);
}

#[test]
fn retried_requests_are_executed_once() {
    let mut bench = Bench::with_slots();
    let image = image(6, 1000);
    let (header, payload) = ImageHeader::parse(&image).unwrap();
    let begin = UpdateBegin { flags: 0, reserved: 0, header };
    let request = bench.next_header(Opcode::UpdateBegin, 264);
    let first = bench.exchange(&request, bytemuck::bytes_of(&begin));
    assert_eq!(bench.exchange(&request, bytemuck::bytes_of(&begin)), first);
    bench.settled();
    let octets = [bytemuck::bytes_of(&UpdateWrite { offset: 0, reserved: 0 }), payload].concat();
    let request = bench.next_header(Opcode::UpdateWrite, octets.len());
    let first = bench.exchange(&request, &octets);
    assert_eq!(first.error(), None);
    assert_eq!(bench.exchange(&request, &octets), first);
    bench.finish().unwrap();
    assert_eq!(bench.settled().state, UpdateState::Ready as u16);
}

#[test]
fn an_update_and_an_acquisition_exclude_each_other() {
    let mut bench = Bench::with_slots();
    let image = image(6, 3000);
    let (header, _) = ImageHeader::parse(&image).unwrap();
    bench.acquire(moments(1_000_000)).unwrap();
    assert_eq!(bench.begin(&header, 0), Err((ErrorCode::Busy, 0)));
    bench.cancel().unwrap();
    bench.begin(&header, 0).unwrap();
    assert_eq!(bench.acquire(streaming(10, 1)), Err((ErrorCode::Busy, 0)));
    assert_eq!(bench.piece(0, &[0; 32]), Err((ErrorCode::Busy, 0)));
    bench.settled();
    // Given up: what runs goes on and starts again.
    bench.hello(77).unwrap();
    assert_eq!(bench.slots().progress.state, UpdateState::Idle as u16);
    assert_eq!(bench.piece(0, &[0; 32]), Err((ErrorCode::NoUpdate, 0)));
    bench.acquire(streaming(10, 1)).unwrap();
    assert_eq!(bench.restart(), [5, 2, 3]);
}

/// The pages are erased and the payload hashed piece by piece, with requests answered in between.
#[test]
fn each_poll_does_one_page_or_one_piece() {
    let mut bench = Bench::with_slots();
    let image = image(6, 3000);
    let (header, payload) = ImageHeader::parse(&image).unwrap();
    let operations =
        |bench: &mut Bench| bench.device.board_mut().flash.as_ref().unwrap().operations();
    bench.device.board_mut().flash.as_mut().unwrap().power_on(None);
    bench.begin(&header, 0).unwrap();
    // Header and payload are in four pages of 1 KiB, the last of which has the marks.
    let mut polls = 0;
    let mut before = operations(&mut bench);
    while operations(&mut bench) < 4 {
        bench.step();
        assert!(operations(&mut bench) - before <= 1);
        before = operations(&mut bench);
        polls += 1;
        assert!(polls < 10);
    }
    assert_eq!(bench.slots().progress.state, UpdateState::Receiving as u16);
    for (index, octets) in payload.chunks(1024).enumerate() {
        bench.piece(1024 * index as u32, octets).unwrap();
    }
    bench.finish().unwrap();
    let mut last = 0;
    loop {
        let progress = bench.slots().progress;
        if progress.state != UpdateState::Verifying as u16 {
            break;
        }
        assert!(progress.done - last <= 2 * 1024, "a piece a poll");
        last = progress.done;
    }
    assert_eq!(bench.settled().state, UpdateState::Ready as u16);
}

#[test]
fn a_board_without_slots_says_so() {
    let mut bench = Bench::new();
    let image = image(6, 10);
    let (header, _) = ImageHeader::parse(&image).unwrap();
    assert_eq!(bench.begin(&header, 0), Err((ErrorCode::Unsupported, 0)));
    assert_eq!(bench.confirm(), Err((ErrorCode::Unsupported, 0)));
    for opcode in [Opcode::UpdateStatus, Opcode::UpdateConfirm] {
        assert_eq!(bench.request(opcode, &[3, 0, 0, 0]), Err((ErrorCode::BadPayload, 0)));
    }
    let mut bench = Bench::with_slots();
    assert_eq!(
        bench.request(Opcode::UpdateStatus, &[2, 0, 0, 0]),
        Err((ErrorCode::Unsupported, 0))
    );
}
