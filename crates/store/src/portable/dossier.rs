//! What one must know to serve a client.

use contact::ClientId;
use sqlx::{Error, QueryBuilder};
use timeline::{Conversation, Dossier, Entry};

use super::super::{Connection, Db, ENTRIES, entries};
use super::{lists, ties};
use crate::rows::{ConversationRow, read as nouns};
use crate::values::rows;

/// Open conversations that are shown.
const MOST_CONVERSATIONS: usize = 50;
/// How far back a contact of each channel is looked for, in entries.
const MOST_ENTRIES: usize = 1000;

pub(super) async fn dossier(connection: &mut Connection, client: ClientId) -> Result<Option<Dossier>, Error> {
    let Some(card) = lists::cards(connection, &[client.uuid()]).await?.pop() else { return Ok(None) };
    let open = open(connection, client).await?;
    Ok(Some(Dossier {
        card,
        conversations: lists::views(connection, open).await?,
        last_contacts: last_contacts(connection, client).await?,
        candidates: ties::count_candidates(connection, client).await?,
    }))
}

async fn open(connection: &mut Connection, client: ClientId) -> Result<Vec<Conversation>, Error> {
    let found: Vec<ConversationRow> = sqlx::query_as(concat!(
        "select ",
        columns!(conversation),
        " from conversation where client_id = $1 and status in ('open', 'pending', 'snoozed') \
         and continued_in is null order by updated_at desc, id desc limit $2 + 0",
    ))
    .bind(client.uuid())
    .bind(rows(MOST_CONVERSATIONS))
    .fetch_all(connection)
    .await?;
    nouns(found)
}

/// Newest first.
async fn last_contacts(connection: &mut Connection, client: ClientId) -> Result<Vec<Entry>, Error> {
    let mut query = QueryBuilder::<Db>::new(ENTRIES);
    query.push(
        "from entry where id in (select ranked.id from (select latest.id as id, row_number() over (\
         partition by latest.channel order by latest.occurred_at desc, latest.id desc) as place from (\
         select id, kind, channel, occurred_at from entry where client_id = ",
    );
    query.push_bind(client.uuid()).push(" order by occurred_at desc, id desc limit ");
    query.push_bind(rows(MOST_ENTRIES)).push(" + 0) as latest where latest.kind = 'contact') as ranked ");
    query.push("where ranked.place = 1) order by occurred_at desc, id desc");
    nouns(entries(connection, query).await?)
}
