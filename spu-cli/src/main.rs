//! The `spu` command.
fn main() {}
