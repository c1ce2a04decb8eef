//! `NumPy`'s `.npy`: arrays of one or two dimensions, of floats or integers, of either byte and index
//! order.

use std::borrow::Cow;
use std::io;

use ndarray::{Array, Array2, ArrayRef2, Axis, Dimension, Ix1, Ix2};
use ndarray_npy::{ReadNpyError, ReadNpyExt, ReadableElement, WriteNpyExt};

use super::Wrong;

/// Parses a file that holds a matrix.
pub(super) fn parse(bytes: &[u8]) -> Result<Array2<f64>, Wrong> {
    check_header(bytes)?;
    entries::<Ix2>(bytes).map_err(|error| Wrong::file(explain(&error)))
}

/// Parses a file that holds a vector, of one dimension or as a matrix: the result has one column, or the
/// shape of the matrix.
pub(super) fn parse_vector(bytes: &[u8]) -> Result<Array2<f64>, Wrong> {
    check_header(bytes)?;
    match entries::<Ix1>(bytes) {
        Err(ReadNpyError::WrongNdim(..)) => {}
        vector => {
            let column = vector.map(|vector| vector.insert_axis(Axis(1)));
            return column.map_err(|error| Wrong::file(explain(&error)));
        }
    }
    entries::<Ix2>(bytes).map_err(|error| {
        Wrong::file(match error {
            ReadNpyError::WrongNdim(_, found) => format!(
                "the array has {found} dimensions; a vector has 1, or 2 with one row or one column: \
                 reshape it (a.reshape(-1))"
            ),
            error => explain(&error),
        })
    })
}

/// Refuses what would take memory or time before it is known to be wrong.
fn check_header(bytes: &[u8]) -> Result<(), Wrong> {
    if let Some(header) = header(bytes) {
        // The reader takes memory for what the header promises before it looks at what is there,
        if promised_entries(&header).is_some_and(|entries| entries > bytes.len()) {
            return Err(Wrong::file(explain(&ReadNpyError::MissingData)));
        }
        // and time that doubles with each bracket in another.
        if nesting(&header) > MAX_NESTING {
            return Err(Wrong::file(
                "the header is not one that NumPy writes (brackets in brackets); save it again \
                 with numpy.save",
            ));
        }
    }
    Ok(())
}

fn entries<D: Dimension>(bytes: &[u8]) -> Result<Array<f64, D>, ReadNpyError> {
    let mut result = Array::<f64, D>::read_npy(bytes);
    let others = [as_type::<f32, D>, as_type::<i64, D>, as_type::<i32, D>];
    for read in others {
        if !matches!(result, Err(ReadNpyError::WrongDescriptor(_))) {
            break;
        }
        result = read(bytes);
    }
    result
}

/// Most brackets in each other that are looked into: a header of records has four.
const MAX_NESTING: usize = 6;

/// The header's text; `None` where the file is shorter, which the reader says in its own words.
fn header(bytes: &[u8]) -> Option<Cow<'_, str>> {
    const LENGTH_AT: usize = 8;
    let length = bytes.get(LENGTH_AT..)?;
    let (length, text) = if bytes.get(6) == Some(&1) {
        let (length, text) = length.split_first_chunk()?;
        (usize::from(u16::from_le_bytes(*length)), text)
    } else {
        let (length, text) = length.split_first_chunk()?;
        (u32::from_le_bytes(*length) as usize, text)
    };
    Some(String::from_utf8_lossy(text.get(..length)?))
}

/// Most brackets that are open at once.
fn nesting(header: &str) -> usize {
    let open = header.chars().scan(0_usize, |depth, c| {
        match c {
            '(' | '[' | '{' => *depth += 1,
            ')' | ']' | '}' => *depth = depth.saturating_sub(1),
            _ => {}
        }
        Some(*depth)
    });
    open.max().unwrap_or(0)
}

/// The number of entries that the header promises, at most `usize::MAX`.
fn promised_entries(header: &str) -> Option<usize> {
    // The shape is the only tuple of numbers; a header may repeat it.
    let tuples = header.split('(').skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    tuples.filter(|tuple| !tuple.contains(['\'', '"'])).map(entries_of).max()
}

/// The product of a tuple of whole numbers; `usize::MAX` where one is written in a way that `NumPy`
/// does not write.
fn entries_of(tuple: &str) -> usize {
    let sides = tuple.split(',').map(str::trim).filter(|side| !side.is_empty());
    let side = |side: &str| side.trim_end_matches('L').parse().unwrap_or(usize::MAX);
    sides.map(side).fold(1, usize::saturating_mul)
}

trait Wide: ReadableElement + Copy {
    fn wide(self) -> f64;
}

impl Wide for f32 {
    fn wide(self) -> f64 {
        self.into()
    }
}

impl Wide for i64 {
    fn wide(self) -> f64 {
        self as f64
    }
}

impl Wide for i32 {
    fn wide(self) -> f64 {
        self.into()
    }
}

fn as_type<T: Wide, D: Dimension>(bytes: &[u8]) -> Result<Array<f64, D>, ReadNpyError> {
    Array::<T, D>::read_npy(bytes).map(|array| array.mapv(Wide::wide))
}

fn explain(error: &ReadNpyError) -> String {
    match error {
        ReadNpyError::ParseHeader(inner) => {
            format!("this is not a complete .npy file ({inner}); save it again with numpy.save")
        }
        ReadNpyError::Io(_) | ReadNpyError::MissingData => {
            "the file is truncated; save it again with numpy.save".into()
        }
        ReadNpyError::ExtraBytes(count) => {
            format!("{count} bytes follow after the array; save one array a file with numpy.save")
        }
        ReadNpyError::WrongNdim(_, found) => {
            format!("the array has {found} dimensions; a matrix has 2, reshape it")
        }
        ReadNpyError::WrongDescriptor(descriptor) => {
            format!("entries are {descriptor}; convert them with a.astype(float)")
        }
        other => format!("{other}; save it again with numpy.save"),
    }
}

/// Writes a file of little-endian doubles.
pub(super) fn render(matrix: &ArrayRef2<f64>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    matrix.write_npy(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, array};

    use super::*;

    #[test]
    fn other_types_and_orders_are_read() {
        let a = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let mut bytes = Vec::new();
        a.mapv(|x| x as f32).write_npy(&mut bytes).unwrap();
        assert_eq!(parse(&bytes), Ok(a.clone()));
        bytes.clear();
        a.mapv(|x| x as i64).write_npy(&mut bytes).unwrap();
        assert_eq!(parse(&bytes), Ok(a.clone()));
        bytes.clear();
        a.t().write_npy(&mut bytes).unwrap();
        assert_eq!(parse(&bytes), Ok(a.t().to_owned()));
    }

    #[test]
    fn vectors_of_one_dimension_and_as_matrices() {
        let b = Array1::from(vec![1.0, -2.0, 3.5]);
        let column = b.clone().insert_axis(Axis(1));
        let row = b.clone().insert_axis(Axis(0));
        let mut bytes = Vec::new();
        b.write_npy(&mut bytes).unwrap();
        assert_eq!(parse_vector(&bytes), Ok(column.clone()));
        bytes.clear();
        b.mapv(|x| x as f32).write_npy(&mut bytes).unwrap();
        assert_eq!(parse_vector(&bytes), Ok(column.clone()));
        assert_eq!(parse_vector(&render(&column).unwrap()), Ok(column.clone()));
        assert_eq!(parse_vector(&render(&row).unwrap()), Ok(row));
        let cube = b.insert_axis(Axis(0)).insert_axis(Axis(0));
        bytes.clear();
        cube.write_npy(&mut bytes).unwrap();
        let wrong = parse_vector(&bytes).expect_err("three dimensions");
        assert!(wrong.what.contains("3 dimensions; a vector has 1"), "{wrong:?}");
        let whole = render(&column).unwrap();
        let wrong = parse_vector(&whole[..whole.len() - 1]).expect_err("truncated");
        assert!(wrong.what.contains("truncated"), "{wrong:?}");
    }

    /// A header that promises terabytes takes no memory.
    #[test]
    fn sizes_beyond_the_file_are_refused_before_they_take_memory() {
        let whole = render(&array![[1.0, 2.0], [3.0, 4.0]]).unwrap();
        let header = header(&whole).unwrap().into_owned();
        assert_eq!(promised_entries(&header), Some(4));
        for shape in [
            "(1000000, 1000000)",
            "(4294967296, 4294967296)",
            "(1_000_000,1000000L)",
            "(1,0xffffffffff)",
        ] {
            let longer = header.replace("(2, 2)", shape);
            let length = (longer.len() as u16).to_le_bytes();
            let bytes = [&whole[..8], &length, longer.as_bytes(), &whole[128..]].concat();
            let wrong = parse(&bytes).expect_err(shape);
            assert!(wrong.what.contains("truncated"), "{wrong:?}");
        }
    }

    /// The reader would need 2^20 times as long as for one bracket.
    #[test]
    fn nested_headers_are_refused_before_they_take_time() {
        let text = "{".repeat(20) + "\n";
        let length = (text.len() as u16).to_le_bytes();
        let bytes = [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes()].concat();
        let wrong = parse(&bytes).expect_err("nested");
        assert!(wrong.what.contains("brackets in brackets"), "{wrong:?}");
    }

    #[test]
    fn errors_name_the_remedy() {
        let whole = render(&array![[1.0, 2.0], [3.0, 4.0]]).unwrap();
        let mut vector = Vec::new();
        Array1::from(vec![1.0, 2.0]).write_npy(&mut vector).unwrap();
        let mut flags = Vec::new();
        array![[true, false], [false, true]].write_npy(&mut flags).unwrap();
        let mut longer = whole.clone();
        longer.push(0);
        for (bytes, expect) in [
            (&whole[..whole.len() - 3], "truncated"),
            (&whole[..20], "save it again"),
            (b"not numpy at all, only text", "not a complete .npy"),
            (&longer, "1 bytes follow"),
            (&vector, "1 dimensions"),
            (&flags, "astype(float)"),
        ] {
            let wrong = parse(bytes).expect_err(expect);
            assert!(wrong.what.contains(expect), "{} lacks {expect}", wrong.what);
        }
    }
}
