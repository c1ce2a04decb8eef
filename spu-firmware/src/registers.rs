//! Raw register access for the host, checked against the map and the board's size.

use spu_protocol::error::ErrorCode;
use spu_protocol::payload::{RegsRequest, Writer, split};
use spu_protocol::regs::{self, Access};

use crate::board::Board;
use crate::refusal::Refusal;

/// What the host wants to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Read,
    Write,
}

/// Most words of a request.
const MAX_WORDS: usize = RegsRequest::MAX_COUNT as usize;

/// Reads registers into `out`.
#[inline(never)] // or the callers' other work pays for its arrays in stack
pub(crate) fn read(
    board: &mut impl Board,
    cells: usize,
    fifo_high: u32,
    payload: &[u8],
    out: &mut Writer<'_>,
) -> Result<(), Refusal> {
    let (request, rest) = parse(payload)?;
    if !rest.is_empty() {
        return Err(ErrorCode::BadPayload.into());
    }
    check(request, cells, Direction::Read)?;
    let mut words = [0; MAX_WORDS];
    let words = words.get_mut(..usize::from(request.count)).ok_or(ErrorCode::BadPayload)?;
    if is_mcu(request.address) {
        for (word, address) in words.iter_mut().zip((request.address..).step_by(4)) {
            *word = match address {
                regs::MCU_FIFO_HIGH => fifo_high,
                address => board.mcu_reg(address),
            };
        }
        out.put_slice(words);
        return Ok(());
    }
    if request.address == regs::TICKS_HI {
        // The high word is captured when the low one is read.
        board.read_regs(regs::TICKS_LO, &mut [0])?;
    }
    board.read_regs(request.address, words)?;
    out.put_slice(words);
    Ok(())
}

/// True for a register that the microcontroller answers for.
fn is_mcu(address: u16) -> bool {
    regs::find(address).is_some_and(|(register, _)| register.mcu)
}

/// Writes registers.
#[inline(never)] // or the callers' other work pays for its arrays in stack
pub(crate) fn write(board: &mut impl Board, cells: usize, payload: &[u8]) -> Result<(), Refusal> {
    let (request, rest) = parse(payload)?;
    let (octets, []) = rest.as_chunks::<4>() else {
        return Err(ErrorCode::BadPayload.into());
    };
    if octets.len() != usize::from(request.count) {
        return Err(ErrorCode::BadPayload.into());
    }
    check(request, cells, Direction::Write)?;
    let mut words = [0; MAX_WORDS];
    let words = words.get_mut(..octets.len()).ok_or(ErrorCode::BadPayload)?;
    for (word, octets) in words.iter_mut().zip(octets) {
        *word = u32::from_le_bytes(*octets);
    }
    match (request.address, &*words) {
        // The only one of the microcontroller that can be written.
        (regs::MCU_CONTROL, [bits]) => board.mcu_control(*bits),
        _ => board.write_regs(request.address, words)?,
    }
    Ok(())
}

fn parse(payload: &[u8]) -> Result<(RegsRequest, &[u8]), Refusal> {
    let (request, rest) = split::<RegsRequest>(payload).ok_or(ErrorCode::BadPayload)?;
    if (1..=RegsRequest::MAX_COUNT).contains(&request.count) {
        Ok((request, rest))
    } else {
        Err(ErrorCode::BadPayload.into())
    }
}

/// Refuses with the first address that this board does not have or that cannot be used so.
/// Windows are no registers: a read of the capture memory would take samples from the stream.
fn check(request: RegsRequest, cells: usize, direction: Direction) -> Result<(), Refusal> {
    let mut address = Some(request.address);
    for _ in 0..request.count {
        let at = address.ok_or(Refusal::new(ErrorCode::BadAddress, request.address))?;
        let usable = regs::find(at).is_some_and(|(register, index)| {
            (at < regs::FIFO || register.mcu)
                && index < register.len(cells)
                && match direction {
                    Direction::Read => register.access != Access::Wo,
                    Direction::Write => register.access != Access::Ro,
                }
        });
        if !usable {
            return Err(Refusal::new(ErrorCode::BadAddress, at));
        }
        address = at.checked_add(4);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Direction, RegsRequest, check, regs};

    fn bad(address: u16, count: u16, cells: usize, direction: Direction) -> Option<u16> {
        check(RegsRequest { address, count }, cells, direction).err().map(|refusal| refusal.detail)
    }

    #[test]
    fn only_what_the_board_has() {
        use Direction::{Read, Write};
        assert_eq!(bad(regs::MAGIC, 30, 8, Read), None);
        assert_eq!(bad(regs::MAGIC, 32, 8, Read), Some(0x7C));
        assert_eq!(bad(regs::MAGIC, 1, 8, Write), Some(regs::MAGIC));
        assert_eq!(bad(regs::CALIBRATION_ID_LO, 2, 8, Write), None);
        assert_eq!(bad(regs::CALIBRATION_ID_LO, 3, 8, Write), Some(0x30));
        assert_eq!(bad(regs::CONTROL, 5, 8, Write), None);
        assert_eq!(bad(regs::CONTROL, 1, 8, Read), Some(regs::CONTROL));
        assert_eq!(bad(2, 1, 8, Read), Some(2));
        assert_eq!(bad(regs::FIFO, 1, 8, Read), Some(regs::FIFO));
        assert_eq!(bad(regs::BULK, 1, 8, Write), Some(regs::BULK));
        assert_eq!(bad(0xFFFC, 2, 8, Read), Some(0xFFFC));
        assert_eq!(bad(regs::BULK + 0x7BFC, 2, 8, Read), Some(regs::BULK + 0x7BFC));
        assert_eq!(bad(regs::MCU_BOARD, 14, 8, Read), None);
        assert_eq!(bad(regs::MCU_BOARD, 15, 8, Read), Some(regs::MCU_CONTROL));
        assert_eq!(bad(regs::MCU_BOARD, 1, 8, Write), Some(regs::MCU_BOARD));
        assert_eq!(bad(regs::MCU_CONTROL, 1, 8, Write), None);
        assert_eq!(bad(regs::MCU_CONTROL, 2, 8, Write), Some(regs::MCU_REPORT_OCTETS));
        for cells in 1..=8 {
            let pairs = cells * (cells - 1) / 2;
            let products = cells * (cells + 1) / 2;
            for (first, elements) in [
                (regs::self_bank(0), cells),
                (regs::saturated(0), cells),
                (regs::noise_seed(0), 4 * cells),
                (regs::coupling_bank(0), pairs),
                (regs::sum(0), 2 * cells),
                (regs::product(0), 2 * products),
            ] {
                let beyond = first + 4 * elements as u16;
                if elements > 0 {
                    assert_eq!(bad(first, elements as u16, cells, Read), None);
                }
                assert_eq!(bad(first, elements as u16 + 1, cells, Read), Some(beyond));
            }
        }
    }
}
