//! A request that came for a known source without proving that it came from it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::event::SourceName;
use crate::raw::{Raw, RawBytes};

/// The media type of a whole HTTP request (RFC 9112 section 10.1): request line, headers, body.
pub const MESSAGE_HTTP: &str = "message/http";

/// One held request. Never shown as a contact until it is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// 32 hex digits over source and request: the same forgery sent again is the same suspect.
    pub id: String,
    pub source: SourceName,
    pub received_at: Timestamp,
    /// The peer's address, for the operator; it is nobody's identifier.
    pub peer: Option<String>,
    /// What was wrong with it, as a sentence.
    pub reason: String,
    /// The whole request as `message/http`, so that it can be verified again with another secret.
    pub request: Raw,
}

impl Suspect {
    pub fn new(
        source: SourceName,
        received_at: Timestamp,
        peer: Option<String>,
        reason: String,
        request: &RawBytes,
    ) -> Self {
        let mut hash = Sha256::new();
        hash.update(source.as_str().as_bytes());
        hash.update([0]);
        hash.update(&request.bytes);
        let full: [u8; 32] = hash.finalize().into();
        Self { id: hex::encode(&full[..16]), source, received_at, peer, reason, request: request.inline() }
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a suspect has no map with keys that are not text")
    }

    pub fn from_json(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }
}
