//! A client of the public API: somebody with a token.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// For an answer. Longer than the API's own time-out.
const PATIENCE: Duration = Duration::from_secs(40);
/// A list that is longer is shown as far as this many items.
const MOST: usize = 10_000;

/// Somebody with a token.
#[derive(Clone)]
pub(super) struct Caller {
    http: reqwest::Client,
    pub(super) base: String,
    pub(super) secret: String,
}

impl Caller {
    pub(super) fn new(base: &str, secret: String) -> anyhow::Result<Self> {
        let http = crate::commands::http().timeout(PATIENCE).build()?;
        Ok(Self { http, base: base.to_owned(), secret })
    }

    /// Status and body of an answer; `null` where there is no body.
    pub(super) async fn ask(&self, path: &str) -> anyhow::Result<(StatusCode, Value)> {
        self.answer(self.http.get(format!("{}{path}", self.base)), path).await
    }

    /// What is at `path`.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let (status, body) = self.ask(path).await?;
        if status.is_success() { Ok(body) } else { bail!("{path}: {status}: {}", sentence(&body)) }
    }

    /// Changes something, once, however often it is sent under this key: status and body of the answer.
    pub(super) async fn try_write(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: &str,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = request.header("Idempotency-Key", key);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.answer(request, path).await
    }

    /// The same, where anything but success is an error.
    pub(super) async fn write(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: &str,
    ) -> anyhow::Result<Value> {
        let (status, body) = self.try_write(method, path, body, key).await?;
        if status.is_success() { Ok(body) } else { bail!("{path}: {status}: {}", sentence(&body)) }
    }

    /// Every item of a list, page by page.
    pub(super) async fn all(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let (mut items, mut cursor) = (Vec::new(), String::new());
        while items.len() < MOST {
            let mut page = self.get(&format!("{path}{separator}limit=200{cursor}")).await?;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            match page.get("next").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        Ok(items)
    }

    async fn answer(
        &self,
        request: reqwest::RequestBuilder,
        path: &str,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let answer = request.bearer_auth(&self.secret).send().await;
        let answer = answer.with_context(|| format!("could not ask {}{path}", self.base))?;
        let status = answer.status();
        let body = answer.bytes().await.with_context(|| format!("half an answer from {path}"))?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// What a problem says (RFC 9457).
fn sentence(problem: &Value) -> String {
    problem.get("detail").and_then(Value::as_str).map_or_else(|| problem.to_string(), str::to_owned)
}
