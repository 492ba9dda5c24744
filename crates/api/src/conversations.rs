//! Conversations: what is open, whose it is, what is owed.

use axum::Json;
use axum::extract::State;
use contact::{Channel, ClientId, ConversationId};
use timeline::{FindConversations, Status};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::caller::Caller;
use crate::extract::{FromParams, Id, Params, Query};
use crate::paging::{Items, PageOf, PageParams};
use crate::problem::Problem;
use crate::views::ConversationJson;
use crate::words;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only those in this state.
    #[param(schema_with = words::status)]
    status: Option<Status>,
    /// Only those of this queue.
    queue: Option<String>,
    /// Only those of this agent.
    assignee: Option<String>,
    /// Only those begun on this channel.
    #[param(schema_with = words::channel)]
    channel: Option<Channel>,
    /// Only those of this client.
    #[param(value_type = Option<String>)]
    client: Option<ClientId>,
    #[param(ignore)]
    page: PageOf<ConversationId>,
}

impl FromParams for ListQuery {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        Ok(Self {
            status: params.value("status")?,
            queue: params.word("queue")?,
            assignee: params.word("assignee")?,
            channel: params.value("channel")?,
            client: params.value("client")?,
            page: PageOf::from_params(params)?,
        })
    }
}

/// Conversations, newest first.
#[utoipa::path(get, path = "/v1/conversations", tag = "conversations", operation_id = "listConversations",
    params(ListQuery, PageParams),
    responses((status = 200, description = "A page of conversations.", body = Items<ConversationJson>)))]
async fn list(
    _: Caller,
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Items<ConversationJson>>, Problem> {
    let find = FindConversations {
        status: query.status,
        queue: query.queue,
        assignee: query.assignee,
        channel: query.channel,
        client: query.client,
    };
    let views = app.store.conversations(&find, query.page.wanted()).await?;
    Ok(Json(query.page.of(views, |view| view.conversation.id, ConversationJson::from)))
}

/// One conversation.
#[utoipa::path(get, path = "/v1/conversations/{id}", tag = "conversations", operation_id = "getConversation",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`.")),
    responses((status = 200, description = "The conversation.", body = ConversationJson)))]
async fn get(
    _: Caller,
    State(app): State<App>,
    Id(id): Id<ConversationId>,
) -> Result<Json<ConversationJson>, Problem> {
    let view = app.store.conversation(id).await?;
    let view = view.ok_or_else(|| Problem::missing(format!("there is no conversation {id}")))?;
    Ok(Json(view.into()))
}
