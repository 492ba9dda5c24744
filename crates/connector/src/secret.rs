//! A secret of the configuration: compared in constant time, never printed, and read anew from its file where
//! that may change.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{Deserialize, Deserializer, Visitor};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

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

    /// Whether `other` is the same text. The time it takes tells neither where they differ nor how
    /// long the secret is.
    pub fn is(&self, other: &[u8]) -> bool {
        Sha256::digest(self.expose()).ct_eq(&Sha256::digest(other)).into()
    }

    /// The bytes, to key a signature with.
    pub fn expose(&self) -> &[u8] {
        self.expose_text().as_bytes()
    }

    /// The text, to log in with.
    pub fn expose_text(&self) -> &str {
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

/// Text fields that may arrive as a number or a truth value: an environment variable has no types, so
/// `FRONTDESK__PHONE__MAIN__AUTH_TOKEN=123` is read as a number.
pub mod lenient {
    use super::*;

    /// A text, or a scalar as its text.
    ///
    /// # Errors
    /// When it is a list or a table.
    pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(Scalar)
    }

    /// The same where the field may be absent.
    ///
    /// # Errors
    /// When it is a list or a table.
    pub fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
        text(deserializer).map(Some)
    }

    /// A list of such texts.
    ///
    /// # Errors
    /// When it is no list, or one of lists or tables.
    pub fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        struct Text(String);
        impl<'de> Deserialize<'de> for Text {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text(deserializer).map(Text)
            }
        }
        Vec::<Text>::deserialize(deserializer).map(|all| all.into_iter().map(|Text(text)| text).collect())
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

        fn visit_i128<E>(self, value: i128) -> Result<String, E> {
            Ok(value.to_string())
        }

        fn visit_u128<E>(self, value: u128) -> Result<String, E> {
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
            assert_eq!(given.read().unwrap().expose(), read.as_bytes(), "{written:?}");
        }
        std::fs::write(&path, "a".repeat(70_000)).unwrap();
        assert!(given.read().is_err(), "no secret is that long");
    }

    #[test]
    fn a_secret_is_compared_and_not_printed() {
        let secret = Secret::new("hush-hush");
        assert!(secret.is(b"hush-hush"));
        assert!(!secret.is(b"hush-hus") && !secret.is(b"") && !secret.is(b"hush-hush "));
        assert_eq!(format!("{:?}", Given::Text(secret)), "Text([redacted])");
    }

    #[test]
    fn an_environment_has_no_types() {
        for (written, read) in
            [("\"a\"", "a"), ("123", "123"), ("-1", "-1"), ("true", "true"), ("1.5", "1.5")]
        {
            assert_eq!(serde_json::from_str::<Secret>(written).unwrap().expose_text(), read);
        }
        for none in ["[]", "{}", "null"] {
            assert!(serde_json::from_str::<Secret>(none).is_err(), "{none}");
        }
        let read = lenient::list(&mut serde_json::Deserializer::from_str("[1, \"a\"]")).unwrap();
        assert_eq!(read, ["1", "a"]);
    }
}
