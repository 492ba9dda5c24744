//! Rows of the operator's shelves.

use contact::{Raw, Suspect};
use sqlx::{Error, FromRow};
use timeline::{Answered, DeadLetter, ListedLetter, ListedSuspect, Token};

use crate::values::{Stamp, unreadable};

#[derive(FromRow)]
pub(crate) struct LetterRow {
    id: String,
    source: Option<String>,
    received_at: Stamp,
    reason: String,
    field: Option<String>,
    payload: Vec<u8>,
    state: String,
}

impl TryFrom<LetterRow> for DeadLetter {
    type Error = Error;
    fn try_from(row: LetterRow) -> Result<Self, Error> {
        Ok(DeadLetter {
            id: row.id,
            source: row.source.map(|source| source.parse()).transpose().map_err(unreadable)?,
            received_at: row.received_at.0,
            reason: row.reason,
            field: row.field,
            payload: row.payload,
            state: row.state.parse().map_err(unreadable)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct ListedLetterRow {
    id: String,
    source: Option<String>,
    received_at: Stamp,
    reason: String,
    field: Option<String>,
    state: String,
    size: i64,
}

impl TryFrom<ListedLetterRow> for ListedLetter {
    type Error = Error;
    fn try_from(row: ListedLetterRow) -> Result<Self, Error> {
        Ok(ListedLetter {
            id: row.id,
            source: row.source.map(|source| source.parse()).transpose().map_err(unreadable)?,
            received_at: row.received_at.0,
            reason: row.reason,
            field: row.field,
            state: row.state.parse().map_err(unreadable)?,
            size: u64::try_from(row.size).map_err(unreadable)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct ListedSuspectRow {
    id: String,
    source: String,
    received_at: Stamp,
    peer: Option<String>,
    reason: String,
    size: i64,
}

impl TryFrom<ListedSuspectRow> for ListedSuspect {
    type Error = Error;
    fn try_from(row: ListedSuspectRow) -> Result<Self, Error> {
        Ok(ListedSuspect {
            id: row.id,
            source: row.source.parse().map_err(unreadable)?,
            received_at: row.received_at.0,
            peer: row.peer,
            reason: row.reason,
            size: u64::try_from(row.size).map_err(unreadable)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct SuspectRow {
    id: String,
    source: String,
    received_at: Stamp,
    peer: Option<String>,
    reason: String,
    request: String,
}

impl TryFrom<SuspectRow> for Suspect {
    type Error = Error;
    fn try_from(row: SuspectRow) -> Result<Self, Error> {
        Ok(Suspect {
            id: row.id,
            source: row.source.parse().map_err(unreadable)?,
            received_at: row.received_at.0,
            peer: row.peer,
            reason: row.reason,
            request: serde_json::from_str::<Raw>(&row.request).map_err(unreadable)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct TokenRow {
    id: String,
    name: String,
    role: String,
    created_at: Stamp,
    revoked_at: Option<Stamp>,
}

impl TryFrom<TokenRow> for Token {
    type Error = Error;
    fn try_from(row: TokenRow) -> Result<Self, Error> {
        Ok(Token {
            id: row.id,
            name: row.name,
            role: row.role.parse().map_err(unreadable)?,
            created_at: row.created_at.0,
            revoked_at: row.revoked_at.map(|at| at.0),
        })
    }
}

#[derive(FromRow)]
pub(crate) struct AnswerRow {
    request: String,
    status: i32,
    body: Vec<u8>,
    at: Stamp,
}

impl TryFrom<AnswerRow> for Answered {
    type Error = Error;
    fn try_from(row: AnswerRow) -> Result<Self, Error> {
        Ok(Answered {
            request: row.request,
            status: u16::try_from(row.status).map_err(unreadable)?,
            body: row.body,
            at: row.at.0,
        })
    }
}
