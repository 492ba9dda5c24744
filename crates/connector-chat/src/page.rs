//! The widget's script, for any site, and a page to try it on.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};

use crate::door::House;
use crate::problem::Refusal;

#[derive(RustEmbed)]
#[folder = "widget/"]
#[include = "widget.js"]
#[include = "demo.html"]
struct Files;

/// `GET /chat/widget.js`: any page may load it. Asked for anew every five minutes, and mostly answered 304.
pub(crate) async fn script(headers: HeaderMap) -> Response {
    let Some(file) = Files::get("widget.js") else { return absent() };
    let tag = format!("\"{}\"", hex::encode(file.metadata.sha256_hash()));
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known =
        known.flat_map(|list| list.split(',')).any(|known| known.trim().trim_start_matches("W/") == tag);
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => file.data.into_owned().into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    // A page that isolates itself may load it too.
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
    headers.extend(HeaderValue::from_str(&tag).ok().map(|tag| (ETAG, tag)));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// `GET /chat/{source}/demo`
pub(crate) async fn demo(
    State(house): State<Arc<House>>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let site = match house.site(path) {
        Ok(site) => site,
        Err(refusal) => return refusal.into_response(),
    };
    let Some(file) = Files::get("demo.html") else { return absent() };
    // A name is letters, digits and dashes, so it is harmless wherever it stands.
    let html = String::from_utf8_lossy(&file.data).replace("{{source}}", site.source().name());
    let policy = policy(&html, headers.get(HOST).and_then(|host| host.to_str().ok()));
    let mut response = html.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.extend(HeaderValue::from_str(&policy).ok().map(|policy| (CONTENT_SECURITY_POLICY, policy)));
    response
}

fn absent() -> Response {
    Refusal::new(StatusCode::NOT_FOUND, "absent", "this build has no widget in it").into_response()
}

/// What the demo page may do: run our script and what is written in it, by their digests, and talk to us.
fn policy(html: &str, host: Option<&str>) -> String {
    // Some browsers do not take `'self'` for our sockets.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
    let host = host.filter(|host| host.chars().all(plain));
    let sockets = host.map(|host| format!(" ws://{host} wss://{host}")).unwrap_or_default();
    let scripts = digests(html, "<script>", "</script>");
    let styles = digests(html, "<style>", "</style>");
    format!(
        "default-src 'none'; script-src 'self'{scripts}; style-src 'self'{styles}; img-src 'self' data:; \
         connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
}

/// ` 'sha256-…'` of each text between `open` and `close`.
fn digests(html: &str, open: &str, close: &str) -> String {
    let inner = html.split(open).skip(1).filter_map(|rest| rest.split_once(close)).map(|(inner, _)| inner);
    inner.map(|text| format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(text)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_a_page_is_allowed_by_its_digest() {
        let policy = policy("<style>a{}</style><script src=x></script><script>alert(1)</script>", None);
        // The digest as `openssl dgst -sha256 -binary | base64` gives it.
        assert!(
            policy.contains("script-src 'self' 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=';"),
            "{policy}"
        );
        assert_eq!(policy.matches("sha256-").count(), 2);
        assert!(!policy.contains("unsafe"));
        let connect = |host: &str| {
            let policy = super::policy("", Some(host));
            policy.split("; ").find(|part| part.starts_with("connect-src")).unwrap().to_owned()
        };
        assert_eq!(
            connect("desk.example:8700"),
            "connect-src 'self' ws://desk.example:8700 wss://desk.example:8700"
        );
        assert_eq!(connect("x; script-src *"), "connect-src 'self'");
    }
}
