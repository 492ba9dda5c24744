//! The schema: forward only, the same file names for both databases.

pub(crate) use sqlx::migrate::MigrateError;

use sqlx::migrate::{Migrate, Migrator};

use crate::OpenError;

impl From<MigrateError> for OpenError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version) => OpenError::Newer { version },
            MigrateError::VersionMismatch(version) => OpenError::Edited { version },
            MigrateError::Dirty(version) => OpenError::Dirty { version },
            other => OpenError::Migrate(other),
        }
    }
}

/// Brings the schema up to date. The direct form, because `Migrator::run` over a borrowed connection
/// gives a future that no task can be spawned with.
pub(crate) async fn apply<C: Migrate>(connection: &mut C, ours: &Migrator) -> Result<(), MigrateError> {
    ours.run_direct(None, connection, false).await
}

/// Whether the schema is the one this program works with, changing nothing.
pub(crate) async fn current<C: Migrate>(connection: &mut C, ours: &Migrator) -> Result<(), OpenError> {
    // The table's absence is told as an error of the database: nothing was ever applied.
    let table = "_sqlx_migrations";
    if let Some(version) =
        connection.dirty_version(table).await.map_err(|_| OpenError::Behind { version: 0 })?
    {
        return Err(OpenError::Dirty { version });
    }
    let applied = connection.list_applied_migrations(table).await?;
    for theirs in &applied {
        match ours.iter().find(|migration| migration.version == theirs.version) {
            None => return Err(OpenError::Newer { version: theirs.version }),
            Some(migration) if migration.checksum != theirs.checksum => {
                return Err(OpenError::Edited { version: theirs.version });
            }
            Some(_) => {}
        }
    }
    match ours.iter().find(|migration| applied.iter().all(|theirs| theirs.version != migration.version)) {
        Some(missing) => Err(OpenError::Behind { version: missing.version }),
        None => Ok(()),
    }
}
