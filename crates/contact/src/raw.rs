//! What arrived, byte for byte: inside the event while it is small, as a reference when it is large.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Up to here, in bytes, a raw rides inside the event; NATS refuses messages over 1 MB by default.
pub const INLINE_LIMIT: usize = 32 * 1024;

/// A raw as the event carries it. With neither `text` nor `base64` it lies in the blob store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raw {
    /// Lower-case hex.
    pub sha256: String,
    /// In bytes.
    pub size: u64,
    pub media_type: String,
    /// The bytes, where they are printable UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The bytes otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// A raw as a connector hands it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBytes {
    pub media_type: String,
    pub bytes: Vec<u8>,
}

impl RawBytes {
    pub fn new(media_type: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { media_type: media_type.into(), bytes: bytes.into() }
    }

    /// The reference alone: for a raw that goes to the blob store.
    pub fn reference(&self) -> Raw {
        Raw {
            sha256: hex::encode(Sha256::digest(&self.bytes)),
            size: self.bytes.len() as u64,
            media_type: self.media_type.clone(),
            text: None,
            base64: None,
        }
    }

    /// The raw with its bytes inside. NUL and other control characters travel as base64, because
    /// PostgreSQL refuses `\u0000`.
    pub fn inline(&self) -> Raw {
        let mut raw = self.reference();
        match std::str::from_utf8(&self.bytes) {
            // No byte of a longer character is below 0x80, so bytes tell; C1 controls are harmless.
            Ok(text)
                if !self
                    .bytes
                    .iter()
                    .any(|b| b.is_ascii_control() && !matches!(b, b'\r' | b'\n' | b'\t')) =>
            {
                raw.text = Some(text.to_owned());
            }
            _ => raw.base64 = Some(STANDARD.encode(&self.bytes)),
        }
        raw
    }

    pub fn fits_inline(&self) -> bool {
        self.bytes.len() <= INLINE_LIMIT
    }
}

impl Raw {
    /// The bytes, when they are inside; `None` when they lie in the blob store.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match (&self.text, &self.base64) {
            (Some(text), _) => Some(text.as_bytes().to_vec()),
            (None, Some(coded)) => STANDARD.decode(coded).ok(),
            (None, None) => None,
        }
    }

    /// Where the blob store keeps it: `raw/ab/abcdef…`.
    pub fn blob_path(&self) -> String {
        let shard: String = self.sha256.chars().take(2).collect();
        format!("raw/{shard}/{}", self.sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_went_in_comes_out(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let raw = RawBytes::new("application/octet-stream", bytes.clone()).inline();
            prop_assert_eq!(raw.bytes(), Some(bytes.clone()));
            prop_assert_eq!(raw.size, bytes.len() as u64);
        }
    }

    #[test]
    fn a_reference_has_no_bytes() {
        let raw = RawBytes::new("text/plain", "hello").reference();
        assert_eq!(raw.bytes(), None);
        assert_eq!(raw.blob_path(), format!("raw/2c/{}", raw.sha256));
    }
}
