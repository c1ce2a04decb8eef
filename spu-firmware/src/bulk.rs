//! The bulk memory of a factored board, through its window.

use spu_protocol::error::ErrorCode;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::bulk::Region;
use spu_protocol::payload::info::BoardKind;
use spu_protocol::payload::{BulkRequest, Writer, split};
use spu_protocol::regs::{self, bulk_page};

use crate::board::{Board, BoardError};
use crate::identity::Identity;
use crate::refusal::Refusal;

/// Words of one transfer through the window.
const CHUNK: u32 = 32;
const _: () = assert!(BulkRequest::PAGE_WORDS.is_multiple_of(CHUNK));

/// Writes or reads, as `operation` says. Refuses with [`ErrorCode::Unsupported`] where the board has no bulk
/// memory or this image no code for it.
pub(crate) fn execute<B: Board>(
    board: &mut B,
    identity: &Identity,
    operation: Opcode,
    payload: &[u8],
    out: &mut Writer<'_>,
) -> Result<(), Refusal> {
    if !B::BULK || identity.info.kind != BoardKind::Factored as u16 {
        return Err(ErrorCode::Unsupported.into());
    }
    if operation == Opcode::BulkWrite { write(board, payload) } else { read(board, payload, out) }
}

/// Writes the words in `payload`. Refuses with [`ErrorCode::BadPayload`] (region or lengths) and
/// [`ErrorCode::BadAddress`] beyond the region; nothing is written then.
#[inline(never)] // or the callers' other work pays for its arrays in stack
fn write(board: &mut impl Board, payload: &[u8]) -> Result<(), Refusal> {
    let (request, rest) = parse(payload, BulkRequest::MAX_WRITE)?;
    let (octets, []) = rest.as_chunks::<4>() else {
        return Err(ErrorCode::BadPayload.into());
    };
    if octets.len() != usize::from(request.count) || request.region == Region::State as u16 {
        return Err(ErrorCode::BadPayload.into());
    }
    check(board, request)?;
    let mut octets = octets;
    let mut place = Place::new(request);
    while let Some((address, count)) = place.next(board)? {
        let (here, rest) = octets.split_at_checked(count).ok_or(ErrorCode::BadPayload)?;
        let mut words = [0; CHUNK as usize];
        for (word, octets) in words.iter_mut().zip(here) {
            *word = u32::from_le_bytes(*octets);
        }
        board.write_regs(address, words.get(..count).unwrap_or(&words))?;
        octets = rest;
    }
    Ok(())
}

/// Reads words into `out`. Refuses as [`write`].
#[inline(never)] // or the callers' other work pays for its arrays in stack
fn read(board: &mut impl Board, payload: &[u8], out: &mut Writer<'_>) -> Result<(), Refusal> {
    let (request, rest) = parse(payload, BulkRequest::MAX_READ)?;
    if !rest.is_empty() {
        return Err(ErrorCode::BadPayload.into());
    }
    check(board, request)?;
    let mut place = Place::new(request);
    while let Some((address, count)) = place.next(board)? {
        let mut words = [0; CHUNK as usize];
        let words = words.get_mut(..count).ok_or(ErrorCode::BadPayload)?;
        board.read_regs(address, words)?;
        out.put_slice(words);
    }
    Ok(())
}

fn parse(payload: &[u8], most: u16) -> Result<(BulkRequest, &[u8]), Refusal> {
    let (request, rest) = split::<BulkRequest>(payload).ok_or(ErrorCode::BadPayload)?;
    if (1..=most).contains(&request.count) && Region::from_u16(request.region).is_some() {
        Ok((request, rest))
    } else {
        Err(ErrorCode::BadPayload.into())
    }
}

/// Refuses what is beyond the region, with the region as detail.
fn check(board: &mut impl Board, request: BulkRequest) -> Result<(), Refusal> {
    let mut sizes = [0; 2];
    board.read_regs(regs::ARRAY_ROWS, &mut sizes)?;
    let [rows, columns] = sizes.map(u64::from);
    let row_words = |codes: u64| codes.div_ceil(2);
    let words = match Region::from_u16(request.region) {
        Some(Region::J | Region::Jt) => rows.saturating_mul(row_words(columns)),
        Some(Region::H) => rows.saturating_mul(row_words(rows)),
        _ => row_words(columns),
    };
    if u64::from(request.first).saturating_add(u64::from(request.count)) > words {
        return Err(Refusal::new(ErrorCode::BadAddress, request.region));
    }
    Ok(())
}

/// Where the next words are.
struct Place {
    region: u32,
    next: u32,
    left: u32,
    /// Page that is in the window.
    page: Option<u32>,
}

impl Place {
    fn new(request: BulkRequest) -> Self {
        let (region, left) = (u32::from(request.region), u32::from(request.count));
        Self { region, next: request.first, left, page: None }
    }

    /// Address and number of the next words, whose page is in the window; none at the end.
    fn next(&mut self, board: &mut impl Board) -> Result<Option<(u16, usize)>, BoardError> {
        if self.left == 0 {
            return Ok(None);
        }
        let page = self.next / BulkRequest::PAGE_WORDS;
        if self.page != Some(page) {
            let word = self.region << bulk_page::REGION_SHIFT | page & bulk_page::PAGE_MASK;
            board.write_regs(regs::BULK_PAGE, &[word])?;
            self.page = Some(page);
        }
        let within = self.next % BulkRequest::PAGE_WORDS;
        // A chunk ends at a multiple of its size, so never beyond the page.
        let count = CHUNK.saturating_sub(within % CHUNK).min(self.left);
        self.next = self.next.saturating_add(count);
        self.left = self.left.saturating_sub(count);
        let address = regs::BULK.saturating_add(within.saturating_mul(4) as u16);
        Ok(Some((address, count as usize)))
    }
}
