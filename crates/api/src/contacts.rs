//! Contacts: every interaction with all that was told about it, and what arrived byte for byte.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use contact::{Channel, ContactId, Raw, SourceName};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use timeline::{FindContacts, Logged};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::caller::Caller;
use crate::extract::{FromParams, Id, Params, Query};
use crate::paging::{Items, PageOf, PageParams};
use crate::problem::Problem;
use crate::views::ContactJson;
use crate::words;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(raw))
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
    Ok(Json(query.page.of(entries, |entry| entry.contact, ContactJson::from)))
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
    let (entry, events) = app.store.contact(id).await?.ok_or_else(|| no_contact(id))?;
    let events = events.into_iter().map(|logged| show(id, logged)).collect();
    Ok(Json(ContactDetailJson { contact: entry.into(), events }))
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
fn payload(logged: &Logged) -> Value {
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
    let (_, events) = app.store.contact(id).await?.ok_or_else(|| no_contact(id))?;
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
    let mut response = Body::from(bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    Ok(response)
}

fn no_contact(id: ContactId) -> Problem {
    Problem::missing(format!("there is no contact {id}"))
}
