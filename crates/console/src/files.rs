//! The files themselves, and what every one of them is sent with.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Files;

/// Only what we serve runs, styles and is asked; pictures may also be made by the page itself. Text becomes
/// markup in one place only, the frame a mail is shown in (`letter`). Nobody shows the page in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types letter";

/// The file at `path`, or that it is known already.
///
/// Names do not change with contents, and the parts of one release belong together: so every file is asked
/// for each time, and mostly answered 304.
pub(crate) fn serve(path: &str, headers: &HeaderMap) -> Response {
    let found = Files::get(path).zip(kind(path));
    let mut response = match found {
        None => {
            let plain = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
            (StatusCode::NOT_FOUND, plain, "there is nothing at this path\n").into_response()
        }
        Some((file, kind)) => {
            let tag = format!("\"{}\"", hex::encode(file.metadata.sha256_hash()));
            let mut response = match is_known(headers, &tag) {
                true => StatusCode::NOT_MODIFIED.into_response(),
                false => file.data.into_owned().into_response(),
            };
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            headers.extend(HeaderValue::from_str(&tag).ok().map(|tag| (ETAG, tag)));
            response
        }
    };
    let fixed = [
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let lists = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim).any(|known| {
        // Weak comparison (RFC 9110 section 13.1.2): a proxy that compresses weakens tags.
        known == "*" || known.trim_start_matches("W/") == tag
    })
}

/// What the page is made of; a file of another kind is not served.
fn kind(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}
