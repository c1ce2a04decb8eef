//! Slices of f32 in serde formats as base64 of their bits, little-endian: exact, also in JSON.

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub(crate) fn serialize<S: Serializer>(values: &[f32], to: S) -> Result<S::Ok, S::Error> {
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    to.serialize_str(&BASE64.encode(&bytes))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
    let text = String::deserialize(from)?;
    let bytes = BASE64.decode(text.as_bytes()).map_err(D::Error::custom)?;
    let (values, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(D::Error::custom("no whole number of f32 values"));
    }
    Ok(values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}
