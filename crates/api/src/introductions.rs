//! What another system of ours knows of a client: a shop, a billing, the clients' register.
//!
//! That system calls the client by its own id; what it says here is kept under that id, however often it says
//! it. Its word is proof of numbers and addresses nobody holds, and never takes one from anybody: who holds what
//! it names is a candidate, for a person to judge.

use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use contact::{Channel, ClientId, Deed, EventKey, Identifier, IdentifierKind, Introduction, SourceName};
use serde::Deserialize;
use timeline::{FindClients, Page};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::acts::perform;
use crate::caller::Supervisor;
use crate::clients;
use crate::once::{self, Asked, Done, Write};
use crate::problem::Problem;
use crate::text::Name;
use crate::views::ClientJson;
use crate::wishes::Language;

/// In letters.
const LONGEST_SYSTEM: usize = 40;
const LONGEST_ID: usize = 200;
const LONGEST_WORD: usize = 100;
/// Nobody has more numbers and addresses.
const MOST_IDENTIFIERS: usize = 20;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(introduce))
}

/// What a system knows of a client; what it does not say stays.
#[derive(Deserialize, ToSchema)]
#[schema(as = Introduction)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntroductionJson {
    /// Up to 200 letters on one line.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 200, example = "Олена Коваль")]
    name: Option<Name>,
    /// 1 to 100 letters; rules and figures tell clients apart by it.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100, example = "gold")]
    segment: Option<Word>,
    /// What they are worth to the company, in whatever unit it counts; the greater the more.
    #[serde(default)]
    #[schema(example = 12_500)]
    value: Option<i64>,
    /// The agent whose client they are: 1 to 100 letters.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100, example = "Mia")]
    owner: Option<Word>,
    /// BCP 47.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 35, example = "uk")]
    language: Option<Language>,
    /// Numbers and addresses that are theirs; up to 20.
    #[serde(default)]
    identifiers: Vec<KnownIdentifierJson>,
}

/// A number or an address.
#[derive(Deserialize, ToSchema)]
#[schema(as = KnownIdentifier)]
#[serde(deny_unknown_fields)]
pub(crate) struct KnownIdentifierJson {
    /// `phone` or `email`.
    #[schema(value_type = String, example = "phone")]
    kind: String,
    /// With the country where it is a phone: `+380441234567`.
    #[schema(example = "+380441234567")]
    value: String,
}

/// 1 to 100 letters on one line.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Word(String);

impl TryFrom<String> for Word {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = text.trim();
        let count = text.chars().count();
        if !(1..=LONGEST_WORD).contains(&count) || text.chars().any(char::is_control) {
            return Err(format!("it is 1 to {LONGEST_WORD} letters on one line"));
        }
        Ok(Word(text.to_owned()))
    }
}

/// Says what another system knows of a client, under its own id of them.
///
/// Said again it is the same client. Said for the first time it is the client who holds one of the numbers and
/// addresses, if it is one client alone who does, and else somebody new. What others hold stays theirs and makes
/// them candidates. What is not given stays as it is.
#[utoipa::path(put, path = "/v1/clients/by-external-id/{system}/{id}", tag = "clients",
    operation_id = "introduceClient",
    params(("system" = String, Path, description = "The other system: `[a-z][a-z0-9-]{0,39}`.", example = "crm"),
        ("id" = String, Path, description = "Its id of the client: 1 to 200 letters.", example = "4711")),
    request_body = IntroductionJson,
    responses((status = 200, description = "The client as they are now.", body = ClientJson)))]
async fn introduce(
    Supervisor(caller): Supervisor,
    State(app): State<App>,
    KnownAs(known_as): KnownAs,
    write: Write<once::Json<IntroductionJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::Json(said), asked| {
            let said = said.read(known_as)?;
            let client = who(&app, &said, &asked).await?;
            let deed = |client| Deed::Introduce(Introduction { client, ..said.clone() });
            let mut done = perform(&app, &caller, asked.clone(), deed(client)).await;
            // Somebody else has introduced them meanwhile: they are known by now.
            if done.as_ref().is_err_and(Problem::is_conflict) {
                let known = who(&app, &said, &asked).await?;
                done = perform(&app, &caller, asked, deed(known)).await;
            }
            done?;
            // Done before under the same key, it was done to whoever they were then.
            let holder = holder(&app, &said.known_as).await?.unwrap_or(client);
            let card = clients::card(&app, holder).await?;
            Ok(Done::with(StatusCode::OK, &ClientJson::from(card)))
        })
        .await
}

/// Who it is here, today.
async fn who(app: &App, said: &Introduction, asked: &Asked) -> Result<ClientId, Problem> {
    if let Some(holder) = holder(app, &said.known_as).await? {
        return Ok(holder);
    }
    let mut found = None;
    for identifier in &said.identifiers {
        match (holder(app, identifier).await?, found) {
            (Some(holder), Some(other)) if holder != other => return stranger(asked),
            (Some(holder), _) => found = Some(holder),
            (None, _) => {}
        }
    }
    found.map_or_else(|| stranger(asked), Ok)
}

/// Whoever this very act makes.
fn stranger(asked: &Asked) -> Result<ClientId, Problem> {
    let source = SourceName::new(Channel::Desk, "api").map_err(|_| Problem::ours())?;
    Ok(ClientId::derived(&EventKey { source, id: asked.id.clone() }, asked.at))
}

async fn holder(app: &App, identifier: &Identifier) -> Result<Option<ClientId>, Problem> {
    let find = FindClients { identifier: Some(identifier.clone()), q: None };
    let found = app.store.find_clients(&find, Page { after: None, limit: 1 }).await?;
    Ok(found.first().map(|card| card.client.id))
}

impl IntroductionJson {
    /// Of a client who is still to be found.
    fn read(self, known_as: Identifier) -> Result<Introduction, Problem> {
        if self.identifiers.len() > MOST_IDENTIFIERS {
            let sentence = format!("these are more than {MOST_IDENTIFIERS}");
            return Err(Problem::field("identifiers", sentence));
        }
        let mut identifiers = Vec::new();
        for (nth, said) in self.identifiers.into_iter().enumerate() {
            let identifier = said.read(nth)?;
            if !identifiers.contains(&identifier) {
                identifiers.push(identifier);
            }
        }
        Ok(Introduction {
            client: ClientId::from_uuid(uuid::Uuid::nil()),
            known_as,
            name: self.name.map(|Name(name)| name).filter(|name| !name.is_empty()),
            segment: self.segment.map(|Word(word)| word),
            value: self.value,
            owner: self.owner.map(|Word(word)| word),
            language: self.language.map(|Language(tag)| tag),
            identifiers,
        })
    }
}

impl KnownIdentifierJson {
    fn read(self, nth: usize) -> Result<Identifier, Problem> {
        let (kind, value, form) = match self.kind.as_str() {
            "phone" => {
                (IdentifierKind::Phone, connector::number::e164(&self.value, None), "number with its country")
            }
            "email" => (IdentifierKind::Email, connector::address::typed(&self.value), "e-mail address"),
            _ => {
                let sentence = "a system knows a client's `phone` or `email`";
                return Err(Problem::field(format!("identifiers[{nth}].kind"), sentence));
            }
        };
        match value {
            Some(value) => Ok(Identifier { kind, value }),
            None => Err(Problem::field(format!("identifiers[{nth}].value"), format!("this is no {form}"))),
        }
    }
}

/// The `{system}` and `{id}` of the path.
struct KnownAs(Identifier);

impl FromRequestParts<App> for KnownAs {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| Problem::field("id", "the path is not UTF-8"))?;
        let part =
            |name: &str| params.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        known_as(part("system"), part("id")).map(KnownAs)
    }
}

fn known_as(system: &str, id: &str) -> Result<Identifier, Problem> {
    let mut letters = system.bytes();
    let good = letters.next().is_some_and(|c| c.is_ascii_lowercase())
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
        && system.len() <= LONGEST_SYSTEM;
    if !good {
        let sentence =
            "a system's name starts with a-z, goes on with a-z, 0-9 and -, and has at most 40 letters";
        return Err(Problem::field("system", sentence));
    }
    let unseen = |c: char| c.is_control() || connector::address::is_hidden(c);
    if !(1..=LONGEST_ID).contains(&id.chars().count()) || id.trim() != id || id.chars().any(unseen) {
        let sentence =
            format!("an id is 1 to {LONGEST_ID} letters that can be seen, without blanks around it");
        return Err(Problem::field("id", sentence));
    }
    Ok(Identifier { kind: IdentifierKind::External, value: format!("{system}:{id}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_system_is_kept_under_its_name() {
        assert_eq!(known_as("crm", "4711").unwrap().value, "crm:4711");
        assert_eq!(known_as("shop-2", "Ґ 1/2:x").unwrap().value, "shop-2:Ґ 1/2:x");
        for (system, id) in [
            ("", "1"),
            ("CRM", "1"),
            ("a:b", "1"),
            ("crm", ""),
            ("crm", " 1"),
            ("crm", "a\u{0}"),
            ("crm", "\u{202e}1"),
        ] {
            assert!(known_as(system, id).is_err(), "{system} {id}");
        }
        assert!(known_as("crm", &"1".repeat(201)).is_err());
    }
}
