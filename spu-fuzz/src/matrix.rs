//! The readers of matrix files.

use spu_cli::matrix_file::{Format, parse, render};

/// Any bytes as a matrix file: no panic, only finite numbers but for `NumPy`'s (the check of the
/// matrix refuses those), and what was read is read the same from every format that it is written
/// to. The first byte chooses the format.
pub fn matrix(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let formats = [Format::MatrixMarket, Format::Npy, Format::Csv];
    let format = formats[usize::from(choice) % formats.len()];
    let Ok(matrix) = parse(format, bytes) else { return };
    let finite = matrix.iter().all(|x| x.is_finite());
    assert!(finite || format == Format::Npy);
    if !finite || matrix.is_empty() {
        return;
    }
    for format in formats {
        let text = render(format, &matrix).expect("it fits in memory");
        let again = parse(format, &text).expect("what was written can be read");
        assert_eq!(again.dim(), matrix.dim());
        let bits = |a: f64, b: f64| a.to_bits() == b.to_bits();
        assert!(again.iter().zip(&matrix).all(|(a, b)| bits(*a, *b)), "{format:?}");
    }
}
