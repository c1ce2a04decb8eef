//! `NumPy`'s `.npy`: two-dimensional arrays of floats or integers, of either byte and index order.

use std::io;

use ndarray::{Array2, ArrayRef2};
use ndarray_npy::{ReadNpyError, ReadNpyExt, ReadableElement, WriteNpyExt};

use super::Wrong;

/// Parses a file.
pub(super) fn parse(bytes: &[u8]) -> Result<Array2<f64>, Wrong> {
    // The reader takes memory for what the header promises before it looks at what is there.
    if promised_entries(bytes).is_some_and(|entries| entries > bytes.len()) {
        return Err(Wrong::file(explain(&ReadNpyError::MissingData)));
    }
    let mut result = Array2::<f64>::read_npy(bytes);
    let others = [as_type::<f32>, as_type::<i64>, as_type::<i32>];
    for read in others {
        if !matches!(result, Err(ReadNpyError::WrongDescriptor(_))) {
            break;
        }
        result = read(bytes);
    }
    result.map_err(|error| Wrong::file(explain(&error)))
}

/// The number of entries that the header promises, at most `usize::MAX`; `None` where the header is
/// not understood, which the reader then says in its own words.
fn promised_entries(bytes: &[u8]) -> Option<usize> {
    const LENGTH_AT: usize = 8;
    let length = bytes.get(LENGTH_AT..)?;
    let (length, text) = if bytes.get(6) == Some(&1) {
        let (length, text) = length.split_first_chunk()?;
        (usize::from(u16::from_le_bytes(*length)), text)
    } else {
        let (length, text) = length.split_first_chunk()?;
        (u32::from_le_bytes(*length) as usize, text)
    };
    let text = String::from_utf8_lossy(text.get(..length)?);
    // The shape is the only tuple of numbers; a header may repeat it.
    let tuples = text.split('(').skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    tuples.filter(|tuple| !tuple.contains(['\'', '"'])).map(entries).max()
}

/// The product of a tuple of whole numbers; `usize::MAX` where one is written in a way that `NumPy`
/// does not write.
fn entries(tuple: &str) -> usize {
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

fn as_type<T: Wide>(bytes: &[u8]) -> Result<Array2<f64>, ReadNpyError> {
    Array2::<T>::read_npy(bytes).map(|array| array.mapv(Wide::wide))
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

    /// A header that promises terabytes takes no memory.
    #[test]
    fn sizes_beyond_the_file_are_refused_before_they_take_memory() {
        let whole = render(&array![[1.0, 2.0], [3.0, 4.0]]).unwrap();
        assert_eq!(promised_entries(&whole), Some(4));
        let header = String::from_utf8_lossy(&whole[10..128]).into_owned();
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
