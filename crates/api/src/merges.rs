//! Who is who: candidates, merges and their undoing, and who is kept apart.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use contact::{ClientId, Deed, MergeId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use timeline::{Candidate, Merge, Preview, Side};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::acts::perform;
use crate::caller::{Caller, Supervisor};
use crate::clients::card;
use crate::extract::{FromParams, Id, On, Params, Query};
use crate::once::{self, Done};
use crate::paging::Items;
use crate::problem::Problem;
use crate::text::Reason;
use crate::views::{ClientJson, IdentifierJson};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(candidates))
        .routes(routes!(merges))
        .routes(routes!(preview, merge))
        .routes(routes!(undo))
        .routes(routes!(keep_apart))
}

/// Who a client may be, and why.
#[derive(Serialize, ToSchema)]
#[schema(as = Candidate)]
pub(crate) struct CandidateJson {
    client: ClientJson,
    /// What both have: one of them holds it, the other claims it. `level` is its holder's.
    identifier: IdentifierJson,
    /// Why it is no more than a claim.
    #[schema(example = "typed into a chat")]
    reason: String,
    since: Timestamp,
}

/// Two clients made one.
#[derive(Serialize, ToSchema)]
#[schema(as = Merge)]
pub(crate) struct MergeJson {
    #[schema(value_type = String, example = "mrg_019aa5bd3f977000d1b2c3d4e5f60718")]
    id: MergeId,
    /// As it was when it was decided; the survivor may have been merged further since.
    #[schema(value_type = String)]
    survivor: ClientId,
    #[schema(value_type = String)]
    absorbed: ClientId,
    /// The agent or the policy, by name.
    #[schema(example = "Mia")]
    by: String,
    reason: String,
    at: Timestamp,
    /// Null while it holds.
    undone_at: Option<Timestamp>,
}

/// The other of two clients, and why.
#[derive(Deserialize, ToSchema)]
#[schema(as = OtherClient)]
#[serde(deny_unknown_fields)]
pub(crate) struct OtherJson {
    #[schema(value_type = String, example = "cli_019aa5bd3f9770008f6a2d0c7c2b9e11")]
    client: ClientId,
    /// 1 to 500 letters, for whoever wonders later.
    #[schema(value_type = String, min_length = 1, max_length = 500, example = "Same voice, same address.")]
    reason: Reason,
}

/// Why.
#[derive(Deserialize, ToSchema)]
#[schema(as = Reason)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReasonJson {
    /// 1 to 500 letters, for whoever wonders later.
    #[schema(value_type = String, min_length = 1, max_length = 500, example = "They are mother and daughter.")]
    reason: Reason,
}

/// A merge that was done.
#[derive(Serialize, ToSchema)]
#[schema(as = Merged)]
pub(crate) struct MergedJson {
    /// By which it is undone.
    #[schema(value_type = String, example = "mrg_019aa5bd3f977000d1b2c3d4e5f60718")]
    merge: MergeId,
}

/// Two clients side by side, before they are made one.
#[derive(Serialize, ToSchema)]
#[schema(as = MergePreview)]
pub(crate) struct PreviewJson {
    survivor: SideJson,
    absorbed: SideJson,
    /// What speaks against it, in sentences. A person may merge them all the same.
    #[schema(example = json!(["the one is called Olena, the other Iryna"]))]
    conflicts: Vec<String>,
}

/// One of the two.
#[derive(Serialize, ToSchema)]
#[schema(as = MergeSide)]
pub(crate) struct SideJson {
    client: ClientJson,
    contacts: usize,
    conversations: usize,
    /// There are more than were counted, which is some thousands.
    more: bool,
}

impl From<Preview> for PreviewJson {
    fn from(preview: Preview) -> Self {
        let Preview { survivor, absorbed, conflicts } = preview;
        Self { survivor: survivor.into(), absorbed: absorbed.into(), conflicts }
    }
}

impl From<Side> for SideJson {
    fn from(side: Side) -> Self {
        let Side { card, contacts, conversations, more } = side;
        Self { client: card.into(), contacts, conversations, more }
    }
}

impl From<Candidate> for CandidateJson {
    fn from(candidate: Candidate) -> Self {
        Self {
            client: candidate.card.into(),
            identifier: IdentifierJson::new(candidate.identifier, candidate.level),
            reason: candidate.reason,
            since: candidate.since,
        }
    }
}

impl From<Merge> for MergeJson {
    fn from(merge: Merge) -> Self {
        let Merge { id, survivor, absorbed, by, reason, at, undone_at } = merge;
        Self { id, survivor, absorbed, by, reason, at, undone_at }
    }
}

/// Who this client may be, most likely first.
///
/// Nothing is decided from it: a person merges, keeps apart, or waits for proof.
#[utoipa::path(get, path = "/v1/clients/{id}/candidates", tag = "identity", operation_id = "listCandidates",
    params(("id" = String, Path, description = "The client's id, `cli_…`.")),
    responses((status = 200, description = "All of them.", body = Items<CandidateJson>)))]
async fn candidates(
    _: Caller,
    State(app): State<App>,
    Id(id): Id<ClientId>,
) -> Result<Json<Items<CandidateJson>>, Problem> {
    let found = app.store.candidates(card(&app, id).await?.client.id).await?;
    Ok(Json(Items { items: found.into_iter().map(CandidateJson::from).collect(), next: None }))
}

/// The merges this client is made of, undone ones too, newest first.
#[utoipa::path(get, path = "/v1/clients/{id}/merges", tag = "identity", operation_id = "listMerges",
    params(("id" = String, Path, description = "The client's id, `cli_…`.")),
    responses((status = 200, description = "All of them.", body = Items<MergeJson>)))]
async fn merges(
    _: Caller,
    State(app): State<App>,
    Id(id): Id<ClientId>,
) -> Result<Json<Items<MergeJson>>, Problem> {
    let found = app.store.merges(card(&app, id).await?.client.id).await?;
    Ok(Json(Items { items: found.into_iter().map(MergeJson::from).collect(), next: None }))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PreviewQuery {
    /// The client who would become part of this one.
    #[param(value_type = String)]
    client: ClientId,
}

impl FromParams for PreviewQuery {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        let client = params.value("client")?;
        Ok(Self { client: client.ok_or_else(|| Problem::field("client", "say which client"))? })
    }
}

/// What a merge would join, and what speaks against it. Nothing is changed by looking.
#[utoipa::path(get, path = "/v1/clients/{id}/merge", tag = "identity", operation_id = "previewMerge",
    params(("id" = String, Path, description = "The client who would stay, `cli_…`."), PreviewQuery),
    responses((status = 200, description = "Both as they are today.", body = PreviewJson),
        (status = 409, description = "They are one client already.")))]
async fn preview(
    _: Caller,
    State(app): State<App>,
    Id(id): Id<ClientId>,
    Query(query): Query<PreviewQuery>,
) -> Result<Json<PreviewJson>, Problem> {
    Ok(Json(timeline::preview(app.store.as_ref(), id, query.client).await?.into()))
}

/// Makes two clients one: everything of the other becomes this client's.
///
/// The other's id leads to this one from now on. It can be undone.
#[utoipa::path(post, path = "/v1/clients/{id}/merge", tag = "identity", operation_id = "mergeClients",
    params(("id" = String, Path, description = "The client who stays, `cli_…`.")), request_body = OtherJson,
    responses((status = 201, description = "They are one.", body = MergedJson)))]
async fn merge(
    On(Supervisor(caller), app, id, write): On<Supervisor, ClientId, once::Json<OtherJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::Json(OtherJson { client, reason: Reason(reason) }), asked| {
            let deed = Deed::Merge { survivor: id, absorbed: client, reason };
            let acted = perform(&app, &caller, asked, deed).await?;
            Ok(Done::with(StatusCode::CREATED, &MergedJson { merge: acted.merge }))
        })
        .await
}

/// Takes two clients apart again, as if the merge had never been.
///
/// What came since goes to whom it would have gone to. They are kept apart from then on.
#[utoipa::path(post, path = "/v1/merges/{id}/undo", tag = "identity", operation_id = "undoMerge",
    params(("id" = String, Path, description = "The merge's id, `mrg_…`.")), request_body = ReasonJson,
    responses((status = 200, description = "The merge, undone.", body = MergeJson)))]
async fn undo(
    On(Supervisor(caller), app, id, write): On<Supervisor, MergeId, once::Json<ReasonJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::Json(ReasonJson { reason: Reason(reason) }), asked| {
            perform(&app, &caller, asked, Deed::Unmerge { merge: id, reason }).await?;
            let merge = app.store.merge(id).await?;
            let merge = merge.ok_or_else(|| Problem::missing(format!("there is no merge {id}")))?;
            Ok(Done::with(StatusCode::OK, &MergeJson::from(merge)))
        })
        .await
}

/// Says that two clients look like one and are not.
///
/// They are no candidates for each other any more, and no policy merges them; a person still can.
#[utoipa::path(post, path = "/v1/clients/{id}/apart", tag = "identity", operation_id = "keepApart",
    params(("id" = String, Path, description = "The one client's id, `cli_…`.")), request_body = OtherJson,
    responses((status = 204, description = "They are kept apart.")))]
async fn keep_apart(
    On(Supervisor(caller), app, id, write): On<Supervisor, ClientId, once::Json<OtherJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::Json(OtherJson { client, reason: Reason(reason) }), asked| {
            perform(&app, &caller, asked, Deed::KeepApart { clients: [id, client], reason }).await?;
            Ok(Done::nothing())
        })
        .await
}
