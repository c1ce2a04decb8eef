//! IDX files: the format of MNIST (<http://yann.lecun.com/exdb/mnist/>). A magic number whose third
//! octet is the type (8: unsigned octets) and whose fourth the number of dimensions, the dimensions as
//! big-endian 32-bit numbers, then the values, the last dimension fastest.

/// Unsigned octets with their shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// Sizes of the dimensions.
    pub shape: Vec<usize>,
    /// Values, the last dimension fastest.
    pub values: Vec<u8>,
}

/// What is wrong with an IDX file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdxError {
    /// Not this format, or of values that are not unsigned octets.
    #[error(
        "it starts with {0:02x?}, not with an IDX header of unsigned octets (00 00 08 and the number of dimensions): decompress it first, or fetch it again"
    )]
    Magic(Vec<u8>),
    /// It ends too soon.
    #[error("it is cut off: {found} octets where its header says {needed}; fetch it again")]
    Truncated {
        /// Octets there are.
        found: usize,
        /// Octets that its header asks for.
        needed: usize,
    },
    /// It goes on after its values.
    #[error("{0} octets follow its values; fetch it again")]
    TooLong(usize),
    /// A shape that no memory holds.
    #[error("its shape {0:?} is too large; fetch it again")]
    TooLarge(Vec<usize>),
}

/// Reads an IDX file of unsigned octets.
///
/// # Errors
/// What is wrong with it.
pub fn parse(bytes: &[u8]) -> Result<Idx, IdxError> {
    let &[0, 0, 8, dimensions, ref rest @ ..] = bytes else {
        return Err(IdxError::Magic(bytes.iter().copied().take(4).collect()));
    };
    let header = 4 * usize::from(dimensions);
    let Some((sizes, values)) = rest.split_at_checked(header) else {
        return Err(IdxError::Truncated { found: bytes.len(), needed: 4 + header });
    };
    let sizes = sizes.chunks_exact(4).map(|s| u32::from_be_bytes([s[0], s[1], s[2], s[3]]));
    let shape: Vec<usize> = sizes.map(|size| size as usize).collect();
    let Some(count) = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size)) else {
        return Err(IdxError::TooLarge(shape));
    };
    if values.len() < count {
        let needed = count.saturating_add(4 + header);
        return Err(IdxError::Truncated { found: bytes.len(), needed });
    }
    if values.len() > count {
        return Err(IdxError::TooLong(values.len() - count));
    }
    Ok(Idx { shape, values: values.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: [u8; 18] = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 9, 8, 7, 6, 5, 4];

    #[test]
    fn a_file_reads_with_its_shape() {
        let idx = parse(&FILE).unwrap();
        assert_eq!((idx.shape, idx.values), (vec![2, 3], vec![9, 8, 7, 6, 5, 4]));
    }

    #[test]
    fn any_shorter_or_longer_file_is_refused() {
        for length in 0..FILE.len() {
            let error = parse(&FILE[..length]).unwrap_err();
            match error {
                IdxError::Magic(_) => assert!(length < 4),
                IdxError::Truncated { found, .. } => assert_eq!(found, length),
                other => panic!("{other}"),
            }
        }
        assert_eq!(parse(&[&FILE[..], &[1]].concat()), Err(IdxError::TooLong(1)));
        let mut floats = FILE;
        floats[2] = 0x0D;
        assert!(parse(&floats).unwrap_err().to_string().contains("0d"));
        let mut large = FILE;
        large[4..12].fill(255);
        assert!(matches!(parse(&large), Err(IdxError::Truncated { .. } | IdxError::TooLarge(_))));
    }
}
