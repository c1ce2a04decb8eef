//! MNIST: handwritten digits of 28 × 28 pixels.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Examples,
    idx::{self, Idx, IdxError},
};

/// Mean and standard deviation of the training set's pixels over 255: inputs are shifted and scaled
/// by them.
const MEAN: f32 = 0.1307;
const DEVIATION: f32 = 0.3081;
/// Classes.
const DIGITS: u8 = 10;

/// The two sets, shuffled as published: the first so many are a fair choice.
#[derive(Debug, Clone)]
pub struct Mnist {
    /// 60,000 to learn from.
    pub train: Examples,
    /// 10,000 to test on.
    pub test: Examples,
}

impl Mnist {
    /// Training images that choose settings, the last so many: they are never trained on.
    pub const HELD_OUT: usize = 10_000;

    /// The training images but those that are held out, and these.
    pub fn validation(self) -> (Examples, Examples) {
        let rest = self.train.len().saturating_sub(Self::HELD_OUT);
        self.train.split(rest)
    }
}

/// Why a data set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file cannot be read.
    #[error("{}: {source}; `cargo xtask data mnist` fetches the files", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        source: IdxError,
    },
    /// A file has another shape than its kind.
    #[error("{}: its shape is {shape:?}, not {wanted}; give the files as published", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its shape.
        shape: Vec<usize>,
        /// What was expected.
        wanted: String,
    },
    /// A label that no digit has.
    #[error("{}: label {index} is {label}, not 0 to 9; fetch the file again", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// Which.
        index: usize,
        /// It.
        label: u8,
    },
}

impl Mnist {
    /// Reads the four IDX files of a folder.
    ///
    /// # Errors
    /// Files that are missing, cut off, of another shape, or with labels out of range.
    pub fn read(folder: &Path) -> Result<Self, DataError> {
        Ok(Self { train: read(folder, "train")?, test: read(folder, "t10k")? })
    }
}

fn read(folder: &Path, part: &str) -> Result<Examples, DataError> {
    let (images, _) = file(folder, &format!("{part}-images-idx3-ubyte"), 3, &[28, 28])?;
    let count = images.shape[0];
    let (labels, path) = file(folder, &format!("{part}-labels-idx1-ubyte"), 1, &[])?;
    if labels.shape != [count] {
        return Err(DataError::Shape {
            path,
            shape: labels.shape,
            wanted: format!("[{count}], one label for each image"),
        });
    }
    if let Some(index) = labels.values.iter().position(|label| *label >= DIGITS) {
        return Err(DataError::Label { path, index, label: labels.values[index] });
    }
    let value = |pixel: &u8| (f32::from(*pixel) / 255.0 - MEAN) / DEVIATION;
    Ok(Examples {
        width: 28 * 28,
        inputs: images.values.iter().map(value).collect(),
        labels: labels.values.into_iter().map(u32::from).collect(),
    })
}

fn file(
    folder: &Path,
    name: &str,
    dimensions: usize,
    last: &[usize],
) -> Result<(Idx, PathBuf), DataError> {
    let path = folder.join(name);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(source) => return Err(DataError::Read { path, source }),
    };
    let idx = match idx::parse(&bytes) {
        Ok(idx) => idx,
        Err(source) => return Err(DataError::Format { path, source }),
    };
    if idx.shape.len() != dimensions || !idx.shape.ends_with(last) {
        let wanted = format!("{dimensions} dimensions that end with {last:?}");
        return Err(DataError::Shape { path, shape: idx.shape, wanted });
    }
    Ok((idx, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IDX file.
    fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, shape.len() as u8];
        bytes.extend(shape.iter().flat_map(|size| size.to_be_bytes()));
        [bytes, values.to_vec()].concat()
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for part in ["train", "t10k"] {
            let images = idx(&[2, 28, 28], &[255; 2 * 784]);
            fs::write(folder.path().join(format!("{part}-images-idx3-ubyte")), images).unwrap();
            let labels = idx(&[2], &[3, 9]);
            fs::write(folder.path().join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
        }
        folder
    }

    #[test]
    fn images_and_labels_are_read() {
        let mnist = Mnist::read(folder().path()).unwrap();
        assert_eq!(mnist.train.labels, [3, 9]);
        assert_eq!(mnist.test.len(), 2);
        assert!((mnist.train.inputs[5] - (1.0 - MEAN) / DEVIATION).abs() < 1e-6);
    }

    #[test]
    fn what_is_wrong_names_the_file() {
        let wrong = |name: &str, bytes: Option<Vec<u8>>, part: &str| {
            let folder = folder();
            let path = folder.path().join(name);
            match bytes {
                Some(bytes) => fs::write(path, bytes).unwrap(),
                None => fs::remove_file(path).unwrap(),
            }
            let error = Mnist::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(part), "{error}");
        };
        let (images, labels) = ("t10k-images-idx3-ubyte", "train-labels-idx1-ubyte");
        wrong(images, None, "xtask data mnist");
        wrong(images, Some(idx(&[2, 28, 28], &[0; 784])), "cut off");
        wrong(images, Some(idx(&[2, 28, 27], &[0; 2 * 28 * 27])), "[2, 28, 27]");
        wrong(labels, Some(idx(&[3], &[1, 2, 3])), "one label for each image");
        wrong(labels, Some(idx(&[2], &[1, 10])), "label 1 is 10");
        wrong(labels, Some(b"<html>".to_vec()), "fetch it again");
    }
}
