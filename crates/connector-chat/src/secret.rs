//! A secret of the configuration: never printed.

use std::fmt;
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{Deserialize, Deserializer};

/// A text that is wiped when dropped and shows as `[redacted]`.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the text as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The content of a file without its one trailing newline (`\n` or `\r\n`).
    ///
    /// # Errors
    /// When the file cannot be read or is not UTF-8.
    pub fn from_file(path: &Path) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let text =
            text.strip_suffix('\n').map_or(text.as_str(), |rest| rest.strip_suffix('\r').unwrap_or(rest));
        Ok(Self::new(text))
    }

    /// The bytes, to key a signature with.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer).map(Secret::new)
    }
}

/// A text, or a scalar as its text: an environment variable has no types, so a secret of digits is read as
/// a number.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged, expecting = "a text")]
    enum Scalar {
        Text(String),
        Truth(bool),
        Natural(u64),
        Integer(i64),
        Real(f64),
    }
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Text(text) => text,
        Scalar::Truth(truth) => truth.to_string(),
        Scalar::Natural(number) => number.to_string(),
        Scalar::Integer(number) => number.to_string(),
        Scalar::Real(number) => number.to_string(),
    })
}

/// The same where the field may be absent.
pub(crate) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    text(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_file_loses_one_newline_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (written, read) in [("a b \n", "a b "), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("", "")] {
            std::fs::write(&path, written).unwrap();
            assert_eq!(Secret::from_file(&path).unwrap().expose(), read.as_bytes(), "{written:?}");
        }
        assert_eq!(format!("{:?}", Secret::new("hush")), "[redacted]");
    }
}
