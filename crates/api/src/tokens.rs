//! Tokens: who may call.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use timeline::{Role, Token};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::caller::{Admin, token_id};
use crate::extract::{HexId, On};
use crate::once::{self, Done, Write};
use crate::paging::Items;
use crate::problem::Problem;
use crate::words;

/// In letters.
const LONGEST_NAME: usize = 100;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// A key to the API, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenJson {
    /// 32 hex digits.
    id: String,
    #[schema(example = "Mia's laptop")]
    name: String,
    #[schema(schema_with = words::role)]
    role: Role,
    created_at: Timestamp,
    /// Null while it is valid.
    revoked_at: Option<Timestamp>,
}

/// A token just made, with its secret: shown this once, kept nowhere.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedToken)]
pub(crate) struct CreatedTokenJson {
    #[serde(flatten)]
    token: TokenJson,
    #[schema(example = "fd_Tm90IGEgc2VjcmV0LCBidXQgdGhlIHNoYXBlIG9mIG9u")]
    secret: String,
}

/// What to make.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewToken)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTokenJson {
    /// Who it is for: 1 to 100 letters.
    #[schema(example = "Mia's laptop")]
    name: String,
    /// `reader` reads; `agent` also acts; `supervisor` also sees to dead letters and quarantine; `admin`
    /// also to tokens.
    #[schema(schema_with = words::role)]
    role: Role,
}

impl From<Token> for TokenJson {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            name: token.name,
            role: token.role,
            created_at: token.created_at,
            revoked_at: token.revoked_at,
        }
    }
}

/// All tokens, also revoked ones.
#[utoipa::path(get, path = "/v1/tokens", tag = "operator", operation_id = "listTokens",
    responses((status = 200, description = "All of them.", body = Items<TokenJson>)))]
async fn list(_: Admin, State(app): State<App>) -> Result<Json<Items<TokenJson>>, Problem> {
    let tokens = app.store.tokens().await?;
    Ok(Json(Items { items: tokens.into_iter().map(TokenJson::from).collect(), next: None }))
}

/// A new token, valid at once.
///
/// Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/tokens", tag = "operator", operation_id = "createToken",
    request_body = NewTokenJson,
    responses((status = 201, description = "The token with its secret.", body = CreatedTokenJson)))]
async fn create(
    Admin(caller): Admin,
    State(app): State<App>,
    write: Write<once::Json<NewTokenJson>>,
) -> Result<Response, Problem> {
    write
        .once(&app, &caller, async |once::Json(new)| {
            let name = good_name(&new.name)?;
            let secret = app.desk.secret();
            let token = Token {
                id: token_id(&secret),
                name,
                role: new.role,
                created_at: contact::micros((app.clock)()),
                revoked_at: None,
            };
            app.store.add_token(&token).await?;
            tracing::info!(token.id, token.role = %token.role, by = caller.token.id, "made a token");
            Ok(Done::with(StatusCode::CREATED, &CreatedTokenJson { token: token.into(), secret }))
        })
        .await
}

fn good_name(name: &str) -> Result<String, Problem> {
    let name = name.trim();
    if (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.contains(char::is_control) {
        return Ok(name.to_owned());
    }
    Err(Problem::field("name", format!("a name is 1 to {LONGEST_NAME} letters on one line")))
}

/// Makes a token invalid.
///
/// At once in this process, within five seconds in others; open event streams of it end within that.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "operator", operation_id = "revokeToken",
    params(("id" = String, Path, description = "32 hex digits.")),
    responses((status = 204, description = "It is revoked, now or already.")))]
async fn revoke(On(Admin(caller), app, id, write): On<Admin, HexId>) -> Result<Response, Problem> {
    write
        .once(&app, &caller, async |()| {
            let revoked = app.store.revoke_token(&id.0, contact::micros((app.clock)())).await?;
            app.tokens.forget(&id.0);
            if !revoked && app.store.token(&id.0).await?.is_none() {
                return Err(Problem::missing(format!("there is no token {}", id.0)));
            }
            tracing::info!(token.id = %id.0, by = caller.token.id, "revoked a token");
            Ok(Done::nothing())
        })
        .await
}
