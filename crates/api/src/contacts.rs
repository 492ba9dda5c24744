//! Contacts: every interaction with all that was told about it, and what arrived byte for byte.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use contact::{Channel, ClientId, ContactId, Deed, Raw, SourceName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use timeline::{Entry, FindContacts, Logged};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::acts::perform;
use crate::attachments::offered;
use crate::caller::{Caller, Supervisor};
use crate::extract::{FromParams, Id, On, Params, Query};
use crate::once::{self, Done};
use crate::paging::{Items, PageOf, PageParams};
use crate::problem::Problem;
use crate::text::Reason;
use crate::views::ContactJson;
use crate::words;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(raw))
        .routes(routes!(move_to))
}

/// A contact with every event of it.
#[derive(Serialize, ToSchema)]
#[schema(as = ContactDetail)]
pub(crate) struct ContactDetailJson {
    contact: ContactJson,
    /// Oldest first.
    events: Vec<ContactEventJson>,
}

/// One fact about a contact, as logged.
#[derive(Serialize, ToSchema)]
#[schema(as = ContactEvent)]
pub(crate) struct ContactEventJson {
    /// Its place in the log.
    position: i64,
    recorded_at: Timestamp,
    /// The CloudEvents envelope. `data.raw` holds what arrived as `text` or `base64` while it is small;
    /// `data.raw.href` always gives its bytes.
    #[schema(value_type = Object)]
    event: Value,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only this channel.
    #[param(schema_with = words::channel)]
    channel: Option<Channel>,
    /// Only this source, `channel/name`.
    #[param(value_type = Option<String>)]
    source: Option<SourceName>,
    /// `none`: only those that belong to no client.
    client: Option<String>,
    #[param(ignore)]
    page: PageOf<ContactId>,
}

impl FromParams for ListQuery {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        let client = params.text("client");
        if client.as_ref().is_some_and(|client| client != "none") {
            let sentence = "only `none` is known here; the contacts of a client are on their timeline";
            return Err(Problem::field("client", sentence));
        }
        Ok(Self {
            channel: params.value("channel")?,
            source: params.value("source")?,
            client,
            page: PageOf::from_params(params)?,
        })
    }
}

/// Contacts, newest first, also those without a client.
#[utoipa::path(get, path = "/v1/contacts", tag = "contacts", operation_id = "listContacts", params(ListQuery, PageParams),
    responses((status = 200, description = "A page of contacts.", body = Items<ContactJson>)))]
async fn list(
    _: Caller,
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Items<ContactJson>>, Problem> {
    let find = FindContacts { channel: query.channel, source: query.source, nobodys: query.client.is_some() };
    let entries = app.store.contacts(&find, query.page.wanted()).await?;
    let contacts = entries.into_iter().filter_map(|entry| Some((entry.contact?, entry))).collect();
    Ok(Json(query.page.of(contacts, |(id, _)| *id, |(id, entry)| ContactJson::new(id, entry))))
}

/// One contact with everything that was told about it.
#[utoipa::path(get, path = "/v1/contacts/{id}", tag = "contacts", operation_id = "getContact",
    params(("id" = String, Path, description = "The contact's id, `con_…`.")),
    responses((status = 200, description = "The contact and its events.", body = ContactDetailJson)))]
async fn get(
    _: Caller,
    State(app): State<App>,
    Id(id): Id<ContactId>,
) -> Result<Json<ContactDetailJson>, Problem> {
    let (entry, events) = find(&app, id).await?;
    let events = events.into_iter().map(|logged| show(id, logged)).collect();
    Ok(Json(ContactDetailJson { contact: ContactJson::new(id, entry), events }))
}

fn show(id: ContactId, logged: Logged) -> ContactEventJson {
    let mut event = payload(&logged);
    if let Some(Value::Object(raw)) = event.pointer_mut("/data/raw") {
        let href = format!("/v1/contacts/{id}/raw?event={}", logged.position);
        raw.insert("href".to_owned(), Value::String(href));
    }
    ContactEventJson { position: logged.position, recorded_at: logged.recorded_at, event }
}

/// Of any version, readable by today's normaliser or not.
pub(crate) fn payload(logged: &Logged) -> Value {
    serde_json::from_str(&logged.payload).unwrap_or(Value::Null)
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RawQuery {
    /// Which event of the contact: its `position`, or its `id`. The first one that has a raw by default.
    event: Option<String>,
}

impl FromParams for RawQuery {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        Ok(Self { event: params.text("event") })
    }
}

/// What arrived, byte for byte.
///
/// Untrusted bytes: they are offered as a file and never run in a browser.
#[utoipa::path(get, path = "/v1/contacts/{id}/raw", tag = "contacts", operation_id = "getRaw",
    params(("id" = String, Path, description = "The contact's id, `con_…`."), RawQuery),
    responses((status = 200, description = "The bytes, with the media type they came with.",
        content_type = "application/octet-stream")))]
async fn raw(
    _: Caller,
    State(app): State<App>,
    Id(id): Id<ContactId>,
    Query(query): Query<RawQuery>,
) -> Result<Response, Problem> {
    let (_, events) = find(&app, id).await?;
    let raw = events
        .iter()
        .map(|logged| (logged.position, payload(logged)))
        .filter(|(position, event)| match &query.event {
            None => !event["data"]["raw"].is_null(),
            Some(wanted) => *wanted == position.to_string() || event["id"] == wanted.as_str(),
        })
        .find_map(|(_, mut event)| serde_json::from_value::<Raw>(event["data"]["raw"].take()).ok())
        .ok_or_else(|| Problem::missing("the contact has no such event with a raw"))?;
    let bytes = match raw.bytes() {
        Some(bytes) => bytes.into(),
        None => {
            app.desk.blob(&raw).await?.ok_or_else(|| Problem::missing("the bytes are not kept any more"))?
        }
    };
    let media_type = HeaderValue::from_str(&raw.media_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    Ok(offered(bytes, media_type, HeaderValue::from_static("attachment")))
}

/// Whose the contact is.
#[derive(Deserialize, ToSchema)]
#[schema(as = Move)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveJson {
    /// The client it belongs to; without one, a new client.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "cli_019aa5bd3f9770008f6a2d0c7c2b9e11")]
    client: Option<ClientId>,
    /// 1 to 500 letters, for whoever wonders later.
    #[schema(value_type = String, min_length = 1, max_length = 500, example = "Her husband called from her phone.")]
    reason: Reason,
}

/// Gives a contact to another client, or to a new one.
///
/// It stays there, whatever else is told about it.
#[utoipa::path(post, path = "/v1/contacts/{id}/move", tag = "contacts", operation_id = "moveContact",
    params(("id" = String, Path, description = "The contact's id, `con_…`.")), request_body = MoveJson,
    responses((status = 200, description = "The contact as it is now.", body = ContactJson)))]
async fn move_to(
    On(Supervisor(caller), app, id, write): On<Supervisor, ContactId, once::Json<MoveJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::Json(MoveJson { client, reason: Reason(reason) }), asked| {
            perform(&app, &caller, asked, Deed::Move { contact: id, client, reason }).await?;
            Ok(Done::with(StatusCode::OK, &ContactJson::new(id, find(&app, id).await?.0)))
        })
        .await
}

/// The contact's entry, and every event of it.
pub(crate) async fn find(app: &App, id: ContactId) -> Result<(Entry, Vec<Logged>), Problem> {
    let found = app.store.contact(id).await?;
    found.ok_or_else(|| Problem::missing(format!("there is no contact {id}")))
}
