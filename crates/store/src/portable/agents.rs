//! Who of us answers: agents with what they have on their hands, and the processes they reach us through.

use std::collections::{BTreeMap, HashMap};

use contact::Channel;
use jiff::Timestamp;
use sqlx::Error;
use timeline::{Agent, AgentView};
use uuid::Uuid;

use super::super::{Connection, ids, texts};
use super::changes::json;
use crate::rows::{AgentRow, read as nouns};
use crate::values::{Stamp, has_nul, unreadable, without_nul};

/// [`timeline::Conversation::occupies`], word for word as in the index, which would else not be used.
macro_rules! occupies {
    () => {
        "case when assignee is null or continued_in is not null then false when status = 'open' then true \
         when status = 'pending' then channel = 'chat' else false end"
    };
}
pub(super) use occupies;

// --- reading

/// Everybody, by name.
pub(super) async fn all(connection: &mut Connection) -> Result<Vec<AgentView>, Error> {
    let found: Vec<AgentRow> =
        sqlx::query_as(concat!("select ", columns!(agent), " from agent order by name"))
            .fetch_all(&mut *connection)
            .await?;
    views(connection, nouns(found)?).await
}

pub(super) async fn one(connection: &mut Connection, name: &str) -> Result<Option<AgentView>, Error> {
    let found = by_name(connection, [name]).await?;
    Ok(views(connection, found).await?.pop())
}

/// By [`Agent::id`].
pub(super) async fn views_by_id(
    connection: &mut Connection,
    wanted: &[Uuid],
) -> Result<HashMap<Uuid, AgentView>, Error> {
    let found = by_id(connection, wanted).await?;
    let found = views(connection, found).await?;
    Ok(found.into_iter().map(|view| (Agent::id(&view.agent.name), view)).collect())
}

/// With what they have on their hands or are asked to take.
async fn views(connection: &mut Connection, agents: Vec<Agent>) -> Result<Vec<AgentView>, Error> {
    if agents.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = agents.iter().map(|agent| agent.name.as_str()).collect();
    let found: Vec<(String, String, i64)> = sqlx::query_as(concat!(
        "select had.agent, had.channel, count(*) from (\
         select assignee as agent, channel from conversation where ",
        occupies!(),
        " and assignee ",
        in_texts!("$1"),
        " union all select r.agent, c.channel from reservation as r \
         join conversation as c on c.id = r.conversation_id where r.state = 'pending' and r.agent ",
        in_texts!("$1"),
        ") as had group by had.agent, had.channel",
    ))
    .bind(texts(&names)?)
    .fetch_all(connection)
    .await?;
    let mut loads: HashMap<String, BTreeMap<Channel, u32>> = HashMap::new();
    for (agent, channel, count) in found {
        let count = u32::try_from(count).map_err(unreadable)?;
        loads.entry(agent).or_default().insert(channel.parse().map_err(unreadable)?, count);
    }
    let view = |agent: Agent| AgentView { load: loads.remove(&agent.name).unwrap_or_default(), agent };
    Ok(agents.into_iter().map(view).collect())
}

/// Everybody who has a profile.
pub(super) async fn engaged(connection: &mut Connection) -> Result<Vec<Agent>, Error> {
    let found: Vec<AgentRow> = sqlx::query_as(concat!(
        "select ",
        columns!(agent),
        " from agent where profile is not null order by name"
    ))
    .fetch_all(connection)
    .await?;
    nouns(found)
}

/// Somebody has a console open.
pub(super) async fn anybody_here(connection: &mut Connection) -> Result<bool, Error> {
    let found: Option<(Uuid,)> = sqlx::query_as("select id from agent where consoles <> '[]' limit 1")
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

pub(super) async fn by_name(
    connection: &mut Connection,
    names: impl IntoIterator<Item = &str>,
) -> Result<Vec<Agent>, Error> {
    let names: Vec<&str> = names.into_iter().filter(|name| !has_nul(name)).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let found: Vec<AgentRow> =
        sqlx::query_as(concat!("select ", columns!(agent), " from agent where name ", in_texts!("$1")))
            .bind(texts(&names)?)
            .fetch_all(connection)
            .await?;
    nouns(found)
}

pub(super) async fn by_id(connection: &mut Connection, wanted: &[Uuid]) -> Result<Vec<Agent>, Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let found: Vec<AgentRow> =
        sqlx::query_as(concat!("select ", columns!(agent), " from agent where id ", in_ids!("$1")))
            .bind(ids(wanted.iter().copied()))
            .fetch_all(connection)
            .await?;
    nouns(found)
}

// --- processes

pub(super) async fn keep_alive(
    connection: &mut Connection,
    process: &str,
    until: Timestamp,
) -> Result<(), Error> {
    sqlx::query(
        "insert into process (id, until) values ($1, $2) on conflict (id) do update set until = excluded.until",
    )
    .bind(without_nul(process))
    .bind(Stamp(until))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn processes(connection: &mut Connection) -> Result<Vec<(String, Timestamp)>, Error> {
    let found: Vec<(String, Stamp)> =
        sqlx::query_as("select id, until from process order by id").fetch_all(connection).await?;
    Ok(found.into_iter().map(|(process, until)| (process, until.0)).collect())
}

pub(super) async fn forget_process(connection: &mut Connection, process: &str) -> Result<(), Error> {
    sqlx::query("delete from process where id = $1").bind(without_nul(process)).execute(connection).await?;
    Ok(())
}

// --- writing

pub(super) async fn write(connection: &mut Connection, agents: &[Agent]) -> Result<(), Error> {
    let agents = agents
        .iter()
        .map(|agent| Ok((agent, agent.profile.as_ref().map(json).transpose()?, json(&agent.consoles)?)))
        .collect::<Result<Vec<(&Agent, Option<String>, String)>, Error>>()?;
    write_rows!(
        connection,
        concat!("insert into agent (", columns!(agent), ")"),
        &agents,
        |row| [
            Agent::id(&row.0.name),
            row.0.name.as_str(),
            row.1.as_deref(),
            row.0.presence.as_str(),
            row.2.as_str(),
            row.0.gone_since.map(Stamp),
            Stamp(row.0.idle_since),
            i32::from(row.0.missed),
            row.0.rev,
        ],
        "on conflict (id) do update set profile = excluded.profile, presence = excluded.presence, \
         consoles = excluded.consoles, gone_since = excluded.gone_since, idle_since = excluded.idle_since, \
         missed = excluded.missed, rev = excluded.rev"
    );
    Ok(())
}
