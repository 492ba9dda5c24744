//! The operator's shelves: dead letters, suspects, tokens, remembered answers.

use std::collections::{HashMap, HashSet};

use contact::{SourceName, Suspect};
use jiff::Timestamp;
use sqlx::{Error, QueryBuilder};
use timeline::{Answered, DeadLetter, HoldBounds, LetterState, ListedLetter, ListedSuspect, Page, Token};

use super::super::{Connection, Db};
use crate::rows::{
    AnswerRow, LetterRow, ListedLetterRow, ListedSuspectRow, SuspectRow, TokenRow, read as nouns,
};
use crate::values::{Stamp, has_nul, rows, unreadable, without_nul};

// --- dead letters

/// A letter is kept whatever it holds: NUL in its texts becomes U+FFFD.
pub(super) async fn bury(connection: &mut Connection, letters: &[DeadLetter]) -> Result<(), Error> {
    let mut seen = HashSet::new();
    let letters: Vec<(&DeadLetter, String, Option<String>)> = letters
        .iter()
        .filter(|letter| seen.insert(letter.id.as_str()))
        .map(|letter| (letter, without_nul(&letter.reason), letter.field.as_deref().map(without_nul)))
        .collect();
    write_rows!(
        connection,
        concat!("insert into dead_letter (", columns!(dead_letter), ")"),
        &letters,
        |row| [
            row.0.id.as_str(),
            row.0.source.as_ref().map(SourceName::as_str),
            Stamp(row.0.received_at),
            row.1.as_str(),
            row.2.as_deref(),
            row.0.payload.as_slice(),
            row.0.state.as_str(),
        ],
        "on conflict (id) do update set state = 'open' where dead_letter.state = 'retried'"
    );
    Ok(())
}

pub(super) async fn letters(
    connection: &mut Connection,
    state: Option<LetterState>,
    page: Page<String>,
) -> Result<Vec<ListedLetter>, Error> {
    let mut query = QueryBuilder::<Db>::new(
        "select id, source, received_at, reason, field, state, \
         cast(octet_length(payload) as bigint) as size from dead_letter where true",
    );
    if let Some(state) = state {
        query.push(" and state = ").push_bind(state.as_str());
    }
    if let Some(after) = page.after.filter(|after| !has_nul(after)) {
        query.push(" and (received_at, id) < (select received_at, id from dead_letter where id = ");
        query.push_bind(after).push(")");
    }
    query.push(" order by received_at desc, id desc limit ").push_bind(rows(page.limit)).push(" + 0");
    nouns(query.build_query_as::<ListedLetterRow>().fetch_all(connection).await?)
}

pub(super) async fn letter(connection: &mut Connection, id: &str) -> Result<Option<DeadLetter>, Error> {
    if has_nul(id) {
        return Ok(None);
    }
    let found: Option<LetterRow> =
        sqlx::query_as(concat!("select ", columns!(dead_letter), " from dead_letter where id = $1"))
            .bind(id)
            .fetch_optional(connection)
            .await?;
    found.map(DeadLetter::try_from).transpose()
}

pub(super) async fn set_letter(
    connection: &mut Connection,
    id: &str,
    state: LetterState,
) -> Result<bool, Error> {
    if has_nul(id) {
        return Ok(false);
    }
    let done = sqlx::query("update dead_letter set state = $2 where id = $1")
        .bind(id)
        .bind(state.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

// --- suspects

/// Fills each source's shelf up to its bounds, in the order given; what comes to a full shelf is
/// dropped and counted. One that is held already takes no place and is not dropped.
pub(super) async fn hold(
    connection: &mut Connection,
    suspects: &[Suspect],
    bounds: HoldBounds,
) -> Result<u64, Error> {
    let mut shelves: HashMap<&SourceName, (u64, u64)> = HashMap::new();
    let mut held: HashSet<&str> = HashSet::new();
    for suspect in suspects {
        if !shelves.contains_key(&suspect.source) {
            shelves.insert(&suspect.source, shelf(connection, &suspect.source).await?);
        }
        if exists(connection, &suspect.id).await? {
            held.insert(&suspect.id);
        }
    }
    let mut dropped = 0;
    let mut fresh = Vec::new();
    for suspect in suspects {
        if held.contains(suspect.id.as_str()) {
            continue;
        }
        let size = suspect.request.size;
        let (count, bytes) = shelves.entry(&suspect.source).or_default();
        if *count >= bounds.per_source || bytes.saturating_add(size) > bounds.bytes_per_source {
            dropped += 1;
            continue;
        }
        *count += 1;
        *bytes += size;
        held.insert(&suspect.id);
        let request = serde_json::to_string(&suspect.request).map_err(|error| Error::Encode(error.into()))?;
        let peer = suspect.peer.as_deref().map(without_nul);
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        fresh.push((suspect, peer, without_nul(&suspect.reason), request, size));
    }
    write_rows!(
        connection,
        concat!("insert into suspect (", columns!(suspect), ")"),
        &fresh,
        |row| [
            row.0.id.as_str(),
            row.0.source.as_str(),
            Stamp(row.0.received_at),
            row.1.as_deref(),
            row.2.as_str(),
            row.3.as_str(),
            row.4,
        ],
        ""
    );
    Ok(dropped)
}

/// How many requests and bytes a source has on its shelf.
async fn shelf(connection: &mut Connection, source: &SourceName) -> Result<(u64, u64), Error> {
    let (count, bytes): (i64, i64) = sqlx::query_as(
        "select count(*), cast(coalesce(sum(size), 0) as bigint) from suspect where source = $1",
    )
    .bind(source.as_str())
    .fetch_one(connection)
    .await?;
    Ok((u64::try_from(count).map_err(unreadable)?, u64::try_from(bytes).map_err(unreadable)?))
}

async fn exists(connection: &mut Connection, id: &str) -> Result<bool, Error> {
    let found: i64 = sqlx::query_scalar("select count(*) from suspect where id = $1")
        .bind(id)
        .fetch_one(connection)
        .await?;
    Ok(found > 0)
}

/// Where the one a page goes on from was taken off meanwhile, the list begins anew: better twice than
/// never.
pub(super) async fn suspects(
    connection: &mut Connection,
    source: Option<&SourceName>,
    page: Page<String>,
) -> Result<Vec<ListedSuspect>, Error> {
    let mut query =
        QueryBuilder::<Db>::new("select id, source, received_at, peer, reason, size from suspect where true");
    if let Some(source) = source {
        query.push(" and source = ").push_bind(source.as_str());
    }
    if let Some(after) = page.after.filter(|after| !has_nul(after))
        && exists(connection, &after).await?
    {
        query.push(" and (received_at, id) < (select received_at, id from suspect where id = ");
        query.push_bind(after).push(")");
    }
    query.push(" order by received_at desc, id desc limit ").push_bind(rows(page.limit)).push(" + 0");
    nouns(query.build_query_as::<ListedSuspectRow>().fetch_all(connection).await?)
}

pub(super) async fn suspect(connection: &mut Connection, id: &str) -> Result<Option<Suspect>, Error> {
    if has_nul(id) {
        return Ok(None);
    }
    let found: Option<SuspectRow> =
        sqlx::query_as("select id, source, received_at, peer, reason, request from suspect where id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?;
    found.map(Suspect::try_from).transpose()
}

pub(super) async fn drop_suspect(connection: &mut Connection, id: &str) -> Result<bool, Error> {
    if has_nul(id) {
        return Ok(false);
    }
    let done = sqlx::query("delete from suspect where id = $1").bind(id).execute(connection).await?;
    Ok(done.rows_affected() > 0)
}

// --- tokens

pub(super) async fn add_token(connection: &mut Connection, token: &Token) -> Result<(), Error> {
    sqlx::query(concat!("insert into token (", columns!(token), ") values ($1, $2, $3, $4, $5)"))
        .bind(token.id.as_str())
        .bind(without_nul(&token.name))
        .bind(token.role.as_str())
        .bind(Stamp(token.created_at))
        .bind(token.revoked_at.map(Stamp))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn token(connection: &mut Connection, id: &str) -> Result<Option<Token>, Error> {
    if has_nul(id) {
        return Ok(None);
    }
    let found: Option<TokenRow> =
        sqlx::query_as(concat!("select ", columns!(token), " from token where id = $1"))
            .bind(id)
            .fetch_optional(connection)
            .await?;
    found.map(Token::try_from).transpose()
}

/// In the order of their making.
pub(super) async fn tokens(connection: &mut Connection) -> Result<Vec<Token>, Error> {
    let found: Vec<TokenRow> =
        sqlx::query_as(concat!("select ", columns!(token), " from token order by created_at, id"))
            .fetch_all(connection)
            .await?;
    nouns(found)
}

/// The first moment stays. False when there is no such token.
pub(super) async fn revoke_token(
    connection: &mut Connection,
    id: &str,
    at: Timestamp,
) -> Result<bool, Error> {
    if has_nul(id) {
        return Ok(false);
    }
    let done = sqlx::query("update token set revoked_at = coalesce(revoked_at, $2) where id = $1")
        .bind(id)
        .bind(Stamp(at))
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

// --- remembered answers

pub(super) async fn answered(
    connection: &mut Connection,
    caller: &str,
    key: &str,
) -> Result<Option<Answered>, Error> {
    if has_nul(caller) || has_nul(key) {
        return Ok(None);
    }
    let found: Option<AnswerRow> =
        sqlx::query_as("select request, status, body, at from idempotency where caller = $1 and key = $2")
            .bind(caller)
            .bind(key)
            .fetch_optional(connection)
            .await?;
    found.map(Answered::try_from).transpose()
}

pub(super) async fn remember(
    connection: &mut Connection,
    caller: &str,
    key: &str,
    answer: &Answered,
    forget_before: Timestamp,
) -> Result<(), Error> {
    sqlx::query("delete from idempotency where at < $1")
        .bind(Stamp(forget_before))
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "insert into idempotency (caller, key, request, status, body, at) \
         values ($1, $2, $3, $4, $5, $6) on conflict (caller, key) do nothing",
    )
    .bind(caller)
    .bind(key)
    .bind(answer.request.as_str())
    .bind(i32::from(answer.status))
    .bind(answer.body.as_slice())
    .bind(Stamp(answer.at))
    .execute(connection)
    .await?;
    Ok(())
}
