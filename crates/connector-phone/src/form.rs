//! `application/x-www-form-urlencoded`, byte for byte, and JSON read as if it were a form.
//!
//! Signatures are made over decoded bytes, so nothing here replaces what is not UTF-8: that is a
//! finding of the reader, not of the verifier.

use std::borrow::Cow;

use contact::{RawBytes, Unreadable, content_digest};

/// The media type of a form, and of a query string kept as a raw.
pub const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// A request with more fields is kept as unreadable: no phone system sends a tenth of it.
pub const FIELDS_LIMIT: usize = 1_000;

/// One name and its value, percent-decoded.
pub type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// Every pair in its order. Never fails: a `%` that starts no escape stands for itself, as in browsers.
pub fn pairs(encoded: &[u8]) -> Vec<Pair<'_>> {
    encoded
        .split(|byte| *byte == b'&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let mut halves = part.splitn(2, |byte| *byte == b'=');
            let name = halves.next().unwrap_or_default();
            (decode(name), decode(halves.next().unwrap_or_default()))
        })
        .collect()
}

fn decode(coded: &[u8]) -> Cow<'_, [u8]> {
    if !coded.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(coded);
    }
    let mut plain = Vec::with_capacity(coded.len());
    let mut rest = coded;
    loop {
        rest = match rest {
            [b'%', high, low, after @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    plain.push(high * 16 + low);
                    after
                }
                _ => {
                    plain.push(b'%');
                    rest.get(1..).unwrap_or_default()
                }
            },
            [b'+', after @ ..] => {
                plain.push(b' ');
                after
            }
            [byte, after @ ..] => {
                plain.push(*byte);
                after
            }
            [] => return Cow::Owned(plain),
        };
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Whether a Content-Type names a form, whatever its parameters and letter case.
pub fn is_form(media_type: &str) -> bool {
    essence(media_type).eq_ignore_ascii_case(MEDIA_TYPE)
}

fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// The fields of a verified request, as text.
#[derive(Debug)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads a form or a JSON object (its scalars become text, what is nested becomes its JSON).
    ///
    /// # Errors
    /// When it is neither, has over [`FIELDS_LIMIT`] fields, or a field is not UTF-8.
    pub fn read(raw: &RawBytes) -> Result<Self, Unreadable> {
        let essence = essence(&raw.media_type);
        let fields = if is_form(essence) {
            Self::of_form(&raw.bytes)?
        } else if essence.eq_ignore_ascii_case("application/json") {
            Self::of_json(&raw.bytes)?
        } else {
            return Err(Unreadable { reason: "the body is neither a form nor JSON".to_owned(), field: None });
        };
        if fields.len() > FIELDS_LIMIT { Err(too_many()) } else { Ok(Self(fields)) }
    }

    fn of_form(bytes: &[u8]) -> Result<Vec<(String, String)>, Unreadable> {
        // Counted before decoding, so that a flood of fields costs no memory.
        if bytes.split(|byte| *byte == b'&').filter(|part| !part.is_empty()).count() > FIELDS_LIMIT {
            return Err(too_many());
        }
        pairs(bytes)
            .into_iter()
            .map(|(name, value)| {
                let name = String::from_utf8(name.into_owned()).map_err(|error| {
                    unreadable(&String::from_utf8_lossy(error.as_bytes()), "has a name that is not UTF-8")
                })?;
                let value =
                    String::from_utf8(value.into_owned()).map_err(|_| unreadable(&name, "is not UTF-8"))?;
                Ok((name, value))
            })
            .collect()
    }

    fn of_json(bytes: &[u8]) -> Result<Vec<(String, String)>, Unreadable> {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(bytes).map_err(|error| Unreadable {
                reason: format!(
                    "the body is no JSON object (line {}, column {})",
                    error.line(),
                    error.column()
                ),
                field: None,
            })?;
        Ok(object
            .into_iter()
            .filter_map(|(name, value)| match value {
                serde_json::Value::Null => None,
                serde_json::Value::String(text) => Some((name, text)),
                other => Some((name, other.to_string())),
            })
            .collect())
    }

    /// The field's value; `None` when it is absent or empty, which phone systems use alike.
    ///
    /// # Errors
    /// When it is given twice with different values: the order of repeated fields is not signed.
    pub fn get(&self, name: &str) -> Result<Option<&str>, Unreadable> {
        let mut found: Option<&str> = None;
        for (given, value) in &self.0 {
            if given == name {
                if found.is_some_and(|first| first != value) {
                    return Err(unreadable(name, "is given twice with different values"));
                }
                found = Some(value);
            }
        }
        Ok(found.filter(|value| !value.is_empty()))
    }

    /// As [`Fields::get`], where the request means nothing without it.
    ///
    /// # Errors
    /// Also when it is missing.
    pub fn need(&self, name: &str) -> Result<&str, Unreadable> {
        self.get(name)?.ok_or_else(|| unreadable(name, "is missing"))
    }

    /// An identifier of the provider: 1 to 64 of `A-Z a-z 0-9 . _ -`, so that it can be part of a key.
    ///
    /// # Errors
    /// Also when it is anything else.
    pub fn id(&self, name: &str) -> Result<Option<&str>, Unreadable> {
        let good = |id: &&str| {
            id.len() <= 64 && id.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
        };
        match self.get(name)? {
            None => Ok(None),
            Some(id) if good(&id) => Ok(Some(id)),
            Some(_) => Err(unreadable(name, "is no id")),
        }
    }

    /// A whole number of seconds. `None` also for a negative one, by which some systems say "unknown".
    ///
    /// # Errors
    /// Also when it is no number, or more than 136 years.
    pub fn seconds(&self, name: &str) -> Result<Option<u32>, Unreadable> {
        let Some(text) = self.get(name)? else { return Ok(None) };
        match text.trim().parse::<i64>() {
            Ok(number) if number < 0 => Ok(None),
            Ok(number) => u32::try_from(number)
                .map(Some)
                .map_err(|_| unreadable(name, "is too large a number of seconds")),
            Err(_) => Err(unreadable(name, "is no number of seconds")),
        }
    }

    /// 8 hex digits over the fields in sorted order, without those named in `volatile`: the same for
    /// every retry of one request, and different when a retry says something else.
    pub fn digest(&self, volatile: &[&str]) -> String {
        let mut sorted: Vec<_> =
            self.0.iter().filter(|(name, _)| !volatile.contains(&name.as_str())).collect();
        sorted.sort_unstable();
        sorted.dedup();
        content_digest(sorted.into_iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]))
    }
}

/// Names the field at fault; its value is in the raw and in no message.
pub(crate) fn unreadable(field: &str, what: &str) -> Unreadable {
    let field = crate::normalise::clean(field, 100);
    Unreadable { reason: format!("the field `{field}` {what}"), field: Some(field) }
}

fn too_many() -> Unreadable {
    Unreadable { reason: format!("it has more than {FIELDS_LIMIT} fields"), field: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(body: &str) -> Fields {
        Fields::read(&RawBytes::new(MEDIA_TYPE, body)).unwrap()
    }

    #[test]
    fn a_form_is_decoded_byte_for_byte() {
        let read = pairs(b"a=1+2&b=%D0%86&&c&d==%&e=%zz%4&f=%ff%00");
        let expected: Vec<(&[u8], &[u8])> = vec![
            (b"a", b"1 2"),
            (b"b", "І".as_bytes()),
            (b"c", b""),
            (b"d", b"=%"),
            (b"e", b"%zz%4"),
            (b"f", b"\xff\x00"),
        ];
        let read: Vec<(&[u8], &[u8])> = read.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
        assert_eq!(read, expected);
    }

    proptest! {
        #[test]
        fn it_reads_what_browsers_write(list in proptest::collection::vec((".{0,8}", ".{0,8}"), 0..8)) {
            let written = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&list).finish();
            let list: Vec<Pair> =
                list.iter().map(|(n, v)| (n.as_bytes().into(), v.as_bytes().into())).collect();
            prop_assert_eq!(pairs(written.as_bytes()), list);
        }
    }

    #[test]
    fn a_field_at_fault_is_named() {
        let odd = fields("Twice=1&Twice=2&Same=1&Same=1&Id=a%20b&Secs=x&Big=99999999999&Neg=-1&Empty=");
        assert_eq!(odd.get("Twice").unwrap_err().field.as_deref(), Some("Twice"));
        assert_eq!(odd.get("Same").unwrap(), Some("1"));
        assert_eq!(odd.id("Id").unwrap_err().reason, "the field `Id` is no id");
        assert!(odd.seconds("Secs").is_err() && odd.seconds("Big").is_err());
        assert_eq!(odd.seconds("Neg").unwrap(), None);
        assert_eq!(odd.need("Empty").unwrap_err().reason, "the field `Empty` is missing");
        let bad = Fields::read(&RawBytes::new(MEDIA_TYPE, "From=%ff")).unwrap_err();
        assert_eq!(bad.reason, "the field `From` is not UTF-8");
    }

    #[test]
    fn json_is_read_as_fields() {
        let raw = RawBytes::new("Application/JSON; charset=utf-8", r#"{"a":"x","b":7,"c":null,"d":[1]}"#);
        let read = Fields::read(&raw).unwrap();
        assert_eq!(read.get("a").unwrap(), Some("x"));
        assert_eq!(read.seconds("b").unwrap(), Some(7));
        assert_eq!(read.get("c").unwrap(), None);
        assert_eq!(read.get("d").unwrap(), Some("[1]"));
        assert!(Fields::read(&RawBytes::new("application/json", "[1]")).is_err());
        assert!(Fields::read(&RawBytes::new("text/plain", "a=1")).is_err());
    }

    #[test]
    fn the_digest_ignores_order_and_what_is_volatile() {
        let one = fields("a=1&b=2&v=3").digest(&["v"]);
        assert_eq!(one, fields("b=2&v=9&a=1").digest(&["v"]));
        assert_ne!(one, fields("a=1&b=3").digest(&["v"]));
    }
}
