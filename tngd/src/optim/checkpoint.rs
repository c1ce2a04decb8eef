//! Checkpoints: parameters and the optimizer's state in one JSON file, bit for bit.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::bits;

/// Version of the file's form.
const VERSION: u32 = 1;

/// Parameters θ and a state: [`super::State`], [`super::Descent`], or one that has them in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint<S> {
    version: u32,
    /// θ.
    #[serde(with = "bits")]
    pub theta: Vec<f32>,
    /// State.
    pub state: S,
}

/// Why a checkpoint cannot be saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file.
    #[error("checkpoint {}: {source}", path.display())]
    Io {
        /// File.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The contents.
    #[error("checkpoint {} cannot be read: {source}; it is of another optimizer or damaged, take an older one", path.display())]
    Form {
        /// File.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Another version.
    #[error("checkpoint {} is of version {found}, this program reads version {VERSION}: use the program that wrote it", path.display())]
    Version {
        /// File.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

impl<S> Checkpoint<S> {
    /// Of parameters and state.
    pub fn new(theta: Vec<f32>, state: S) -> Self {
        Self { version: VERSION, theta, state }
    }
}

impl<S: Serialize> Checkpoint<S> {
    /// Writes it to a file, which is replaced whole or not at all.
    ///
    /// # Errors
    /// [`CheckpointError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        let io = |source| CheckpointError::Io { path: path.into(), source };
        let text = serde_json::to_vec(self).map_err(|error| io(error.into()))?;
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, path)).map_err(io)
    }
}

impl<S: DeserializeOwned> Checkpoint<S> {
    /// Reads it from a file.
    ///
    /// # Errors
    /// Files that cannot be read, or are of another version or state.
    pub fn load(path: &Path) -> Result<Self, CheckpointError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let form = |source| CheckpointError::Form { path: path.into(), source };
        let text =
            fs::read(path).map_err(|source| CheckpointError::Io { path: path.into(), source })?;
        let Version { version: found } = serde_json::from_slice(&text).map_err(form)?;
        if found != VERSION {
            return Err(CheckpointError::Version { path: path.into(), found });
        }
        serde_json::from_slice(&text).map_err(form)
    }
}
