//! A write done once, however often it is sent: `Idempotency-Key`.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use contact::micros;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use timeline::Answered;

use crate::App;
use crate::caller::{Caller, token_id};
use crate::problem::Problem;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const LONGEST_KEY: usize = 255;
/// How long an answer is remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// A request to change something, read whole.
pub(crate) struct Write<T> {
    key: Option<String>,
    /// Of method, path, query and body: what makes it the same request.
    digest: String,
    body: T,
}

/// Which act of the log a request asks for, and when it was asked for first.
#[derive(Clone)]
pub(crate) struct Asked {
    /// The id of its event.
    pub(crate) id: String,
    pub(crate) at: Timestamp,
}

/// What a write answers when it was done.
pub(crate) struct Done {
    status: StatusCode,
    body: Vec<u8>,
}

impl Done {
    /// An answer with a body.
    pub(crate) fn with(status: StatusCode, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("no shape has a map with keys that are not text");
        Self { status, body }
    }

    /// 200 with what there is now.
    pub(crate) fn ok(body: &impl Serialize) -> Self {
        Self::with(StatusCode::OK, body)
    }

    /// 204.
    pub(crate) fn nothing() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: Vec::new() }
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        if self.body.is_empty() {
            return self.status.into_response();
        }
        (self.status, [(header::CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

/// The body of a write; `()` does not look at it.
pub(crate) trait Body: Sized {
    fn read(body: &Bytes) -> Result<Self, Problem>;
}

impl Body for () {
    fn read(_: &Bytes) -> Result<Self, Problem> {
        Ok(())
    }
}

/// A JSON body; everything wrong with it is a 400 that names the field.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> Body for Json<T> {
    fn read(body: &Bytes) -> Result<Self, Problem> {
        // A list of the values in the right order would do for serde; nobody means it.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::bad("the body is no JSON object"));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let (path, inner) = (error.path().to_string(), error.inner().to_string());
            // A field that is not there has no path; it stands in the sentence.
            let missing = inner.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
            let field = missing.map_or(path, |(name, _)| name.to_owned());
            let sentence = format!("the JSON body is not as it should be: {inner}");
            if field == "." { Problem::bad(sentence) } else { Problem::field(field, sentence) }
        })?;
        deserializer
            .end()
            .map_err(|error| Problem::bad(format!("the JSON body goes on after its end: {error}")))?;
        Ok(Json(value))
    }
}

/// A JSON body that may be left out.
pub(crate) struct MaybeJson<T>(pub(crate) T);

impl<T: Default + DeserializeOwned> Body for MaybeJson<T> {
    fn read(body: &Bytes) -> Result<Self, Problem> {
        if body.is_empty() {
            return Ok(MaybeJson(T::default()));
        }
        Json::read(body).map(|Json(value)| MaybeJson(value))
    }
}

impl<T: Body> FromRequest<App> for Write<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let key = key_of(request.headers())?;
        let method = request.method().as_str().to_owned();
        let path = request.uri().path_and_query().map_or(String::new(), ToString::to_string);
        let body = Bytes::from_request(request, app).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Problem::too_large(format!("the body is larger than {} bytes", crate::BODY_LIMIT))
            }
            _ => Problem::bad("the body could not be read to its end"),
        })?;
        let mut hash = Sha256::new();
        for part in [method.as_bytes(), path.as_bytes(), &body] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Ok(Self { key, digest: hex::encode(hash.finalize()), body: T::read(&body)? })
    }
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(header) = headers.get(KEY) else { return Ok(None) };
    header
        .to_str()
        .ok()
        .filter(|key| (1..=LONGEST_KEY).contains(&key.len()))
        .map(|key| Some(key.to_owned()))
        .ok_or_else(|| {
            let sentence = format!("a key is 1 to {LONGEST_KEY} printable ASCII letters");
            Problem::field("Idempotency-Key", sentence)
        })
}

impl<T: Body> Write<T> {
    /// Does it, unless it was done under this key before: then the first answer is given once more. An
    /// error is not remembered, because nothing was done. Answers are remembered for a day.
    pub(crate) async fn once<Fut>(
        self,
        app: &App,
        caller: &Caller,
        act: impl FnOnce(T) -> Fut + Send,
    ) -> Result<Response, Problem>
    where
        Fut: Future<Output = Result<Done, Problem>> + Send,
    {
        let Some(key) = self.key else { return Ok(act(self.body).await?.into_response()) };
        let _mine = app.writes.enter(&caller.token.id, &key)?;
        let now = micros((app.clock)());
        let forget_before = now - REMEMBERED;
        let known = app.store.answered(&caller.token.id, &key).await?;
        if let Some(known) = known.filter(|answer| answer.at >= forget_before) {
            if known.request != self.digest {
                let sentence = "this key was used for another request; take a new one";
                return Err(Problem::contradiction("Idempotency-Key", sentence));
            }
            let status = StatusCode::from_u16(known.status).unwrap_or(StatusCode::OK);
            let body = seal(caller.secret(), &key, &known.request, known.at, known.body);
            let mut response = Done { status, body }.into_response();
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            return Ok(response);
        }
        let done = act(self.body).await?;
        let body = seal(caller.secret(), &key, &self.digest, now, done.body.clone());
        let answer = Answered { request: self.digest, status: done.status.as_u16(), body, at: now };
        // It is done, so it is answered as done; a repeat of it would be done again.
        if let Err(error) = app.store.remember(&caller.token.id, &key, &answer, forget_before).await {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(error = %error, cause, "could not remember the answer to an idempotency key");
        }
        Ok(done.into_response())
    }

    /// As [`Write::once`], for an act of the log. The answer may be lost when the act is not (the process
    /// ends between the two), and two processes may get the same request at once: so what makes it the
    /// same act, id and time, is settled in the store before it is done.
    pub(crate) async fn act<Fut>(
        self,
        app: &App,
        caller: &Caller,
        act: impl FnOnce(T, Asked) -> Fut + Send,
    ) -> Result<Response, Problem>
    where
        T: Send,
        Fut: Future<Output = Result<Done, Problem>> + Send,
    {
        let keyed = self.key.clone().map(|key| (key, self.digest.clone()));
        self.once(app, caller, async move |body| {
            let asked = match keyed {
                Some((key, request)) => settled(app, caller, &key, request).await?,
                None => Asked { id: token_id(&app.desk.secret()), at: micros((app.clock)()) },
            };
            act(body, asked).await
        })
        .await
    }
}

/// The act of this request under this key: whoever asked first said when.
async fn settled(app: &App, caller: &Caller, key: &str, request: String) -> Result<Asked, Problem> {
    let mut hash = Sha256::new();
    for part in [caller.token.id.as_str(), key, &request] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    // Beside the answers, under a name that no token has.
    let (acts, slot) = (format!("{} acts", caller.token.id), hex::encode(hash.clone().finalize()));
    let now = micros((app.clock)());
    let asking = Answered { request, status: StatusCode::ACCEPTED.as_u16(), body: Vec::new(), at: now };
    app.store.remember(&acts, &slot, &asking, now - REMEMBERED).await?;
    let at = app.store.answered(&acts, &slot).await?.map_or(now, |asked| asked.at);
    hash.update(at.as_microsecond().to_le_bytes());
    let full: [u8; 32] = hash.finalize().into();
    Ok(Asked { id: hex::encode(full).chars().take(32).collect(), at })
}

/// Seals an answer, or opens it: an answer may hold a new token's secret, which no store of ours may
/// show. The pad is HMAC-SHA-256 under the caller's own secret, which is not kept, over a counter and
/// everything that tells this answer from any other, so no two answers share a pad.
fn seal(secret: &[u8], key: &str, request: &str, at: Timestamp, mut body: Vec<u8>) -> Vec<u8> {
    for (block, chunk) in body.chunks_mut(32).enumerate() {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a secret of any length");
        for part in ["remembered answer", key, request] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac.update(&at.as_microsecond().to_le_bytes());
        mac.update(&(block as u64).to_le_bytes());
        let pad = mac.finalize().into_bytes();
        chunk.iter_mut().zip(pad).for_each(|(byte, mask)| *byte ^= mask);
    }
    body
}

/// Keyed writes being done in this process; as many as there are requests at most.
#[derive(Default)]
pub(crate) struct Writes(Mutex<HashSet<String>>);

impl Writes {
    /// 409 while another request with this key is being done.
    fn enter(&self, caller: &str, key: &str) -> Result<Entered<'_>, Problem> {
        let slot = format!("{caller} {key}");
        if !self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(slot.clone()) {
            return Err(Problem::conflict("a request with this idempotency key is being done; try again"));
        }
        Ok(Entered { writes: self, slot })
    }
}

struct Entered<'a> {
    writes: &'a Writes,
    slot: String,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.writes.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_answer_opens_for_its_caller_and_shows_nothing() {
        let at = Timestamp::UNIX_EPOCH;
        let text = br#"{"secret":"fd_0123456789012345678901234567890123456789"}"#.to_vec();
        let sealed = seal(b"fd_mine", "k", "r", at, text.clone());
        assert_eq!(sealed.len(), text.len());
        assert!(!sealed.windows(3).any(|window| window == b"fd_"));
        assert_eq!(seal(b"fd_mine", "k", "r", at, sealed.clone()), text);
        assert_ne!(seal(b"fd_theirs", "k", "r", at, sealed.clone()), text);
        assert_ne!(seal(b"fd_mine", "k2", "r", at, sealed), text);
    }

    #[test]
    fn one_key_is_done_by_one_request_at_a_time() {
        let writes = Writes::default();
        let first = writes.enter("mia", "k").unwrap();
        assert!(writes.enter("mia", "k").is_err());
        assert!(writes.enter("bo", "k").is_ok());
        drop(first);
        assert!(writes.enter("mia", "k").is_ok());
    }
}
