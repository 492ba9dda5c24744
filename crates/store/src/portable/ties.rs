//! Who may be whom: claims, merges, relocations, and who is kept apart.

use std::collections::{BTreeSet, HashMap, HashSet};

use contact::{ClientId, MergeId};
use sqlx::Error;
use timeline::{Apart, Candidate, Claim, Merge, Relocation, Ties};
use uuid::Uuid;

use super::super::{Connection, ids};
use super::lists;
use crate::rows::{MatchRow, MergeRow, RelocationRow, read as nouns};
use crate::values::{Stamp, rows, unreadable};

/// As many as a person will look at: who typed the number of a switchboard may look like everybody.
const MOST_CANDIDATES: usize = 100;

// --- reading

/// Who `$1` may be: whose identifiers they claim, and who claims theirs; without those listed in `$2`.
macro_rules! likenesses {
    () => {
        concat!(
            "(select i.kind as kind, i.value as value, i.level as level, c.reason as reason, c.since as since, \
             i.client_id as other_id from claim as c \
             join identifier as i on i.kind = c.kind and i.value = c.value where c.client_id = $1 union all \
             select i.kind, i.value, i.level, c.reason, c.since, c.client_id from identifier as i \
             join claim as c on c.kind = i.kind and c.value = i.value where i.client_id = $1\
             ) as m join client as other on other.id = m.other_id \
             where m.other_id <> $1 and other.merged_into is null and not (m.other_id ",
            in_ids!("$2"),
            ")"
        )
    };
}

pub(super) async fn candidates(
    connection: &mut Connection,
    client: ClientId,
) -> Result<Vec<Candidate>, Error> {
    let others = others(connection, client).await?;
    let found: Vec<MatchRow> = sqlx::query_as(concat!(
        "select m.kind as kind, m.value as value, m.level as level, m.reason as reason, m.since as since, \
         m.other_id as other_id from ",
        likenesses!(),
        " order by case m.level when 'proved' then 0 when 'observed' then 1 else 2 end, \
         other.last_contact_at desc, m.other_id desc, m.kind, m.value limit $3 + 0"
    ))
    .bind(client.uuid())
    .bind(ids(others))
    .bind(rows(MOST_CANDIDATES))
    .fetch_all(&mut *connection)
    .await?;
    let others: BTreeSet<Uuid> = found.iter().map(|row| row.other_id).collect();
    let others: Vec<Uuid> = others.into_iter().collect();
    let cards = lists::cards(connection, &others).await?;
    let cards: HashMap<Uuid, _> = cards.into_iter().map(|card| (card.client.id.uuid(), card)).collect();
    found
        .into_iter()
        .filter_map(|row| Some((cards.get(&row.other_id)?.clone(), row)))
        .map(|(card, row)| row.into_candidate(card))
        .collect()
}

/// How many others they may be.
pub(super) async fn count_candidates(connection: &mut Connection, client: ClientId) -> Result<u32, Error> {
    let others = others(connection, client).await?;
    let count: i64 = sqlx::query_scalar(concat!("select count(distinct m.other_id) from ", likenesses!()))
        .bind(client.uuid())
        .bind(ids(others))
        .fetch_one(connection)
        .await?;
    u32::try_from(count).map_err(unreadable)
}

/// Those who are certainly not them.
async fn others(connection: &mut Connection, client: ClientId) -> Result<BTreeSet<Uuid>, Error> {
    let apart = kept_apart(connection, [client.uuid()]).await?;
    Ok(apart.iter().flatten().filter(|other| **other != client).map(|other| other.uuid()).collect())
}

/// Those of the client and of everybody who was merged into them, newest first.
pub(super) async fn merges(connection: &mut Connection, client: ClientId) -> Result<Vec<Merge>, Error> {
    let found: Vec<MergeRow> = sqlx::query_as(concat!(
        "select ",
        columns!(merge),
        " from merge where survivor_id = $1 union select ",
        columns!(merge),
        " from merge where survivor_id in (select id from client where merged_into = $1) \
         order by decided_at desc, id desc",
    ))
    .bind(client.uuid())
    .fetch_all(connection)
    .await?;
    nouns(found)
}

pub(super) async fn by_id(
    connection: &mut Connection,
    wanted: &[MergeId],
) -> Result<HashMap<MergeId, Merge>, Error> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<MergeRow> =
        sqlx::query_as(concat!("select ", columns!(merge), " from merge where id ", in_ids!("$1")))
            .bind(ids(wanted.iter().map(|id| id.uuid())))
            .fetch_all(connection)
            .await?;
    let found: Vec<Merge> = nouns(found)?;
    Ok(found.into_iter().map(|merge| (merge.id, merge)).collect())
}

pub(super) async fn ties(
    connection: &mut Connection,
    clients: impl IntoIterator<Item = Uuid>,
) -> Result<Ties, Error> {
    let clients = ids(clients);
    let merges: Vec<MergeRow> = sqlx::query_as(concat!(
        "select ",
        columns!(merge),
        " from merge where survivor_id ",
        in_ids!("$1"),
        " union select ",
        columns!(merge),
        " from merge where absorbed_id ",
        in_ids!("$1"),
        " order by decided_at, id",
    ))
    .bind(clients.clone())
    .fetch_all(&mut *connection)
    .await?;
    let relocations: Vec<RelocationRow> = sqlx::query_as(concat!(
        "select ",
        columns!(relocation),
        " from relocation where from_client_id ",
        in_ids!("$1"),
        " union select ",
        columns!(relocation),
        " from relocation where to_client_id ",
        in_ids!("$1"),
        " order by id",
    ))
    .bind(clients)
    .fetch_all(connection)
    .await?;
    Ok(Ties { merges: nouns(merges)?, relocations: nouns(relocations)? })
}

/// The pairs in which one of these is kept apart from somebody. Whoever was merged since stands for the one
/// they became: who is not a part of somebody is not the whole either.
pub(super) async fn kept_apart(
    connection: &mut Connection,
    clients: impl IntoIterator<Item = Uuid>,
) -> Result<HashSet<[ClientId; 2]>, Error> {
    let parts = with_merged(connection, clients).await?;
    let found: Vec<(Uuid, Uuid)> = sqlx::query_as(concat!(
        "select coalesce(l.merged_into, a.lesser_id), coalesce(g.merged_into, a.greater_id) from (\
         select lesser_id, greater_id from apart where lesser_id ",
        in_ids!("$1"),
        " union select lesser_id, greater_id from apart where greater_id ",
        in_ids!("$1"),
        ") as a left join client as l on l.id = a.lesser_id left join client as g on g.id = a.greater_id",
    ))
    .bind(ids(parts))
    .fetch_all(connection)
    .await?;
    let pair = |(one, other): (Uuid, Uuid)| [one.min(other), one.max(other)].map(ClientId::from_uuid);
    // A person may have made one of them after all.
    Ok(found.into_iter().map(pair).filter(|[one, other]| one != other).collect())
}

/// These clients and whoever was merged into them.
pub(super) async fn with_merged(
    connection: &mut Connection,
    clients: impl IntoIterator<Item = Uuid>,
) -> Result<BTreeSet<Uuid>, Error> {
    let mut all: BTreeSet<Uuid> = clients.into_iter().collect();
    if !all.is_empty() {
        let merged: Vec<Uuid> =
            sqlx::query_scalar(concat!("select id from client where merged_into ", in_ids!("$1")))
                .bind(ids(all.iter().copied()))
                .fetch_all(connection)
                .await?;
        all.extend(merged);
    }
    Ok(all)
}

// --- writing

/// The first reason stays, whoever says it again.
pub(super) async fn write_claims(connection: &mut Connection, claims: &[Claim]) -> Result<(), Error> {
    write_rows!(
        connection,
        concat!("insert into claim (", columns!(claim), ")"),
        claims,
        |claim| [
            claim.identifier.kind.as_str(),
            claim.identifier.value.as_str(),
            claim.client.uuid(),
            claim.reason.as_str(),
            Stamp(claim.since),
        ],
        "on conflict (kind, value, client_id) do update set reason = excluded.reason, since = excluded.since \
         where (excluded.since, excluded.reason) < (claim.since, claim.reason)"
    );
    Ok(())
}

pub(super) async fn write_merges(connection: &mut Connection, merges: &[Merge]) -> Result<(), Error> {
    write_rows!(
        connection,
        concat!("insert into merge (", columns!(merge), ")"),
        merges,
        |merge| [
            merge.id.uuid(),
            merge.survivor.uuid(),
            merge.absorbed.uuid(),
            merge.by.as_str(),
            merge.reason.as_str(),
            Stamp(merge.at),
            merge.undone_at.map(Stamp),
        ],
        "on conflict (id) do update set survivor_id = excluded.survivor_id, \
         absorbed_id = excluded.absorbed_id, decided_by = excluded.decided_by, reason = excluded.reason, \
         decided_at = excluded.decided_at, undone_at = excluded.undone_at"
    );
    Ok(())
}

pub(super) async fn write_relocations(
    connection: &mut Connection,
    relocations: &[Relocation],
) -> Result<(), Error> {
    write_rows!(
        connection,
        concat!("insert into relocation (", columns!(relocation), ")"),
        relocations,
        |relocation| [
            relocation.id.uuid(),
            relocation.contact.uuid(),
            relocation.from.map(|client| client.uuid()),
            relocation.to.uuid(),
        ],
        "on conflict (id) do update set contact_id = excluded.contact_id, \
         from_client_id = excluded.from_client_id, to_client_id = excluded.to_client_id"
    );
    Ok(())
}

pub(super) async fn write_aparts(connection: &mut Connection, aparts: &[Apart]) -> Result<(), Error> {
    write_rows!(
        connection,
        concat!("insert into apart (", columns!(apart), ")"),
        aparts,
        |apart| [
            apart.clients[0].uuid(),
            apart.clients[1].uuid(),
            apart.by.as_str(),
            apart.reason.as_str(),
            Stamp(apart.at),
        ],
        "on conflict (lesser_id, greater_id) do update set decided_by = excluded.decided_by, \
         reason = excluded.reason, decided_at = excluded.decided_at"
    );
    Ok(())
}
