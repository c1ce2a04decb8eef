//! Matrix Market exchange format (Boisvert, Pozo and Remington, NISTIR 5935, 1996).
//!
//! A reader of our own: `nalgebra-sparse` refuses integer files where reals are wanted, takes entries
//! given twice without a word, allows no comment among the entries, and names no line where an entry
//! is wrong.

use std::fmt::Write as _;

use ndarray::{Array2, ArrayRef2};

use super::{Wrong, check_size, number, push_number};

const BANNER: &str = "%%MatrixMarket matrix coordinate|array real|integer general|symmetric";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Coordinate,
    Array,
}

/// Parses a file.
pub(super) fn parse(text: &str) -> Result<Array2<f64>, Wrong> {
    let mut lines = text.lines().zip(1..);
    let banner = lines.next().map_or("", |(line, _)| line);
    let (layout, symmetric) = header(banner)?;
    let mut data = lines.filter(|(line, _)| !line.trim().is_empty() && !line.starts_with('%'));
    let (size, at) = data
        .next()
        .ok_or_else(|| Wrong::file("the size line is missing; the file may be truncated"))?;
    let size = Size::parse(size, at, layout, symmetric)?;
    let mut matrix = Array2::zeros((size.rows, size.columns));
    let mut seen = Array2::from_elem((size.rows, size.columns), false);
    let mut found = 0;
    for (line, at) in data {
        if found == size.entries {
            return Err(Wrong::at(
                at,
                format!(
                    "more entries than the {} that the size line promises; correct it",
                    size.entries
                ),
            ));
        }
        let (row, column, value) = match layout {
            Layout::Coordinate => coordinate(line, at, &size)?,
            Layout::Array => {
                let (row, column) = size.place(found, symmetric);
                (row, column, number(line.trim(), at)?)
            }
        };
        let mirrored = symmetric && row != column;
        for (i, j) in [(row, column), (column, row)].into_iter().take(1 + usize::from(mirrored)) {
            if std::mem::replace(&mut seen[[i, j]], true) {
                return Err(Wrong::at(
                    at,
                    format!(
                        "entry ({}, {}) is given twice{}; remove one",
                        row + 1,
                        column + 1,
                        if mirrored { " (a symmetric file has one triangle only)" } else { "" }
                    ),
                ));
            }
            matrix[[i, j]] = value;
        }
        found += 1;
    }
    if found < size.entries {
        return Err(Wrong::file(format!(
            "the size line promises {} entries but {found} follow; the file is truncated or the \
             count is wrong",
            size.entries
        )));
    }
    Ok(matrix)
}

fn header(banner: &str) -> Result<(Layout, bool), Wrong> {
    let words: Vec<String> = banner.split_whitespace().map(str::to_ascii_lowercase).collect();
    let wrong = |what: String| Err(Wrong::at(1, what));
    let [mark, object, layout, field, symmetry] = words.as_slice() else {
        return wrong(format!("the first line must be `{BANNER}`"));
    };
    if mark != "%%matrixmarket" || object != "matrix" {
        return wrong(format!("the first line must be `{BANNER}`"));
    }
    let layout = match layout.as_str() {
        "coordinate" => Layout::Coordinate,
        "array" => Layout::Array,
        other => return wrong(format!("{other:?} is no layout; write coordinate or array")),
    };
    if !matches!(field.as_str(), "real" | "integer" | "double") {
        return wrong(format!("entries are {field}; a board inverts real matrices, write real"));
    }
    match symmetry.as_str() {
        "general" => Ok((layout, false)),
        "symmetric" => Ok((layout, true)),
        other => wrong(format!(
            "the matrix is {other}; a board inverts symmetric matrices, write symmetric or general"
        )),
    }
}

struct Size {
    rows: usize,
    columns: usize,
    /// Data lines that follow.
    entries: usize,
}

impl Size {
    fn parse(text: &str, line: usize, layout: Layout, symmetric: bool) -> Result<Self, Wrong> {
        let numbers = text.split_whitespace().map(|w| w.parse().ok()).collect::<Option<Vec<_>>>();
        let (rows, columns, listed) = match (layout, numbers.as_deref()) {
            (Layout::Coordinate, Some(&[rows, columns, entries])) => (rows, columns, Some(entries)),
            (Layout::Array, Some(&[rows, columns])) => (rows, columns, None),
            (Layout::Coordinate, _) => {
                return Err(Wrong::at(line, "the size line must be `rows columns entries`"));
            }
            (Layout::Array, _) => {
                return Err(Wrong::at(line, "the size line must be `rows columns`"));
            }
        };
        check_size(rows, columns, line)?;
        if symmetric && rows != columns {
            return Err(Wrong::at(
                line,
                format!("{rows} × {columns} is not square and cannot be symmetric; write general"),
            ));
        }
        let triangle = if symmetric { rows * (rows + 1) / 2 } else { rows * columns };
        Ok(Self { rows, columns, entries: listed.unwrap_or(triangle) })
    }

    /// Where the entry with this index stands in an array file: column by column, of symmetric
    /// matrices the lower triangle.
    fn place(&self, index: usize, symmetric: bool) -> (usize, usize) {
        if !symmetric {
            return (index % self.rows, index / self.rows);
        }
        let (mut column, mut left) = (0, index);
        while left >= self.rows - column {
            left -= self.rows - column;
            column += 1;
        }
        (column + left, column)
    }
}

fn coordinate(line: &str, at: usize, size: &Size) -> Result<(usize, usize, f64), Wrong> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let &[row, column, value] = words.as_slice() else {
        return Err(Wrong::at(
            at,
            format!("{} words; an entry is `row column value`", words.len()),
        ));
    };
    let index = |word: &str, count: usize, name: &str| {
        word.parse::<usize>().ok().filter(|i| (1..=count).contains(i)).map(|i| i - 1).ok_or_else(
            || {
                let what = format!("{name} {word} is outside 1 to {count}; indices count from 1");
                Wrong::at(at, what)
            },
        )
    };
    Ok((index(row, size.rows, "row")?, index(column, size.columns, "column")?, number(value, at)?))
}

/// Writes an array file, column by column.
pub(super) fn render(matrix: &ArrayRef2<f64>) -> String {
    let mut text = String::from("%%MatrixMarket matrix array real general\n");
    let _ = writeln!(text, "{} {}", matrix.nrows(), matrix.ncols());
    for column in matrix.columns() {
        for value in column {
            push_number(&mut text, *value);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn refused(text: &str) -> String {
        let wrong = parse(text).expect_err(text);
        format!("{}: {}", wrong.place, wrong.what)
    }

    #[test]
    fn coordinate_files() {
        let general = "%%MatrixMarket matrix coordinate real general\n% a comment\n\n\
                       2 3 3\n1 1 1.5\n2 3 -2e-1\n% in between\n1 2 4\n";
        assert_eq!(parse(general), Ok(array![[1.5, 4.0, 0.0], [0.0, 0.0, -0.2]]));
        let symmetric =
            "%%matrixmarket MATRIX coordinate integer Symmetric\r\n2 2 2\r\n1 1 2\r\n2 1 -1\r\n";
        assert_eq!(parse(symmetric), Ok(array![[2.0, -1.0], [-1.0, 0.0]]));
        let upper = "%%MatrixMarket matrix coordinate real symmetric\n2 2 1\n1 2 3\n";
        assert_eq!(parse(upper), Ok(array![[0.0, 3.0], [3.0, 0.0]]));
    }

    #[test]
    fn array_files_go_column_by_column() {
        let general = "%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n4\n";
        assert_eq!(parse(general), Ok(array![[1.0, 3.0], [2.0, 4.0]]));
        let symmetric = "%%MatrixMarket matrix array real symmetric\n3 3\n1\n2\n3\n4\n5\n6\n";
        assert_eq!(parse(symmetric), Ok(array![[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]]));
    }

    #[test]
    fn errors_name_line_and_remedy() {
        let coordinate = "%%MatrixMarket matrix coordinate real general\n";
        let symmetric = "%%MatrixMarket matrix coordinate real symmetric\n";
        for (text, expect) in [
            ("1 0\n0 1\n", ":1: the first line must be"),
            ("%%MatrixMarket matrix coordinate complex general\n", ":1: entries are complex"),
            ("%%MatrixMarket matrix coordinate real hermitian\n", ":1: the matrix is hermitian"),
            (coordinate, "the size line is missing"),
            (&format!("{coordinate}2 2\n"), ":2: the size line must be"),
            (&format!("{coordinate}2 2 2\n1 1 1\n"), ": the size line promises 2 entries but 1"),
            (&format!("{coordinate}2 2 1\n1 1 1\n2 2 1\n"), ":4: more entries than the 1"),
            (&format!("{coordinate}2 2 1\n0 1 1\n"), ":3: row 0 is outside 1 to 2"),
            (&format!("{coordinate}2 2 1\n1 3 1\n"), ":3: column 3 is outside 1 to 2"),
            (&format!("{coordinate}2 2 1\n1 1 NaN\n"), ":3: NaN is not finite"),
            (&format!("{coordinate}2 2 1\n1 1 x\n"), ":3: \"x\" is not a number"),
            (&format!("{coordinate}2 2 1\n1 1\n"), ":3: 2 words"),
            (&format!("{coordinate}2 2 2\n1 1 1\n1 1 2\n"), ":4: entry (1, 1) is given twice"),
            (&format!("{symmetric}2 2 2\n2 1 1\n1 2 1\n"), ":4: entry (1, 2) is given twice (a"),
            (&format!("{symmetric}2 3 1\n2 1 1\n"), ":2: 2 × 3 is not square"),
            (&format!("{coordinate}999999999 999999999 1\n1 1 1\n"), ":2: 999999999 × 999999999"),
            (
                "%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n",
                "promises 4 entries but 3",
            ),
            ("%%MatrixMarket matrix array real general\n1 1\n1 2\n", ":3: \"1 2\" is not a number"),
        ] {
            let message = refused(text);
            assert!(message.contains(expect), "{message} lacks {expect}");
        }
    }
}
