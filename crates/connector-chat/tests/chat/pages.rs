//! The widget's script and the page to try it on.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::world::{Core, chat, config, pace};

async fn get(path: &str, known: Option<&str>) -> (StatusCode, HeaderMap, String) {
    let routes = chat(&Core::new(), &config(), pace(), CancellationToken::new()).0.routes;
    let request = Request::get(path);
    let request = match known {
        Some(tag) => request.header("if-none-match", tag),
        None => request,
    };
    let response = routes.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_script_is_cached_by_its_content() {
    let (status, headers, body) = get("/chat/widget.js", None).await;
    assert_eq!(
        (status, headers["content-type"].to_str().unwrap()),
        (StatusCode::OK, "text/javascript; charset=utf-8")
    );
    assert!(body.len() > 100 && headers["x-content-type-options"] == "nosniff");
    assert_eq!(headers["cross-origin-resource-policy"], "cross-origin");
    let tag = headers["etag"].to_str().unwrap();
    for known in [tag.to_owned(), format!("\"other\", W/{tag}")] {
        let (status, headers, body) = get("/chat/widget.js", Some(&known)).await;
        assert_eq!((status, body.len(), &headers["etag"]), (StatusCode::NOT_MODIFIED, 0, &headers["etag"]));
    }
    assert_eq!(get("/chat/widget.js", Some("\"other\"")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_demo_page_names_its_widget_and_runs_nothing_else() {
    let (status, headers, body) = get("/chat/site/demo", None).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains(r#"data-source="site""#) && !body.contains("{{source}}"));
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    for path in ["/chat/shop/demo", "/chat/%3Cscript%3E/demo"] {
        let (status, headers, body) = get(path, None).await;
        assert_eq!(
            (status, headers["content-type"].to_str().unwrap()),
            (StatusCode::NOT_FOUND, "application/problem+json")
        );
        assert!(!body.contains("script"));
    }
}

#[tokio::test]
async fn another_method_is_a_problem() {
    for path in ["/chat/widget.js", "/chat/site/demo", "/chat/site/socket", "/chat/site/poll"] {
        let routes = chat(&Core::new(), &config(), pace(), CancellationToken::new()).0.routes;
        let response = routes.oneshot(Request::delete(path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
    }
}
