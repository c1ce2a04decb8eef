//! Updates of the simulated board's firmware and gateware.

mod common;

use bytemuck::bytes_of;
use common::{Host, config};
use spu_boot::pack::{Meta, SigningKey, pack};
use spu_protocol::error::ErrorCode;
use spu_protocol::header::Kind;
use spu_protocol::image::{Accepts, FpgaId, ImageHeader, ImageKind};
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::update::{SlotState, UpdateState};
use spu_protocol::payload::{
    ErrorReply, HelloReply, HelloRequest, ResetRequest, UpdateBegin, UpdateProgress, UpdateSelect,
    UpdateStatus, UpdateWrite, exact,
};
use spu_sim::Activity;
use spu_sim::node::accepts;

fn image(kind: ImageKind, version: [u16; 3], build_id: u32, octets: usize) -> Vec<u8> {
    let Accepts { target, load_address, .. } = accepts(kind);
    let meta = Meta { kind, target, build_id, version, load_address };
    pack(&vec![0x5A; octets], &meta, &SigningKey::development())
}

fn call(host: &mut Host, opcode: Opcode, payload: &[u8]) -> Result<Vec<u8>, ErrorCode> {
    let (kind, reply) = host.call(opcode, payload);
    if kind == Kind::Error as u8 {
        let error: ErrorReply = exact(&reply).unwrap();
        return Err(ErrorCode::from_u16(error.code).unwrap());
    }
    Ok(reply)
}

fn status(host: &mut Host, kind: ImageKind) -> UpdateStatus {
    let select = UpdateSelect { kind: kind as u32 };
    exact(&call(host, Opcode::UpdateStatus, bytes_of(&select)).unwrap()).unwrap()
}

fn settle(host: &mut Host, kind: ImageKind) -> UpdateProgress {
    loop {
        let progress = status(host, kind).progress;
        let state = UpdateState::from_u16(progress.state).unwrap();
        if !matches!(state, UpdateState::Erasing | UpdateState::Verifying) {
            return progress;
        }
    }
}

fn begin(host: &mut Host, image: &[u8]) -> Result<ImageKind, ErrorCode> {
    let (header, _) = ImageHeader::parse(image).unwrap();
    let begin = UpdateBegin { flags: 0, reserved: 0, header };
    call(host, Opcode::UpdateBegin, bytes_of(&begin))?;
    let kind = ImageKind::from_u16(header.kind).unwrap();
    settle(host, kind);
    Ok(kind)
}

fn update(host: &mut Host, image: &[u8]) -> Result<(), ErrorCode> {
    let kind = begin(host, image)?;
    for (index, octets) in image[256..].chunks(UpdateWrite::MAX_DATA).enumerate() {
        let offset = (index * UpdateWrite::MAX_DATA) as u32;
        let piece = [bytes_of(&UpdateWrite { offset, reserved: 0 }), octets].concat();
        call(host, Opcode::UpdateWrite, &piece)?;
    }
    call(host, Opcode::UpdateFinish, &[])?;
    assert_eq!(settle(host, kind).state, UpdateState::Ready as u16);
    Ok(())
}

fn confirm(host: &mut Host, kind: ImageKind) {
    let select = UpdateSelect { kind: kind as u32 };
    call(host, Opcode::UpdateConfirm, bytes_of(&select)).unwrap();
}

fn hello(host: &mut Host, nonce: u64) -> HelloReply {
    let hello = HelloRequest { nonce, version_min: 1, version_max: 1, reserved: [0; 6] };
    let reply: HelloReply = exact(&call(host, Opcode::Hello, bytes_of(&hello)).unwrap()).unwrap();
    host.session = reply.session;
    reply
}

fn restart(host: &mut Host) -> HelloReply {
    call(host, Opcode::Reset, bytes_of(&ResetRequest { level: 2 })).unwrap();
    // What comes before the restart is lost.
    while host.pump(|_, _| ()) == Activity::Worked {}
    hello(host, 7)
}

#[test]
fn firmware_is_updated_confirmed_and_kept_over_a_loss_of_power() {
    let mut host = Host::open(config("ideal", 1, 0));
    let before = hello(&mut host, 1).firmware;
    update(&mut host, &image(ImageKind::Firmware, [9, 8, 7], 3, 60_001)).unwrap();
    assert_eq!(hello(&mut host, 2).firmware, before, "it starts at the next reset");
    assert_eq!(restart(&mut host).firmware, [9, 8, 7]);
    confirm(&mut host, ImageKind::Firmware);
    host.board.control().power_cycle();
    assert_eq!(hello(&mut host, 3).firmware, [9, 8, 7]);
    let slots = status(&mut host, ImageKind::Firmware).slots;
    assert_eq!(slots.map(|slot| slot.state), [SlotState::Confirmed as u8; 2]);
    let older = image(ImageKind::Firmware, [9, 8, 6], 3, 100);
    assert_eq!(update(&mut host, &older), Err(ErrorCode::Downgrade));
}

#[test]
fn firmware_that_is_not_confirmed_rolls_back() {
    let mut host = Host::open(config("ideal", 1, 0));
    let before = hello(&mut host, 1).firmware;
    update(&mut host, &image(ImageKind::Firmware, [9, 8, 7], 3, 500)).unwrap();
    assert_eq!(restart(&mut host).firmware, [9, 8, 7]);
    host.board.control().power_cycle();
    assert_eq!(hello(&mut host, 3).firmware, before);
    let slots = status(&mut host, ImageKind::Firmware).slots;
    assert_eq!(slots[1].state, SlotState::RolledBack as u8);
}

#[test]
fn power_lost_in_an_update_leaves_the_old_firmware() {
    let mut host = Host::open(config("ideal", 1, 0));
    let before = hello(&mut host, 1).firmware;
    let image = image(ImageKind::Firmware, [9, 8, 7], 3, 5000);
    begin(&mut host, &image).unwrap();
    host.board.control().power_cycle();
    assert_eq!(hello(&mut host, 3).firmware, before);
    update(&mut host, &image).unwrap();
    assert_eq!(restart(&mut host).firmware, [9, 8, 7]);
}

#[test]
fn gateware_changes_its_identity_when_it_is_loaded_again() {
    let mut host = Host::open(config("ideal", 1, 0));
    let before = hello(&mut host, 1).gateware_id;
    let new = image(ImageKind::Gateware, [1, 0, 0], 0xC0DE_0001, 570_000);
    update(&mut host, &new).unwrap();
    let after = restart(&mut host);
    assert_eq!(after.gateware_id, 0xC0DE_0001);
    // It rolls back, too.
    assert_eq!(restart(&mut host).gateware_id, before);

    let meta = Meta {
        kind: ImageKind::Gateware,
        target: FpgaId::Ecp5U85 as u32,
        build_id: 1,
        version: [1, 0, 0],
        load_address: 0,
    };
    let other = pack(b"for another FPGA", &meta, &SigningKey::development());
    assert_eq!(begin(&mut host, &other), Err(ErrorCode::WrongTarget));
}
