//! The fields above a mail or a part, found by ourselves and read with mail-parser.
//!
//! Bounded: fields beyond [`MOST_FIELDS`] or [`MOST_BYTES`] are passed over, and
//! [`Headers::cut`] says so.

use jiff::Timestamp;
use mail_parser::parsers::MessageStream;
use mail_parser::{Address, ContentType, HeaderValue};

use crate::charset;
use crate::encoded::recode_words;

/// The most fields of one block that are read.
pub const MOST_FIELDS: usize = 1000;
/// The most bytes of one block that are read.
pub const MOST_BYTES: usize = 256 * 1024;
/// The longest single field that is decoded; more of it is passed over.
const LONGEST_FIELD: usize = 64 * 1024;

/// The fields of one block, in order.
#[derive(Debug, Default)]
pub struct Headers {
    fields: Vec<Field>,
    /// Whether some were passed over.
    pub cut: bool,
}

#[derive(Debug)]
struct Field {
    /// Lower case.
    name: String,
    /// As it came, with its folds.
    raw: Vec<u8>,
    /// Unfolded, as text, with encoded words still encoded.
    value: String,
}

/// A Content-Type or Content-Disposition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// `text/plain`, `attachment`; lower case.
    pub kind: String,
    attributes: Vec<(String, String)>,
}

impl Media {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

impl Headers {
    /// The fields at the beginning of `bytes`, and what follows them. A line that can be no field ends
    /// them: it belongs to the body.
    pub fn split(bytes: &[u8]) -> (Self, &[u8]) {
        Self::split_in(bytes, false)
    }

    /// The same within a mail that is known to be in Cyrillic: three letters tell no charset.
    pub fn split_in(bytes: &[u8], cyrillic: bool) -> (Self, &[u8]) {
        let mut found: Vec<(String, Vec<u8>)> = Vec::new();
        let mut cut = false;
        let mut used = 0;
        let mut rest = bytes;
        loop {
            let (line, after) = next_line(rest);
            let content = without_end(line);
            if line.is_empty() {
                break;
            }
            if content.is_empty() {
                rest = after;
                break;
            }
            used += line.len();
            let full = used > MOST_BYTES;
            if content.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
                if content.trim_ascii().is_empty() && found.is_empty() {
                    rest = after;
                    break;
                }
                match found.last_mut() {
                    Some((_, raw)) if !full && raw.len() + line.len() <= LONGEST_FIELD => {
                        raw.extend_from_slice(line)
                    }
                    Some(_) => cut = true,
                    None => {}
                }
            } else if let Some((name, value)) = field(content) {
                if full || found.len() >= MOST_FIELDS {
                    cut = true;
                } else {
                    let longest = value.len().min(LONGEST_FIELD);
                    cut |= longest < value.len();
                    found.push((name, value.get(..longest).unwrap_or_default().to_vec()));
                }
            } else if !content.starts_with(b"From ") && !content.starts_with(b">From ") {
                // A line that lost its fold; the fields go on when the most important are still to come.
                let came = found.iter().any(|(name, _)| name == "from");
                if came || !fields_ahead(after) {
                    break;
                }
            }
            rest = after;
        }
        (Self { fields: decode(found, cyrillic), cut }, rest)
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    /// Every field, lower-case name and unfolded value, top to bottom.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|field| (field.name.as_str(), field.value.trim()))
    }

    /// Every value of a field, unfolded, top to bottom.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The topmost value of a field, unfolded.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The topmost value in bytes, white space collapsed: for digests, so it depends on nothing we decode.
    pub fn collapsed(&self, name: &str) -> Vec<u8> {
        let raw = self.fields.iter().find(|field| field.name == name).map_or(&[][..], |field| &field.raw);
        let words: Vec<&[u8]> =
            raw.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty()).collect();
        words.join(&b' ')
    }

    /// The topmost value as text, encoded words decoded.
    pub fn text(&self, name: &str) -> Option<String> {
        self.first(name).map(unstructured)
    }

    /// Every address in every field of that name: display name and address, as they came. Groups are
    /// opened. At most `most`; `true` when there were more.
    pub fn addresses(&self, name: &str, most: usize) -> (Vec<(Option<String>, String)>, bool) {
        let mut found = Vec::new();
        for value in self.all(name) {
            if value.is_empty() {
                continue;
            }
            let line = line_of(&recode_words(value));
            let parsed = MessageStream::new(&line).parse_address();
            let HeaderValue::Address(parsed) = parsed else {
                found.push((None, value.to_owned()));
                continue;
            };
            let list: Vec<_> = match parsed {
                Address::List(list) => list,
                Address::Group(groups) => groups.into_iter().flat_map(|group| group.addresses).collect(),
            };
            for one in list {
                let name = one.name.map(|name| unstructured_if_encoded(&name));
                match (one.address, name) {
                    (Some(address), name) => found.push((name, unstructured_if_encoded(&address))),
                    // "x@y" alone in quotes is read as a name.
                    (None, Some(name)) => found.push((None, name)),
                    (None, None) => {}
                }
                if found.len() > most {
                    found.truncate(most);
                    return (found, true);
                }
            }
        }
        (found, false)
    }

    /// The topmost Content-Type or Content-Disposition.
    pub fn media(&self, name: &str) -> Option<Media> {
        let line = line_of(&recode_words(self.first(name)?));
        let HeaderValue::ContentType(read) = MessageStream::new(&line).parse_content_type() else {
            return None;
        };
        Some(media(read))
    }

    /// The Date field, where it is one.
    pub fn date(&self) -> Option<Timestamp> {
        let line = line_of(self.first("date")?);
        let HeaderValue::DateTime(read) = MessageStream::new(&line).parse_date() else { return None };
        if !read.is_valid() || read.year < 1970 {
            return None;
        }
        Timestamp::from_second(read.to_timestamp()).ok()
    }
}

/// A text with encoded words (RFC 2047), decoded.
pub fn unstructured(value: &str) -> String {
    let line = line_of(&recode_words(value));
    match MessageStream::new(&line).parse_unstructured() {
        HeaderValue::Text(text) => text.into_owned(),
        HeaderValue::TextList(texts) => texts.join(" "),
        _ => String::new(),
    }
}

fn unstructured_if_encoded(text: &str) -> String {
    if text.contains("=?") && text.contains("?=") { unstructured(text) } else { text.to_owned() }
}

fn line_of(value: &str) -> Vec<u8> {
    let mut line = Vec::with_capacity(value.len() + 2);
    line.push(b' ');
    line.extend_from_slice(value.trim().as_bytes());
    line.push(b'\n');
    line
}

fn media(read: ContentType<'_>) -> Media {
    let kind = match &read.c_subtype {
        Some(sub) => format!("{}/{sub}", read.c_type),
        None => read.c_type.to_string(),
    };
    let attributes = read
        .attributes
        .unwrap_or_default()
        .into_iter()
        .map(|one| (one.name.to_ascii_lowercase(), unstructured_if_encoded(&one.value)))
        .collect();
    // A forgotten `;` leaves the next word in the type.
    let kind = kind.split([' ', '\t', ';', ',']).find(|word| !word.is_empty()).unwrap_or_default();
    Media { kind: kind.to_ascii_lowercase(), attributes }
}

/// Name in lower case and value of a line; `None` when it can be no field.
fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    let name = name.trim_ascii_end();
    let good = (1..=100).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic);
    good.then(|| {
        let value = value.get(1..).unwrap_or_default();
        (String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec())
    })
}

fn decode(found: Vec<(String, Vec<u8>)>, cyrillic: bool) -> Vec<Field> {
    // Bytes above 127 in a field have no label of their own; the body's is the best guess.
    let label = found
        .iter()
        .find(|(name, _)| name == "content-type")
        .and_then(|(_, value)| charset_of(&String::from_utf8_lossy(value)))
        .filter(|label| !label.eq_ignore_ascii_case("us-ascii"));
    let strange: Vec<u8> = found
        .iter()
        .filter(|(_, raw)| std::str::from_utf8(raw).is_err())
        .flat_map(|(_, raw)| raw.iter().copied())
        .take(LONGEST_FIELD)
        .collect();
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(&strange, true);
    let guess = detector.guess(cyrillic.then_some(&b"ua"[..]), chardetng::Utf8Detection::Deny);
    found
        .into_iter()
        .map(|(name, raw)| {
            let text = match (std::str::from_utf8(&raw), &label) {
                (Ok(text), _) => text.to_owned(),
                (Err(_), Some(label)) => charset::decode(&raw, Some(label)),
                (Err(_), None) => guess.decode_without_bom_handling(&raw).0.into_owned(),
            };
            let value = text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).collect();
            Field { name, raw, value }
        })
        .collect()
}

fn charset_of(content_type: &str) -> Option<String> {
    let lower = content_type.to_ascii_lowercase();
    let (_, after) = lower.split_once("charset=")?;
    let label: String = after
        .trim_start_matches('"')
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        .collect();
    (!label.is_empty()).then_some(label)
}

/// Whether From and another of the fields that every mail has come before the next blank line.
fn fields_ahead(bytes: &[u8]) -> bool {
    const OTHERS: &[&str] = &["to", "subject", "date", "message-id"];
    let (mut from, mut other) = (false, false);
    let mut rest = bytes.get(..bytes.len().min(8 * 1024)).unwrap_or_default();
    while !rest.is_empty() {
        let (line, after) = next_line(rest);
        if without_end(line).is_empty() {
            break;
        }
        if let Some((name, _)) = field(without_end(line)) {
            from |= name == "from";
            other |= OTHERS.contains(&name.as_str());
        }
        rest = after;
    }
    from && other
}

fn next_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_found_and_bounded() {
        let (headers, body) = Headers::split(b"From x\r\nA: 1\r\n 2\r\na : 3\r\n\r\nbody");
        assert_eq!(headers.all("a").collect::<Vec<_>>(), ["1 2", "3"]);
        assert_eq!(body, b"body");
        let (headers, body) = Headers::split(b"A: 1\nno field here\n\nrest");
        assert_eq!((headers.first("a"), body), (Some("1"), &b"no field here\n\nrest"[..]));
        let (headers, _) = Headers::split(b"--- copy ---\nA: 1\nlost its fold\nFrom: a\nTo: b\n\nrest");
        assert_eq!((headers.first("a"), headers.first("from")), (Some("1"), Some("a")));
        let many: String = (0..2000).map(|n| format!("X-{n}: y\n")).collect();
        let (headers, _) = Headers::split(many.as_bytes());
        assert!(headers.cut && headers.iter().count() == MOST_FIELDS);
        let long = format!("A: {}\n\nb", "x".repeat(MOST_BYTES * 2));
        let (headers, body) = Headers::split(long.as_bytes());
        assert!(headers.cut && body == b"b");
    }

    #[test]
    fn words_are_decoded_whatever_their_sender_did() {
        for (value, text) in [
            ("=?UTF-8?B?0J/RgNC40LLQ?= =?UTF-8?B?tdGC?=", "Привет"),
            ("=?utf-7?Q?Hi_+Jjo-!?=", "Hi \u{263a}!"),
            ("=?koi8-r?B?8NLJ18XU?= a =?windows-1251?Q?=CF=F0?=", "Привет a Пр"),
            ("=?utf-8?Q?=CF=F0=E8=E2=E5=F2?=", "Привет"),
            ("a =?b c", "a =?b c"),
            ("=?x?Z?abc?=", "=?x?Z?abc?="),
        ] {
            assert_eq!(unstructured(value), text, "{value}");
        }
    }

    #[test]
    fn names_in_parameters_are_read_in_every_dress() {
        let name = |value: &str| {
            let (headers, _) = Headers::split(format!("Content-Type: {value}\n\n").as_bytes());
            headers.media("content-type").unwrap().attribute("name").map(str::to_owned)
        };
        assert_eq!(name("a/b; name=\"x y.txt\"").as_deref(), Some("x y.txt"));
        assert_eq!(name("a/b; name*=utf-8''%D0%B0.txt").as_deref(), Some("а.txt"));
        assert_eq!(name("a/b; name=\"=?utf-8?B?0LAudHh0?=\"").as_deref(), Some("а.txt"));
        assert_eq!(name("a/b; name*0=\"a\"; name*1=\"b\"").as_deref(), Some("ab"));
    }

    proptest! {
        #[test]
        fn nothing_fails(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (headers, rest) = Headers::split(&bytes);
            prop_assert!(rest.len() <= bytes.len());
            let _ = headers.iter().count();
        }

        #[test]
        fn no_value_fails(value in "[ -~а-яü\\\\\"<>@,;:=?()]{0,120}") {
            let (headers, _) = Headers::split(format!("X: {value}\n\n").as_bytes());
            let _ = (headers.text("x"), headers.addresses("x", 50), headers.media("x"));
            let _ = Headers::split(format!("Date: {value}\n\n").as_bytes()).0.date();
        }
    }
}
