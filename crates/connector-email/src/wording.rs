//! Reports without a form: known by who sent them and how they are worded.
//!
//! A person who asks about a lost mail uses the same words, and must not be taken for a machine: without a
//! mail system's name as the sender it takes that system's own language, a status code.

use contact::email::{Fate, Recipient};

use crate::bounce::{MOST_RECIPIENTS, recipient};
use crate::headers::Headers;
use crate::phrases;
use crate::quote::first_address;

/// How many lines of a text without a form are looked at.
pub(crate) const MOST_LINES: usize = 400;
/// How much of each, in characters.
const LONGEST_LINE: usize = 1000;

/// How sure it is that a mail is a report.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    One,
    /// Who sent it and what it says.
    Both,
}

/// Whether a mail without a form is a report: sent by a mail system, or worded like one by none in particular.
pub(crate) fn free_form(headers: &Headers, subject: &str, text: &str, from: Option<&str>) -> Option<Sign> {
    let local = from.and_then(|from| from.rsplit_once('@')).map_or("", |(local, _)| local);
    let raw_from = headers.first("from").unwrap_or_default().to_lowercase();
    let daemon = phrases::DAEMONS.contains(&local)
        // Nobody is called so: `E500_SMTP_Mail_Service`.
        || local.contains("smtp")
        || is_daemon(&raw_from)
        || raw_from.contains("mail delivery")
        || headers
            .first("return-path")
            .is_some_and(|path| path.trim() == "<>" || path.to_lowercase().contains("mailer-daemon"));
    let subject = subject.to_lowercase();
    // A person who forwards a report, or asks about one, wants an answer.
    let answers = headers.has("in-reply-to")
        || headers.has("references")
        || ["re:", "fwd:", "fw:", "aw:", "wg:"].iter().any(|start| subject.starts_with(start));
    if !daemon && answers {
        return None;
    }
    // Without a mail system's name only its own language will do: people write of delivery and quota too.
    let start = || text.lines().take(40);
    let coded = || headers.has("auto-submitted") || start().any(|line| status_in(line).is_some());
    if !daemon && !coded() {
        return None;
    }
    let titled = phrases::REPORT_SUBJECTS.iter().any(|word| subject.contains(word));
    let start: String = start().collect::<Vec<_>>().join(" ").to_lowercase();
    let worded =
        phrases::REPORT_WORDS.iter().any(|word| start.contains(word)) || reply_code(&start).0.is_some();
    match (daemon, titled, worded) {
        (true, true, true) => Some(Sign::Both),
        (true, _, true) | (true, true, _) | (false, true, true) => Some(Sign::One),
        _ => None,
    }
}

/// Whether a From field, in lower case, names a mail system by its address.
pub(crate) fn is_daemon(from: &str) -> bool {
    phrases::DAEMONS.iter().take(3).any(|name| from.contains(name))
        || from.contains("\"system administrator\"@")
}

/// The addresses a text without a form is about, with what it says of each.
pub(crate) fn named_in(headers: &Headers, text: &str, from: Option<&str>, ours_too: bool) -> Vec<Recipient> {
    let ours: Vec<String> = ["to", "cc", "delivered-to", "x-original-to"]
        .iter()
        .flat_map(|name| headers.all(name))
        .filter_map(first_address)
        .filter(|_| !ours_too)
        .collect();
    let short = |line| -> &str { shortened(line, LONGEST_LINE) };
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().take(MOST_LINES).map(short) {
        let above = above_copy(line);
        lines.push(above.unwrap_or(line));
        if above.is_some() {
            break;
        }
    }
    // Above "the following recipients" stands what our mail looked like.
    let announced = lines.iter().position(|line| {
        let line = line.to_lowercase();
        line.contains("following recipient") || line.contains("following address")
    });
    let below = announced
        .and_then(|at| lines.get(at..))
        .filter(|below| below.iter().skip(1).any(|line| first_address(line).is_some()));
    let lines = below.unwrap_or(&lines);
    let all = lines.join("\n");
    let (overall, _) = reply_code(&all);
    let in_words = fate_of(&all, None);
    let mut strong: Vec<Recipient> = Vec::new();
    let mut weak: Vec<Recipient> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(address) = named_with_address(line).or_else(|| first_address(line)) else { continue };
        if line.to_lowercase().contains("message-id") {
            continue;
        }
        let local = address.split('@').next().unwrap_or_default();
        if Some(address.as_str()) == from
            || ours.contains(&address)
            || matches!(local, "postmaster" | "mailer-daemon")
        {
            continue;
        }
        let near = lines.get(at..(at + 6).min(lines.len())).unwrap_or_default().join(" ");
        let (status, coded) = reply_code(&near);
        let status = status.or_else(|| overall.clone());
        let bare = line.trim().trim_matches(['<', '>', ':', ' ', '\'', '"', '*', '.', ',']).to_lowercase()
            == address
            || line.trim().to_lowercase().starts_with(&format!("{address} on "));
        let marked = line.contains(&format!("<{local}")) && line.trim_end().ends_with(':')
            || line.to_lowercase().contains("rcpt to")
            || line.trim_start().starts_with('<')
            || line.to_lowercase().contains("recipient");
        let fate = match in_words {
            Fate::Delayed => Fate::Delayed,
            fate if status.is_none() => fate,
            _ => fate_of("", status.as_deref()),
        };
        let one = Recipient { status: status.clone(), ..recipient(address, fate) };
        let list = if bare || marked || coded && status.is_some() { &mut strong } else { &mut weak };
        if !list.iter().any(|known| known.address == one.address) && list.len() < MOST_RECIPIENTS {
            list.push(one);
        }
    }
    if strong.is_empty() && !ours_too {
        weak.truncate(1);
        strong = weak;
    }
    strong
}

/// What became of a mail, by a text about it and a status.
pub(crate) fn fate_of(text: &str, status: Option<&str>) -> Fate {
    let text = text.to_lowercase();
    let trying = phrases::STILL_TRYING.iter().any(|sign| text.contains(sign));
    match status {
        _ if trying => Fate::Delayed,
        Some(status) if status.starts_with('4') => Fate::FailedForNow,
        None if phrases::GIVEN_UP.iter().any(|sign| text.contains(sign)) => Fate::FailedForNow,
        _ => Fate::Failed,
    }
}

/// An enhanced status in `text`, or one made of a three-digit reply code; and whether any was there.
pub(crate) fn reply_code(text: &str) -> (Option<String>, bool) {
    if let Some(status) = status_in(text) {
        return (Some(status), true);
    }
    let words: Vec<&str> = text
        .split(|c: char| {
            c.is_whitespace()
                || matches!(c, '<' | '>' | '(' | ')' | '-' | ':' | ',' | ';' | '#' | '"' | '\'' | '[' | ']')
        })
        .filter(|word| !word.is_empty())
        .collect();
    for word in words.iter().take(2000) {
        let number = word.trim_end_matches('.');
        if number.len() == 3 && number.bytes().all(|c| c.is_ascii_digit()) {
            match number.bytes().next() {
                Some(b'5')
                    if matches!(number.as_bytes().get(1), Some(b'0' | b'1' | b'2' | b'3' | b'5' | b'7')) =>
                {
                    return (Some("5.0.0".to_owned()), true);
                }
                Some(b'4') if matches!(number.as_bytes().get(1), Some(b'2' | b'5' | b'3')) => {
                    return (Some("4.0.0".to_owned()), true);
                }
                _ => {}
            }
        }
    }
    (None, false)
}

/// The first `4.x.x` or `5.x.x` (or `2.x.x`) in a text.
pub(crate) fn status_in(text: &str) -> Option<String> {
    if !text.contains('.') {
        return None;
    }
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let word = word.trim_matches('.');
        let mut parts = word.split('.');
        let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
        let short = |part: &str| (1..=3).contains(&part.len());
        let good =
            matches!(class, "2" | "4" | "5") && short(subject) && short(detail) && parts.next().is_none();
        // 5.1.1 and not 4.85.101, which is half of an address.
        (good && subject.len() == 1).then(|| format!("{class}.{subject}.{detail}"))
    })
}

/// The beginning of a line.
fn shortened(line: &str, longest: usize) -> &str {
    match line.char_indices().nth(longest) {
        Some((end, _)) => line.get(..end).unwrap_or(line),
        None => line,
    }
}

/// What stands before the sign that our mail follows; `None` where there is no such sign.
fn above_copy(line: &str) -> Option<&str> {
    let lower = line.to_lowercase();
    let at = phrases::COPY_BELOW.iter().filter_map(|sign| lower.find(sign)).min()?;
    // Few letters take more or less room in lower case; such a line is passed over.
    Some(if lower.len() == line.len() { line.get(..at).unwrap_or_default() } else { "" })
}

/// The address of `name@x.org <address@y.org>: …`, where a name looks like one.
fn named_with_address(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let (name, address) = (words.next()?, words.next()?);
    let named = name.contains('@') && !name.contains('<') && address.starts_with('<');
    if named { first_address(address) } else { None }
}
