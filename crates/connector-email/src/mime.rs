//! The tree of parts in a mail.
//!
//! Bounded: [`DEEPEST`] levels, [`MOST_PARTS`] parts; what lies beyond stays one opaque part, and
//! [`Tree::cut`] says so. A mail inside a mail (`message/rfc822`) is an attachment and is not opened,
//! so no depth of nesting costs anything.

use std::borrow::Cow;

use crate::charset;
use crate::headers::{Headers, Media};
use crate::transfer::Encoding;

/// How many multiparts may lie inside each other.
pub const DEEPEST: usize = 20;
/// How many parts a mail may have.
pub const MOST_PARTS: usize = 1000;

/// A part and what is in it.
#[derive(Debug)]
pub struct Part<'a> {
    pub headers: Headers,
    /// Lower-case media type.
    pub media_type: String,
    media: Media,
    disposition: Option<Media>,
    pub body: Body<'a>,
}

#[derive(Debug)]
pub enum Body<'a> {
    /// The bytes, transfer encoding undone.
    Leaf(Cow<'a, [u8]>),
    /// `alternative`, `mixed`, …, and the parts.
    Multipart(String, Vec<Part<'a>>),
}

/// A mail, taken apart.
#[derive(Debug)]
pub struct Tree<'a> {
    pub root: Part<'a>,
    /// Whether parts were too many or lay too deep.
    pub cut: bool,
}

impl<'a> Tree<'a> {
    pub fn parse(raw: &'a [u8]) -> Self {
        let mut parser = Parser { parts: 0, cut: false, cyrillic: false };
        let root = parser.part(raw, 0, "text/plain");
        Self { root, cut: parser.cut }
    }

    /// Every part that holds bytes, in order.
    pub fn leaves(&self) -> Vec<&Part<'a>> {
        fn collect<'b, 'a>(part: &'b Part<'a>, into: &mut Vec<&'b Part<'a>>) {
            match &part.body {
                Body::Leaf(_) => into.push(part),
                Body::Multipart(_, parts) => parts.iter().for_each(|part| collect(part, into)),
            }
        }
        let mut leaves = Vec::new();
        collect(&self.root, &mut leaves);
        leaves
    }
}

impl Part<'_> {
    /// The bytes of a leaf.
    pub fn bytes(&self) -> &[u8] {
        match &self.body {
            Body::Leaf(bytes) => bytes,
            Body::Multipart(..) => &[],
        }
    }

    /// The bytes as text, by the part's charset or by what they look like.
    pub fn text(&self) -> String {
        let bytes = self.bytes();
        let label = self.media.attribute("charset").map(str::to_owned);
        let label = label.or_else(|| (self.media_type == "text/html").then(|| meta_charset(bytes)).flatten());
        charset::decode(bytes, label.as_deref())
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.media.attribute(name)
    }

    /// The file name the sender gave, as it came.
    pub fn file_name(&self) -> Option<&str> {
        let given = self.disposition.as_ref().and_then(|found| found.attribute("filename"));
        given.or_else(|| self.media.attribute("name")).filter(|name| !name.trim().is_empty())
    }

    pub fn is_disposed(&self, how: &str) -> bool {
        self.disposition.as_ref().is_some_and(|found| found.kind == how)
    }

    /// Whether it is text to be read with the mail, and not a file.
    pub fn is_readable(&self) -> bool {
        matches!(self.media_type.as_str(), "text/plain" | "text/html")
            && !self.is_disposed("attachment")
            && self.file_name().is_none()
    }
}

struct Parser {
    parts: usize,
    cut: bool,
    /// The fields above all parts have Cyrillic in them.
    cyrillic: bool,
}

impl Parser {
    fn part<'a>(&mut self, raw: &'a [u8], depth: usize, default: &str) -> Part<'a> {
        self.parts += 1;
        let (headers, body) = Headers::split_in(raw, self.cyrillic);
        if depth == 0 {
            let texts = ["subject", "from", "to"].map(|name| headers.text(name).unwrap_or_default());
            self.cyrillic =
                texts.iter().flat_map(|text| text.chars()).any(|c| ('\u{400}'..='\u{4ff}').contains(&c));
        }
        self.cut |= headers.cut;
        let media = headers.media("content-type").filter(|media| !media.kind.is_empty()).unwrap_or_default();
        let media_type = match media.kind.as_str() {
            // RFC 2045 5.2: what has no legal type is plain text; "text" alone was common once.
            "" | "text" => default.to_owned(),
            kind => kind.to_owned(),
        };
        let disposition = headers.media("content-disposition");
        let encoding = headers.first("content-transfer-encoding").map_or(Encoding::Plain, Encoding::named);
        let boundary = media.attribute("boundary").map(str::trim_end).filter(|found| !found.is_empty());
        let inner = match (media_type.strip_prefix("multipart/"), boundary) {
            (Some(kind), Some(boundary)) => self.parts_of(body, kind, boundary, depth),
            _ => None,
        };
        let (media_type, body) = match inner {
            Some((kind, parts)) => (media_type, Body::Multipart(kind, parts)),
            // A multipart without parts is what is left of one: text, if anything.
            None if media_type.starts_with("multipart/") => {
                ("text/plain".to_owned(), Body::Leaf(encoding.undo(body)))
            }
            None => (media_type, Body::Leaf(encoding.undo(body))),
        };
        Part { headers, media_type, media, disposition, body }
    }

    fn parts_of<'a>(
        &mut self,
        body: &'a [u8],
        kind: &str,
        boundary: &str,
        depth: usize,
    ) -> Option<(String, Vec<Part<'a>>)> {
        if depth >= DEEPEST {
            self.cut = true;
            return None;
        }
        let default = if kind == "digest" { "message/rfc822" } else { "text/plain" };
        let mut parts = Vec::new();
        for piece in Pieces::new(body, boundary) {
            if self.parts >= MOST_PARTS {
                self.cut = true;
                break;
            }
            parts.push(self.part(piece, depth + 1, default));
        }
        (!parts.is_empty()).then(|| (kind.to_owned(), parts))
    }
}

/// What lies between the lines `--boundary`.
struct Pieces<'a> {
    rest: Option<&'a [u8]>,
    boundary: Vec<u8>,
}

impl<'a> Pieces<'a> {
    fn new(body: &'a [u8], boundary: &str) -> Self {
        let mut pieces = Self { rest: Some(body), boundary: boundary.as_bytes().to_vec() };
        // The preamble is for readers of 1992.
        pieces.rest = match pieces.until_delimiter(body) {
            (_, Some((after, false))) => Some(after),
            _ => None,
        };
        pieces
    }

    /// Bytes up to the next delimiter; what follows it, and whether it was the closing one.
    fn until_delimiter(&self, body: &'a [u8]) -> (&'a [u8], Option<(&'a [u8], bool)>) {
        let mut at = 0;
        for line in body.split_inclusive(|byte| *byte == b'\n') {
            let end = at + line.len();
            if let Some(tail) = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(&*self.boundary)) {
                let (tail, closing) = match tail.strip_prefix(b"--") {
                    Some(tail) => (tail, true),
                    None => (tail, false),
                };
                if tail.trim_ascii().is_empty() {
                    let piece = body.get(..at).unwrap_or_default();
                    // The line end before a delimiter belongs to it.
                    let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
                    let piece = piece.strip_suffix(b"\r").unwrap_or(piece);
                    return (piece, Some((body.get(end..).unwrap_or_default(), closing)));
                }
            }
            at = end;
        }
        (body, None)
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let (piece, delimiter) = self.until_delimiter(rest);
        if let Some((after, closing)) = delimiter {
            self.rest = (!closing).then_some(after);
        } else if piece.trim_ascii().is_empty() {
            return None;
        }
        Some(piece)
    }
}

/// What an HTML page says about itself, where its part says nothing.
fn meta_charset(html: &[u8]) -> Option<String> {
    let start =
        String::from_utf8_lossy(html.get(..html.len().min(2048)).unwrap_or_default()).to_ascii_lowercase();
    let (_, after) = start.split_once("charset=")?;
    let label: String = after
        .trim_start_matches(['"', '\''])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .collect();
    (!label.is_empty()).then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_are_found() {
        let raw = b"Content-Type: multipart/mixed; boundary=b\n\npre\n--b\n\none\n--b\nContent-Type: multipart/alternative; boundary=bb\n\n--bb\n\ntwo\n--bb--\n--b--\nepilogue";
        let tree = Tree::parse(raw);
        let leaves: Vec<_> = tree.leaves().iter().map(|part| part.bytes().to_vec()).collect();
        assert_eq!(leaves, [b"one".to_vec(), b"two".to_vec()]);
        assert!(!tree.cut);
    }

    #[test]
    fn a_bomb_is_one_part() {
        let mut deep = String::new();
        for n in 0..2000 {
            deep.push_str(&format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n"));
        }
        let tree = Tree::parse(deep.as_bytes());
        assert!(tree.cut && tree.leaves().len() == 1);

        let wide = format!("Content-Type: multipart/mixed; boundary=b\n\n{}", "--b\n\nx\n".repeat(50_000));
        let tree = Tree::parse(wide.as_bytes());
        assert!(tree.cut && tree.leaves().len() < MOST_PARTS);

        let nested = "Content-Type: message/rfc822\n\n".repeat(50_000);
        assert_eq!(Tree::parse(nested.as_bytes()).leaves().len(), 1);
    }

    #[test]
    fn what_is_broken_is_still_read() {
        let unclosed = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none";
        assert_eq!(Tree::parse(unclosed).root.body.parts(), 1);
        let without = b"Content-Type: multipart/mixed; boundary=b\n\nhello";
        assert_eq!(Tree::parse(without).leaves().first().unwrap().text(), "hello");
        assert_eq!(Tree::parse(b"").leaves().len(), 1);
    }

    impl Body<'_> {
        fn parts(&self) -> usize {
            match self {
                Body::Leaf(_) => 0,
                Body::Multipart(_, parts) => parts.len(),
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_fails(lines in proptest::collection::vec(
            prop_oneof![
                Just("Content-Type: multipart/mixed; boundary=b"), Just("Content-Type: multipart/digest; boundary=\"c d\""),
                Just("Content-Transfer-Encoding: base64"), Just("--b"), Just("--c d"), Just("--b--"), Just(""), Just("\u{0}\u{ff}"),
                Just("Content-Type: text/html; charset=x"), Just("Content-Disposition: attachment; filename*=x''%zz"), Just("aGk="),
            ], 0..40)) {
            let text = lines.join("\n");
            for part in Tree::parse(text.as_bytes()).leaves() {
                part.text();
                prop_assert!(part.bytes().len() <= text.len());
            }
        }
    }
}
