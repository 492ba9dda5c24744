//! Values that the two databases keep differently.

use contact::{Direction, Presence, Trust};
use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Postgres, Sqlite, Type};

/// A moment in microseconds: an integer since 1970 in SQLite, `timestamptz` in PostgreSQL. What is
/// finer is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(pub(crate) Timestamp);

/// Microseconds from 1970 to 2000, where PostgreSQL begins to count.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0.as_microsecond())
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let micros = i64::deserialize(deserializer)?;
        Timestamp::from_microsecond(micros).map(Self).map_err(D::Error::custom)
    }
}

impl Type<Sqlite> for Stamp {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }
    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <i64 as Type<Sqlite>>::compatible(ty)
    }
}

impl Encode<'_, Sqlite> for Stamp {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode(self.0.as_microsecond(), buffer)
    }
}

impl Decode<'_, Sqlite> for Stamp {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
        let micros = <i64 as Decode<Sqlite>>::decode(value)?;
        Ok(Self(Timestamp::from_microsecond(micros)?))
    }
}

impl Type<Postgres> for Stamp {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz")
    }
}

impl PgHasArrayType for Stamp {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::array_of("timestamptz")
    }
}

impl Encode<'_, Postgres> for Stamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(self.0.as_microsecond().saturating_sub(POSTGRES_EPOCH), buffer)
    }
    fn size_hint(&self) -> usize {
        size_of::<i64>()
    }
}

impl Decode<'_, Postgres> for Stamp {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() != PgValueFormat::Binary {
            return Err("a moment came as text; only prepared statements read moments".into());
        }
        let micros = <i64 as Decode<Postgres>>::decode(value)?;
        Ok(Self(Timestamp::from_microsecond(micros.saturating_add(POSTGRES_EPOCH))?))
    }
}

pub(crate) fn direction(text: &str) -> Result<Direction, sqlx::Error> {
    one_of("direction", [Direction::Inbound, Direction::Outbound], Direction::as_str, text)
}

pub(crate) fn trust(text: &str) -> Result<Trust, sqlx::Error> {
    one_of("trust", [Trust::Verified, Trust::Unverified], Trust::as_str, text)
}

pub(crate) fn presence(text: &str) -> Result<Presence, sqlx::Error> {
    one_of("presence", [Presence::Available, Presence::Away, Presence::Offline], Presence::as_str, text)
}

/// What a column of JSON holds.
pub(crate) fn json<T: DeserializeOwned>(text: Option<String>) -> Result<Option<T>, sqlx::Error> {
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(unreadable)
}

fn one_of<T: Copy, const N: usize>(
    noun: &str,
    all: [T; N],
    name: impl Fn(T) -> &'static str,
    text: &str,
) -> Result<T, sqlx::Error> {
    all.into_iter()
        .find(|word| name(*word) == text)
        .ok_or_else(|| unreadable(format!("`{text}` is no {noun}")))
}

/// A stored value that is not what this version writes.
pub(crate) fn unreadable(cause: impl Into<BoxDynError>) -> sqlx::Error {
    sqlx::Error::Decode(cause.into())
}

/// The NUL character, which PostgreSQL keeps in no text: both stores refuse it, before anything is
/// written.
pub(crate) fn has_nul(text: &str) -> bool {
    text.as_bytes().contains(&0)
}

/// A text that must be kept whatever it holds: NUL becomes U+FFFD.
pub(crate) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// `part` as a pattern for `like … escape '\'` that matches anything holding it.
pub(crate) fn containing(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for letter in part.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// `limit` as SQL counts. Statements say `limit $n + 0`: SQLite looks into a parameter that stands alone,
/// and for that prepares the statement anew whenever it runs.
pub(crate) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_its_letters() {
        assert_eq!(containing(r"50%_\"), r"%50\%\_\\%");
    }

    #[test]
    fn the_postgres_epoch_is_the_turn_of_the_millennium() {
        let turn: Timestamp = "2000-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(turn.as_microsecond(), POSTGRES_EPOCH);
    }
}
