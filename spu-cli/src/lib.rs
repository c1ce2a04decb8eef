//! What the `spu` command reads and writes, apart from the command itself, so that other programs (the
//! fuzz targets, the pages of measured accuracy) can use it.

pub mod matrix_file;
pub mod plot;
pub mod text;
