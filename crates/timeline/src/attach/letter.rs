//! Dead letters: what could not be read, kept with its reason.

use contact::Unreadable;
use sha2::{Digest, Sha256};

use crate::model::{Arrival, DeadLetter, LetterState};

pub(super) fn letter(arrival: &Arrival, why: &Unreadable) -> DeadLetter {
    DeadLetter {
        id: letter_id(arrival.payload.as_bytes(), &arrival.event.key.digest()),
        source: Some(arrival.event.key.source.clone()),
        received_at: arrival.event.received_at,
        reason: why.reason.clone(),
        field: why.field.clone(),
        payload: arrival.payload.clone().into_bytes(),
        state: LetterState::Open,
    }
}

/// An undecodable message is known by its bytes; an event that could not be read, by its key, so that
/// the same request sent twice is one letter.
pub(crate) fn letter_id(payload: &[u8], key: &[u8]) -> String {
    let full: [u8; 32] = if key.is_empty() { Sha256::digest(payload) } else { Sha256::digest(key) }.into();
    hex::encode(&full[..16])
}
