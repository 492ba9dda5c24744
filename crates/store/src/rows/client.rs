//! Rows about clients: who holds and who claims what, who is whom.

use contact::{ClientId, ContactId, Identifier, MergeId};
use serde::Serialize;
use sqlx::{Error, FromRow};
use timeline::{Apart, Candidate, Card, Claim, Client, Holder, Merge, Relocation};
use uuid::Uuid;

use crate::values::{Stamp, json, unreadable};

#[derive(FromRow, Serialize)]
pub(crate) struct ClientRow {
    pub(crate) id: Uuid,
    name: Option<String>,
    segment: Option<String>,
    value: Option<i64>,
    owner: Option<String>,
    known_by: Option<String>,
    wrote_at: Option<Stamp>,
    talks: Option<String>,
    created_at: Stamp,
    last_contact_at: Stamp,
    won_back_at: Option<Stamp>,
    reached_at: Option<Stamp>,
    preferences: String,
    pub(crate) merged_into: Option<Uuid>,
    rev: i64,
}

impl TryFrom<ClientRow> for Client {
    type Error = Error;
    fn try_from(row: ClientRow) -> Result<Self, Error> {
        Ok(Client {
            id: ClientId::from_uuid(row.id),
            name: row.name,
            segment: row.segment,
            value: row.value,
            owner: row.owner,
            known_by: row.known_by,
            wrote_at: row.wrote_at.map(|at| at.0),
            talks: json(row.talks)?.unwrap_or_default(),
            created_at: row.created_at.0,
            last_contact_at: row.last_contact_at.0,
            won_back_at: row.won_back_at.map(|at| at.0),
            reached_at: row.reached_at.map(|at| at.0),
            preferences: serde_json::from_str(&row.preferences).map_err(unreadable)?,
            merged_into: row.merged_into.map(ClientId::from_uuid),
            rev: row.rev,
        })
    }
}

#[derive(FromRow, Serialize)]
pub(crate) struct IdentifierRow {
    kind: String,
    value: String,
    pub(crate) client_id: Uuid,
    level: String,
    since: Stamp,
}

impl TryFrom<IdentifierRow> for Holder {
    type Error = Error;
    fn try_from(row: IdentifierRow) -> Result<Self, Error> {
        Ok(Holder {
            identifier: Identifier { kind: row.kind.parse().map_err(unreadable)?, value: row.value },
            client: ClientId::from_uuid(row.client_id),
            level: row.level.parse().map_err(unreadable)?,
            since: row.since.0,
        })
    }
}

#[derive(FromRow, Serialize)]
pub(crate) struct ClaimRow {
    kind: String,
    value: String,
    pub(crate) client_id: Uuid,
    reason: String,
    since: Stamp,
}

impl TryFrom<ClaimRow> for Claim {
    type Error = Error;
    fn try_from(row: ClaimRow) -> Result<Self, Error> {
        Ok(Claim {
            identifier: Identifier { kind: row.kind.parse().map_err(unreadable)?, value: row.value },
            client: ClientId::from_uuid(row.client_id),
            reason: row.reason,
            since: row.since.0,
        })
    }
}

/// A claim beside the identifier it names, as one of the two clients sees it.
#[derive(FromRow)]
pub(crate) struct MatchRow {
    kind: String,
    value: String,
    level: String,
    reason: String,
    since: Stamp,
    pub(crate) other_id: Uuid,
}

impl MatchRow {
    pub(crate) fn into_candidate(self, card: Card) -> Result<Candidate, Error> {
        Ok(Candidate {
            card,
            identifier: Identifier { kind: self.kind.parse().map_err(unreadable)?, value: self.value },
            level: self.level.parse().map_err(unreadable)?,
            reason: self.reason,
            since: self.since.0,
        })
    }
}

#[derive(FromRow, Serialize)]
pub(crate) struct MergeRow {
    id: Uuid,
    pub(crate) survivor_id: Uuid,
    absorbed_id: Uuid,
    decided_by: String,
    reason: String,
    decided_at: Stamp,
    undone_at: Option<Stamp>,
}

impl TryFrom<MergeRow> for Merge {
    type Error = Error;
    fn try_from(row: MergeRow) -> Result<Self, Error> {
        Ok(Merge {
            id: MergeId::from_uuid(row.id),
            survivor: ClientId::from_uuid(row.survivor_id),
            absorbed: ClientId::from_uuid(row.absorbed_id),
            by: row.decided_by,
            reason: row.reason,
            at: row.decided_at.0,
            undone_at: row.undone_at.map(|at| at.0),
        })
    }
}

#[derive(FromRow, Serialize)]
pub(crate) struct RelocationRow {
    id: Uuid,
    contact_id: Uuid,
    from_client_id: Option<Uuid>,
    pub(crate) to_client_id: Uuid,
}

impl TryFrom<RelocationRow> for Relocation {
    type Error = Error;
    fn try_from(row: RelocationRow) -> Result<Self, Error> {
        Ok(Relocation {
            id: MergeId::from_uuid(row.id),
            contact: ContactId::from_uuid(row.contact_id),
            from: row.from_client_id.map(ClientId::from_uuid),
            to: ClientId::from_uuid(row.to_client_id),
        })
    }
}

#[derive(FromRow, Serialize)]
pub(crate) struct ApartRow {
    pub(crate) lesser_id: Uuid,
    greater_id: Uuid,
    decided_by: String,
    reason: String,
    decided_at: Stamp,
}

impl TryFrom<ApartRow> for Apart {
    type Error = Error;
    fn try_from(row: ApartRow) -> Result<Self, Error> {
        Ok(Apart {
            clients: [row.lesser_id, row.greater_id].map(ClientId::from_uuid),
            by: row.decided_by,
            reason: row.reason,
            at: row.decided_at.0,
        })
    }
}
