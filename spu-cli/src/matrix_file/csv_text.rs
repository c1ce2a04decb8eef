//! Comma-separated values: one row a line, numbers only; lines that start with # are comments.

use ndarray::{Array2, ArrayRef2};

use super::{Wrong, check_size, number, push_number};

/// Parses a file.
pub(super) fn parse(text: &str) -> Result<Array2<f64>, Wrong> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut values = Vec::new();
    let (mut rows, mut columns) = (0, 0);
    for record in reader.records() {
        let record = record.map_err(|error| Wrong::file(error.to_string()))?;
        let line = record.position().map_or(0, |position| position.line() as usize);
        if rows == 0 {
            columns = record.len();
            check_size(1, columns, line)?;
        } else if record.len() != columns {
            return Err(Wrong::at(
                line,
                format!(
                    "{} values where the rows before have {columns}; give every row as many (is \
                     the file truncated?)",
                    record.len()
                ),
            ));
        }
        for field in &record {
            values.push(value(field, line)?);
        }
        rows += 1;
        check_size(rows, columns, line)?;
    }
    if rows == 0 {
        return Err(Wrong::file("there are no numbers; write one row a line"));
    }
    // Whole rows only, so the count is right.
    Array2::from_shape_vec((rows, columns), values).map_err(|error| Wrong::file(error.to_string()))
}

fn value(field: &str, line: usize) -> Result<f64, Wrong> {
    if field.is_empty() {
        return Err(Wrong::at(line, "a value is missing; write 0 where nothing is meant"));
    }
    number(field, line).map_err(|wrong| {
        if field.contains([';', '\t', ' ']) {
            Wrong::at(line, format!("{field:?} is not a number; separate the values by commas"))
        } else if line == 1 && field.parse::<f64>().is_err() {
            Wrong::at(line, format!("{field:?} is not a number; remove the line of column names"))
        } else {
            wrong
        }
    })
}

/// Writes a file.
pub(super) fn render(matrix: &ArrayRef2<f64>) -> String {
    let mut text = String::new();
    for row in matrix.rows() {
        for (column, value) in row.iter().enumerate() {
            if column > 0 {
                text.push(',');
            }
            push_number(&mut text, *value);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn numbers_comments_and_blanks() {
        let text = "# conductances, in siemens\n 2.5, -1 \n\n-1,1e3\r\n";
        assert_eq!(parse(text), Ok(array![[2.5, -1.0], [-1.0, 1000.0]]));
    }

    #[test]
    fn errors_name_line_and_remedy() {
        for (text, expect) in [
            ("1,2\n3\n", ":2: 1 values where the rows before have 2"),
            ("1,2\n3,\n", ":2: a value is missing"),
            ("1,2\n3,nan\n", ":2: nan is not finite"),
            ("1,2\n3,inf\n", ":2: inf is not finite"),
            ("a,b\n3,1\n", ":1: \"a\" is not a number; remove the line of column names"),
            ("1;2\n3;1\n", ":1: \"1;2\" is not a number; separate"),
            ("1,2\n3,x4\n", ":2: \"x4\" is not a number; write numbers"),
            ("# nothing\n", "there are no numbers"),
        ] {
            let wrong = parse(text).expect_err(text);
            let message = format!("{}: {}", wrong.place, wrong.what);
            assert!(message.contains(expect), "{message} lacks {expect}");
        }
    }
}
