//! Dead letters: what could not be processed, its reason, and its way back.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contact::SourceName;
use jiff::Timestamp;
use serde::Serialize;
use timeline::{DeadLetter, LetterState, ListedLetter};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::caller::{Caller, Supervisor};
use crate::extract::{FromParams, HexId, Id, On, Params, Query};
use crate::once::Done;
use crate::paging::{Items, PageOf, PageParams};
use crate::problem::Problem;
use crate::words;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(retry))
        .routes(routes!(discard))
}

/// What could not be processed.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(crate) struct LetterJson {
    /// 32 hex digits.
    id: String,
    /// Null when not even the source could be read.
    #[schema(value_type = Option<String>)]
    source: Option<SourceName>,
    received_at: Timestamp,
    /// A sentence for a person.
    reason: String,
    /// The field at fault, where one is.
    field: Option<String>,
    #[schema(schema_with = words::letter_state)]
    state: LetterState,
    /// Of what is kept, in bytes.
    size: u64,
}

/// A dead letter with what is kept.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterDetail)]
pub(crate) struct LetterDetailJson {
    #[serde(flatten)]
    letter: LetterJson,
    /// What is kept, where it is UTF-8.
    text: Option<String>,
    /// What is kept otherwise.
    base64: Option<String>,
}

impl From<ListedLetter> for LetterJson {
    fn from(letter: ListedLetter) -> Self {
        let ListedLetter { id, source, received_at, reason, field, state, size } = letter;
        Self { id, source, received_at, reason, field, state, size }
    }
}

impl From<&DeadLetter> for LetterJson {
    fn from(letter: &DeadLetter) -> Self {
        Self {
            id: letter.id.clone(),
            source: letter.source.clone(),
            received_at: letter.received_at,
            reason: letter.reason.clone(),
            field: letter.field.clone(),
            state: letter.state,
            size: letter.payload.len() as u64,
        }
    }
}

impl From<DeadLetter> for LetterDetailJson {
    fn from(letter: DeadLetter) -> Self {
        let shown = LetterJson::from(&letter);
        match String::from_utf8(letter.payload) {
            Ok(text) => Self { letter: shown, text: Some(text), base64: None },
            Err(bytes) => {
                Self { letter: shown, text: None, base64: Some(STANDARD.encode(bytes.into_bytes())) }
            }
        }
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only those in this state.
    #[param(schema_with = words::letter_state)]
    state: Option<LetterState>,
    #[param(ignore)]
    page: PageOf<HexId>,
}

impl FromParams for ListQuery {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        Ok(Self { state: params.value("state")?, page: PageOf::from_params(params)? })
    }
}

/// Dead letters, without what is kept.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "operator", operation_id = "listDeadLetters",
    params(ListQuery, PageParams),
    responses((status = 200, description = "A page of dead letters.", body = Items<LetterJson>)))]
async fn list(
    _: Caller,
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Items<LetterJson>>, Problem> {
    let letters = app.store.letters(query.state, query.page.wanted()).await?;
    Ok(Json(query.page.of(letters, |letter| HexId(letter.id.clone()), LetterJson::from)))
}

/// One dead letter with what is kept.
#[utoipa::path(get, path = "/v1/dead-letters/{id}", tag = "operator", operation_id = "getDeadLetter",
    params(("id" = String, Path, description = "32 hex digits.")),
    responses((status = 200, description = "The dead letter.", body = LetterDetailJson)))]
async fn get(
    _: Caller,
    State(app): State<App>,
    Id(id): Id<HexId>,
) -> Result<Json<LetterDetailJson>, Problem> {
    Ok(Json(find(&app, &id).await?.into()))
}

/// Sends it in again.
///
/// Once asked for it is done, also when whoever asked does not wait for it. It is marked `retried`; should it fail once more, it is open again.
#[utoipa::path(post, path = "/v1/dead-letters/{id}/retry", tag = "operator", operation_id = "retryDeadLetter",
    params(("id" = String, Path, description = "32 hex digits.")),
    responses((status = 202, description = "It is on its way again.", body = LetterJson)))]
async fn retry(On(Supervisor(caller), app, id, write): On<Supervisor, HexId>) -> Result<Response, Problem> {
    write
        .once(&app, &caller, async |()| {
            let letter = find(&app, &id).await?;
            let shown = LetterJson { state: LetterState::Retried, ..LetterJson::from(&letter) };
            // A task of its own: were it dropped between the mark and the sending, as when the caller hangs up, the
            // letter would be among those that are on their way, and on its way nowhere.
            let sent = app.tracker.spawn(send_in(app.clone(), letter));
            sent.await.map_err(|failed| Problem::ours().because(failed))??;
            Ok(Done::with(StatusCode::ACCEPTED, &shown))
        })
        .await
}

async fn send_in(app: App, letter: DeadLetter) -> Result<(), Problem> {
    // Marked first: a letter that fails again at once must be found retried, to be opened.
    app.store.set_letter(&letter.id, LetterState::Retried).await?;
    if let Err(error) = app.desk.retry(&letter).await {
        app.store.set_letter(&letter.id, letter.state).await?;
        return Err(error.into());
    }
    Ok(())
}

/// Puts it away. It stays readable, and can still be retried.
#[utoipa::path(post, path = "/v1/dead-letters/{id}/discard", tag = "operator", operation_id = "discardDeadLetter",
    params(("id" = String, Path, description = "32 hex digits.")),
    responses((status = 200, description = "It is put away.", body = LetterJson)))]
async fn discard(On(Supervisor(caller), app, id, write): On<Supervisor, HexId>) -> Result<Response, Problem> {
    write
        .once(&app, &caller, async |()| {
            let letter = find(&app, &id).await?;
            app.store.set_letter(&id.0, LetterState::Discarded).await?;
            let shown = LetterJson { state: LetterState::Discarded, ..LetterJson::from(&letter) };
            Ok(Done::with(StatusCode::OK, &shown))
        })
        .await
}

async fn find(app: &App, id: &HexId) -> Result<DeadLetter, Problem> {
    let letter = app.store.letter(&id.0).await?;
    letter.ok_or_else(|| Problem::missing(format!("there is no dead letter {}", id.0)))
}
