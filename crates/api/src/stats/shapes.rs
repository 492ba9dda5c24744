//! Figures as callers see them.

use contact::PromiseKind;
use jiff::Timestamp;
use serde::Serialize;
use timeline::figures::{Calls, Promises, Response, ServiceLevel, Spread, Waiting};
use utoipa::ToSchema;

use super::table::{Cell, Row};
use crate::words;

/// Figures of a span.
#[derive(Serialize, ToSchema)]
pub(crate) struct FiguresJson<T> {
    /// Null where no beginning was asked for and none is needed.
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Timestamp,
    #[schema(schema_with = words::by)]
    pub(crate) by: Option<&'static str>,
    pub(crate) items: Vec<T>,
}

/// Service levels of a span.
#[derive(Serialize, ToSchema)]
#[schema(as = ServiceLevels)]
pub(crate) struct ServiceLevelFiguresJson {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    #[schema(schema_with = words::by)]
    pub(crate) by: Option<&'static str>,
    /// Of what `level` is a share.
    #[schema(example = "within / (offered - abandoned - waiting)")]
    pub(crate) formula: &'static str,
    pub(crate) items: Vec<ServiceLevelJson>,
}

/// Those that wait.
#[derive(Serialize, ToSchema)]
#[schema(as = WaitingFigures)]
pub(crate) struct WaitingJson {
    /// Null without `by`, and of those that have none of what it asks for.
    key: Option<String>,
    count: u64,
    oldest_since: Option<Timestamp>,
    /// So many seconds.
    oldest_s: Option<i64>,
}

/// How long it took.
#[derive(Serialize, ToSchema)]
#[schema(as = ResponseFigures)]
pub(crate) struct ResponseJson {
    key: Option<String>,
    /// Conversations that were answered.
    count: u64,
    first_response: SpreadJson,
    wait: SpreadJson,
}

/// Seconds; null where there is nothing to spread.
#[derive(Serialize, ToSchema)]
#[schema(as = Spread)]
pub(crate) struct SpreadJson {
    p50_s: Option<i64>,
    p90_s: Option<i64>,
    p95_s: Option<i64>,
    max_s: Option<i64>,
}

/// How many were answered in time.
#[derive(Serialize, ToSchema)]
#[schema(as = ServiceLevelFigures)]
pub(crate) struct ServiceLevelJson {
    key: Option<String>,
    offered: u64,
    within: u64,
    /// Answered too late, or not at all though it is too late.
    late: u64,
    /// Neither answered nor too late yet.
    waiting: u64,
    /// Closed without an answer before it was too late.
    abandoned: u64,
    /// 0 to 1; null when nothing was offered that counts.
    #[schema(example = 0.9375)]
    level: Option<f64>,
}

/// Calls.
#[derive(Serialize, ToSchema)]
#[schema(as = CallFigures)]
pub(crate) struct CallsJson {
    key: Option<String>,
    inbound: u64,
    answered: u64,
    missed: u64,
    called_back: u64,
    callback_open: u64,
    callback_given_up: u64,
}

/// Promises of one kind.
#[derive(Serialize, ToSchema)]
#[schema(as = PromiseFigures)]
pub(crate) struct PromisesJson {
    key: Option<String>,
    #[schema(schema_with = words::promise_kind)]
    kind: PromiseKind,
    kept: u64,
    late: u64,
    /// Too late, and still not answered.
    breached_open: u64,
    /// Not decided yet.
    running: u64,
    withdrawn: u64,
    /// Of those that were to be kept by now, 0 to 1; null when there was none.
    #[schema(example = 0.9375)]
    kept_share: Option<f64>,
}

impl WaitingJson {
    pub(super) fn new(key: Option<String>, told: &Waiting, now: Timestamp) -> Self {
        let oldest_s = told.oldest_since.map(|since| now.duration_since(since).as_secs().max(0));
        Self { key, count: told.count, oldest_since: told.oldest_since, oldest_s }
    }
}

impl ResponseJson {
    pub(super) fn new(key: Option<String>, told: Response) -> Self {
        let Response { count, first_response, wait } = told;
        Self { key, count, first_response: first_response.into(), wait: wait.into() }
    }
}

impl From<Option<Spread>> for SpreadJson {
    fn from(told: Option<Spread>) -> Self {
        Self {
            p50_s: told.map(|told| told.p50_s),
            p90_s: told.map(|told| told.p90_s),
            p95_s: told.map(|told| told.p95_s),
            max_s: told.map(|told| told.max_s),
        }
    }
}

impl ServiceLevelJson {
    pub(super) fn new(key: Option<String>, told: &ServiceLevel) -> Self {
        Self {
            key,
            offered: told.offered,
            within: told.within,
            late: told.late,
            waiting: told.waiting,
            abandoned: told.abandoned,
            level: told.level().map(rounded),
        }
    }
}

impl CallsJson {
    pub(super) fn new(key: Option<String>, told: &Calls) -> Self {
        Self {
            key,
            inbound: told.inbound,
            answered: told.answered,
            missed: told.missed,
            called_back: told.called_back,
            callback_open: told.callback_open,
            callback_given_up: told.callback_given_up,
        }
    }
}

impl PromisesJson {
    pub(super) fn new(key: Option<String>, kind: PromiseKind, told: &Promises) -> Self {
        Self {
            key,
            kind,
            kept: told.kept,
            late: told.late,
            breached_open: told.breached_open,
            running: told.running,
            withdrawn: told.withdrawn,
            kept_share: told.kept_share().map(rounded),
        }
    }
}

/// To four digits: nobody reads more, and thirds stay short.
fn rounded(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}

// --- the same as rows of a table

impl Row for WaitingJson {
    const COLUMNS: &'static [&'static str] = &["key", "count", "oldest_since", "oldest_s"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(self.key.as_deref()),
            Cell::number(self.count),
            Cell::maybe(self.oldest_since),
            Cell::maybe(self.oldest_s),
        ]
    }
}

impl Row for ResponseJson {
    const COLUMNS: &'static [&'static str] = &[
        "key",
        "count",
        "first_response_p50_s",
        "first_response_p90_s",
        "first_response_p95_s",
        "first_response_max_s",
        "wait_p50_s",
        "wait_p90_s",
        "wait_p95_s",
        "wait_max_s",
    ];

    fn cells(&self) -> Vec<Cell> {
        let spread = |told: &SpreadJson| [told.p50_s, told.p90_s, told.p95_s, told.max_s].map(Cell::maybe);
        let mut cells = vec![Cell::text(self.key.as_deref()), Cell::number(self.count)];
        cells.extend(spread(&self.first_response));
        cells.extend(spread(&self.wait));
        cells
    }
}

impl Row for ServiceLevelJson {
    const COLUMNS: &'static [&'static str] =
        &["key", "offered", "within", "late", "waiting", "abandoned", "level"];

    fn cells(&self) -> Vec<Cell> {
        let counts = [self.offered, self.within, self.late, self.waiting, self.abandoned];
        let mut cells = vec![Cell::text(self.key.as_deref())];
        cells.extend(counts.map(Cell::number));
        cells.push(Cell::maybe(self.level));
        cells
    }
}

impl Row for CallsJson {
    const COLUMNS: &'static [&'static str] =
        &["key", "inbound", "answered", "missed", "called_back", "callback_open", "callback_given_up"];

    fn cells(&self) -> Vec<Cell> {
        let calls = [self.inbound, self.answered, self.missed];
        let callbacks = [self.called_back, self.callback_open, self.callback_given_up];
        let counts = calls.into_iter().chain(callbacks);
        let mut cells = vec![Cell::text(self.key.as_deref())];
        cells.extend(counts.map(Cell::number));
        cells
    }
}

impl Row for PromisesJson {
    const COLUMNS: &'static [&'static str] =
        &["key", "kind", "kept", "late", "breached_open", "running", "withdrawn", "kept_share"];

    fn cells(&self) -> Vec<Cell> {
        let counts = [self.kept, self.late, self.breached_open, self.running, self.withdrawn];
        let mut cells = vec![Cell::text(self.key.as_deref()), Cell::text(Some(self.kind.as_str()))];
        cells.extend(counts.map(Cell::number));
        cells.push(Cell::maybe(self.kept_share));
        cells
    }
}
