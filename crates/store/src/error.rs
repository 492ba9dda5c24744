//! Which failures pass and which stay.

use std::time::Duration;

use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;
use timeline::StoreError;

/// How long one step of the work may take before the store counts as away. The databases have limits
/// of their own below it; this one holds when they do not answer at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(35);

/// The same for steps that walk over everything.
pub(crate) const LONG_PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// Runs one step; `doing` completes "the store could not …".
pub(crate) async fn within<T>(
    doing: &'static str,
    patience: Duration,
    step: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(patience, step).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(told(doing, error)),
        Err(late) => Err(StoreError::Away { doing, cause: Box::new(late) }),
    }
}

/// The store's error for the caller, sorted by what the caller should do next.
pub(crate) fn told(doing: &'static str, error: sqlx::Error) -> StoreError {
    if passes(&error) {
        StoreError::Away { doing, cause: Box::new(error) }
    } else {
        StoreError::Refused { doing, cause: Box::new(error) }
    }
}

/// A refusal of our own, before the database is asked.
pub(crate) fn refused(doing: &'static str, why: &'static str) -> StoreError {
    StoreError::Refused { doing, cause: why.into() }
}

/// Whether trying again later may help.
pub(crate) fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => {
            if let Some(postgres) = database.try_downcast_ref::<PgDatabaseError>() {
                postgres_passes(postgres.code())
            } else if database.try_downcast_ref::<SqliteError>().is_some() {
                sqlite_passes(database.code().and_then(|code| code.parse().ok()).unwrap_or_default())
            } else {
                false
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        _ => false,
    }
}

/// Whether the connection itself is gone, so that a new one may do at once what this one could not.
pub(crate) fn lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => database
            .try_downcast_ref::<PgDatabaseError>()
            // The connection was ended by the server: idle too long, an operator, a shutdown.
            .is_some_and(|postgres| postgres.code().starts_with("57P") || postgres.code() == "25P03"),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            true
        }
        _ => false,
    }
}

/// By the class of the SQLSTATE.
fn postgres_passes(code: &str) -> bool {
    let class: String = code.chars().take(2).collect();
    matches!(
        class.as_str(),
        // Connection; insufficient resources, disk full; operator intervention; rolled back for
        // another; object in use, lock not available.
        "08" | "53" | "57" | "40" | "55"
        // System error; internal error; a transaction that is over or read-only (a standby).
        | "58" | "XX" | "25"
        // Not let in; no such database. A matter of the configuration, not of the request.
        | "28" | "3D"
    )
}

/// By the primary result code, the low byte of the extended one.
fn sqlite_passes(code: i32) -> bool {
    const PERM: i32 = 3;
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const NOMEM: i32 = 7;
    const READONLY: i32 = 8;
    const INTERRUPT: i32 = 9;
    const IOERR: i32 = 10;
    /// A person has to look, and nothing that was asked is at fault.
    const CORRUPT: i32 = 11;
    const FULL: i32 = 13;
    const CANTOPEN: i32 = 14;
    const PROTOCOL: i32 = 15;
    const SCHEMA: i32 = 17;
    const AUTH: i32 = 23;
    const NOTADB: i32 = 26;
    matches!(
        code & 0xff,
        PERM | BUSY
            | LOCKED
            | NOMEM
            | READONLY
            | INTERRUPT
            | IOERR
            | CORRUPT
            | FULL
            | CANTOPEN
            | PROTOCOL
            | SCHEMA
            | AUTH
            | NOTADB
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_busy_full_or_away_passes_and_what_is_wrong_stays() {
        for code in ["08006", "53100", "53300", "57P01", "57P03", "57014", "40001", "40P01", "55P03", "25006"]
        {
            assert!(postgres_passes(code), "{code}");
        }
        for code in ["23505", "22021", "22003", "42601", "42P01", "54000"] {
            assert!(!postgres_passes(code), "{code}");
        }
        // Busy and busy with a snapshot, locked, full, a failed write, a failed flush.
        for code in [5, 517, 6, 13, 778, 1034] {
            assert!(sqlite_passes(code), "{code}");
        }
        // Syntax, a unique key, a primary key, too big, a type that does not fit.
        for code in [1, 2067, 1555, 18, 20] {
            assert!(!sqlite_passes(code), "{code}");
        }
    }

    #[test]
    fn a_connection_that_is_gone_is_not_the_requests_fault() {
        let gone = sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into());
        assert!(lost(&gone) && told("commit", gone).is_transient());
        assert!(told("read", sqlx::Error::PoolTimedOut).is_transient());
        assert!(!told("read", sqlx::Error::RowNotFound).is_transient());
    }
}
