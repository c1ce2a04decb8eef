#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| spu_fuzz::profile(data));
