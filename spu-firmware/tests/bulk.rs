//! The bulk memory of a factored board: the right words of the right region, or nothing.
#![allow(missing_docs)]

mod common;

use common::fpga::Fpga;
use common::{Bench, Refused};
use spu_protocol::error::ErrorCode;
use spu_protocol::opcode::Opcode;
use spu_protocol::payload::BulkRequest;
use spu_protocol::payload::bulk::Region;
use spu_protocol::regs::{self, bulk_page};

const ROWS: usize = 3;
const COLUMNS: usize = 6001;
const PAGE: u32 = BulkRequest::PAGE_WORDS;

fn bench() -> Bench {
    Bench::over(Fpga::new(1, 16).factored(ROWS as u32, COLUMNS as u32))
}

fn payload(region: u16, count: u16, first: u32, words: &[u32]) -> Vec<u8> {
    let request = BulkRequest { region, count, first };
    let words = words.iter().flat_map(|word| word.to_le_bytes());
    bytemuck::bytes_of(&request).iter().copied().chain(words).collect()
}

fn write(bench: &mut Bench, region: Region, first: u32, words: &[u32]) -> Result<(), Refused> {
    let payload = payload(region as u16, words.len() as u16, first, words);
    bench.request(Opcode::BulkWrite, &payload).map(|reply| assert!(reply.is_empty()))
}

fn read(bench: &mut Bench, region: Region, first: u32, count: u16) -> Result<Vec<u32>, Refused> {
    let reply = bench.request(Opcode::BulkRead, &payload(region as u16, count, first, &[]))?;
    let (words, []) = reply.as_chunks() else { panic!("whole words") };
    Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

fn numbers(count: u32) -> Vec<u32> {
    (0..count).map(|word| 0x8000_0001 + 0x0101 * word).collect()
}

#[test]
fn words_go_to_their_page_and_place_and_come_back() {
    let most = u32::from(BulkRequest::MAX_WRITE);
    // At the beginning, within a chunk, to a chunk's end, over the edge of a page, the last of the region.
    let last = Region::J.words(ROWS, COLUMNS) as u32;
    let cases =
        [(0, 1), (5, 27), (31, 2), (32, 32), (PAGE - 3, 7), (PAGE - 1, most), (last - 40, 40)];
    for (first, count) in cases {
        let (mut bench, words) = (bench(), numbers(count));
        write(&mut bench, Region::J, first, &words).unwrap();
        let fpga = bench.fpga();
        assert_eq!(fpga.bulk.len(), words.len(), "nothing else is written");
        for (word, place) in words.iter().zip(first..) {
            let page = ((Region::J as u32) << bulk_page::REGION_SHIFT) | (place / PAGE);
            let within = 4 * (place % PAGE) as u16;
            assert_eq!(fpga.bulk.get(&(page, within)), Some(word), "{first} {count} {place}");
        }
        // The page is set where it changes, not for each transfer.
        let pages = (first + count - 1) / PAGE - first / PAGE + 1;
        assert_eq!(fpga.written(regs::BULK_PAGE).len(), pages as usize);
        for (k, words) in words.chunks(usize::from(BulkRequest::MAX_READ)).enumerate() {
            let first = first + k as u32 * u32::from(BulkRequest::MAX_READ);
            assert_eq!(read(&mut bench, Region::J, first, words.len() as u16).unwrap(), words);
        }
    }
}

#[test]
fn regions_are_apart() {
    let mut bench = bench();
    let written = Region::ALL.into_iter().filter(|region| *region != Region::State);
    for (number, region) in written.clone().enumerate() {
        write(&mut bench, region, 2, &[number as u32 + 1]).unwrap();
    }
    for (number, region) in written.enumerate() {
        assert_eq!(read(&mut bench, region, 2, 1).unwrap(), [number as u32 + 1], "{region:?}");
    }
    // What the ADCs gave is read and not written.
    assert_eq!(read(&mut bench, Region::State, 2, 1).unwrap(), [0]);
    assert_eq!(write(&mut bench, Region::State, 2, &[1]).unwrap_err().0, ErrorCode::BadPayload);
}

#[test]
fn nothing_is_written_beyond_a_region() {
    for region in [Region::J, Region::H, Region::Jt, Region::Input, Region::Initial] {
        let words = region.words(ROWS, COLUMNS) as u32;
        let beyond = Err((ErrorCode::BadAddress, region as u16));
        let mut bench = bench();
        for (first, count) in [(words, 1), (words - 1, 2), (u32::MAX, 1), (u32::MAX - 1, 100)] {
            assert_eq!(write(&mut bench, region, first, &numbers(count)), beyond, "{region:?}");
            let read = read(&mut bench, region, first, count as u16);
            assert_eq!(read.map(|_| ()), beyond, "{region:?}");
        }
        assert!(bench.fpga().bulk.is_empty());
        write(&mut bench, region, words - 1, &[7]).unwrap();
    }
}

#[test]
fn what_is_no_request_is_refused_and_changes_nothing() {
    let mut bench = bench();
    let j = Region::J as u16;
    let bad = [
        (Opcode::BulkWrite, payload(j, 0, 0, &[])),
        (Opcode::BulkWrite, payload(j, 2, 0, &[1])),
        (Opcode::BulkWrite, payload(j, 1, 0, &[1, 2])),
        (Opcode::BulkWrite, payload(j, 1, 0, &[1])[..11].to_vec()),
        (Opcode::BulkWrite, payload(j, 1, 0, &[])[..7].to_vec()),
        (Opcode::BulkWrite, payload(6, 1, 0, &[1])),
        (Opcode::BulkRead, payload(j, 0, 0, &[])),
        (Opcode::BulkRead, payload(j, BulkRequest::MAX_READ + 1, 0, &[])),
        (Opcode::BulkRead, payload(j, 1, 0, &[1])),
        (Opcode::BulkRead, payload(u16::MAX, 1, 0, &[])),
    ];
    for (opcode, payload) in bad {
        let refused = bench.request(opcode, &payload).unwrap_err();
        assert_eq!(refused.0, ErrorCode::BadPayload, "{opcode:?} {payload:?}");
    }
    assert!(bench.fpga().bulk.is_empty() && bench.fpga().written(regs::BULK_PAGE).is_empty());
}

#[test]
fn boards_with_banks_have_no_bulk_memory() {
    for fpga in [Fpga::new(8, 16), Fpga::new(8, 16).rc()] {
        let mut bench = Bench::over(fpga);
        let refused = write(&mut bench, Region::J, 0, &[1]).unwrap_err();
        assert_eq!(refused.0, ErrorCode::Unsupported);
        assert_eq!(read(&mut bench, Region::J, 0, 1).unwrap_err().0, ErrorCode::Unsupported);
        assert!(bench.fpga().bulk.is_empty());
    }
}

#[test]
fn a_bus_that_fails_midway_is_told() {
    let mut bench = bench();
    // The sizes, the page, one chunk.
    bench.fpga().faults.bus_after = Some(3);
    let refused = write(&mut bench, Region::J, 0, &numbers(100)).unwrap_err();
    assert_eq!((refused.0, bench.fpga().bulk.len()), (ErrorCode::Bus, 32));
}
