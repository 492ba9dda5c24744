//! Which parts of a mail are its text: the plain ones are read, the page is kept beside them.

use std::collections::BTreeSet;

use contact::email::Cut;

use crate::html;
use crate::mime::{Body, Part, Tree};
use crate::normalise::{LONGEST_BODY, LONGEST_HTML};
use crate::text::{clean_text, cut, has_odd_bytes};

/// The readable text of a mail.
pub(crate) struct Read {
    /// Plain, cleaned.
    pub(crate) text: String,
    /// Sanitised, where the mail had any.
    pub(crate) html: Option<String>,
}

/// A piece of the readable text, in the forms in which it came.
#[derive(Default)]
struct Segment {
    plain: Option<String>,
    html: Option<String>,
}

/// Reads it, and adds to `cuts` what was left out.
pub(crate) fn read(tree: &Tree<'_>, cuts: &mut BTreeSet<Cut>) -> Read {
    let mut segments = Vec::new();
    collect(&tree.root, true, &mut segments);
    let mut text = String::new();
    let mut page = String::new();
    let any_html = segments.iter().any(|segment| segment.html.is_some());
    for segment in segments {
        let plain = segment.plain.map(|text| clean_text(&text)).filter(|text| !text.is_empty());
        let read = segment.html.map(|source| match plain {
            Some(_) => html::read_beside_text(&source),
            None => html::read(&source),
        });
        if read.as_ref().is_some_and(|read| read.cut) {
            cuts.insert(Cut::Html);
        }
        let words = match (&plain, &read) {
            (Some(plain), _) => plain.as_str(),
            (None, Some(read)) => read.text.as_str(),
            (None, None) => "",
        };
        if !words.is_empty() {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(words);
        }
        if any_html {
            match read {
                Some(read) => page.push_str(&read.html.unwrap_or_else(|| html::from_text(&read.text))),
                None => page.push_str(&html::from_text(words)),
            }
        }
    }
    if cut(&mut text, LONGEST_BODY) {
        cuts.insert(Cut::Text);
    }
    if has_odd_bytes(&page) {
        page.retain(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    }
    let mut html = Some(page).filter(|page| any_html && !page.trim().is_empty());
    if html.as_mut().is_some_and(|page| cut(page, LONGEST_HTML)) {
        cuts.insert(Cut::Html);
        html = None;
    }
    Read { text, html }
}

fn collect(part: &Part<'_>, alone: bool, segments: &mut Vec<Segment>) {
    match &part.body {
        Body::Leaf(_) if is_text(part, alone) => {
            let text = part.text();
            segments.push(if part.media_type == "text/html" {
                Segment { html: Some(text), plain: None }
            } else {
                Segment { plain: Some(flowed(part, text)), html: None }
            });
        }
        Body::Leaf(_) => {}
        Body::Multipart(kind, parts) if kind == "alternative" => {
            let mut chosen = Segment::default();
            for part in parts {
                let mut inner = Vec::new();
                collect(part, false, &mut inner);
                for segment in inner {
                    // The first plain text, the last and richest HTML.
                    let plain = segment.plain.filter(|text| !text.trim().is_empty());
                    if chosen.plain.is_none() {
                        chosen.plain = plain;
                    }
                    chosen.html = segment.html.or(chosen.html);
                }
            }
            segments.push(chosen);
        }
        Body::Multipart(_, parts) => {
            for part in parts {
                collect(part, false, segments);
            }
        }
    }
}

/// Whether a leaf is read with the mail. `alone`: it is all there is.
pub(crate) fn is_text(part: &Part<'_>, alone: bool) -> bool {
    part.is_readable()
        || alone
            && matches!(part.media_type.as_str(), "text/plain" | "text/html")
            && !part.is_disposed("attachment")
}

/// `format=flowed` (RFC 3676): a line that ends with a space goes on in the next.
fn flowed(part: &Part<'_>, text: String) -> String {
    if !part.attribute("format").is_some_and(|format| format.eq_ignore_ascii_case("flowed")) {
        return text;
    }
    let removes_space = part.attribute("delsp").is_some_and(|value| value.eq_ignore_ascii_case("yes"));
    let depth = |line: &str| line.chars().take_while(|c| *c == '>').count();
    let mut out = String::with_capacity(text.len());
    let mut open: Option<usize> = None;
    for line in text.lines() {
        let deep = depth(line);
        let content: &str = line.trim_start_matches('>');
        let content = content.strip_prefix(' ').unwrap_or(content);
        let signature = line == "-- ";
        match open {
            Some(depth) if depth == deep && !signature => out.push_str(content),
            _ => {
                if !out.is_empty() {
                    out.push('\n');
                }
                out.push_str(&">".repeat(deep));
                if deep > 0 && !content.is_empty() {
                    out.push(' ');
                }
                out.push_str(content);
            }
        }
        open = (line.ends_with(' ') && !signature).then_some(deep);
        if open.is_some() && removes_space {
            out.pop();
        }
    }
    out
}
