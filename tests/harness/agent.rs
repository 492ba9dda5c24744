//! Somebody who looks: a client of the API, with a token.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use crate::follow::Follower;
use crate::load::Facts;
use crate::wait::{PATIENCE, eventually};

/// What was told long ago may take this long to arrive: a broker that was killed is found again first.
pub const ARRIVAL: Duration = Duration::from_secs(90);

/// A client of the API.
#[derive(Clone, Debug)]
pub struct Agent {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Agent {
    /// At `base`, with this token.
    pub fn new(base: &str, token: &str) -> Self {
        Self { http: client(), base: base.to_owned(), token: token.to_owned() }
    }

    /// A request, answered or not.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn try_ask(&self, method: Method, path: &str) -> reqwest::Result<Response> {
        let url = format!("{}{path}", self.base);
        self.http.request(method, url).bearer_auth(&self.token).send().await
    }

    /// A request's status and body, `null` where there is none.
    ///
    /// # Panics
    /// When there was no answer.
    pub async fn ask(&self, method: Method, path: &str) -> (StatusCode, Value) {
        let answer = self.try_ask(method, path).await.expect("no answer from the API");
        let status = answer.status();
        let body = answer.bytes().await.expect("half an answer from the API");
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// What is at `path`.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    /// Does something: the status and the body of the answer.
    ///
    /// # Panics
    /// When there was no answer.
    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.write(Method::POST, path, body).await
    }

    /// Changes something: the status and the body of the answer.
    ///
    /// # Panics
    /// When there was no answer.
    pub async fn patch(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.write(Method::PATCH, path, body).await
    }

    /// Puts something: the status and the body of the answer.
    ///
    /// # Panics
    /// When there was no answer.
    pub async fn put(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.write(Method::PUT, path, body).await
    }

    async fn write(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.http.request(method, format!("{}{path}", self.base));
        // Unlike what is read it is not asked again, and a hundred who write at once wait for each other.
        let request = request.bearer_auth(&self.token).json(body).timeout(PATIENCE);
        let answer = request.send().await.expect("no answer from the API");
        let status = answer.status();
        let body = answer.bytes().await.expect("half an answer from the API");
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Every item of a list, page by page.
    ///
    /// # Errors
    /// When the API does not answer, as while it is killed.
    pub async fn all(&self, path: &str) -> Result<Vec<Value>, String> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = format!("{path}{separator}limit=200{cursor}");
            let answer = self.try_ask(Method::GET, &page).await.map_err(|error| error.to_string())?;
            let status = answer.status();
            let mut body: Value = answer.json().await.map_err(|error| format!("{status}: {error}"))?;
            if status != StatusCode::OK {
                return Err(format!("{page}: {status}: {body}"));
            }
            let Some(Value::Array(more)) = body.get_mut("items").map(Value::take) else {
                return Err(format!("{page} is no list: {body}"));
            };
            items.extend(more);
            match body.get("next").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    /// Every call the API knows, with how many facts made it.
    ///
    /// # Errors
    /// When the API does not answer, or shows a call twice.
    pub async fn calls(&self) -> Result<Facts, String> {
        let mut calls = Facts::new();
        for contact in self.all("/v1/contacts?channel=phone").await? {
            let id = contact.pointer("/content/call_id").and_then(Value::as_str).ok_or("no call id")?;
            let facts = contact["rev"].as_u64().and_then(|rev| usize::try_from(rev).ok()).ok_or("no rev")?;
            if calls.insert(id.to_owned(), facts).is_some() {
                return Err(format!("the call {id} is there twice"));
            }
        }
        Ok(calls)
    }

    /// Waits until the API shows exactly these calls, each with exactly these facts.
    pub async fn sees(&self, told: &Facts) {
        eventually("what was told is on the timeline, once", ARRIVAL, async || {
            let seen = self.calls().await?;
            let (missing, surplus) = (difference(told, &seen), difference(&seen, told));
            if missing.is_empty() && surplus.is_empty() {
                return Ok(());
            }
            let (some, other): (Vec<_>, Vec<_>) =
                (missing.iter().take(3).collect(), surplus.iter().take(3).collect());
            Err(format!(
                "{} of {} are not as told, such as {some:?}; the API shows {other:?}",
                missing.len(),
                told.len(),
            ))
        })
        .await;
    }

    /// The only client with this number.
    ///
    /// # Panics
    /// When there is none, or more than one.
    pub async fn client_by_phone(&self, number: &str) -> Value {
        let found = self.get(&format!("/v1/clients?phone={}", number.replace('+', "%2B"))).await;
        let items = found["items"].as_array().expect("a list");
        assert_eq!(items.len(), 1, "{found}");
        items.first().cloned().unwrap_or_default()
    }

    /// Follows the feed from its beginning, for as long as the follower lives.
    pub fn follow(&self) -> Follower {
        Follower::start(&self.base, &self.token)
    }
}

fn difference<'a>(these: &'a Facts, those: &Facts) -> BTreeMap<&'a String, &'a usize> {
    these.iter().filter(|(id, facts)| those.get(*id) != Some(*facts)).collect()
}

/// An HTTP client for plain HTTP on this machine.
///
/// # Panics
/// When there is none.
pub fn client() -> reqwest::Client {
    // The client wants to know how to encrypt, even where it never does.
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().timeout(Duration::from_secs(20)).no_proxy().build().expect("no HTTP client")
}
