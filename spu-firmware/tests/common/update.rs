//! The host's side of an update.

use spu_boot::pack::{SigningKey, sign};
use spu_protocol::error::ErrorCode;
use spu_protocol::image::ImageHeader;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::update::UpdateState;
use spu_protocol::payload::{
    UpdateBegin, UpdateProgress, UpdateSelect, UpdateStatus, UpdateWrite, exact,
};

use super::{Bench, Refused, SLOT, image};

const FIRMWARE: UpdateSelect = UpdateSelect { kind: 1 };

impl Bench {
    pub fn begin(&mut self, header: &ImageHeader, flags: u32) -> Result<UpdateProgress, Refused> {
        let begin = UpdateBegin { flags, reserved: 0, header: *header };
        let reply = self.request(Opcode::UpdateBegin, bytemuck::bytes_of(&begin))?;
        Ok(exact(&reply).unwrap())
    }

    pub fn piece(&mut self, offset: u32, octets: &[u8]) -> Result<UpdateProgress, Refused> {
        let piece = UpdateWrite { offset, reserved: 0 };
        let payload = [bytemuck::bytes_of(&piece), octets].concat();
        let reply = self.request(Opcode::UpdateWrite, &payload)?;
        Ok(exact(&reply).unwrap())
    }

    pub fn finish(&mut self) -> Result<UpdateProgress, Refused> {
        let reply = self.request(Opcode::UpdateFinish, &[])?;
        Ok(exact(&reply).unwrap())
    }

    pub fn slots(&mut self) -> UpdateStatus {
        let reply = self.request(Opcode::UpdateStatus, bytemuck::bytes_of(&FIRMWARE)).unwrap();
        exact(&reply).unwrap()
    }

    pub fn confirm(&mut self) -> Result<(), Refused> {
        self.request(Opcode::UpdateConfirm, bytemuck::bytes_of(&FIRMWARE)).map(|_| ())
    }

    /// Waits until the slot is erased or verified.
    pub fn settled(&mut self) -> UpdateProgress {
        for _ in 0..1000 {
            let progress = self.slots().progress;
            let state = UpdateState::from_u16(progress.state).unwrap();
            if !matches!(state, UpdateState::Erasing | UpdateState::Verifying) {
                return progress;
            }
            self.poll(2);
        }
        panic!("the update goes on for ever");
    }

    /// Sends a whole image; how it ended.
    pub fn update(&mut self, image: &[u8], flags: u32) -> Result<UpdateProgress, Refused> {
        let (header, payload) = ImageHeader::parse(image).unwrap();
        self.begin(&header, flags)?;
        self.settled();
        for (index, octets) in payload.chunks(512).enumerate() {
            self.piece(512 * index as u32, octets)?;
        }
        self.finish()?;
        Ok(self.settled())
    }

    /// Restarts the microcontroller; the version that runs then.
    pub fn restart(&mut self) -> [u16; 3] {
        self.device.reboot();
        self.device.board_mut().start();
        self.hello(9).unwrap().firmware
    }
}

fn header() -> ImageHeader {
    ImageHeader::parse(&image(6, 1000)).unwrap().0
}

fn signed(change: impl FnOnce(&mut ImageHeader)) -> ImageHeader {
    let mut header = header();
    change(&mut header);
    sign(&mut header, &SigningKey::development());
    header
}

/// What an update is refused with that is wrong in the way of `code`.
pub fn refusal(code: ErrorCode) -> Refused {
    let mut bench = Bench::with_slots();
    let header = match code {
        ErrorCode::BadImage => signed(|header| header.magic = *b"ELF\0"),
        ErrorCode::WrongTarget => signed(|header| header.target = 2),
        ErrorCode::BadSignature => {
            bench.begin(&ImageHeader { length: 900, ..header() }, 0).unwrap();
            let progress = bench.settled();
            assert_eq!(progress.state, UpdateState::Failed as u16);
            let flash = bench.device.board_mut().flash.as_ref().unwrap();
            assert_eq!(flash.operations(), 0, "nothing was erased");
            return (ErrorCode::from_u16(progress.error).unwrap(), 0);
        }
        ErrorCode::UnknownKey => ImageHeader { key_id: 7, ..header() },
        ErrorCode::Downgrade => signed(|header| header.version = [5, 2, 2]),
        ErrorCode::TooLarge => signed(|header| header.length = SLOT - 256 - 128 + 1),
        ErrorCode::BadHash => {
            let mut bad = image(6, 1000);
            bad[700] ^= 1;
            let progress = bench.update(&bad, 0).unwrap();
            assert_eq!(progress.state, UpdateState::Failed as u16);
            assert_eq!(bench.slots().slots[1].state, 0);
            assert_eq!(bench.restart(), [5, 2, 3]);
            return (ErrorCode::from_u16(progress.error).unwrap(), 0);
        }
        ErrorCode::OutOfOrder => {
            bench.begin(&header(), 0).unwrap();
            bench.settled();
            bench.piece(0, &[0; 64]).unwrap();
            for (offset, octets) in [(0, 64), (128, 64), (64, 65), (64, 1000 - 64 + 32)] {
                let refused = bench.piece(offset, &vec![0; octets]).unwrap_err();
                assert_eq!(refused, (ErrorCode::OutOfOrder, 0), "{offset} {octets}");
            }
            return bench.piece(u32::MAX, &[0; 64]).unwrap_err();
        }
        ErrorCode::Incomplete => {
            bench.begin(&header(), 0).unwrap();
            bench.settled();
            bench.piece(0, &[0; 64]).unwrap();
            return bench.finish().unwrap_err();
        }
        ErrorCode::NoUpdate => {
            bench.finish().unwrap_err();
            return bench.piece(0, &[0; 64]).unwrap_err();
        }
        ErrorCode::NotConfirmed => {
            bench.update(&image(6, 1000), 0).unwrap();
            assert_eq!(bench.restart(), [6, 2, 3]);
            header()
        }
        ErrorCode::Flash => {
            bench.begin(&header(), 0).unwrap();
            bench.settled();
            let flash = bench.device.board_mut().flash.as_mut().unwrap();
            flash.fill(SLOT as usize, &[0; SLOT as usize]);
            let payload = image(6, 1000).split_off(256);
            flash.power_on(Some(spu_boot::model::Cut {
                after: 0,
                tear: spu_boot::model::Tear::NotStarted,
            }));
            return bench.piece(0, &payload).unwrap_err();
        }
        other => panic!("{other:?} is not an update's"),
    };
    bench.begin(&header, 0).unwrap_err()
}
