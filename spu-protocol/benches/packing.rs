//! Throughput of sample packing, in packed octets.
//!
//! `cargo bench -p spu-protocol --bench packing`
#![allow(missing_docs)] // criterion_group makes public functions

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use spu_protocol::code::AdcCode;
use spu_protocol::packing::FrameFormat;

fn packing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packing");
    for (name, format, frames) in [
        ("12 bits", FrameFormat::new(8, 1, 12, 12, 0), 340),
        ("12 bits, one frame a call", FrameFormat::new(8, 1, 12, 12, 0), 1),
        ("12 bits, odd M", FrameFormat::new(7, 1, 12, 12, 0), 370),
        ("16 bits", FrameFormat::new(8, 1, 16, 16, 0), 256),
        ("14 + 1 in 16 bits", FrameFormat::new(8, 1, 14, 16, 1), 256),
    ] {
        let format = format.expect("a valid layout");
        let samples = frames * format.frame_samples();
        let mut codes: Vec<AdcCode> =
            (0..samples).map(|i| AdcCode((i * 37 % 4001) as i16)).collect();
        let control: Vec<u8> = (0..samples * usize::from(format.control_bits().min(1)))
            .map(|i| (i & 1) as u8)
            .collect();
        let mut octets = vec![0; frames * format.frame_octets()];
        group.throughput(Throughput::Bytes(octets.len() as u64));
        group.bench_function(BenchmarkId::new("pack", name), |bench| {
            bench.iter(|| {
                format.pack(black_box(&codes), black_box(&control), black_box(&mut octets))
            });
        });
        group.bench_function(BenchmarkId::new("unpack", name), |bench| {
            bench.iter(|| format.unpack(black_box(&octets), black_box(&mut codes)));
        });
    }
    group.finish();
}

criterion_group!(benches, packing);
criterion_main!(benches);
