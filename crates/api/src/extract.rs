//! Reading a request: everything wrong with it is a problem that names the field.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use contact::Invalid;
use url::form_urlencoded;

use crate::App;
use crate::once::{Body, Write};
use crate::problem::Problem;

/// No query of ours has more parameters; what has is refused unread.
const MOST_PARAMETERS: usize = 20;

/// The query as a type. A parameter that is unknown or given twice is refused: a mistyped filter must
/// not quietly list everything.
pub(crate) struct Query<T>(pub(crate) T);

/// What can be read from a query.
pub(crate) trait FromParams: Sized {
    fn from_params(params: &mut Params) -> Result<Self, Problem>;
}

impl<T: FromParams> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let mut params = Params::parse(parts.uri.query().unwrap_or_default())?;
        let value = T::from_params(&mut params)?;
        params.finish().map(|()| Query(value))
    }
}

/// The parameters of a query that were not taken yet.
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn parse(query: &str) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if pairs.len() == MOST_PARAMETERS {
                return Err(Problem::bad(format!("the query has more than {MOST_PARAMETERS} parameters")));
            }
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(Problem::field(name, "this parameter is given twice"));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// The value as it came, even if empty.
    pub(crate) fn given(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// The value; an empty one counts as not given.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// The value as a type that parses.
    pub(crate) fn value<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        self.text(name).map(|text| text.parse().map_err(|error| Problem::field(name, error))).transpose()
    }

    /// A name to compare with. No store keeps a NUL, and one of them refuses to look for it.
    pub(crate) fn word(&mut self, name: &str) -> Result<Option<String>, Problem> {
        match self.text(name) {
            Some(text) if text.contains('\0') => Err(Problem::field(name, "no name has a NUL in it")),
            other => Ok(other),
        }
    }

    /// `true` or `false`; false when not given.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.text(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Problem::field(name, format!("`{other}` is neither true nor false"))),
        }
    }

    fn finish(mut self) -> Result<(), Problem> {
        match self.0.pop() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::field(name, "this path does not know this parameter")),
        }
    }
}

/// Nothing is to be asked.
impl FromParams for () {
    fn from_params(_: &mut Params) -> Result<Self, Problem> {
        Ok(())
    }
}

/// What some queries have more than others.
impl<A: FromParams, B: FromParams> FromParams for (A, B) {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        Ok((A::from_params(params)?, B::from_params(params)?))
    }
}

/// The `{id}` of the path.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr<Err: Display>> FromRequestParts<App> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        from_path(parts, app, "id").await.map(Id)
    }
}

/// The `{name}` of the path.
pub(crate) struct Named<T>(pub(crate) T);

impl<T: FromStr<Err: Display>> FromRequestParts<App> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        from_path(parts, app, "name").await.map(Named)
    }
}

/// A write on the one thing that the path names: who writes, the app, the `{id}`, what they say. They are judged in
/// this order, so that a stranger is told nothing but that they are one.
pub(crate) struct On<By, I, T = ()>(pub(crate) By, pub(crate) App, pub(crate) I, pub(crate) Write<T>);

impl<By, I, T> FromRequest<App> for On<By, I, T>
where
    By: FromRequestParts<App, Rejection = Problem> + Send,
    I: FromStr<Err: Display> + Send,
    T: Body,
{
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let by = By::from_request_parts(&mut parts, app).await?;
        let Id(id) = Id::from_request_parts(&mut parts, app).await?;
        let write = Write::from_request(Request::from_parts(parts, body), app).await?;
        Ok(On(by, app.clone(), id, write))
    }
}

async fn from_path<T: FromStr<Err: Display>>(parts: &mut Parts, app: &App, name: &str) -> Result<T, Problem> {
    let params = RawPathParams::from_request_parts(parts, app)
        .await
        .map_err(|_| Problem::field(name, "the path is not UTF-8"))?;
    let text = params.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
    text.parse().map_err(|error| Problem::field(name, error))
}

/// The `{sha256}` of the path: 64 lower-case hex digits.
pub(crate) struct Sha256Hex(pub(crate) String);

impl FromRequestParts<App> for Sha256Hex {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        from_path(parts, app, "sha256").await
    }
}

impl FromStr for Sha256Hex {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if is_hex(text, 64) {
            return Ok(Sha256Hex(text.to_owned()));
        }
        Err(Invalid(format!("`{text}` is no digest of a file; it reads 64 hex digits")))
    }
}

/// An id of something on the operator's shelves: 32 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HexId(pub(crate) String);

impl FromStr for HexId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if is_hex(text, 32) {
            return Ok(HexId(text.to_owned()));
        }
        Err(Invalid(format!("`{text}` is no id of this kind; it reads 32 hex digits")))
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
