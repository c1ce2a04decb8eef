//! Throughput of the frame codec, in payload bytes, on blocks of 4 KiB.
//!
//! `cargo bench -p spu-protocol --features std --bench codec`
//!
//! "both" is one encode and one decode of the same block, as a byte costs that goes through a
//! link.
#![allow(missing_docs)] // criterion_group makes public functions

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use spu_protocol::code::AdcCode;
use spu_protocol::codec::{Decoder, encode, max_encoded};
use spu_protocol::header::{Header, Kind, MAX_PAYLOAD};
use spu_protocol::opcode::Opcode;
use spu_protocol::packing::FrameFormat;

/// xorshift64: the bench needs no better randomness.
fn random() -> impl FnMut() -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// Codes of about Gaussian law, σ = 1/16 of the full scale of `bits`, packed in words of
/// `word_bits`, 8 converters.
fn samples(bits: u8, word_bits: u8) -> Vec<u8> {
    let format = FrameFormat::new(8, 1, bits, word_bits, 0).expect("a valid layout");
    let frames = MAX_PAYLOAD / format.frame_octets();
    let mut next = random();
    let codes: Vec<AdcCode> = (0..frames * 8)
        .map(|_| {
            let sum: i32 = next().to_le_bytes().into_iter().map(i32::from).sum::<i32>() - 1020;
            // σ of the sum is 209.
            AdcCode(((f64::from(sum) / 209.0) * f64::from(1 << (bits - 1)) / 16.0) as i16)
        })
        .collect();
    let mut octets = vec![0; frames * format.frame_octets()];
    format.pack(&codes, &[], &mut octets).expect("lengths agree");
    octets
}

fn payloads() -> Vec<(&'static str, Vec<u8>)> {
    let mut next = random();
    let bytes: Vec<u8> = (0..MAX_PAYLOAD / 8).flat_map(|_| next().to_le_bytes()).collect();
    let half_zeros = (0..MAX_PAYLOAD).map(|_| if next() & 1 == 0 { 0 } else { 0x5a }).collect();
    vec![
        ("random", bytes),
        ("samples 12 in 12 bits", samples(12, 12)),
        ("samples 12 in 16 bits", samples(12, 16)),
        ("samples 16 in 16 bits", samples(16, 16)),
        ("half zeros", half_zeros),
        ("all zeros", vec![0; MAX_PAYLOAD]),
        ("command of 16 bytes", (1..=16).collect()),
    ]
}

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    let mut wire = vec![0; max_encoded(MAX_PAYLOAD)];
    let mut decoder = Decoder::new();
    for (name, payload) in payloads() {
        let header =
            Header::new(Kind::Event, Opcode::StreamBlock as u16, 1, 1, payload.len() as u16);
        group.throughput(Throughput::Bytes(payload.len() as u64));
        let run_encode = |wire: &mut [u8]| {
            encode(black_box(&header), &[black_box(&payload)], wire)
                .expect("the buffer is long enough")
        };
        let mut run_decode = |wire: &[u8]| {
            let mut bytes = black_box(wire);
            let frame = decoder.push(&mut bytes).expect("a frame").expect("undamaged");
            black_box(frame.payload.len())
        };
        group.bench_function(BenchmarkId::new("encode", name), |bench| {
            bench.iter(|| run_encode(&mut wire));
        });
        let len = run_encode(&mut wire);
        group.bench_function(BenchmarkId::new("decode", name), |bench| {
            bench.iter(|| run_decode(&wire[..len]));
        });
        group.bench_function(BenchmarkId::new("both", name), |bench| {
            bench.iter(|| {
                let len = run_encode(&mut wire);
                run_decode(&wire[..len])
            });
        });
    }
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
