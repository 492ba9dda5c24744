//! Clients and their timelines.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use contact::{Channel, ClientId, ConversationId, Deed, EntryId, Identifier, IdentifierKind, Permission};
use jiff::Timestamp;
use serde::Deserialize;
use timeline::{Card, Entry, FindClients, Page};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::acts::perform;
use crate::caller::{Agent, Caller};
use crate::extract::{FromParams, Id, On, Params, Query};
use crate::once::{self, Done};
use crate::paging::{Items, PageOf, PageParams};
use crate::problem::Problem;
use crate::text::{Name, Text, given};
use crate::views::{ClientJson, EntryJson};
use crate::wishes::{HoursJson, Language, reached};
use crate::words;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, change))
        .routes(routes!(timeline))
        .routes(routes!(note))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// The holder of this number, in E.164 (`%2B380441234567`). Never somebody who only claims it.
    #[param(value_type = Option<String>, rename = "phone")]
    phone: Option<Identifier>,
    /// The holder of this e-mail address.
    #[param(value_type = Option<String>, rename = "email")]
    email: Option<Identifier>,
    /// Part of a name or of an identifier; case does not matter.
    q: Option<String>,
    #[param(ignore)]
    page: PageOf<ClientId>,
}

impl FromParams for ListQuery {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        let phone = params.given("phone").map(|text| phone(&text)).transpose()?;
        let email = params.given("email").map(|text| email(&text)).transpose()?;
        if phone.is_some() && email.is_some() {
            return Err(Problem::field("email", "give a phone or an e-mail address, not both"));
        }
        let q = params.word("q")?.map(|q| q.trim().to_owned()).filter(|q| !q.is_empty());
        Ok(Self { phone, email, q, page: PageOf::from_params(params)? })
    }
}

/// A number as people write it, as long as it says its country. A `+` that was not escaped arrives as
/// a space.
fn phone(text: &str) -> Result<Identifier, Problem> {
    let text = text.strip_prefix(' ').map_or_else(|| text.to_owned(), |rest| format!("+{rest}"));
    let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
    let digits = bare.strip_prefix('+').unwrap_or_default();
    if !(3..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        let sentence =
            format!("`{text}` is no number in E.164; it reads + (escaped %2B), country and number");
        return Err(Problem::field("phone", sentence));
    }
    Ok(Identifier { kind: IdentifierKind::Phone, value: bare })
}

fn email(text: &str) -> Result<Identifier, Problem> {
    let value = text.trim().to_lowercase();
    let good = value.split_once('@').is_some_and(|(user, domain)| !user.is_empty() && !domain.is_empty());
    if !good || value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Problem::field("email", format!("`{text}` is no e-mail address")));
    }
    Ok(Identifier { kind: IdentifierKind::Email, value })
}

/// Clients, newest first.
///
/// Without a filter all of them.
#[utoipa::path(get, path = "/v1/clients", tag = "clients", operation_id = "listClients", params(ListQuery, PageParams),
    responses((status = 200, description = "A page of clients.", body = Items<ClientJson>)))]
async fn list(
    _: Caller,
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Items<ClientJson>>, Problem> {
    let find = FindClients { identifier: query.phone.or(query.email), q: query.q };
    let cards = app.store.find_clients(&find, query.page.wanted()).await?;
    Ok(Json(query.page.of(cards, |card| card.client.id, ClientJson::from)))
}

/// One client.
///
/// Of one who turned out to be another client, the client they are: its `id` is another than the one asked
/// for.
#[utoipa::path(get, path = "/v1/clients/{id}", tag = "clients", operation_id = "getClient",
    params(("id" = String, Path, description = "The client's id, `cli_…`.")),
    responses((status = 200, description = "The client.", body = ClientJson)))]
async fn get(_: Caller, State(app): State<App>, Id(id): Id<ClientId>) -> Result<Json<ClientJson>, Problem> {
    Ok(Json(card(&app, id).await?.into()))
}

/// What to change; what is not given stays.
#[derive(Deserialize, ToSchema)]
#[schema(as = ClientChange)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeJson {
    /// Up to 200 letters on one line; null or none forgets it, and the next channel that tells one is
    /// believed.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 200, example = "Олена Коваль")]
    name: Option<Option<Name>>,
    #[serde(default)]
    #[schema(schema_with = words::permissions)]
    permissions: BTreeMap<String, Permission>,
    /// By which channel they like to be reached: `email`, `phone` or `chat`; null forgets it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "phone")]
    preferred_channel: Option<Option<String>>,
    /// BCP 47; null forgets it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 35, example = "uk")]
    language: Option<Option<Language>>,
    /// When they want to be reached; null forgets it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<HoursJson>)]
    hours: Option<Option<HoursJson>>,
}

/// Changes what a client is called, or how they want to be reached.
///
/// Where a channel is denied, an answer by it is refused from now on, and one that is on its way there is not
/// tried again. Outside their hours a mail waits, unless they wrote within the last hour.
#[utoipa::path(patch, path = "/v1/clients/{id}", tag = "clients", operation_id = "changeClient",
    params(("id" = String, Path, description = "The client's id, `cli_…`.")), request_body = ChangeJson,
    responses((status = 200, description = "The client as they are now.", body = ClientJson)))]
async fn change(
    On(Agent(caller), app, id, write): On<Agent, ClientId, once::Json<ChangeJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::Json(change), asked| {
            let deed = change.of(id)?;
            perform(&app, &caller, asked, deed).await?;
            Ok(Done::with(StatusCode::OK, &ClientJson::from(card(&app, id).await?)))
        })
        .await
}

impl ChangeJson {
    /// The deed that this asks for.
    fn of(self, client: ClientId) -> Result<Deed, Problem> {
        let says_nothing = self.name.is_none()
            && self.permissions.is_empty()
            && self.preferred_channel.is_none()
            && self.language.is_none()
            && self.hours.is_none();
        if says_nothing {
            return Err(Problem::bad(
                "there is nothing to change; give a name, permissions, preferred_channel, language or hours",
            ));
        }
        let permission = |(name, said): (String, Permission)| {
            reached(&format!("permissions.{name}"), &name).map(|channel| (channel, said))
        };
        let preferred =
            |name: Option<String>| name.map(|name| reached("preferred_channel", &name)).transpose();
        Ok(Deed::Change {
            client,
            name: self.name.map(|name| name.map_or_else(String::new, |Name(name)| name)),
            channels: self.permissions.into_iter().map(permission).collect::<Result<_, Problem>>()?,
            preferred_channel: self.preferred_channel.map(preferred).transpose()?,
            language: self.language.map(|tag| tag.map(|Language(tag)| tag)),
            hours: self.hours.map(|hours| hours.map(HoursJson::read).transpose()).transpose()?,
        })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TimelineQuery {
    /// Only this channel.
    #[param(schema_with = words::channel)]
    channel: Option<Channel>,
    #[param(ignore)]
    page: PageOf<(Timestamp, EntryId)>,
}

impl FromParams for TimelineQuery {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        Ok(Self { channel: params.value("channel")?, page: PageOf::from_params(params)? })
    }
}

/// The history of a client over all channels, newest first by `occurred_at`.
#[utoipa::path(get, path = "/v1/clients/{id}/timeline", tag = "clients", operation_id = "getTimeline",
    params(("id" = String, Path, description = "The client's id, `cli_…`."), TimelineQuery, PageParams),
    responses((status = 200, description = "A page of entries.", body = Items<EntryJson>)))]
async fn timeline(
    _: Caller,
    State(app): State<App>,
    Id(id): Id<ClientId>,
    Query(query): Query<TimelineQuery>,
) -> Result<Json<Items<EntryJson>>, Problem> {
    let mut entries = app.store.timeline(id, query.channel, query.page.wanted()).await?;
    // Only an empty page may be one of a client who is not there, or who is another by now.
    if entries.is_empty() {
        let today = card(&app, id).await?.client.id;
        if today != id {
            entries = app.store.timeline(today, query.channel, query.page.wanted()).await?;
        }
    }
    Ok(Json(query.page.of(entries, |entry| (entry.occurred_at, entry.id), EntryJson::from)))
}

/// A word for whoever serves the client next.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewNote)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoteJson {
    /// 1 to 20,000 letters; control characters are left out.
    #[schema(value_type = String, min_length = 1, max_length = 20_000, example = "Prefers to be called after six.")]
    text: Text,
    /// The conversation it is about.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "cnv_019aa5bd3f977000c1b2c3d4e5f60718")]
    conversation: Option<ConversationId>,
}

/// Puts a note on the client's timeline.
///
/// Notes are for us; the client never sees one.
#[utoipa::path(post, path = "/v1/clients/{id}/notes", tag = "clients", operation_id = "addNote",
    params(("id" = String, Path, description = "The client's id, `cli_…`.")), request_body = NoteJson,
    responses((status = 201, description = "The entry that shows it.", body = EntryJson)))]
async fn note(
    On(Agent(caller), app, id, write): On<Agent, ClientId, once::Json<NoteJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::Json(NoteJson { text: Text(text), conversation }), asked| {
            let at = asked.at;
            let acted = perform(&app, &caller, asked, Deed::Note { client: id, conversation, text }).await?;
            let shown = entry(&app, card(&app, id).await?.client.id, at, acted.entry).await?;
            let shown = shown.ok_or_else(|| Problem::missing("the note is on another timeline by now"))?;
            Ok(Done::with(StatusCode::CREATED, &EntryJson::from(shown)))
        })
        .await
}

/// A client as they are today: of one who is merged, the one they were merged into.
pub(crate) async fn card(app: &App, id: ClientId) -> Result<Card, Problem> {
    let find = async |id| app.store.clients(&[id]).await.map(|mut cards| cards.pop());
    let mut found = find(id).await?;
    // One step leads there: nobody is merged into one who is merged too.
    if let Some(today) = found.as_ref().and_then(|card| card.client.merged_into) {
        found = find(today).await?;
    }
    found.ok_or_else(|| Problem::missing(format!("there is no client {id}")))
}

/// One entry of a timeline, which a page of one that begins right above it holds.
async fn entry(app: &App, client: ClientId, at: Timestamp, id: EntryId) -> Result<Option<Entry>, Problem> {
    let above = EntryId::from_uuid(Uuid::from_u128(id.uuid().as_u128().saturating_add(1)));
    let page = Page { after: Some((at, above)), limit: 1 };
    Ok(app.store.timeline(client, None, page).await?.pop().filter(|entry| entry.id == id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_people_write_it() {
        for good in ["+380441234567", " 380441234567", "+380 44 123-45-67", "+380(44)1234567"] {
            assert_eq!(phone(good).unwrap().value, "+380441234567", "{good}");
        }
        for bad in ["", "0441234567", "+", "+12", "+1234567890123456", "+38044x", "anonymous"] {
            assert!(phone(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_compared_in_lower_case() {
        assert_eq!(email("Olena@Example.COM").unwrap().value, "olena@example.com");
        for bad in ["", "@", "a@", "@b", "a b@c", "a"] {
            assert!(email(bad).is_err(), "{bad}");
        }
    }
}
