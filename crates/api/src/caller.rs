//! Who is calling, and what they may do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use timeline::{Role, Store, StoreError, Token};
use tokio::time::Instant;

use crate::App;
use crate::problem::Problem;

/// How long a token is believed without asking the store: so long may a revoked one still be used when
/// another process revoked it.
const BELIEVED: Duration = Duration::from_secs(5);
/// Tokens remembered at once. At the bound all are forgotten and looked up again.
const REMEMBERED: usize = 1_024;
/// No secret of ours is longer; what is, is not looked up.
const LONGEST: usize = 255;

/// The id a token's secret is kept under: 32 hex digits of its SHA-256.
pub fn token_id(secret: &str) -> String {
    let full: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    hex::encode(&full[..16])
}

/// The secret made of 32 random bytes: `fd_` and 43 letters of `[A-Za-z0-9_-]`.
pub fn token_secret(random: [u8; 32]) -> String {
    format!("fd_{}", URL_SAFE_NO_PAD.encode(random))
}

/// Whoever sent a request with a valid token. As an extractor it lets every role in: all may read.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) token: Arc<Token>,
    /// Never printed, never kept: it seals what is remembered for this caller.
    secret: Arc<str>,
}

/// A caller who is at least an agent.
pub(crate) struct Agent(pub(crate) Caller);

/// A caller who is at least a supervisor.
pub(crate) struct Supervisor(pub(crate) Caller);

/// A caller who is an admin.
pub(crate) struct Admin(pub(crate) Caller);

impl Caller {
    /// 403 unless the caller has this role or a higher one.
    pub(crate) fn needs(&self, role: Role) -> Result<(), Problem> {
        if self.token.role >= role {
            return Ok(());
        }
        Err(Problem::forbidden(format!("this needs the role {role}, and the token has {}", self.token.role)))
    }

    pub(crate) fn secret(&self) -> &[u8] {
        self.secret.as_bytes()
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let secret = bearer(parts)?;
        let token = app.tokens.check(app.store.as_ref(), &token_id(secret)).await?;
        let token = token.ok_or_else(|| Problem::unknown_caller("the token is unknown or was revoked"))?;
        Ok(Caller { token, secret: secret.into() })
    }
}

impl FromRequestParts<App> for Agent {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        caller.needs(Role::Agent).map(|()| Agent(caller))
    }
}

impl FromRequestParts<App> for Supervisor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        caller.needs(Role::Supervisor).map(|()| Supervisor(caller))
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        caller.needs(Role::Admin).map(|()| Admin(caller))
    }
}

/// The secret in `Authorization: Bearer …`. Nowhere else: what stands in a URL ends up in logs.
fn bearer(parts: &Parts) -> Result<&str, Problem> {
    let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err(Problem::unknown_caller("send one header `Authorization: Bearer` with your token"));
    };
    header
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| secret.trim())
        .filter(|secret| (1..=LONGEST).contains(&secret.len()))
        .filter(|secret| secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'))
        .ok_or_else(|| Problem::unknown_caller("the header Authorization does not read `Bearer` and a token"))
}

/// The valid tokens seen lately, because every request checks one. Unknown ones are not remembered, so
/// a new token is valid at once and guesses cannot push good ones out.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<String, (Instant, Arc<Token>)>>);

impl Tokens {
    /// The token of this id, unless it is unknown or revoked.
    pub(crate) async fn check(&self, store: &dyn Store, id: &str) -> Result<Option<Arc<Token>>, StoreError> {
        if let Some(token) = self.remembered(id) {
            return Ok(Some(token));
        }
        let Some(token) = store.token(id).await?.filter(|token| token.revoked_at.is_none()) else {
            return Ok(None);
        };
        let token = Arc::new(token);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(id.to_owned(), (Instant::now(), Arc::clone(&token)));
        Ok(Some(token))
    }

    /// Asks the store next time.
    pub(crate) fn forget(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn remembered(&self, id: &str) -> Option<Arc<Token>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).filter(|(since, _)| since.elapsed() < BELIEVED).map(|(_, token)| Arc::clone(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_bearer_token_and_its_id_tells_nothing() {
        let secret = token_secret([0xff; 32]);
        assert_eq!(secret, "fd___________________________________________8");
        assert_eq!(token_id(&secret).len(), 32);
        assert_ne!(token_id(&secret), token_id(&token_secret([0xfe; 32])));
    }
}
