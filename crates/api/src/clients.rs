//! Clients and their timelines.

use axum::Json;
use axum::extract::State;
use contact::{Channel, ClientId, EntryId, Identifier, IdentifierKind};
use jiff::Timestamp;
use timeline::FindClients;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::caller::Caller;
use crate::extract::{FromParams, Id, Params, Query};
use crate::paging::{Items, PageOf, PageParams};
use crate::problem::Problem;
use crate::views::{ClientJson, EntryJson};
use crate::words;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(timeline))
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
#[utoipa::path(get, path = "/v1/clients/{id}", tag = "clients", operation_id = "getClient",
    params(("id" = String, Path, description = "The client's id, `cli_…`.")),
    responses((status = 200, description = "The client.", body = ClientJson)))]
async fn get(_: Caller, State(app): State<App>, Id(id): Id<ClientId>) -> Result<Json<ClientJson>, Problem> {
    let card = app.store.clients(&[id]).await?.pop().ok_or_else(|| no_client(id))?;
    Ok(Json(card.into()))
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
    let entries = app.store.timeline(id, query.channel, query.page.wanted()).await?;
    // Only an empty page may be one of a client who is not there.
    if entries.is_empty() && app.store.clients(&[id]).await?.is_empty() {
        return Err(no_client(id));
    }
    Ok(Json(query.page.of(entries, |entry| (entry.occurred_at, entry.id), EntryJson::from)))
}

fn no_client(id: ClientId) -> Problem {
    Problem::missing(format!("there is no client {id}"))
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
