//! What an agent is offered, for a while: to accept or to decline.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use contact::{Deed, ReservationId, micros};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use timeline::{Reservation, ReservationState};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::acts::perform;
use crate::caller::{Agent, Caller};
use crate::extract::{On, Query};
use crate::handling::settle;
use crate::once::Done;
use crate::paging::Items;
use crate::problem::Problem;
use crate::views::ConversationJson;
use crate::words;

/// No agent is offered more at once; with more, the first to end are shown.
const MOST: usize = 200;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(accept)).routes(routes!(decline))
}

/// A conversation held for one agent.
#[derive(Serialize, ToSchema)]
#[schema(as = Reservation)]
pub(crate) struct ReservationJson {
    #[schema(value_type = String, example = "rsv_019aa5bd3f977000d1b2c3d4e5f60718")]
    id: ReservationId,
    #[schema(schema_with = words::reservation_state)]
    state: ReservationState,
    #[schema(example = "Mia")]
    agent: String,
    offered_at: Timestamp,
    /// From this moment on an answer is too late.
    until: Timestamp,
    /// Null when it is gone.
    conversation: Option<ConversationJson>,
}

impl ReservationJson {
    pub(crate) fn new(row: Reservation, conversation: Option<ConversationJson>) -> Self {
        Self {
            id: row.id,
            state: row.state,
            agent: row.agent,
            offered_at: row.offered_at,
            until: row.until,
            conversation,
        }
    }
}

/// What the caller is offered and can still accept, the first to end first.
#[utoipa::path(get, path = "/v1/reservations", tag = "agents", operation_id = "listReservations",
    responses((status = 200, description = "All of them.", body = Items<ReservationJson>)))]
async fn list(
    caller: Caller,
    State(app): State<App>,
    Query(()): Query<()>,
) -> Result<Json<Items<ReservationJson>>, Problem> {
    let now = (app.clock)();
    let rows = app.store.reservations(Some(&caller.token.name)).await?;
    let mut items = Vec::new();
    for row in rows.into_iter().filter(|row| row.until > now).take(MOST) {
        let view = app.store.conversation(row.conversation).await?;
        items.push(ReservationJson::new(row, view.map(|view| ConversationJson::of(view, now))));
    }
    Ok(Json(Items { items, next: None }))
}

/// Takes what is offered.
///
/// Too late, somebody else may have it: then `owner` names them.
#[utoipa::path(post, path = "/v1/reservations/{id}/accept", tag = "agents", operation_id = "accept",
    params(("id" = String, Path, description = "The reservation's id, `rsv_…`.")),
    responses((status = 200, description = "It is the caller's.", body = ConversationJson),
        (status = 409, description = "It is too late; where somebody has it, `owner` names them. Or a write with this key is being done.")))]
async fn accept(On(Agent(caller), app, id, write): On<Agent, ReservationId>) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |(), asked| {
            let conversation = offered(&app, id).await?.conversation;
            let accept = |conversation| Deed::Accept { reservation: id, conversation };
            settle(&app, &caller, asked, conversation, accept).await
        })
        .await
}

/// Leaves what is offered to others.
///
/// The next one is asked; the caller is not asked about this conversation again for a while.
#[utoipa::path(post, path = "/v1/reservations/{id}/decline", tag = "agents", operation_id = "decline",
    params(("id" = String, Path, description = "The reservation's id, `rsv_…`.")),
    responses((status = 204, description = "It is declined."),
        (status = 409, description = "It is over already, or a write with this key is being done.")))]
async fn decline(On(Agent(caller), app, id, write): On<Agent, ReservationId>) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |(), asked| {
            let conversation = offered(&app, id).await?.conversation;
            let rests = SignedDuration::from_secs(i64::from(app.policy.terms.rest_s));
            // Beyond the end of time they rest for ever.
            let rests_until = micros((app.clock)()).checked_add(rests).unwrap_or(Timestamp::MAX);
            let deed = Deed::Decline { reservation: id, conversation, rests_until: Some(rests_until) };
            perform(&app, &caller, asked, deed).await?;
            Ok(Done::nothing())
        })
        .await
}

async fn offered(app: &App, id: ReservationId) -> Result<Reservation, Problem> {
    let row = app.store.reservation(id).await?;
    row.ok_or_else(|| Problem::missing(format!("there is no reservation {id}")))
}
