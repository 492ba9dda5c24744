//! Reports about mails of ours: not delivered, delayed, delivered, read, called spam.
//!
//! The standard forms (RFC 3464, 8098, 5965) are read field by field. Half of the real ones have none:
//! those are known by who sent them and how their first lines read, and say at least whom they are about.

use contact::email::{AutomaticKind, Fate, Recipient, Report};

use crate::address;
use crate::headers::Headers;
use crate::mime::{Part, Tree};
use crate::quote::first_address;
use crate::text::clean_line;
use crate::thread;
use crate::wording::{MOST_LINES, Sign, fate_of, free_form, is_daemon, named_in, reply_code, status_in};

/// The most recipients one report is believed to be about.
pub const MOST_RECIPIENTS: usize = 50;
/// A report, its kind, and the sign it was known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub kind: AutomaticKind,
    pub reason: String,
    pub report: Report,
}

/// What a mail reports; `None` when it is none. `text` is its text, `from` its canonical sender.
pub fn report(tree: &Tree<'_>, subject: &str, text: &str, from: Option<&str>) -> Option<Found> {
    let headers = &tree.root.headers;
    let leaves = tree.leaves();
    let form = |kind: &str| leaves.iter().find(|part| part.media_type == kind);
    // Only of a report, because it means to look through the whole mail.
    let original = || original_message_id(&leaves, text);
    let found = |kind, reason: &str, recipients, original| {
        let report = Report { recipients, original_message_id: original };
        Some(Found { kind, reason: reason.to_owned(), report })
    };
    if let Some(part) = form("message/feedback-report") {
        let fields = blocks(&part.text()).into_iter().next().unwrap_or_default();
        let recipients = fields.all("original-rcpt-to").filter_map(first_address).take(MOST_RECIPIENTS);
        let recipients = recipients.map(|address| recipient(address, Fate::Delivered)).collect();
        return found(AutomaticKind::Complaint, "message/feedback-report", recipients, original());
    }
    if let Some(part) = form("message/disposition-notification") {
        let fields = blocks(&part.text()).into_iter().next().unwrap_or_default();
        let about = fields.first("original-message-id").and_then(thread::id);
        let fate = fields.first("disposition").unwrap_or_default().to_lowercase();
        if fate.contains("automatic-action") && fate.contains("deleted") {
            // A mailbox that refuses its mail this way has not read it.
            let recipients = fields.first("final-recipient").and_then(first_address);
            let recipients = recipients.map(|address| recipient(address, Fate::Failed)).into_iter().collect();
            return found(
                AutomaticKind::Bounce,
                "message/disposition-notification: deleted unread",
                recipients,
                about.or_else(original),
            );
        }
        return found(
            AutomaticKind::Receipt,
            "message/disposition-notification",
            Vec::new(),
            about.or_else(original),
        );
    }
    if from == Some("staff@hotmail.com") && subject.to_lowercase().starts_with("complaint about message from")
    {
        return found(
            AutomaticKind::Complaint,
            "a complaint by its sender and its subject",
            Vec::new(),
            original(),
        );
    }
    let forms: Vec<_> = leaves
        .iter()
        .filter(|part| {
            matches!(part.media_type.as_str(), "message/delivery-status" | "message/global-delivery-status")
        })
        .collect();
    let mut recipients: Vec<Recipient> =
        forms.iter().flat_map(|part| delivery_status(&part.text())).collect();
    let sign = free_form(headers, subject, text, from);
    if recipients.is_empty() && sign.is_some() && text.to_ascii_lowercase().contains("final-recipient:") {
        // The form, in a mail whose parts are lost.
        recipients = delivery_status(text);
    }
    recipients.truncate(MOST_RECIPIENTS);
    let failed: Vec<_> = headers
        .all("x-failed-recipients")
        .flat_map(|value| value.split(','))
        .filter_map(first_address)
        .take(MOST_RECIPIENTS)
        .collect();
    if let ([only], [address]) = (recipients.as_mut_slice(), failed.as_slice())
        && !only.address.contains('@')
    {
        // The form has the file or the program that the mail was for in the end.
        only.address.clone_from(address);
    }
    if !recipients.is_empty() {
        return found(kind_of(&recipients), "message/delivery-status", recipients, original());
    }
    if !failed.is_empty() {
        let (status, _) = reply_code(text);
        let fate = fate_of(text, status.as_deref());
        let recipients = failed
            .into_iter()
            .map(|address| Recipient { status: status.clone(), ..recipient(address, fate) })
            .collect();
        return found(AutomaticKind::Bounce, "X-Failed-Recipients", recipients, original());
    }
    let sign = sign?;
    let mut recipients = named_in(headers, text, from, false);
    if recipients.is_empty() {
        // One who writes to himself gets the report as well.
        recipients = named_in(headers, text, from, true);
    }
    if recipients.is_empty()
        && let Some(copy) = leaves.iter().find(|part| part.media_type == "message/rfc822")
        && let (to, false) = Headers::split(copy.bytes().trim_ascii_start()).0.addresses("to", 1)
    {
        // It names nobody, but the copy of our mail was for one person.
        let address = to.into_iter().find_map(|(_, raw)| address::canonical(&raw));
        recipients.extend(address.map(|address| recipient(address, Fate::Failed)));
    }
    if recipients.is_empty() && forms.is_empty() && sign != Sign::Both {
        return None;
    }
    found(AutomaticKind::Bounce, "a delivery failure by its sender and its words", recipients, original())
}

/// The blocks of `Final-Recipient`, `Action`, `Status`.
fn delivery_status(text: &str) -> Vec<Recipient> {
    let mut found: Vec<Recipient> = Vec::new();
    for block in blocks(&divided(text)) {
        let value = |name: &str| {
            let value = block.first(name)?;
            let value = value.rsplit_once(';').map_or(value, |(_, value)| value).trim();
            Some(value).filter(|value| !value.is_empty())
        };
        // The address we wrote to; the last hop may be an alias, a file or another system's name.
        let told = [value("original-recipient"), value("final-recipient")];
        let address = told.iter().flatten().find_map(|value| first_address(value)).or_else(|| {
            told.iter().flatten().next().map(|value| clean_line(value.trim_matches(['<', '>']), 255))
        });
        let Some(address) = address else { continue };
        let action = block.first("action").unwrap_or_default().trim().to_lowercase();
        let diagnostic = block
            .first("diagnostic-code")
            .map(|value| clean_line(value, 400))
            .filter(|value| !value.is_empty());
        let (told, _) = reply_code(diagnostic.as_deref().unwrap_or_default());
        let status = block
            .first("status")
            .and_then(status_in)
            .filter(|status| !status.ends_with(".0.0"))
            .or(told)
            .or_else(|| block.first("status").and_then(status_in));
        let fate = match action.split([' ', '(']).next().unwrap_or_default() {
            "delayed" => Fate::Delayed,
            "delivered" | "deliverable" | "relayed" | "expanded" => Fate::Delivered,
            "failed" | "failure" | "" => fate_of("", status.as_deref()),
            _ => fate_of("", status.as_deref()),
        };
        if !found.iter().any(|known| known.address == address) && found.len() < MOST_RECIPIENTS {
            found.push(Recipient { address, fate, status, diagnostic });
        }
    }
    found
}

/// Some systems leave out the blank line between two recipients.
fn divided(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut seen = false;
    for line in text.lines() {
        let begins = line.get(..16).is_some_and(|start| start.eq_ignore_ascii_case("final-recipient:"));
        if begins && seen {
            out.push('\n');
        }
        seen = begins || seen && !line.trim().is_empty();
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// Groups of fields, divided by blank lines.
fn blocks(text: &str) -> Vec<Headers> {
    let mut rest = text.as_bytes();
    let mut found = Vec::new();
    let mut passed = 0;
    while !rest.is_empty() && found.len() <= MOST_RECIPIENTS && passed < MOST_LINES {
        let (headers, after) = Headers::split(rest);
        if after.len() == rest.len() {
            // Not a field: pass over the line.
            passed += 1;
            rest = rest
                .iter()
                .position(|byte| *byte == b'\n')
                .and_then(|at| rest.get(at + 1..))
                .unwrap_or_default();
            continue;
        }
        rest = after;
        if !headers.is_empty() {
            found.push(headers);
        }
    }
    found
}

/// The id of our mail: in the copy that came along, or in the text.
fn original_message_id(leaves: &[&Part<'_>], text: &str) -> Option<String> {
    let copy = leaves.iter().find(|part| {
        matches!(
            part.media_type.as_str(),
            "message/rfc822"
                | "message/global"
                | "text/rfc822-headers"
                | "message/rfc822-headers"
                | "message/global-headers"
                | "text/rfc822-header"
                | "message/partial"
        )
    });
    let id_in = |headers: &Headers| {
        headers.first("message-id").and_then(|value| thread::ids(value).into_iter().next())
    };
    if let Some(id) = copy.and_then(|part| id_in(&Headers::split(part.bytes().trim_ascii_start()).0)) {
        return Some(id);
    }
    // A copy that stands where the fields of its part belong.
    if let Some(id) = leaves.iter().filter(|_| leaves.len() > 1).find_map(|part| id_in(&part.headers)) {
        return Some(id);
    }
    let readable = |part: &&&Part<'_>| {
        part.media_type.starts_with("text/") || part.media_type == "message/delivery-status"
    };
    let mut others = leaves.iter().filter(readable).take(10);
    id_in_text(text).or_else(|| others.find_map(|part| id_in_text(&part.text())))
}

/// The first id in a text, but rather that of a mail than that of a report about it which stands above.
fn id_in_text(text: &str) -> Option<String> {
    let mut lines = text.lines().map(|line| line.trim_start_matches(['>', ' ', '\t', '|']));
    let (mut of_report, mut id, mut is_report) = (None, None, false);
    loop {
        let line = lines.next();
        if line.is_none_or(|line| line.trim_end().is_empty()) {
            match id.take() {
                Some(id) if !is_report => return Some(id),
                found => of_report = of_report.or(found),
            }
            is_report = false;
        }
        let Some(line) = line else { return of_report };
        let Some((label, value)) = line.split_once(':') else { continue };
        if label.trim().eq_ignore_ascii_case("message-id") {
            let value = if value.trim().is_empty() { lines.next().unwrap_or_default() } else { value };
            id = id.or_else(|| thread::ids(value).into_iter().next());
        } else if label.trim().eq_ignore_ascii_case("from") {
            is_report |= is_daemon(&value.to_lowercase());
        }
    }
}

pub(crate) fn recipient(address: String, fate: Fate) -> Recipient {
    let address = address::canonical(&address).unwrap_or(address);
    Recipient { address, fate, status: None, diagnostic: None }
}

fn kind_of(recipients: &[Recipient]) -> AutomaticKind {
    if recipients.iter().all(|one| one.fate == Fate::Delivered) {
        AutomaticKind::Delivered
    } else {
        AutomaticKind::Bounce
    }
}

#[cfg(test)]
mod tests;
