//! From the bytes of a mail to one [`contact::Event`]. Pure: the same mail gives the same event.

use std::borrow::Cow;
use std::collections::BTreeSet;

use contact::email::{self, Automatic, Cut, Email};
use contact::{
    Channel, ContactKey, Content, Direction, Event, EventKey, Party, SourceName, Trust, Unreadable,
    content_digest, micros,
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::mime::{Body, Part, Tree};
use crate::text::{LINE, NAME, clean_line, cut};
use crate::{address, authentication, automatic, body, bounce, quote, thread};

/// The most bytes, as JSON, of a new text; the rest is in the raw.
pub const LONGEST_TEXT: usize = 256 * 1024;
/// The most bytes, as JSON, of the sanitised HTML; a longer one is left out, because half a page is none.
pub const LONGEST_HTML: usize = 256 * 1024;
/// The most bytes, as JSON, of the whole text before it is taken apart; the rest is in the raw.
pub const LONGEST_BODY: usize = 1024 * 1024;
/// The most bytes, as JSON, of what was quoted.
pub const LONGEST_QUOTE: usize = 64 * 1024;
/// The most bytes, as JSON, of a signature.
pub const LONGEST_SIGNATURE: usize = 8 * 1024;
/// To, Cc and Reply-To: the most of each.
pub const MOST_PARTIES: usize = 50;
/// The most attachments; the rest is in the raw.
pub const MOST_ATTACHMENTS: usize = 100;
/// An event is smaller than this, in bytes, its raw not counted: NATS refuses over a megabyte.
pub const LARGEST_EVENT: usize = 640 * 1024;

/// What is known about the mailbox a mail came to.
#[derive(Clone, Debug)]
pub struct Mailbox {
    pub source: SourceName,
    /// Our own addresses, canonical: this mailbox's, its aliases', and those we send from.
    pub addresses: BTreeSet<String>,
    /// Addresses, canonical, from which web sites send what a person typed into a form: with a person in
    /// Reply-To such a mail is a person's, whatever its headers say.
    pub forms: BTreeSet<String>,
    /// The name under which its server writes `Authentication-Results`; without it nobody is proved.
    pub authserv_id: Option<String>,
}

/// A file that came with a mail, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub reference: email::Attachment,
    pub bytes: Vec<u8>,
}

/// What a mail says. `arrived_at` is INTERNALDATE, or the receipt where there is none.
///
/// The event's `raw` is filled in by the intake. Its trust is [`Trust::Verified`] because the mailbox is
/// ours; whether the *sender* is proved says [`Email::from_is_proved`].
///
/// # Errors
/// When the bytes hold neither a field nor a text.
pub fn normalise(
    mailbox: &Mailbox,
    raw: &[u8],
    arrived_at: Timestamp,
    received_at: Timestamp,
) -> Result<(Event, Vec<Attachment>), Unreadable> {
    let raw = line_ends(raw);
    let raw = raw.trim_ascii_start();
    let tree = Tree::parse(raw);
    let headers = &tree.root.headers;
    if headers.is_empty() && raw.is_empty() {
        return Err(Unreadable { reason: "the mail is empty".to_owned(), field: None });
    }
    let mut cuts = BTreeSet::new();
    if tree.cut {
        cuts.insert(if headers.cut { Cut::Headers } else { Cut::Parts });
    }

    let mut parties = |name: &str| {
        let (found, more) = headers.addresses(name, MOST_PARTIES);
        if more {
            cuts.insert(Cut::Recipients);
        }
        found.iter().map(|(name, raw)| address::party(name.as_deref(), raw)).collect::<Vec<Party>>()
    };
    let senders = parties("from");
    let from = senders.iter().find(|party| party.value.is_some()).or(senders.first()).cloned();
    let from = from.or_else(|| parties("sender").into_iter().next());
    let (to, cc, reply_to) = (parties("to"), parties("cc"), parties("reply-to"));
    let from_address = from.as_ref().and_then(|from| from.value.clone());

    let body = body::read(&tree, &mut cuts);
    let subject = clean_line(&headers.text("subject").unwrap_or_default(), LINE);
    let reported = bounce::report(&tree, &subject, &body.text, from_address.as_deref());
    let machine = match &reported {
        Some(found) => Some(Automatic { kind: found.kind, reason: found.reason.clone() }),
        None => automatic::automatic(
            headers,
            &automatic::Parties {
                from: from.as_ref(),
                reply_to: &reply_to,
                own: &mailbox.addresses,
                forms: &mailbox.forms,
            },
        ),
    };
    let mut parts = quote::split(&body.text, quote::is_forwarding(&subject));
    if cut(&mut parts.text, LONGEST_TEXT) {
        cuts.insert(Cut::Text);
    }
    if parts.quoted.as_mut().is_some_and(|text| cut(text, LONGEST_QUOTE)) {
        cuts.insert(Cut::Quoted);
    }
    if parts.signature.as_mut().is_some_and(|text| cut(text, LONGEST_SIGNATURE)) {
        cuts.insert(Cut::Text);
    }
    let attachments = attachments(&tree, &mut cuts);
    let (references, long) = headers.first("references").map(thread::references).unwrap_or_default();
    if long {
        cuts.insert(Cut::References);
    }
    let message_id = headers
        .first("message-id")
        .and_then(|value| thread::ids(value).into_iter().next().or_else(|| thread::id(value)));
    let only_from =
        from_address.as_deref().filter(|_| senders.len() == 1 && headers.all("from").count() == 1);
    let authentication =
        mailbox.authserv_id.as_deref().and_then(|id| authentication::told_by(headers, id, only_from));

    let email = Email {
        in_reply_to: headers.first("in-reply-to").and_then(|value| thread::ids(value).into_iter().next()),
        references,
        looks_automatic: automatic::looks_automatic(&subject),
        subject,
        text: parts.text,
        quoted: parts.quoted,
        signature: parts.signature,
        forwarded_from: parts.forwarded_from,
        html: body.html,
        sender: from_address.as_deref().map(address::sender).unwrap_or_default(),
        cc,
        reply_to,
        attachments: attachments.iter().map(|one| one.reference.clone()).collect(),
        sent_at: headers.date(),
        automatic: machine,
        // Whoever reads the mailbox knows.
        imported: false,
        report: reported.map(|found| found.report),
        authentication,
        cut: cuts.into_iter().collect(),
        message_id,
    };
    let received_at = micros(received_at);
    let id = identity(&tree, email.message_id.as_deref());
    let event = Event {
        contact: ContactKey::shared(Channel::Email, &id),
        key: EventKey { source: mailbox.source.clone(), id },
        occurred_at: micros(arrived_at).min(received_at),
        received_at,
        traceparent: None,
        direction: Direction::Inbound,
        trust: Trust::Verified,
        from,
        to,
        content: Content::Email(Box::new(email)),
        raw: None,
    };
    Ok((fitted(event), attachments))
}

/// The dead letter of bytes that are no mail: a contact of its own, by its content.
pub fn unreadable(mailbox: &Mailbox, raw: &[u8], why: Unreadable, received_at: Timestamp) -> Event {
    let digest: String = hex::encode(Sha256::digest(raw)).chars().take(16).collect();
    let id = format!("unreadable:{digest}");
    let received_at = micros(received_at);
    Event {
        contact: ContactKey::new(&mailbox.source, &id),
        key: EventKey { source: mailbox.source.clone(), id },
        occurred_at: received_at,
        received_at,
        traceparent: None,
        direction: Direction::Inbound,
        trust: Trust::Verified,
        from: None,
        to: Vec::new(),
        content: Content::Unreadable(why),
        raw: None,
    }
}

/// `<message id>:<digest>`, for the event and for the contact.
///
/// The digest is over Date, From, Subject and the bytes of the parts with their transfer encoding undone:
/// not over the trace, so that one mail in two mailboxes is one contact; not over anything we decode, so
/// that a better normaliser gives it the same name. Without a usable Message-ID the digest is longer and
/// stands alone.
fn identity(tree: &Tree<'_>, message_id: Option<&str>) -> String {
    let headers = &tree.root.headers;
    let fields = ["date", "from", "subject"].map(|name| headers.collapsed(name));
    let bodies: Vec<Cow<'_, [u8]>> = tree.leaves().iter().map(|part| canonical_bytes(part)).collect();
    let parts = || fields.iter().map(Vec::as_slice).chain(bodies.iter().map(|body| &**body));
    match message_id {
        Some(id) => format!("{id}:{}", content_digest(parts())),
        None => {
            let mut hash = Sha256::new();
            for part in parts() {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
            let hex = hex::encode(hash.finalize());
            let short: String = hex.chars().take(32).collect();
            format!("nameless:{short}")
        }
    }
}

/// Servers change line ends and add blank lines on the way; no more than that is forgiven.
fn canonical_bytes<'a>(part: &'a Part<'_>) -> Cow<'a, [u8]> {
    let bytes = part.bytes();
    if !part.media_type.starts_with("text/") {
        return Cow::Borrowed(bytes);
    }
    let bytes = bytes.trim_ascii_end();
    if memchr::memchr(b'\r', bytes).is_none() {
        return Cow::Borrowed(bytes);
    }
    let mut unix = Vec::with_capacity(bytes.len());
    let mut after = 0;
    for at in memchr::memchr_iter(b'\r', bytes) {
        unix.extend_from_slice(bytes.get(after..at).unwrap_or_default());
        after = at + 1;
    }
    unix.extend_from_slice(bytes.get(after..).unwrap_or_default());
    Cow::Owned(unix)
}

/// One attachment of a mail again, by its digest; `None` when the mail has none such among those an event
/// names.
pub fn attachment(raw: &[u8], sha256: &str) -> Option<Attachment> {
    let raw = line_ends(raw);
    let tree = Tree::parse(raw.trim_ascii_start());
    files(&tree)
        .take(MOST_ATTACHMENTS)
        .map(|part| (reference(part), part))
        .find(|(reference, _)| reference.sha256.eq_ignore_ascii_case(sha256))
        .map(|(reference, part)| Attachment { reference, bytes: part.bytes().to_vec() })
}

fn attachments(tree: &Tree<'_>, cuts: &mut BTreeSet<Cut>) -> Vec<Attachment> {
    let mut found = Vec::new();
    for part in files(tree) {
        if found.len() == MOST_ATTACHMENTS {
            cuts.insert(Cut::Attachments);
            break;
        }
        found.push(Attachment { reference: reference(part), bytes: part.bytes().to_vec() });
    }
    found
}

/// The parts that are not the text.
fn files<'b, 'a>(tree: &'b Tree<'a>) -> impl Iterator<Item = &'b Part<'a>> {
    let alone = matches!(tree.root.body, Body::Leaf(_));
    tree.leaves().into_iter().filter(move |part| !body::is_text(part, alone))
}

fn reference(part: &Part<'_>) -> email::Attachment {
    let content_id = part.headers.first("content-id").and_then(thread::id);
    let inline = !part.is_disposed("attachment")
        && (content_id.is_some() || part.is_disposed("inline"))
        && part.media_type.starts_with("image/");
    email::Attachment {
        name: part.file_name().and_then(file_name),
        media_type: clean_line(&part.media_type, NAME),
        size: part.bytes().len() as u64,
        sha256: hex::encode(Sha256::digest(part.bytes())),
        content_id,
        inline,
    }
}

/// The last part of a path, without what could mislead.
fn file_name(given: &str) -> Option<String> {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = clean_line(last, NAME);
    let name = name.trim_matches(|c: char| c == '.' && last.chars().all(|c| c == '.'));
    (!name.is_empty()).then(|| name.to_owned())
}

/// A mail of the last Mac OS 9 has CR alone at its line ends.
fn line_ends(raw: &[u8]) -> Cow<'_, [u8]> {
    let raw = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
    if raw.contains(&b'\n') || !raw.contains(&b'\r') {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(raw.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect())
}

/// The bounds above keep ordinary mails far below [`LARGEST_EVENT`]; a mail made to reach all of them at
/// once loses its HTML, then its quote, then the most of its text.
fn fitted(mut event: Event) -> Event {
    for step in 0..3 {
        if event.to_json().len() <= LARGEST_EVENT {
            break;
        }
        let Content::Email(email) = &mut event.content else { break };
        let left_out = match step {
            0 => {
                email.html = None;
                Cut::Html
            }
            1 => {
                email.quoted = None;
                Cut::Quoted
            }
            _ => {
                cut(&mut email.text, LONGEST_TEXT / 4);
                Cut::Text
            }
        };
        if !email.cut.contains(&left_out) {
            email.cut.push(left_out);
            email.cut.sort();
        }
    }
    event
}
