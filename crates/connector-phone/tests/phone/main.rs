//! The telephone through its own door, over the real router.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod contract;
mod door;
mod fuzz;
mod hostile;
mod log;
mod operator;
mod samples;

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use connector::testing::MemoryIntake;
use connector_phone::config::SigningKey;
use connector_phone::providers::twilio;
use connector_phone::{Config, Doors, Lines, Secret, connect};
use contact::SourceName;
use jiff::Timestamp;
use tower::ServiceExt as _;
use url::Url;

pub(crate) const TOKEN: &str = "demo-twilio-auth-token";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const PATH: &str = "/hooks/phone/main-line";
pub(crate) const PATH_SECRET: &str = "correct-horse-battery";

pub(crate) fn now() -> Timestamp {
    "2025-03-03T11:00:00.123456789Z".parse().unwrap()
}

pub(crate) fn public_url() -> Url {
    "https://hub.example.net".parse().unwrap()
}

pub(crate) fn source(name: &str) -> SourceName {
    SourceName::new(contact::Channel::Phone, name).unwrap()
}

/// `main-line`, and `walled` whose path has a secret.
pub(crate) fn lines() -> Lines {
    let config = Config {
        provider: Some("twilio".into()),
        region: Some("GB".into()),
        auth_token: Some(Secret::new(TOKEN)),
        signing_keys: [(
            "webhooks_sharedkey_demo".to_owned(),
            SigningKey::Inline(Secret::new("demo-shared-key-secret")),
        )]
        .into(),
        own_numbers: vec!["+12025550117".into()],
        ..Config::default()
    };
    let walled = Config { secret: Some(Secret::new(PATH_SECRET)), ..config.clone() };
    [("main-line", config), ("walled", walled)]
        .into_iter()
        .map(|(name, config)| (source(name), config.check(name).unwrap()))
        .collect()
}

/// The door with an intake behind it.
pub(crate) struct Desk {
    pub(crate) intake: Arc<MemoryIntake>,
    pub(crate) doors: Doors,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::over(Arc::default())
    }

    pub(crate) fn over(intake: Arc<MemoryIntake>) -> Self {
        let doors = Doors::new(intake.clone(), intake.clone(), Arc::new(now), public_url());
        Self { intake, doors }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Told {
        let routes = connect(lines(), self.doors.clone()).routes;
        let response = routes.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        Told { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// A form, signed as it is.
    pub(crate) async fn post(&self, body: &[u8]) -> Told {
        self.send(signed(PATH, body)).await
    }

    /// How many events were kept, and how many requests held.
    pub(crate) fn kept(&self) -> (usize, usize) {
        (self.intake.accepted().len(), self.intake.held().len())
    }
}

/// What the sender was told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The members of a problem, once it is one.
    pub(crate) fn problem(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], self.status.as_u16());
        problem
    }
}

/// A form that Twilio would have signed so.
pub(crate) fn signed(target: &str, body: &[u8]) -> Request<Body> {
    let url = format!("https://hub.example.net{target}");
    Request::post(target)
        .header("host", "elsewhere.example")
        .header("content-type", FORM)
        .header("x-twilio-signature", twilio::sign_form(TOKEN.as_bytes(), &url, body))
        .body(Body::from(body.to_vec()))
        .unwrap()
}

/// Every sample request as it came over the wire, by name.
pub(crate) fn samples() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/twilio");
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "http"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    all.sort();
    all
}

/// What follows the first blank line.
pub(crate) fn body_of(message: &[u8]) -> Vec<u8> {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    message.iter().skip(end + 4).copied().collect()
}
