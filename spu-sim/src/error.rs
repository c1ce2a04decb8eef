//! Errors of the simulator.

use crate::profile::NAMES;

/// Why a board profile cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// No profile of this name comes with the simulator.
    #[error("no board profile {name:?}; there are {}", NAMES.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// Not a TOML document with a profile's fields.
    #[error("board profile{}: {message}", file_name(file.as_ref()))]
    Syntax {
        /// The file, if known.
        file: Option<String>,
        /// Line, field and what is wrong with it.
        message: String,
    },
    /// The file cannot be read.
    #[error("board profile {file} cannot be read: {why}")]
    Read {
        /// The file.
        file: String,
        /// What the operating system says.
        why: String,
    },
    /// A value that a board cannot have.
    #[error("board profile{}: {field}: {why}", file_name(file.as_ref()))]
    Field {
        /// The file, if known.
        file: Option<String>,
        /// Table and key.
        field: String,
        /// What is wrong and what would be right.
        why: String,
    },
}

fn file_name(file: Option<&String>) -> String {
    file.map_or_else(String::new, |file| format!(" {file}"))
}

impl ProfileError {
    /// The same error, naming the file it is in.
    #[must_use]
    pub fn in_file(mut self, name: &str) -> Self {
        match &mut self {
            Self::Unknown { .. } | Self::Read { .. } => {}
            Self::Syntax { file, .. } | Self::Field { file, .. } => *file = Some(name.to_owned()),
        }
        self
    }
}

/// Why a simulated board cannot be made or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The profile is not usable.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// Not a non-ideality of the simulator.
    #[error("{name:?} cannot be switched off; {known} can")]
    UnknownNonIdeality {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A fault in a part that the board does not have.
    #[error("this board has no {what} {index}; it has {count}")]
    NoSuchPart {
        /// The kind of part.
        what: &'static str,
        /// The index asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// A fault in cells, of a board that has none.
    #[error(
        "{profile} has an array in place of cells, in which no faults are modelled; inject those of the \
         FPGA: slow-fifo, hang, brown-out, restart"
    )]
    NoCells {
        /// Profile.
        profile: String,
    },
    /// Not the name of a fault.
    #[error("{text:?} is not a fault; there are {known}")]
    UnknownFault {
        /// What was asked for.
        text: String,
        /// The forms.
        known: &'static str,
    },
    /// A fault with a value that the board cannot have.
    #[error("no fault has the {what} {value}; there are {range}")]
    FaultValue {
        /// The kind of value.
        what: &'static str,
        /// The value asked for.
        value: String,
        /// What there is.
        range: String,
    },
}
