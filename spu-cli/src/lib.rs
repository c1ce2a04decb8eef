//! What the `spu` command reads and writes, apart from the command itself, so that other programs and
//! the fuzz targets can use it.

pub mod matrix_file;
pub mod plot;
pub mod text;
