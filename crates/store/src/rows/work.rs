//! Rows about who answers, and what is held for whom.

use contact::{ConversationId, ReservationId};
use serde::Serialize;
use sqlx::{Error, FromRow};
use timeline::{Agent, Reservation};
use uuid::Uuid;

use crate::values::{Stamp, json, presence, unreadable};

#[derive(FromRow, Serialize)]
pub(crate) struct AgentRow {
    id: Uuid,
    name: String,
    profile: Option<String>,
    presence: String,
    consoles: String,
    gone_since: Option<Stamp>,
    idle_since: Stamp,
    missed: i32,
    rev: i64,
}

impl TryFrom<AgentRow> for Agent {
    type Error = Error;
    fn try_from(row: AgentRow) -> Result<Self, Error> {
        Ok(Agent {
            name: row.name,
            profile: json(row.profile)?,
            presence: presence(&row.presence)?,
            consoles: serde_json::from_str(&row.consoles).map_err(unreadable)?,
            gone_since: row.gone_since.map(|at| at.0),
            idle_since: row.idle_since.0,
            missed: u16::try_from(row.missed).map_err(unreadable)?,
            rev: row.rev,
        })
    }
}

#[derive(FromRow, Serialize)]
pub(crate) struct ReservationRow {
    id: Uuid,
    conversation_id: Uuid,
    agent: String,
    state: String,
    offered_at: Stamp,
    until: Stamp,
    ended_at: Option<Stamp>,
    rests_until: Option<Stamp>,
    rev: i64,
}

impl TryFrom<ReservationRow> for Reservation {
    type Error = Error;
    fn try_from(row: ReservationRow) -> Result<Self, Error> {
        Ok(Reservation {
            id: ReservationId::from_uuid(row.id),
            conversation: ConversationId::from_uuid(row.conversation_id),
            agent: row.agent,
            state: row.state.parse().map_err(unreadable)?,
            offered_at: row.offered_at.0,
            until: row.until.0,
            ended_at: row.ended_at.map(|at| at.0),
            rests_until: row.rests_until.map(|at| at.0),
            rev: row.rev,
        })
    }
}
