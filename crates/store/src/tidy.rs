//! What is done when everything has ended.

use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::{OpenError, Place, place};

/// A reader that is still at it, a copy that is being made, is waited for no longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// SQLite: brings what was written since the last checkpoint into the file itself, so that the file alone is the
/// whole database for whoever copies it. Needs nothing of the kind for PostgreSQL.
pub async fn tidy(url: &str) -> Result<(), OpenError> {
    let Place::Sqlite(path) = place(url)? else { return Ok(()) };
    let failed = |cause| OpenError::Connect { what: path.to_owned(), cause };
    let file = SqliteConnectOptions::new().filename(path).create_if_missing(false).busy_timeout(PATIENCE);
    let mut connection = file.disable_statement_logging().connect().await.map_err(failed)?;
    sqlx::query("pragma wal_checkpoint(truncate)").execute(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)
}
