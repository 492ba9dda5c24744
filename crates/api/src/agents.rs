//! Who of us answers, what they can take, and whether they are here.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use contact::{Channel, Deed, Invalid, Presence, Profile};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use timeline::{Agent as Row, AgentView, Role};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::acts::perform;
use crate::caller::{Agent, Caller, Supervisor};
use crate::extract::{Named, Query};
use crate::once::{self, Done, Write};
use crate::paging::Items;
use crate::problem::Problem;
use crate::together::List;
use crate::words;

/// Queues, skills or extensions of one agent.
const MOST: usize = 50;
/// In letters: of a queue or a skill, of an extension, of an agent's name.
const LONGEST_WORD: usize = 40;
const LONGEST_EXTENSION: usize = 64;
const LONGEST_NAME: usize = 100;
/// Conversations of one channel at once.
const MOST_AT_ONCE: u16 = 1_000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(me, describe_me))
        .routes(routes!(appear))
        .routes(routes!(list))
        .routes(routes!(describe, dismiss))
}

/// One of us.
#[derive(Serialize, ToSchema)]
#[schema(as = Agent)]
pub(crate) struct AgentJson {
    /// As their token names them.
    #[schema(example = "Mia")]
    name: String,
    /// What they can take; null: they are offered nothing.
    profile: Option<ProfileJson>,
    /// What they say about themselves, or we conclude after offers they did not answer.
    #[schema(schema_with = words::presence)]
    presence: Presence,
    /// They follow `/v1/events`. Offers go to those who are connected and available.
    connected: bool,
    /// By channel, the conversations on their hands and the offers they are asked to answer.
    #[schema(schema_with = words::counts)]
    load: BTreeMap<Channel, u32>,
    /// Rises with every change; 0 of somebody who was never here.
    rev: i64,
}

/// The caller.
#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
pub(crate) struct MeJson {
    #[serde(flatten)]
    agent: AgentJson,
    #[schema(schema_with = words::role)]
    role: Role,
}

/// What an agent can take.
#[derive(Serialize, ToSchema)]
#[schema(as = Profile)]
pub(crate) struct ProfileJson {
    #[schema(example = json!(["default", "sales"]))]
    queues: BTreeSet<String>,
    #[schema(example = json!(["spanish"]))]
    skills: BTreeSet<String>,
    #[schema(schema_with = words::counts, example = json!({"chat": 3, "email": 10, "phone": 1}))]
    capacity: BTreeMap<Channel, u16>,
    #[schema(example = json!(["101"]))]
    extensions: BTreeSet<String>,
}

/// What an agent can take, whole: what is not given is none.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewProfile)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewProfileJson {
    /// Up to 50 names of `[a-z][a-z0-9-]{0,39}`.
    #[serde(default)]
    #[schema(max_items = 50, example = json!(["default", "sales"]))]
    queues: Vec<String>,
    /// Up to 50 names of `[a-z][a-z0-9-]{0,39}`.
    #[serde(default)]
    #[schema(max_items = 50, example = json!(["spanish"]))]
    skills: Vec<String>,
    /// By channel, how many conversations at once, 0 to 1,000; a channel that is not named is none.
    #[serde(default)]
    #[schema(schema_with = words::counts, example = json!({"chat": 3, "email": 10, "phone": 1}))]
    capacity: BTreeMap<String, i64>,
    /// Their telephones as the phone system names them, up to 50 of `[A-Za-z0-9@._-]{1,64}`: a call that rings
    /// at one of them shows its client.
    #[serde(default)]
    #[schema(max_items = 50, example = json!(["101"]))]
    extensions: Vec<String>,
}

/// Whether one is here.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewPresence)]
#[serde(deny_unknown_fields)]
pub(crate) struct PresenceJson {
    /// `away` is offered nothing and keeps what they have; what somebody `offline` has returns after a while.
    #[schema(schema_with = words::presence)]
    presence: Presence,
}

/// The caller, as an agent.
#[utoipa::path(get, path = "/v1/me", tag = "agents", operation_id = "getMe",
    responses((status = 200, description = "Who calls, what they can take and how much they have.", body = MeJson)))]
async fn me(caller: Caller, State(app): State<App>) -> Result<Json<MeJson>, Problem> {
    shown_me(&app, &caller).await.map(Json)
}

/// Says what the caller can take.
#[utoipa::path(put, path = "/v1/me", tag = "agents", operation_id = "describeMe", request_body = NewProfileJson,
    responses((status = 200, description = "The caller as they are now.", body = MeJson)))]
async fn describe_me(
    Agent(caller): Agent,
    State(app): State<App>,
    write: Write<once::Json<NewProfileJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::Json(said), asked| {
            let deed = Deed::Engage { agent: caller.token.name.clone(), profile: Some(said.profile()?) };
            perform(&app, &caller, asked, deed).await?;
            Ok(Done::ok(&shown_me(&app, &caller).await?))
        })
        .await
}

/// Says whether the caller is here.
///
/// Who is available and follows `/v1/events` is offered what waits, as far as their profile has room.
#[utoipa::path(put, path = "/v1/me/presence", tag = "agents", operation_id = "appear", request_body = PresenceJson,
    responses((status = 200, description = "The caller as they are now.", body = MeJson)))]
async fn appear(
    Agent(caller): Agent,
    State(app): State<App>,
    write: Write<once::Json<PresenceJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::Json(PresenceJson { presence }), asked| {
            let deed = Deed::Appear { agent: caller.token.name.clone(), presence };
            perform(&app, &caller, asked, deed).await?;
            Ok(Done::ok(&shown_me(&app, &caller).await?))
        })
        .await
}

/// Everybody who may answer or was described, by name.
#[utoipa::path(get, path = "/v1/agents", tag = "agents", operation_id = "listAgents",
    responses((status = 200, description = "All of them.", body = Items<AgentJson>)))]
async fn list(_: Caller, State(app): State<App>, Query(()): Query<()>) -> Result<Response, Problem> {
    let read = async {
        let hired = hired(&app).await?;
        let mut everybody: BTreeMap<String, AgentView> =
            hired.iter().map(|name| (name.clone(), stranger(name))).collect();
        // Whom nobody described and no token names is shown no more, though the store remembers them.
        let known = app.store.agents().await?.into_iter();
        let works_here = |view: &AgentView| view.agent.profile.is_some() || hired.contains(&view.agent.name);
        everybody.extend(known.filter(works_here).map(|view| (view.agent.name.clone(), view)));
        Ok(Items { items: everybody.into_values().map(AgentJson::from).collect(), next: None })
    };
    app.together.answer(List::Agents, read).await
}

/// Says what an agent can take.
#[utoipa::path(put, path = "/v1/agents/{name}", tag = "agents", operation_id = "describeAgent",
    params(("name" = String, Path, description = "As their token names them.")), request_body = NewProfileJson,
    responses((status = 200, description = "The agent as they are now.", body = AgentJson)))]
async fn describe(
    Supervisor(caller): Supervisor,
    State(app): State<App>,
    Named(AgentName(agent)): Named<AgentName>,
    write: Write<once::Json<NewProfileJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::Json(said), asked| {
            let profile = Some(said.profile()?);
            // A mistyped name must not quietly become a colleague whom nobody meets.
            if !hired(&app).await?.contains(&agent) {
                return Err(unknown(&agent));
            }
            perform(&app, &caller, asked, Deed::Engage { agent: agent.clone(), profile }).await?;
            let view = app.store.agent(&agent).await?.unwrap_or_else(|| stranger(&agent));
            Ok(Done::ok(&AgentJson::from(view)))
        })
        .await
}

/// Takes an agent's profile away.
///
/// They are offered nothing any more. What they have stays theirs, and so does their token: revoke it where
/// they may not call any more.
#[utoipa::path(delete, path = "/v1/agents/{name}", tag = "agents", operation_id = "dismissAgent",
    params(("name" = String, Path, description = "As their token names them.")),
    responses((status = 204, description = "They have none, now or already.")))]
async fn dismiss(
    Supervisor(caller): Supervisor,
    State(app): State<App>,
    Named(AgentName(agent)): Named<AgentName>,
    write: Write<()>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |(), asked| {
            match app.store.agent(&agent).await? {
                Some(view) if view.agent.profile.is_some() => {
                    let deed = Deed::Engage { agent: agent.clone(), profile: None };
                    perform(&app, &caller, asked, deed).await?;
                }
                None if !hired(&app).await?.contains(&agent) => return Err(unknown(&agent)),
                _ => {}
            }
            Ok(Done::nothing())
        })
        .await
}

/// The caller as the store has them; whom it has never met is not here.
pub(crate) async fn myself(app: &App, caller: &Caller) -> Result<AgentView, Problem> {
    let name = &caller.token.name;
    Ok(app.store.agent(name).await?.unwrap_or_else(|| stranger(name)))
}

async fn shown_me(app: &App, caller: &Caller) -> Result<MeJson, Problem> {
    let agent = AgentJson::from(myself(app, caller).await?);
    Ok(MeJson { agent, role: caller.token.role })
}

fn stranger(name: &str) -> AgentView {
    AgentView { agent: Row::new(name, Timestamp::UNIX_EPOCH), load: BTreeMap::new() }
}

fn unknown(name: &str) -> Problem {
    Problem::missing(format!("no agent has a token of the name `{name}`"))
}

/// The names of those whose valid tokens let them answer.
pub(crate) async fn hired(app: &App) -> Result<BTreeSet<String>, Problem> {
    let tokens = app.store.tokens().await?.into_iter();
    let valid = tokens.filter(|token| token.revoked_at.is_none() && token.role >= Role::Agent);
    Ok(valid.map(|token| token.name).collect())
}

/// The name of an agent in a path.
pub(crate) struct AgentName(String);

impl FromStr for AgentName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if (1..=LONGEST_NAME).contains(&text.chars().count()) && !text.contains(char::is_control) {
            return Ok(AgentName(text.to_owned()));
        }
        Err(Invalid(format!("an agent's name is 1 to {LONGEST_NAME} letters on one line")))
    }
}

impl From<AgentView> for AgentJson {
    fn from(AgentView { agent, load }: AgentView) -> Self {
        Self {
            connected: agent.is_connected(),
            name: agent.name,
            profile: agent.profile.map(ProfileJson::from),
            presence: agent.presence,
            load,
            rev: agent.rev,
        }
    }
}

impl From<Profile> for ProfileJson {
    fn from(Profile { queues, skills, capacity, extensions }: Profile) -> Self {
        Self { queues, skills, capacity, extensions }
    }
}

impl NewProfileJson {
    /// What was said, if all of it can be.
    fn profile(self) -> Result<Profile, Problem> {
        let word = "`[a-z][a-z0-9-]{0,39}`, as the rules name them";
        let capacity = self.capacity.into_iter().map(|(channel, count)| at_once(&channel, count));
        Ok(Profile {
            queues: each("queues", self.queues, is_word, word)?,
            skills: each("skills", self.skills, is_word, word)?,
            capacity: capacity.collect::<Result<_, _>>()?,
            extensions: each("extensions", self.extensions, is_extension, "`[A-Za-z0-9@._-]{1,64}`")?,
        })
    }
}

fn each(
    field: &str,
    said: Vec<String>,
    good: fn(&str) -> bool,
    reads: &str,
) -> Result<BTreeSet<String>, Problem> {
    if said.len() > MOST {
        return Err(Problem::field(field, format!("these are {}; there are at most {MOST}", said.len())));
    }
    match said.iter().position(|text| !good(text)) {
        Some(at) => Err(Problem::field(format!("{field}[{at}]"), format!("it reads {reads}"))),
        None => Ok(said.into_iter().collect()),
    }
}

fn is_word(text: &str) -> bool {
    text.len() <= LONGEST_WORD
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_extension(text: &str) -> bool {
    (1..=LONGEST_EXTENSION).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'@' | b'.' | b'_' | b'-'))
}

fn at_once(channel: &str, count: i64) -> Result<(Channel, u16), Problem> {
    // A name of the caller's choice is repeated only as far as it is one of ours.
    let known = words::REACHED.into_iter().find(|known| known.as_str() == channel);
    let known = known
        .ok_or_else(|| Problem::field("capacity", "nobody is reached so; it is email, phone or chat"))?;
    let count = u16::try_from(count).ok().filter(|count| *count <= MOST_AT_ONCE).ok_or_else(|| {
        Problem::field(format!("capacity.{known}"), format!("it is 0 to {MOST_AT_ONCE} conversations"))
    })?;
    Ok((known, count))
}
