//! Encoded words (RFC 2047), mended before they are read.

use crate::{charset, transfer};

/// Rewrites every encoded word into one of UTF-8. Adjacent words of one charset and encoding are joined
/// before decoding: many senders cut a letter in two, which RFC 2047 forbids and readers must mend.
pub(crate) fn recode_words(value: &str) -> String {
    if !value.contains("=?") {
        return value.to_owned();
    }
    let mut out = String::with_capacity(value.len());
    let mut run: Option<Run<'_>> = None;
    let mut rest = value;
    while let Some((before, from)) = rest.split_once("=?") {
        let Some((word, after)) = word(from) else {
            flush(&mut out, run.take());
            out.push_str(before);
            out.push_str("=?");
            rest = from;
            continue;
        };
        let joins = before.chars().all(char::is_whitespace)
            && run.as_ref().is_some_and(|run| run.label.eq_ignore_ascii_case(word.label));
        if joins {
            if let Some(run) = &mut run {
                run.bytes.extend(word.bytes);
            }
        } else {
            flush(&mut out, run.take());
            out.push_str(before);
            run = Some(word);
        }
        rest = after;
    }
    flush(&mut out, run);
    out.push_str(rest);
    out
}

struct Run<'a> {
    label: &'a str,
    bytes: Vec<u8>,
}

/// What follows `=?`, if it is the rest of an encoded word, and what comes after it.
fn word(from: &str) -> Option<(Run<'_>, &str)> {
    let (label, rest) = from.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (coded, after) = rest.split_once("?=")?;
    if label.is_empty() || label.len() > 60 || label.contains(char::is_whitespace) {
        return None;
    }
    let bytes = match encoding {
        "b" | "B" => transfer::base64(coded.as_bytes()),
        "q" | "Q" => transfer::quoted_printable(coded.replace('_', "=20").as_bytes()),
        _ => return None,
    };
    Some((Run { label, bytes }, after))
}

fn flush(out: &mut String, run: Option<Run<'_>>) {
    let Some(run) = run else { return };
    let text = charset::decode(&run.bytes, Some(run.label));
    out.push_str("=?utf-8?Q?");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("={byte:02X}"));
        }
    }
    out.push_str("?=");
}
