//! Figures: who waits, how soon we answer, what was promised and what became of it.
//!
//! They are computed from what is kept (`timeline::figures`) when they are asked for, and read once for everybody
//! who asks at about the same time (`stats/memory.rs`). Every answer is also a table (`stats/table.rs`).

mod memory;
mod shapes;
mod table;

use axum::extract::FromRequestParts;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use timeline::figures::{self, About, By, Facts, ServiceLevel, Told};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::shapes::{
    CallsJson, FiguresJson, PromisesJson, ResponseJson, ServiceLevelFiguresJson, ServiceLevelJson,
    WaitingJson,
};
use self::table::Row;
use crate::App;
use crate::caller::Caller;
use crate::extract::{FromParams, Params, Query};
use crate::problem::Problem;
use crate::words;

pub(crate) use self::memory::Memory;

/// The usual span, and the longest.
const DAY: SignedDuration = SignedDuration::from_hours(24);
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 92);
/// No promise takes longer.
const LONGEST_WITHIN_S: i64 = 30 * 24 * 60 * 60;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(waiting))
        .routes(routes!(response))
        .routes(routes!(service_level))
        .routes(routes!(calls))
        .routes(routes!(promises))
}

/// Of what span, told apart how, in which form.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SpanQuery {
    /// The first moment that counts; a day before `to` if not given.
    from: Option<Timestamp>,
    /// The first moment that does not; now if not given. At most 92 days after `from`.
    to: Option<Timestamp>,
    /// Figures by this; not given, one item over everything. An hour is told by its beginning in UTC.
    #[param(schema_with = words::by)]
    by: Option<By>,
    /// `csv` for a table, as `Accept: text/csv` does; else `json`.
    #[param(value_type = Option<String>, example = "json")]
    format: Option<Form>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
}

impl FromParams for SpanQuery {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        let moment = |params: &mut Params, name: &'static str| -> Result<Option<Timestamp>, Problem> {
            match params.value::<Timestamp>(name)? {
                Some(at) if at < Timestamp::UNIX_EPOCH => {
                    Err(Problem::field(name, "nothing was recorded before 1970"))
                }
                at => Ok(at),
            }
        };
        let (from, to) = (moment(params, "from")?, moment(params, "to")?);
        let by = params.value("by")?;
        let format = match params.text("format").as_deref() {
            None => None,
            Some("json") => Some(Form::Json),
            Some("csv") => Some(Form::Csv),
            Some(other) => {
                return Err(Problem::field("format", format!("`{other}` is neither json nor csv")));
            }
        };
        Ok(Self { from, to, by, format })
    }
}

/// The same, and a time for all.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ServiceLevelQuery {
    /// So many seconds for every conversation, by the clock on the wall; not given, each by its own promise of
    /// a first response, and those that were promised nothing do not count.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 2_592_000)]
    within_s: Option<SignedDuration>,
}

impl FromParams for ServiceLevelQuery {
    fn from_params(params: &mut Params) -> Result<Self, Problem> {
        let within_s = params.value::<i64>("within_s")?;
        if within_s.is_some_and(|seconds| !(1..=LONGEST_WITHIN_S).contains(&seconds)) {
            let sentence = format!("it is 1 to {LONGEST_WITHIN_S} seconds");
            return Err(Problem::field("within_s", sentence));
        }
        Ok(Self { within_s: within_s.map(SignedDuration::from_secs) })
    }
}

/// Figures as somebody who may read asked for them, and when; besides the span, what only some figures know.
struct Asked<More = ()> {
    app: App,
    now: Timestamp,
    query: SpanQuery,
    more: More,
    /// What the query says goes before what the header `Accept` does.
    form: Form,
}

impl<More: FromParams> FromRequestParts<App> for Asked<More> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Caller::from_request_parts(parts, app).await?;
        let Query((more, query)) = Query::<(More, SpanQuery)>::from_request_parts(parts, app).await?;
        let named =
            |text: &str| text.split([',', ';']).any(|kind| kind.trim().eq_ignore_ascii_case("text/csv"));
        let mut headers = parts.headers.get_all(ACCEPT).iter();
        let table = headers.any(|header| header.to_str().is_ok_and(named));
        let form = query.format.unwrap_or(if table { Form::Csv } else { Form::Json });
        Ok(Self { app: app.clone(), now: (app.clock)(), query, more, form })
    }
}

/// From when to when.
#[derive(Clone, Copy)]
struct Span {
    from: Timestamp,
    to: Timestamp,
}

impl Span {
    fn new(from: Timestamp, to: Timestamp) -> Result<Self, Problem> {
        if to <= from {
            return Err(Problem::field("to", "it is not after `from`"));
        }
        Ok(Self { from, to })
    }
}

impl<More> Asked<More> {
    /// What was recorded of this in the span asked for, the last day if none was.
    async fn recorded(&self, about: About) -> Result<(memory::Shared, Span), Problem> {
        let to = self.query.to.unwrap_or(self.now);
        let day_before = || to.checked_sub(DAY).unwrap_or(to).max(Timestamp::UNIX_EPOCH);
        let span = Span::new(self.query.from.unwrap_or_else(day_before), to)?;
        if to.duration_since(span.from) > LONGEST {
            return Err(Problem::field("to", "it is more than 92 days after `from`; ask for a shorter span"));
        }
        Ok((self.facts(about, span).await?, span))
    }

    /// What the span's figures are made of. Consoles ask for "the last day" and mean the same.
    async fn facts(&self, about: About, span: Span) -> Result<memory::Shared, Problem> {
        let asked = memory::Key { about, from: self.query.from, to: self.query.to };
        let (app, ends) = (&self.app, (span.from, span.to));
        let facts = app.figures.facts(app.store.as_ref(), asked, ends, self.now).await?;
        if facts.more {
            let sentence =
                format!("this span holds more than {} of them; ask for a shorter one", memory::MOST);
            return Err(Problem::field("from", sentence));
        }
        Ok(facts)
    }

    async fn reckoned<T: Send + 'static>(
        &self,
        facts: memory::Shared,
        reckon: impl FnOnce(&Facts) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        self.app.figures.reckoned(facts, reckon).await
    }

    /// The figures in the form that was asked for; `json` is what they are shown as where that is no table.
    fn answer<R: Row, S: Serialize>(
        &self,
        items: Vec<R>,
        json: impl FnOnce(Option<&'static str>, Vec<R>) -> S,
    ) -> Response {
        match self.form {
            Form::Csv => table::csv(&items),
            Form::Json => axum::Json(json(self.query.by.map(By::as_str), items)).into_response(),
        }
    }
}

/// Figures of a span, as most are shown.
fn over<R: Serialize>(span: Span) -> impl FnOnce(Option<&'static str>, Vec<R>) -> FiguresJson<R> {
    move |by, items| FiguresJson { from: Some(span.from), to: span.to, by, items }
}

fn items<T, R>(told: Told<T>, show: impl Fn(Option<String>, T) -> R) -> Vec<R> {
    told.into_iter().map(|(key, figures)| show(key, figures)).collect()
}

/// Who waits for an agent now.
///
/// As it is at this moment; `from` and `to`, where given, leave in only those that began to wait in between.
#[utoipa::path(get, path = "/v1/stats/waiting", tag = "figures", operation_id = "statsWaiting", params(SpanQuery),
    responses((status = 200, description = "Those that wait.", body = FiguresJson<WaitingJson>)))]
async fn waiting(asked: Asked) -> Result<Response, Problem> {
    let (query, now) = (&asked.query, asked.now);
    // Whoever waits longest must not vanish after a day.
    let from = query.from.unwrap_or(Timestamp::UNIX_EPOCH);
    let to = query.to.unwrap_or_else(|| now.checked_add(DAY).unwrap_or(Timestamp::MAX));
    let facts = asked.facts(About::Waiting, Span::new(from, to)?).await?;
    let by = query.by;
    let told = asked.reckoned(facts, move |facts| figures::waiting(&facts.conversations, by)).await?;
    let items = items(told, |key, figures| WaitingJson::new(key, &figures, now));
    let (from, to) = (query.from, query.to.unwrap_or(now));
    Ok(asked.answer(items, |by, items| FiguresJson { from, to, by, items }))
}

/// How long clients waited.
///
/// Of the conversations opened in the span: `first_response` from when the client acted until we first answered,
/// in writing or by voice; `wait` until an agent first had it. By the clock on the wall; percentiles are
/// nearest-rank, each a time somebody really waited.
#[utoipa::path(get, path = "/v1/stats/response", tag = "figures", operation_id = "statsResponse", params(SpanQuery),
    responses((status = 200, description = "Seconds, by percentile.", body = FiguresJson<ResponseJson>)))]
async fn response(asked: Asked) -> Result<Response, Problem> {
    let (facts, span) = asked.recorded(About::Conversations).await?;
    let by = asked.query.by;
    let told = asked.reckoned(facts, move |facts| figures::response(&facts.conversations, by)).await?;
    Ok(asked.answer(items(told, ResponseJson::new), over(span)))
}

/// How many were answered in time.
///
/// Of the conversations opened in the span. Answered within the time, of what was offered without what was
/// closed unanswered within it and without what still has time: `formula` says it too.
#[utoipa::path(get, path = "/v1/stats/service-level", tag = "figures", operation_id = "statsServiceLevel",
    params(ServiceLevelQuery, SpanQuery),
    responses((status = 200, description = "The service level.", body = ServiceLevelFiguresJson)))]
async fn service_level(asked: Asked<ServiceLevelQuery>) -> Result<Response, Problem> {
    let (facts, Span { from, to }) = asked.recorded(About::Conversations).await?;
    let ServiceLevelQuery { within_s } = asked.more;
    let (by, now) = (asked.query.by, asked.now);
    let reckon = move |facts: &Facts| figures::service_level(&facts.conversations, by, within_s, now);
    let told = asked.reckoned(facts, reckon).await?;
    let items = items(told, |key, figures| ServiceLevelJson::new(key, &figures));
    let formula = ServiceLevel::FORMULA;
    Ok(asked.answer(items, |by, items| ServiceLevelFiguresJson { from, to, by, formula, items }))
}

/// Calls, and those we owe.
///
/// Of the calls of clients in the span; a voicemail is missed too. `called_back`, `callback_open` and
/// `callback_given_up` (their conversation was resolved without one) are of the callbacks that came to be owed in it.
#[utoipa::path(get, path = "/v1/stats/calls", tag = "figures", operation_id = "statsCalls", params(SpanQuery),
    responses((status = 200, description = "Calls.", body = FiguresJson<CallsJson>)))]
async fn calls(asked: Asked) -> Result<Response, Problem> {
    let (facts, span) = asked.recorded(About::Calls).await?;
    let by = asked.query.by;
    let told = asked.reckoned(facts, move |facts| figures::calls(&facts.calls, &facts.callbacks, by)).await?;
    Ok(asked.answer(items(told, |key, figures| CallsJson::new(key, &figures)), over(span)))
}

/// What was promised, and what became of it.
///
/// Of the conversations opened in the span, each kind of promise by itself.
#[utoipa::path(get, path = "/v1/stats/promises", tag = "figures", operation_id = "statsPromises", params(SpanQuery),
    responses((status = 200, description = "Promises.", body = FiguresJson<PromisesJson>)))]
async fn promises(asked: Asked) -> Result<Response, Problem> {
    let (facts, span) = asked.recorded(About::Conversations).await?;
    let by = asked.query.by;
    let told = asked.reckoned(facts, move |facts| figures::promises(&facts.conversations, by)).await?;
    let each = told.into_iter().flat_map(|(key, kinds)| {
        kinds.into_iter().map(move |(kind, figures)| PromisesJson::new(key.clone(), kind, &figures))
    });
    Ok(asked.answer(each.collect(), over(span)))
}
