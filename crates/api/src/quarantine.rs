//! The quarantine: requests for a known source that did not prove where they came from.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use contact::{SourceName, Suspect};
use jiff::Timestamp;
use serde::Serialize;
use timeline::{ListedSuspect, Role};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::caller::{Caller, Supervisor};
use crate::extract::{FromParams, HexId, Id, On, Params, Query};
use crate::once::{Done, Write};
use crate::paging::{Items, PageOf, PageParams};
use crate::problem::Problem;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, discard)).routes(routes!(release))
}

/// One held request.
#[derive(Serialize, ToSchema)]
#[schema(as = Suspect)]
pub(crate) struct SuspectJson {
    /// 32 hex digits.
    id: String,
    #[schema(value_type = String, example = "phone/main-line")]
    source: SourceName,
    received_at: Timestamp,
    /// The address it came from.
    peer: Option<String>,
    /// What was wrong with it.
    reason: String,
    /// Of the request, in bytes.
    size: u64,
}

/// A held request, whole.
#[derive(Serialize, ToSchema)]
#[schema(as = SuspectDetail)]
pub(crate) struct SuspectDetailJson {
    #[serde(flatten)]
    suspect: SuspectJson,
    /// The request (`message/http`), where it is printable UTF-8.
    text: Option<String>,
    /// The request otherwise.
    base64: Option<String>,
}

impl From<ListedSuspect> for SuspectJson {
    fn from(suspect: ListedSuspect) -> Self {
        let ListedSuspect { id, source, received_at, peer, reason, size } = suspect;
        Self { id, source, received_at, peer, reason, size }
    }
}

impl From<&Suspect> for SuspectJson {
    fn from(suspect: &Suspect) -> Self {
        Self {
            id: suspect.id.clone(),
            source: suspect.source.clone(),
            received_at: suspect.received_at,
            peer: suspect.peer.clone(),
            reason: suspect.reason.clone(),
            size: suspect.request.size,
        }
    }
}

impl From<Suspect> for SuspectDetailJson {
    fn from(suspect: Suspect) -> Self {
        let shown = SuspectJson::from(&suspect);
        Self { suspect: shown, text: suspect.request.text, base64: suspect.request.base64 }
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only those for this source, `channel/name`.
    #[param(value_type = Option<String>)]
    source: Option<SourceName>,
    #[param(ignore)]
    page: PageOf<HexId>,
}

impl FromParams for ListQuery {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        Ok(Self { source: params.value("source")?, page: PageOf::from_params(params)? })
    }
}

/// Held requests, without the requests themselves.
#[utoipa::path(get, path = "/v1/quarantine", tag = "operator", operation_id = "listSuspects", params(ListQuery, PageParams),
    responses((status = 200, description = "A page of held requests.", body = Items<SuspectJson>)))]
async fn list(
    _: Caller,
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Items<SuspectJson>>, Problem> {
    let suspects = app.store.suspects(query.source.as_ref(), query.page.wanted()).await?;
    Ok(Json(query.page.of(suspects, |one| HexId(one.id.clone()), SuspectJson::from)))
}

/// One held request, whole.
#[utoipa::path(get, path = "/v1/quarantine/{id}", tag = "operator", operation_id = "getSuspect",
    params(("id" = String, Path, description = "32 hex digits.")),
    responses((status = 200, description = "The held request.", body = SuspectDetailJson)))]
async fn get(
    _: Caller,
    State(app): State<App>,
    Id(id): Id<HexId>,
) -> Result<Json<SuspectDetailJson>, Problem> {
    Ok(Json(find(&app, &id).await?.into()))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReleaseQuery {
    /// Believe it without a valid signature, which needs an admin and stays marked.
    #[param(value_type = Option<bool>)]
    unverified: bool,
}

impl FromParams for ReleaseQuery {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        Ok(Self { unverified: params.flag("unverified")? })
    }
}

/// Takes it in as if it came now, verified again with today's secret.
#[utoipa::path(post, path = "/v1/quarantine/{id}/release", tag = "operator", operation_id = "releaseSuspect",
    params(("id" = String, Path, description = "32 hex digits."), ReleaseQuery),
    responses((status = 204, description = "It is taken in, and off the shelf."),
        (status = 409, description = "It still does not prove where it came from.")))]
async fn release(
    Supervisor(caller): Supervisor,
    State(app): State<App>,
    Id(id): Id<HexId>,
    Query(query): Query<ReleaseQuery>,
    write: Write<()>,
) -> Result<Response, Problem> {
    if query.unverified {
        caller.needs(Role::Admin)?;
    }
    write
        .once(&app, &caller, async |()| {
            let suspect = find(&app, &id).await?;
            app.desk.release(&suspect, query.unverified).await?;
            // Only now: until it is taken in, the shelf holds the only copy.
            app.store.drop_suspect(&id.0).await?;
            tracing::info!(
                suspect.id = %id.0, source.name = %suspect.source, unverified = query.unverified,
                token.id = %caller.token.id, "released a request from quarantine"
            );
            Ok(Done::nothing())
        })
        .await
}

/// Throws it away.
#[utoipa::path(delete, path = "/v1/quarantine/{id}", tag = "operator", operation_id = "discardSuspect",
    params(("id" = String, Path, description = "32 hex digits.")),
    responses((status = 204, description = "It is gone.")))]
async fn discard(On(Supervisor(caller), app, id, write): On<Supervisor, HexId>) -> Result<Response, Problem> {
    write
        .once(&app, &caller, async |()| match app.store.drop_suspect(&id.0).await? {
            true => Ok(Done::nothing()),
            false => Err(nobody(&id)),
        })
        .await
}

async fn find(app: &App, id: &HexId) -> Result<Suspect, Problem> {
    app.store.suspect(&id.0).await?.ok_or_else(|| nobody(id))
}

fn nobody(id: &HexId) -> Problem {
    Problem::missing(format!("there is no held request {}", id.0))
}
