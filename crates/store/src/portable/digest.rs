//! A digest of everything projected, per client.
//!
//! Tables in a fixed order, rows by key, each row as the JSON of its struct; so the same rows give the
//! same digest in both databases. Rows stream by; only a hash per client is held.

use std::collections::HashMap;

use contact::ClientId;
use futures::TryStreamExt as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sqlx::{Error, raw_sql};
use timeline::Digests;
use uuid::Uuid;

use super::super::{BEGIN_LONG, Connection};
use crate::rows::{
    AgentRow, ApartRow, ChatRow, ClaimRow, ClientRow, ContactRow, ConversationRow, EntryRow, IdentifierRow,
    MergeRow, MessageRow, OwnedLineRow, RelocationRow, ReplyRow, ReservationRow,
};

/// Adds every row of a table to the hash of its client.
macro_rules! add_all {
    ($hashes:ident, $connection:ident, $table:ident order by $order:literal, |$row:ident: $Row:ty| $client:expr) => {
        let mut rows = sqlx::query_as(concat!(
            "select ",
            columns!($table),
            " from ",
            stringify!($table),
            " order by ",
            $order
        ))
        .fetch(&mut *$connection);
        while let Some($row) = rows.try_next().await? {
            let $row: $Row = $row;
            $hashes.add(stringify!($table), $client, &$row)?;
        }
        drop(rows);
    };
}

pub(super) async fn digests(connection: &mut Connection) -> Result<Digests, Error> {
    raw_sql(BEGIN_LONG).execute(&mut *connection).await?;
    let mut hashes = Hashes::default();
    add_all!(hashes, connection, client order by "id", |row: ClientRow| Some(row.id));
    add_all!(hashes, connection, identifier order by "kind, value", |row: IdentifierRow| Some(row.client_id));
    add_all!(hashes, connection, contact order by "id", |row: ContactRow| row.client_id);
    add_all!(hashes, connection, entry order by "id", |row: EntryRow| row.client_id);
    add_all!(hashes, connection, conversation order by "id", |row: ConversationRow| row.client_id);
    add_all!(hashes, connection, message order by "key, client_id", |row: MessageRow| Some(row.client_id));
    add_all!(hashes, connection, claim order by "kind, value, client_id", |row: ClaimRow| Some(row.client_id));
    add_all!(hashes, connection, merge order by "id", |row: MergeRow| Some(row.survivor_id));
    add_all!(hashes, connection, relocation order by "id", |row: RelocationRow| Some(row.to_client_id));
    add_all!(hashes, connection, apart order by "lesser_id, greater_id", |row: ApartRow| Some(row.lesser_id));
    add_all!(hashes, connection, chat order by "visitor", |row: ChatRow| row.client_id);
    lines(&mut hashes, connection).await?;
    add_all!(hashes, connection, reply order by "id", |row: ReplyRow| row.client_id);
    add_all!(hashes, connection, agent order by "id", |row: AgentRow| None);
    add_all!(hashes, connection, reservation order by "id", |row: ReservationRow| None);
    Ok(hashes.finish())
}

/// Lines belong to the client of their chat.
async fn lines(hashes: &mut Hashes, connection: &mut Connection) -> Result<(), Error> {
    let mut rows = sqlx::query_as(concat!(
        "select (select client_id from chat where chat.visitor = chat_line.visitor) as client_id, ",
        columns!(chat_line),
        " from chat_line order by visitor, seq"
    ))
    .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let row: OwnedLineRow = row;
        hashes.add("chat_line", row.client_id, &row.line)?;
    }
    Ok(())
}

#[derive(Default)]
struct Hashes(HashMap<Option<Uuid>, Sha256>);

impl Hashes {
    fn add(&mut self, table: &str, client: Option<Uuid>, row: &impl Serialize) -> Result<(), Error> {
        let bytes = serde_json::to_vec(row).map_err(|error| Error::Encode(error.into()))?;
        let hash = self.0.entry(client).or_default();
        hash.update(table.as_bytes());
        hash.update(bytes);
        // JSON holds no bare line feed: rows stay apart.
        hash.update(b"\n");
        Ok(())
    }

    fn finish(self) -> Digests {
        self.0
            .into_iter()
            .map(|(client, hash)| (client.map(ClientId::from_uuid), hex::encode(hash.finalize())))
            .collect()
    }
}
