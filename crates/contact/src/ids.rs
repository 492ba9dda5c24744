//! Names of our own things. They are derived from the event that made the thing and never minted, so
//! a rebuilt projection has the same ones.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::event::{EventKey, Invalid};

/// A UUIDv7 layout (RFC 9562 section 5.7) whose time is `received_at` and whose random part is a hash
/// of the kind and the event's key: sorts by arrival, and is the same every time.
fn derive(prefix: &str, key: &EventKey, received_at: Timestamp) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(prefix.as_bytes());
    hash.update(key.digest());
    let full: [u8; 32] = hash.finalize().into();
    let mut random = [0; 10];
    random.copy_from_slice(&full[..10]);
    let millis = u64::try_from(received_at.as_millisecond()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

macro_rules! id {
    ($(#[$doc:meta])* $Name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $Name(Uuid);

        impl $Name {
            pub const PREFIX: &'static str = $prefix;

            /// The id of the thing that this event made.
            pub fn derived(key: &EventKey, received_at: Timestamp) -> Self {
                Self(derive($prefix, key, received_at))
            }

            /// As a store keeps it.
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $Name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|hex| hex.len() == 32)
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or_else(|| Invalid(format!(concat!("`{}` is no id of this kind; it reads ", $prefix, "_ and 32 hex digits"), text)))
            }
        }

        impl Serialize for $Name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $Name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(/** A client: the person or organisation a timeline belongs to. */ ClientId, "cli");
id!(/** A contact: one mail, one call, one chat session. */ ContactId, "con");
id!(/** A conversation: contacts and replies about one matter. */ ConversationId, "cnv");
id!(/** An entry of a timeline. */ EntryId, "ent");
id!(/** A merge of two clients. */ MergeId, "mrg");
id!(/** A reservation: a conversation held for one agent. */ ReservationId, "rsv");

/// 8 hex digits over the canonical content of a fact: the part of an event's id that makes a changed
/// retry one more fact. Parts are kept apart, so ("ab","c") differs from ("a","bc").
pub fn content_digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let full: [u8; 32] = hash.finalize().into();
    hex::encode(&full[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_derived_printed_and_read_back() {
        let key = EventKey { source: "phone/main-line".parse().unwrap(), id: "CA1:ended:00000000".into() };
        let at: Timestamp = "2026-11-21T10:15:02.311Z".parse().unwrap();
        let id = ClientId::derived(&key, at);
        assert_eq!(id, ClientId::derived(&key, at));
        assert_eq!(id.to_string().parse::<ClientId>().unwrap(), id);
        assert_eq!(id.uuid().get_version_num(), 7);
        assert_ne!(id.uuid(), ContactId::derived(&key, at).uuid(), "kinds do not share ids");
        assert!(id.to_string().parse::<ContactId>().is_err());
        assert!("cli_12".parse::<ClientId>().is_err());
    }
}
