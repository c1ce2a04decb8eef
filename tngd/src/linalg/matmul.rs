//! Products of f32 matrices by the crate `gemm`, on checked views.

/// A matrix in a slice: entry (i, j) at `i * row + j * column`.
#[derive(Clone, Copy)]
pub(crate) struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row: usize,
    column: usize,
}

impl<'a> Mat<'a> {
    /// Row-major, without gaps.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// Row-major, with `stride` entries from row to row.
    pub(crate) fn strided(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        check(data.len(), rows, columns, stride, 1);
        Self { data, rows, columns, row: stride, column: 1 }
    }

    /// The transpose.
    pub(crate) fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row: self.column,
            column: self.row,
        }
    }
}

/// A row-major matrix to write to.
pub(crate) struct MatMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    columns: usize,
    row: usize,
}

impl<'a> MatMut<'a> {
    /// Without gaps.
    pub(crate) fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// With `stride` entries from row to row.
    pub(crate) fn strided(data: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(rows <= 1 || stride >= columns, "rows overlap");
        check(data.len(), rows, columns, stride, 1);
        Self { data, rows, columns, row: stride }
    }
}

fn check(len: usize, rows: usize, columns: usize, row: usize, column: usize) {
    if rows > 0 && columns > 0 {
        assert!((rows - 1) * row + (columns - 1) * column < len, "matrix beyond its slice");
    }
}

/// `out = scale · left right`, added to `out` if `add`. One thread: the same bits every time.
pub(crate) fn matmul(out: MatMut, add: bool, scale: f32, left: Mat, right: Mat) {
    let MatMut { data, rows, columns, row } = out;
    assert_eq!(left.columns, right.rows, "inner dimensions");
    assert_eq!((rows, columns), (left.rows, right.columns), "outer dimensions");
    // SAFETY: all three views lie in their slices (checked when they were made), `out` is borrowed
    // exclusively and its rows do not overlap.
    #[allow(unsafe_code, reason = "gemm takes pointers")]
    unsafe {
        gemm::gemm(
            rows,
            columns,
            left.columns,
            data.as_mut_ptr(),
            1,
            row as isize,
            add,
            left.data.as_ptr(),
            left.column as isize,
            left.row as isize,
            right.data.as_ptr(),
            right.column as isize,
            right.row as isize,
            1.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact values")]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_definition() {
        let (m, k, n) = (5, 7, 3);
        let left: Vec<f32> = (0..m * k).map(|i| (i % 11) as f32 - 5.0).collect();
        let right: Vec<f32> = (0..n * (k + 2)).map(|i| (i % 7) as f32 - 3.0).collect();
        let mut out = vec![1.0; m * (n + 1)];
        let view = MatMut::strided(&mut out, m, n, n + 1);
        matmul(view, true, 2.0, Mat::new(&left, m, k), Mat::strided(&right, n, k, k + 2).t());
        for i in 0..m {
            for j in 0..n {
                let sum: f32 = (0..k).map(|l| left[i * k + l] * right[j * (k + 2) + l]).sum();
                assert_eq!(out[i * (n + 1) + j], 1.0 + 2.0 * sum);
            }
            assert_eq!(out[i * (n + 1) + n], 1.0, "gap between rows");
        }
    }

    #[test]
    #[should_panic(expected = "matrix beyond its slice")]
    fn views_lie_in_their_slices() {
        Mat::strided(&[0.0; 10], 3, 4, 4);
    }

    #[test]
    #[should_panic(expected = "inner dimensions")]
    fn dimensions_match() {
        let data = [0.0; 6];
        matmul(
            MatMut::new(&mut [0.0; 4], 2, 2),
            false,
            1.0,
            Mat::new(&data, 2, 3),
            Mat::new(&data, 2, 3),
        );
    }
}
