//! A secret of the configuration: never printed, and read anew from its file where that may change.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{Deserialize, Deserializer, Visitor};

/// The most bytes of a secret file that are read.
const LONGEST: u64 = 64 * 1024;

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
    /// When the file cannot be read, is not UTF-8, or is longer than 64 KiB.
    pub fn from_file(path: &Path) -> std::io::Result<Self> {
        use std::io::Read as _;
        let mut text = String::new();
        std::fs::File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
        if text.len() as u64 > LONGEST {
            return Err(std::io::Error::other("it is too long for a secret"));
        }
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Ok(Self::new(text))
    }

    /// The text, to log in with.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::text(deserializer).map(Secret::new)
    }
}

/// Where a secret is: a file is read again at every use, because somebody else may renew it.
#[derive(Clone, Debug)]
pub enum Given {
    Text(Secret),
    File(PathBuf),
}

impl Given {
    /// The secret as it is now.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn read(&self) -> std::io::Result<Secret> {
        match self {
            Given::Text(secret) => Ok(secret.clone()),
            Given::File(path) => Secret::from_file(path),
        }
    }
}

/// Text fields that may arrive as a number or a truth value, because an environment variable has no
/// types: `FRONTDESK__EMAIL__SUPPORT__PASSWORD=123` is read as a number.
pub(crate) mod lenient {
    use super::*;

    /// A text, or a scalar as its text.
    pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(Scalar)
    }

    /// The same where the field may be absent.
    pub(crate) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
        text(deserializer).map(Some)
    }

    struct Scalar;

    impl Visitor<'_> for Scalar {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<E>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_bool<E>(self, value: bool) -> Result<String, E> {
            Ok(value.to_string())
        }

        fn visit_i64<E>(self, value: i64) -> Result<String, E> {
            Ok(value.to_string())
        }

        fn visit_u64<E>(self, value: u64) -> Result<String, E> {
            Ok(value.to_string())
        }

        fn visit_f64<E>(self, value: f64) -> Result<String, E> {
            Ok(value.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_at_every_use_and_loses_one_newline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let given = Given::File(path.clone());
        for (written, read) in [("a b \n", "a b "), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("", "")] {
            std::fs::write(&path, written).unwrap();
            assert_eq!(given.read().unwrap().expose(), read, "{written:?}");
        }
        std::fs::write(&path, "a".repeat(70_000)).unwrap();
        assert!(given.read().is_err(), "no secret is that long");
        assert_eq!(format!("{:?}", Given::Text(Secret::new("hush"))), "Text([redacted])");
    }
}
