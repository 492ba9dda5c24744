//! What an operator does with what was kept: release a held request, read a dead letter again, read
//! every raw again with a better reader.

use contact::{Event, RawBytes, SourceName, Suspect, Trust, Unreadable};
use jiff::Timestamp;
use url::Url;

use crate::Lines;
use crate::config::Line;
use crate::normalise::{Receipt, normalise, unreadable};
use crate::provider::Forged;
use crate::request::{Garbled, Unverified, Verified};

/// Why a held request was not released.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    #[error("the source {0} is not configured any more")]
    UnknownSource(SourceName),
    #[error("the request itself is no longer there")]
    Gone,
    #[error(transparent)]
    Garbled(#[from] Garbled),
    /// It is still here, and may be released unverified by an admin.
    #[error("it does not verify with today's configuration: {0}")]
    Forged(#[from] Forged),
}

/// What a held request says, if it verifies with today's secrets. Time windows are judged by when it was
/// received. A request that verifies but cannot be read becomes its dead letter.
///
/// # Errors
/// When it does not verify, or cannot be verified any more.
pub fn reverify(
    lines: &Lines,
    suspect: &Suspect,
    public_url: &Url,
) -> Result<Vec<(Event, RawBytes)>, ReleaseError> {
    let (line, request) = open(lines, suspect)?;
    let verified = request.verify(line, public_url)?;
    Ok(events(line, verified))
}

/// What a held request says, on the word of an admin. Its events stay marked [`Trust::Unverified`].
///
/// # Errors
/// When the source or the request is gone.
pub fn release_unverified(lines: &Lines, suspect: &Suspect) -> Result<Vec<(Event, RawBytes)>, ReleaseError> {
    let (line, request) = open(lines, suspect)?;
    Ok(events(line, request.release()))
}

/// The events of a raw that was kept, read anew with the trust it came with. The same raw, line and
/// time give the same events; their `raw` and `traceparent` are empty.
///
/// # Errors
/// When it still cannot be read, or its source is not configured any more.
pub fn renormalise(
    lines: &Lines,
    source: &SourceName,
    raw: &RawBytes,
    received_at: Timestamp,
    trust: Trust,
) -> Result<Vec<Event>, Unreadable> {
    let line = lines.get(source).ok_or_else(|| Unreadable {
        reason: format!("the source {source} is not configured any more"),
        field: None,
    })?;
    normalise(line, raw, &Receipt { received_at, trust, traceparent: None }).map(|(events, _)| events)
}

fn open<'a>(lines: &'a Lines, suspect: &Suspect) -> Result<(&'a Line, Unverified), ReleaseError> {
    let line =
        lines.get(&suspect.source).ok_or_else(|| ReleaseError::UnknownSource(suspect.source.clone()))?;
    let message = suspect.request.bytes().ok_or(ReleaseError::Gone)?;
    Ok((line, Unverified::from_message(&message, suspect.received_at)?))
}

fn events(line: &Line, verified: Verified) -> Vec<(Event, RawBytes)> {
    let receipt = Receipt::of(&verified);
    let events = match normalise(line, verified.raw(), &receipt) {
        Ok((events, _)) => events,
        Err(why) => vec![unreadable(line, verified.raw(), why, &receipt)],
    };
    events.into_iter().map(|event| (event, verified.raw().clone())).collect()
}
