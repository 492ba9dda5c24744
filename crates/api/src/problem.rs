//! What went wrong, as RFC 9457 `application/problem+json`.

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use timeline::StoreError;
use timeline::act::{ActError, Refusal};
use utoipa::ToSchema;

use crate::desk::DeskError;

/// The media type of every error.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// In letters: of the sentence of a problem.
const MOST_LETTERS: usize = 1_000;
/// Seconds after which a caller may try again when something of ours is away.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// The type of a problem that its status says everything about (RFC 9457 section 4.2.1).
const SAID_BY_STATUS: &str = "about:blank";
/// The client has said that they do not want it: no role and no second try changes that.
const UNWANTED: &str = "/problems/unwanted-by-client";
/// Somebody else has it; `owner` is who.
const TAKEN: &str = "/problems/taken";
/// It was offered, and is not any more.
const TOO_LATE: &str = "/problems/too-late";
/// Nothing can be sent to the client there.
const NO_WAY: &str = "/problems/no-way";

/// An error a caller can act on: a status, a sentence, and the field at fault where there is one. It
/// never shows what lies inside (SQL, addresses, secrets); the cause goes to the log with the request.
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    status: StatusCode,
    r#type: &'static str,
    detail: String,
    field: Option<String>,
    owner: Option<String>,
    header: Option<(header::HeaderName, HeaderValue)>,
    cause: Option<Cause>,
}

/// What the log needs to know about a failure of ours. Travels as an extension of the response, so
/// that it is logged once, by the one who knows the request.
#[derive(Clone, Debug)]
pub(crate) struct Cause(pub(crate) Arc<dyn Error + Send + Sync>);

/// The body.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemJson {
    /// `about:blank` where the status says which kind of problem it is; `/problems/unwanted-by-client` where
    /// the client does not let us do it, `/problems/taken` where somebody else has it, `/problems/too-late` where
    /// what was offered is over, `/problems/no-way` where nothing can be sent there.
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// The type in words.
    #[schema(example = "Bad Request")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 400)]
    status: u16,
    /// A sentence for a person.
    #[schema(example = "`fax` is no channel; it is email, phone, chat or desk")]
    detail: String,
    /// The parameter, header or field of the body at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "channel")]
    field: Option<String>,
    /// The agent who has what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Mia")]
    owner: Option<String>,
}

/// A sentence may quote what was sent, and that may be long.
fn shortened(sentence: String) -> String {
    match sentence.char_indices().nth(MOST_LETTERS) {
        Some((end, _)) => format!("{}…", sentence.get(..end).unwrap_or_default()),
        None => sentence,
    }
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            status,
            r#type: SAID_BY_STATUS,
            detail: shortened(detail.into()),
            field: None,
            owner: None,
            header: None,
            cause: None,
        }))
    }

    /// 400: this parameter, header or field of the body is not what it should be.
    pub(crate) fn field(field: impl Into<String>, sentence: impl Display) -> Self {
        let mut problem = Self::bad(sentence.to_string());
        problem.0.field = Some(field.into());
        problem
    }

    /// 400 without a field to name.
    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: we do not know who is calling.
    pub(crate) fn unknown_caller(detail: impl Into<String>) -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"frontdesk\"");
        Self::new(StatusCode::UNAUTHORIZED, detail).with(header::WWW_AUTHENTICATE, challenge)
    }

    /// 403: we know who is calling, and they may not.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 403: the client does not want it.
    fn unwanted(detail: impl Into<String>) -> Self {
        Self::forbidden(detail).of(UNWANTED)
    }

    /// 409: nothing can be sent there.
    pub(crate) fn no_way(detail: impl Into<String>) -> Self {
        Self::conflict(detail).of(NO_WAY)
    }

    /// 404: there is no such thing.
    pub(crate) fn missing(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405.
    pub(crate) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not know this method; see the header Allow")
    }

    /// 409: not in the state it is in.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    pub(crate) fn is_conflict(&self) -> bool {
        self.0.status == StatusCode::CONFLICT
    }

    /// 413.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 422: understood, but it contradicts what was said before.
    pub(crate) fn contradiction(field: &str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        problem.0.field = Some(field.to_owned());
        problem
    }

    /// 503: something of ours is away; try again.
    pub(crate) fn away(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(header::RETRY_AFTER, RETRY_AFTER)
    }

    /// 500: our fault, and trying again will not help.
    pub(crate) fn ours() -> Self {
        let detail = "this failed on our side; the header X-Request-Id finds it in the log";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    fn of(mut self, r#type: &'static str) -> Self {
        self.0.r#type = r#type;
        self
    }

    fn with(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    pub(crate) fn because(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.0.cause = Some(Cause(Arc::new(cause)));
        self
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let problem = if error.is_transient() {
            Problem::away("the store is away at the moment; try again")
        } else {
            Problem::ours()
        };
        problem.because(error)
    }
}

impl From<ActError> for Problem {
    fn from(error: ActError) -> Self {
        match error {
            ActError::Store(error) => error.into(),
            ActError::Refused(Refusal::Missing(sentence)) => Problem::missing(sentence),
            ActError::Refused(Refusal::Denied(sentence)) => Problem::unwanted(sentence),
            ActError::Refused(Refusal::Forbidden(sentence)) => Problem::forbidden(sentence),
            ActError::Refused(Refusal::TooLate(sentence)) => Problem::conflict(sentence).of(TOO_LATE),
            ActError::Refused(Refusal::NoWay(sentence)) => Problem::no_way(sentence),
            ActError::Refused(Refusal::Conflict { sentence, owner: None }) => Problem::conflict(sentence),
            ActError::Refused(Refusal::Conflict { sentence, owner }) => {
                let mut problem = Problem::conflict(sentence).of(TAKEN);
                problem.0.owner = owner;
                problem
            }
        }
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Refused(sentence) => Problem::conflict(sentence),
            DeskError::Away { .. } => {
                Problem::away("this cannot be taken at the moment; try again").because(error)
            }
            DeskError::Failed { .. } => Problem::ours().because(error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Inner { status, r#type, detail, field, owner, header, cause } = *self.0;
        let title = match r#type {
            UNWANTED => "The client does not want it",
            TAKEN => "Somebody else has it",
            TOO_LATE => "It is too late",
            NO_WAY => "Nothing can be sent there",
            _ => status.canonical_reason().unwrap_or("Error"),
        };
        let json = ProblemJson { r#type, title, status: status.as_u16(), detail, field, owner };
        let body = serde_json::to_vec(&json).expect("a problem has no map with keys that are not text");
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        response.headers_mut().extend(header);
        if let Some(cause) = cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}
