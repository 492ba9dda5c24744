//! The agents' web page: static files under `/console/`, a client of the public API and nothing else.
//!
//! It knows no store, no bus and no token: what the page shows it asks of `/v1` with the token its user gave
//! it, as any other client would. What it is made of and how it is written stands in this crate's README.
//! Reading order: [`routes`], then `assets/index.html` and `assets/main.js`.

mod files;

use axum::Router;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use tower_http::compression::CompressionLayer;

/// Everything under `/console/`; `/` and `/console` lead there.
///
/// It has no fallback, so that it can be merged into the routes of the house.
pub fn routes() -> Router {
    Router::new()
        .route("/", get(async || to_console()))
        .route("/console", get(async || to_console()))
        .route("/console/", get(async |headers: HeaderMap| files::serve("index.html", &headers)))
        .route(
            "/console/{*path}",
            get(async |Path(path): Path<String>, headers: HeaderMap| files::serve(&path, &headers)),
        )
        .layer(CompressionLayer::new())
}

/// For now: somebody may put another page at `/` one day.
fn to_console() -> Response {
    let mut response = Redirect::temporary("/console/").into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Method, Request, StatusCode};
    use futures::FutureExt as _;
    use tower::ServiceExt as _;

    use super::*;

    fn ask(method: Method, path: &str, header: Option<(&str, &str)>) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        // What is in memory is there at once, so nothing has to run it.
        routes().oneshot(request.body(Body::empty()).unwrap()).now_or_never().unwrap().unwrap()
    }

    fn get(path: &str) -> Response {
        ask(Method::GET, path, None)
    }

    fn said<'a>(response: &'a Response, header: &str) -> &'a str {
        response.headers().get(header).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn the_root_leads_to_the_page() {
        for path in ["/", "/console"] {
            let response = get(path);
            assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT, "{path}");
            assert_eq!(said(&response, "location"), "/console/", "{path}");
        }
    }

    #[test]
    fn every_file_is_served_as_what_it_is_and_fenced() {
        for (path, kind) in [
            ("", "text/html; charset=utf-8"),
            ("index.html", "text/html; charset=utf-8"),
            ("main.js", "text/javascript; charset=utf-8"),
            ("words/uk.js", "text/javascript; charset=utf-8"),
            ("console.css", "text/css; charset=utf-8"),
            ("icon.svg", "image/svg+xml"),
            ("vendor/LICENSE-preact.txt", "text/plain; charset=utf-8"),
        ] {
            let response = get(&format!("/console/{path}"));
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(said(&response, "content-type"), kind, "{path}");
            assert_eq!(said(&response, "x-content-type-options"), "nosniff", "{path}");
            assert_eq!(said(&response, "referrer-policy"), "no-referrer", "{path}");
            assert_eq!(said(&response, "cache-control"), "no-cache", "{path}");
            let policy = said(&response, "content-security-policy");
            for part in [
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "connect-src 'self'",
                "img-src 'self' data: blob:",
                "frame-ancestors 'none'",
                "base-uri 'none'",
                "form-action 'none'",
                "require-trusted-types-for 'script'",
            ] {
                assert!(policy.split("; ").any(|one| one == part), "{part} is not in {policy}");
            }
            assert!(!policy.contains("unsafe"), "{policy}");
        }
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let tag = said(&get("/console/main.js"), "etag").to_owned();
        assert!(tag.starts_with('"') && tag.len() > 40, "a strong tag: {tag}");
        assert_ne!(tag, said(&get("/console/"), "etag"), "each file has its own");
        for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
            let again = ask(Method::GET, "/console/main.js", Some(("if-none-match", &known)));
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(said(&again, "etag"), tag);
            assert_eq!(said(&again, "cache-control"), "no-cache");
        }
        let other = ask(Method::GET, "/console/main.js", Some(("if-none-match", "\"other\"")));
        assert_eq!(other.status(), StatusCode::OK);
    }

    #[test]
    fn what_is_not_there_is_not_found_and_nothing_outside_is() {
        for path in ["nothing.js", "../Cargo.toml", "%2e%2e/src/lib.rs", "/etc/passwd", "words/"] {
            let response = get(&format!("/console/{path}"));
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(said(&response, "content-type"), "text/plain; charset=utf-8", "{path}");
            assert_eq!(said(&response, "x-content-type-options"), "nosniff", "{path}");
        }
    }

    #[test]
    fn the_files_are_only_read() {
        assert_eq!(ask(Method::HEAD, "/console/", None).status(), StatusCode::OK);
        assert_eq!(ask(Method::POST, "/console/", None).status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn the_page_names_only_files_that_are_there() {
        let page =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/index.html")).unwrap();
        let named: Vec<_> = page
            .split(['"'])
            .filter(|part| part.starts_with("./"))
            .map(|part| part.trim_start_matches("./"))
            .collect();
        assert!(named.len() >= 3, "{named:?}");
        for path in named {
            assert_eq!(get(&format!("/console/{path}")).status(), StatusCode::OK, "{path}");
        }
        assert!(!page.contains("<script>") && !page.contains("style="), "nothing is written in the page");
    }
}
