//! Matrix files: Matrix Market, `NumPy` and CSV, chosen by the ending of the file's name.

mod atomic;
mod csv_text;
mod market;
mod npy;

use std::fmt::{self, Write as _};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayRef2};

pub use atomic::{check_writable, write_atomically};

/// Most entries of a file that is read: boards have tens of cells, and a wrong size line must not
/// take all memory.
const MAX_ENTRIES: usize = 1 << 24;

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The name tells no format.
    #[error(
        "{path:?}: the ending tells no known format; use .mtx (Matrix Market), .npy (NumPy) or .csv"
    )]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read {}: {source}; {}", path.display(), read_advice(source))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds no matrix.
    #[error("{}{place}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: Place,
        /// What is wrong and the remedy.
        what: String,
    },
    /// It cannot be written.
    #[error("cannot write {}: {source}; {}", path.display(), write_advice(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn read_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "allow reading it (chmod +r)",
        io::ErrorKind::IsADirectory => "name a file in that directory",
        _ => "check the disk and the path",
    }
}

fn write_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded => {
            "free some space or write elsewhere; no partial file is left"
        }
        io::ErrorKind::NotFound => "create its directory first",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "write to a directory that you own"
        }
        io::ErrorKind::IsADirectory => "name a file in that directory",
        _ => "write elsewhere; no partial file is left",
    }
}

/// Where in a file something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The whole of it.
    File,
    /// A line, from 1.
    Line(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => Ok(()),
            Self::Line(line) => write!(f, ":{line}"),
        }
    }
}

/// What is wrong with the content of a file, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where it is.
    pub place: Place,
    /// What is wrong and the remedy.
    pub what: String,
}

impl Wrong {
    fn at(line: usize, what: impl Into<String>) -> Self {
        Self { place: Place::Line(line), what: what.into() }
    }

    fn file(what: impl Into<String>) -> Self {
        Self { place: Place::File, what: what.into() }
    }
}

/// Format of a matrix file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Matrix Market.
    MatrixMarket,
    /// `NumPy`'s array.
    Npy,
    /// Comma-separated values.
    Csv,
}

impl Format {
    /// The format that a path's ending tells.
    ///
    /// # Errors
    /// [`FileError::Format`] if it tells none.
    pub fn of(path: &Path) -> Result<Self, FileError> {
        let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        match ending.as_deref() {
            Some("mtx" | "mm") => Ok(Self::MatrixMarket),
            Some("npy") => Ok(Self::Npy),
            Some("csv") => Ok(Self::Csv),
            _ => Err(FileError::Format { path: path.into() }),
        }
    }
}

/// Reads a matrix of real numbers.
///
/// # Errors
/// [`FileError`], naming file, line and remedy.
pub fn read(path: &Path) -> Result<Array2<f64>, FileError> {
    read_as(path, parse)
}

fn read_as(
    path: &Path,
    parse: impl FnOnce(Format, &[u8]) -> Result<Array2<f64>, Wrong>,
) -> Result<Array2<f64>, FileError> {
    let format = Format::of(path)?;
    let bytes = fs::read(path).map_err(|source| FileError::Read { path: path.into(), source })?;
    let parsed = parse(format, &bytes);
    parsed.map_err(|wrong| FileError::Content {
        path: path.into(),
        place: wrong.place,
        what: wrong.what,
    })
}

/// A vector, or a matrix that is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Shaped {
    /// Of one dimension, one row or one column.
    Vector(Vec<f64>),
    /// Of at least two rows and columns.
    Matrix(Array2<f64>),
}

/// Reads a file that should hold a vector: one column, one row, or an `.npy` array of one dimension.
///
/// # Errors
/// [`FileError`], naming file, line and remedy.
pub fn read_vector_or_matrix(path: &Path) -> Result<Shaped, FileError> {
    let entries = read_as(path, |format, bytes| match format {
        Format::Npy if !bytes.is_empty() => npy::parse_vector(bytes),
        _ => parse(format, bytes),
    })?;
    Ok(match entries.dim() {
        (1, _) | (_, 1) => Shaped::Vector(entries.into_iter().collect()),
        _ => Shaped::Matrix(entries),
    })
}

/// Reads a matrix from the content of a file.
///
/// # Errors
/// [`Wrong`], naming line and remedy.
pub fn parse(format: Format, bytes: &[u8]) -> Result<Array2<f64>, Wrong> {
    if bytes.is_empty() {
        return Err(Wrong::file("the file is empty; write the matrix to it first"));
    }
    if format == Format::Npy {
        return npy::parse(bytes);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').skip(1).count();
        Wrong::at(line, "this is not text; is the ending right?")
    })?;
    match format {
        Format::MatrixMarket => market::parse(text),
        _ => csv_text::parse(text),
    }
}

/// Writes a matrix, whole or not at all.
///
/// # Errors
/// [`FileError::Format`], [`FileError::Write`].
pub fn write(path: &Path, matrix: &ArrayRef2<f64>) -> Result<(), FileError> {
    let bytes = render(Format::of(path)?, matrix)
        .map_err(|source| FileError::Write { path: path.into(), source })?;
    write_atomically(path, &bytes)
}

/// The content of a file that holds this matrix.
///
/// # Errors
/// If it is too large for the format.
pub fn render(format: Format, matrix: &ArrayRef2<f64>) -> io::Result<Vec<u8>> {
    match format {
        Format::MatrixMarket => Ok(market::render(matrix).into_bytes()),
        Format::Npy => npy::render(matrix),
        Format::Csv => Ok(csv_text::render(matrix).into_bytes()),
    }
}

/// A number of a text file.
fn number(token: &str, line: usize) -> Result<f64, Wrong> {
    let value: f64 = token.parse().map_err(|_| {
        Wrong::at(line, format!("{token:?} is not a number; write numbers like -1.5e-3"))
    })?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Wrong::at(line, format!("{token} is not finite; replace it by a number")))
    }
}

/// Refuses sizes that no board and little memory holds.
fn check_size(rows: usize, columns: usize, line: usize) -> Result<(), Wrong> {
    match rows.checked_mul(columns) {
        Some(entries) if entries <= MAX_ENTRIES => Ok(()),
        _ => Err(Wrong::at(
            line,
            format!(
                "{rows} × {columns} entries are too many (at most {MAX_ENTRIES}); give a block"
            ),
        )),
    }
}

/// The shortest text that reads back as the same number.
fn push_number(text: &mut String, value: f64) {
    let size = value.abs();
    // Plain notation where it is short; both read back exactly.
    if size == 0.0 || (1e-5..1e16).contains(&size) {
        let _ = write!(text, "{value}");
    } else {
        let _ = write!(text, "{value:e}");
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn message(format: Format, bytes: &[u8]) -> String {
        let wrong = parse(format, bytes).expect_err("should be refused");
        format!("{}: {}", wrong.place, wrong.what)
    }

    #[test]
    fn every_format_gives_back_the_same_bits() {
        let dir = tempfile::tempdir().unwrap();
        let a = array![[1.0, -0.1, 1e300], [5e-324, 0.0, f64::MAX], [1.0 / 3.0, -2.5e-7, 1e22]];
        for name in ["a.mtx", "a.npy", "a.csv", "A.CSV", "a.mm"] {
            let path = dir.path().join(name);
            write(&path, &a).unwrap();
            assert_eq!(read(&path).unwrap(), a, "{name}");
        }
        // The temporary files are gone.
        assert!(fs::read_dir(dir.path()).unwrap().all(|e| {
            let name = e.unwrap().file_name().into_string().unwrap();
            name.to_ascii_lowercase().starts_with("a.")
        }));
    }

    #[test]
    fn unknown_endings_and_missing_files_are_told() {
        let error = read(Path::new("a.txt")).unwrap_err().to_string();
        assert!(error.contains(".mtx"), "{error}");
        let error = read(Path::new("/nowhere/a.mtx")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/a.mtx") && error.contains("check the path"), "{error}");
    }

    #[test]
    fn binary_content_in_a_text_format_is_told() {
        let text = message(Format::Csv, b"1,2\n\xff\xfe,3\n");
        assert!(text.starts_with(":2: this is not text"), "{text}");
    }

    #[test]
    fn an_empty_file_is_told() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["e.mtx", "e.npy", "e.csv"] {
            let path = dir.path().join(name);
            fs::write(&path, "").unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("empty"), "{error}");
        }
    }
}
