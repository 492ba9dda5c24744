//! Pages: `?limit=` and an opaque `&cursor=`, answered with `{"items":[…],"next":…}`.
//!
//! A cursor says after which item the next page begins, so a page neither skips nor repeats what was
//! there before, whatever is added meanwhile.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contact::{ClientId, ContactId, ConversationId, EntryId};
use jiff::Timestamp;
use serde::Serialize;
use timeline::Page;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::extract::{HexId, Params};
use crate::problem::Problem;

const DEFAULT_LIMIT: i64 = 50;
const HIGHEST_LIMIT: i64 = 200;

/// One page of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Items<T> {
    pub(crate) items: Vec<T>,
    /// The cursor of the next page; null on the last one.
    pub(crate) next: Option<String>,
}

/// What is asked of every list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// Items on a page, 1 to 200; what is beyond is clamped.
    #[param(value_type = Option<i64>, default = 50, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Which page is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PageOf<C> {
    after: Option<C>,
    limit: usize,
}

impl<C: Cursor> PageOf<C> {
    /// Reads `limit` and `cursor`. A limit out of range is clamped, anything else wrong is a 400.
    pub(crate) fn from_params(params: &mut Params) -> Result<Self, Problem> {
        let PageParams { limit, cursor } =
            PageParams { limit: params.text("limit"), cursor: params.text("cursor") };
        let limit = limit.map_or(Ok(DEFAULT_LIMIT), |text| number(&text))?;
        let after = match cursor {
            None => None,
            Some(text) => Some(decode(&text).ok_or_else(|| {
                Problem::field(
                    "cursor",
                    "this is no cursor of this list; take it from `next` of the page before",
                )
            })?),
        };
        let limit = usize::try_from(limit.clamp(1, HIGHEST_LIMIT)).unwrap_or(1);
        Ok(Self { after, limit })
    }

    /// What to ask the store for: one more than is shown, to know whether there is a next page.
    pub(crate) fn wanted(&self) -> Page<C::Store> {
        Page { after: self.after.clone().map(C::into_store), limit: self.limit + 1 }
    }

    /// Makes the page of what the store gave.
    pub(crate) fn of<Row, T>(
        &self,
        mut rows: Vec<Row>,
        cursor: impl Fn(&Row) -> C,
        show: impl FnMut(Row) -> T,
    ) -> Items<T> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next = rows.last().filter(|_| more).map(|row| encode(&cursor(row)));
        Items { items: rows.into_iter().map(show).collect(), next }
    }
}

/// Digits beyond any integer are clamped like any other number.
fn number(text: &str) -> Result<i64, Problem> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Problem::field("limit", format!("`{text}` is no number; it is 1 to {HIGHEST_LIMIT}")));
    }
    Ok(text.parse().unwrap_or(if text.starts_with('-') { 1 } else { HIGHEST_LIMIT }))
}

/// A place in a list. The tag keeps the cursors of different lists apart.
pub(crate) trait Cursor: Clone {
    /// As the store takes it.
    type Store;
    const TAG: u8;
    fn bytes(&self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
    fn into_store(self) -> Self::Store;
}

fn encode<C: Cursor>(cursor: &C) -> String {
    let mut bytes = vec![C::TAG];
    bytes.extend(cursor.bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode<C: Cursor>(text: &str) -> Option<C> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    bytes.split_first().filter(|(tag, _)| **tag == C::TAG).and_then(|(_, rest)| C::from_bytes(rest))
}

macro_rules! id_cursor {
    ($($Id:ident $tag:literal),+) => { $(
        impl Cursor for $Id {
            type Store = $Id;
            const TAG: u8 = $tag;
            fn bytes(&self) -> Vec<u8> {
                self.uuid().as_bytes().to_vec()
            }
            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map($Id::from_uuid)
            }
            fn into_store(self) -> $Id {
                self
            }
        }
    )+ };
}

id_cursor!(ClientId b'p', ContactId b'c', ConversationId b'v');

impl Cursor for (Timestamp, EntryId) {
    type Store = Self;
    const TAG: u8 = b't';
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.0.as_microsecond().to_be_bytes().to_vec();
        bytes.extend(self.1.uuid().as_bytes());
        bytes
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (at, id) = bytes.split_first_chunk::<8>()?;
        let at = Timestamp::from_microsecond(i64::from_be_bytes(*at)).ok()?;
        Some((at, EntryId::from_uuid(Uuid::from_slice(id).ok()?)))
    }
    fn into_store(self) -> Self {
        self
    }
}

impl Cursor for (i64, ConversationId) {
    type Store = Self;
    const TAG: u8 = b'w';
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.0.to_be_bytes().to_vec();
        bytes.extend(self.1.uuid().as_bytes());
        bytes
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (rank, id) = bytes.split_first_chunk::<8>()?;
        Some((i64::from_be_bytes(*rank), ConversationId::from_uuid(Uuid::from_slice(id).ok()?)))
    }
    fn into_store(self) -> Self {
        self
    }
}

impl Cursor for HexId {
    type Store = String;
    const TAG: u8 = b'x';
    fn bytes(&self) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }
    fn into_store(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(query: &str) -> Result<PageOf<ClientId>, Problem> {
        PageOf::from_params(&mut Params::parse(query).unwrap())
    }

    #[test]
    fn a_limit_is_clamped_and_never_a_surprise() {
        for (query, limit) in [
            ("", 50),
            ("limit=", 50),
            ("limit=7", 7),
            ("limit=0", 1),
            ("limit=-3", 1),
            ("limit=201", 200),
            ("limit=99999999999999999999", 200),
            ("limit=-99999999999999999999", 1),
        ] {
            assert_eq!(read(query).unwrap().limit, limit, "{query}");
        }
        for bad in ["limit=x", "limit=1.5", "limit=--1", "limit=-", "limit=+", "cursor=x", "cursor=%00"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back_and_belongs_to_its_list(micros in -1_000_000_000_000_000i64..4_000_000_000_000_000, id: u128) {
            let at = (Timestamp::from_microsecond(micros).unwrap(), EntryId::from_uuid(Uuid::from_u128(id)));
            let text = encode(&at);
            prop_assert_eq!(decode::<(Timestamp, EntryId)>(&text), Some(at));
            prop_assert_eq!(decode::<ClientId>(&text), None);
            let client = ClientId::from_uuid(Uuid::from_u128(id));
            prop_assert_eq!(decode::<ClientId>(&encode(&client)), Some(client));
            prop_assert_eq!(decode::<ConversationId>(&encode(&client)), None);
            let place = (micros, ConversationId::from_uuid(Uuid::from_u128(id)));
            prop_assert_eq!(decode::<(i64, ConversationId)>(&encode(&place)), Some(place));
            prop_assert_eq!(decode::<(Timestamp, EntryId)>(&encode(&place)), None);
        }

        #[test]
        fn no_text_is_too_strange_for_a_cursor(text in "\\PC{0,80}") {
            decode::<(Timestamp, EntryId)>(&text);
            decode::<(i64, ConversationId)>(&text);
            decode::<HexId>(&text);
        }
    }
}
