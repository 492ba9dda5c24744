//! Conversations: what is open, what waits, what was said in it and is to be answered.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use contact::{Channel, ClientId, ContactId, ConversationId, Deed, EntryId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use timeline::{ConversationView, FindContacts, FindConversations, Page, ReplyState, Status};
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
use crate::text::Text;
use crate::together::List;
use crate::views::{ConversationDetailJson, ConversationJson, EntryJson};
use crate::words;

/// How many times a conversation may have become part of another; more would be a circle.
const MOST_STEPS: usize = 32;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(timeline))
        .routes(routes!(reply))
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
    /// `true`: only those that wait for an agent, in the order in which they are to be taken. Beside it only
    /// `queue` can be asked for.
    #[param(value_type = Option<bool>)]
    waiting: Pages,
}

/// Of which list a page is asked for.
enum Pages {
    Newest(PageOf<ConversationId>),
    Waiting(PageOf<(i64, ConversationId)>),
}

impl FromParams for ListQuery {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        let waiting = params.flag("waiting")?;
        let query = Self {
            status: params.value("status")?,
            queue: params.word("queue")?,
            assignee: params.word("assignee")?,
            channel: params.value("channel")?,
            client: params.value("client")?,
            waiting: match waiting {
                true => Pages::Waiting(PageOf::from_params(params)?),
                false => Pages::Newest(PageOf::from_params(params)?),
            },
        };
        let Self { status, assignee, channel, client, .. } = &query;
        if waiting && (status.is_some() || assignee.is_some() || channel.is_some() || client.is_some()) {
            return Err(Problem::field("waiting", "of those that wait only a `queue` can be asked for"));
        }
        Ok(query)
    }
}

/// Conversations, newest first; or those that wait for an agent, first to be taken first.
#[utoipa::path(get, path = "/v1/conversations", tag = "conversations", operation_id = "listConversations",
    params(ListQuery, PageParams),
    responses((status = 200, description = "A page of conversations.", body = Items<ConversationJson>)))]
async fn list(
    _: Caller,
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let page = match query.waiting {
        Pages::Newest(page) => page,
        Pages::Waiting(page) => return waiting(&app, query.queue, page).await,
    };
    let find = FindConversations {
        status: query.status,
        queue: query.queue,
        assignee: query.assignee,
        channel: query.channel,
        client: query.client,
    };
    let views = app.store.conversations(&find, page.wanted()).await?;
    let now = (app.clock)();
    let show = |view| ConversationJson::of(view, now);
    Ok(Json(page.of(views, |view| view.conversation.id, show)).into_response())
}

/// Every console reads it, all of them at once when much happens.
async fn waiting(
    app: &App,
    queue: Option<String>,
    page: PageOf<(i64, ConversationId)>,
) -> Result<Response, Problem> {
    let list = List::Waiting(queue.clone(), page.clone());
    let read = async {
        let views = app.store.waiting(queue.as_deref(), page.wanted()).await?;
        let now = (app.clock)();
        // Whatever waits has a rank.
        let place =
            |view: &ConversationView| (view.conversation.rank.unwrap_or(i64::MAX), view.conversation.id);
        Ok(page.of(views, place, |view| ConversationJson::of(view, now)))
    };
    app.together.answer(list, read).await
}

/// One conversation.
///
/// Of one that turned out to be part of another, the other: its `id` is another than the one asked for.
#[utoipa::path(get, path = "/v1/conversations/{id}", tag = "conversations", operation_id = "getConversation",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`.")),
    responses((status = 200, description = "The conversation, and how it came to whom it came.", body = ConversationDetailJson)))]
async fn get(
    _: Caller,
    State(app): State<App>,
    Id(id): Id<ConversationId>,
) -> Result<Json<ConversationDetailJson>, Problem> {
    let view = find(&app, id).await?;
    Ok(Json(ConversationDetailJson::of(view, (app.clock)())))
}

impl FromParams for PageOf<(Timestamp, EntryId)> {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        PageOf::from_params(params)
    }
}

/// What was said and done in a conversation, newest first by `occurred_at`.
#[utoipa::path(get, path = "/v1/conversations/{id}/timeline", tag = "conversations", operation_id = "getConversationTimeline",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`."), PageParams),
    responses((status = 200, description = "A page of entries.", body = Items<EntryJson>)))]
async fn timeline(
    _: Caller,
    State(app): State<App>,
    Id(id): Id<ConversationId>,
    Query(page): Query<PageOf<(Timestamp, EntryId)>>,
) -> Result<Json<Items<EntryJson>>, Problem> {
    let today = find(&app, id).await?.conversation.id;
    let entries = app.store.conversation_entries(today, page.wanted()).await?;
    Ok(Json(page.of(entries, |entry| (entry.occurred_at, entry.id), EntryJson::from)))
}

/// What to answer.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewReply)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReplyJson {
    /// 1 to 20,000 letters; control characters are left out.
    #[schema(value_type = String, min_length = 1, max_length = 20_000, example = "Yes, we are open on Saturday.")]
    text: Text,
}

/// An answer that is on its way.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedReply)]
pub(crate) struct ReplyJson {
    /// The entry that shows it, and what becomes of it.
    #[schema(value_type = String, example = "ent_019aa5bd3f977000a1b2c3d4e5f60718")]
    entry: EntryId,
    #[schema(schema_with = words::reply_state)]
    state: ReplyState,
}

/// Answers the client, there where they wrote last.
///
/// It is on the timeline and kept until it is brought; its entry says what becomes of it. Whoever answers a
/// conversation that nobody has takes it.
#[utoipa::path(post, path = "/v1/conversations/{id}/replies", tag = "conversations", operation_id = "reply",
    params(("id" = String, Path, description = "The conversation's id, `cnv_…`.")), request_body = NewReplyJson,
    responses((status = 202, description = "It is kept and on its way.", body = ReplyJson),
        (status = 403, description = "The token's role is not enough, or the client does not want to be reached there (`/problems/unwanted-by-client`)."),
        (status = 409, description = "Nothing can be sent there, or a write with this key is being done.")))]
async fn reply(
    On(Agent(caller), app, id, write): On<Agent, ConversationId, once::Json<NewReplyJson>>,
) -> Result<Response, Problem> {
    write
        .act(&app, &caller, async |once::Json(NewReplyJson { text: Text(text) }), asked| {
            let view = find(&app, id).await?;
            if let Some(contact) = view.conversation.last_contact {
                can_answer(&app, contact).await?;
            }
            let deed = Deed::Reply { conversation: view.conversation.id, text };
            let acted = perform(&app, &caller, asked, deed).await?;
            let accepted = ReplyJson { entry: acted.entry, state: ReplyState::Queued };
            Ok(Done::with(StatusCode::ACCEPTED, &accepted))
        })
        .await
}

/// The conversation as it is today: of one that is part of another, the other.
pub(crate) async fn find(app: &App, id: ConversationId) -> Result<ConversationView, Problem> {
    let mut next = id;
    for _ in 0..MOST_STEPS {
        let Some(view) = app.store.conversation(next).await? else { break };
        match view.conversation.continued_in {
            Some(other) => next = other,
            None => return Ok(view),
        }
    }
    Err(Problem::missing(format!("there is no conversation {id}")))
}

/// 409 where what this contact came by has no way out.
async fn can_answer(app: &App, contact: ContactId) -> Result<(), Problem> {
    // A page of one that begins right above it.
    let above = ContactId::from_uuid(Uuid::from_u128(contact.uuid().as_u128().saturating_add(1)));
    let page = Page { after: Some(above), limit: 1 };
    let entry = app.store.contacts(&FindContacts::default(), page).await?.pop();
    match entry.filter(|entry| entry.contact == Some(contact)) {
        Some(entry) => app.desk.can_answer(&entry.source).map_err(Problem::no_way),
        None => Ok(()),
    }
}
