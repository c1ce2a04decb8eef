//! Code generation, checks and figures.
fn main() {}
