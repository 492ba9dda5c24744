//! A mail is what our mailboxes say of it together, in whatever order they told.
//!
//! The mailboxes it came to are a union and what is shown is a minimum, so folding is commutative,
//! associative and idempotent.

use std::collections::BTreeSet;

use contact::email::{Attachment, Authentication, Automatic, Cut, Report};
use contact::{Email, EntryId, Event, MailThread, Party, SourceName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Of the mails a mail says it answers, the most that are looked for: a stranger chose their number.
pub const MOST_ANSWERED: usize = 41;
/// The most letters of a summary.
pub(crate) const LONGEST_SUMMARY: usize = 200;

/// The fold of every delivery of one mail.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mail {
    /// The mailboxes of ours it came to.
    destinations: BTreeSet<SourceName>,
    shown: Option<Delivery>,
}

/// One delivery: what it says is shown for all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Delivery {
    occurred_at: Timestamp,
    received_at: Timestamp,
    source: SourceName,
    /// The event's id: with it no two deliveries rank alike.
    id: String,
    from: Option<Party>,
    to: Vec<Party>,
    email: Email,
}

impl Delivery {
    /// The least is shown. One mailbox may know that a person wrote through a form where another sees a
    /// machine: then a person wrote. What came live to one came live. Among equals the first one counts.
    fn rank(&self) -> impl Ord {
        let Email { automatic, imported, .. } = &self.email;
        (automatic.is_some(), *imported, self.occurred_at, self.received_at, &self.source, &self.id)
    }
}

impl Mail {
    /// Adds one delivery.
    pub fn fold(&mut self, event: &Event, email: &Email) {
        self.destinations.insert(event.key.source.clone());
        let told = Delivery {
            occurred_at: event.occurred_at,
            received_at: event.received_at,
            source: event.key.source.clone(),
            id: event.key.id.clone(),
            from: event.from.clone(),
            to: event.to.clone(),
            email: email.clone(),
        };
        if self.shown.as_ref().is_none_or(|shown| told.rank() < shown.rank()) {
            self.shown = Some(told);
        }
    }

    /// When it arrived, by the mailbox whose delivery is shown.
    pub fn occurred_at(&self) -> Option<Timestamp> {
        Some(self.shown.as_ref()?.occurred_at)
    }

    /// Where an answer goes, by which mailbox, and where in the thread it stands: to Reply-To where the
    /// sender names one, else to From (RFC 5322 section 3.6.3).
    pub fn answer(&self) -> Option<(SourceName, &Party, MailThread)> {
        let Delivery { source, from, email, .. } = self.shown.as_ref()?;
        let to = email.reply_to.first().filter(|to| to.value.is_some()).or(from.as_ref())?;
        let thread = MailThread {
            subject: email.subject.clone(),
            in_reply_to: email.message_id.clone(),
            references: email.references.clone(),
        };
        Some((source.clone(), to, thread))
    }

    /// No mailbox saw that a person wrote it.
    pub fn is_automatic(&self) -> bool {
        self.shown.as_ref().is_some_and(|shown| shown.email.automatic.is_some())
    }

    /// It was there before us, in whichever mailbox it is.
    pub fn is_imported(&self) -> bool {
        self.shown.as_ref().is_some_and(|shown| shown.email.imported)
    }

    /// One line for a person: the subject, else the first words, else the name of a file.
    pub fn summary(&self) -> String {
        let email = self.shown.as_ref().map(|shown| &shown.email);
        let words = email.and_then(|email| {
            let lines = std::iter::once(email.subject.as_str()).chain(email.text.lines());
            let files = email.attachments.iter().filter_map(|file| file.name.as_deref());
            lines.chain(files).map(str::trim).find(|words| !words.is_empty())
        });
        words.map_or_else(|| "Mail without words".to_owned(), |words| shortened(words, LONGEST_SUMMARY))
    }

    /// The `content` of the mail's entry; `None` before the first delivery.
    pub fn content(&self) -> Option<MailContent<'_>> {
        let Delivery { from, to, email, .. } = self.shown.as_ref()?;
        Some(MailContent {
            message_id: email.message_id.as_deref(),
            in_reply_to: email.in_reply_to.as_deref(),
            subject: &email.subject,
            text: &email.text,
            html: email.html.as_deref(),
            quoted: email.quoted.as_deref(),
            signature: email.signature.as_deref(),
            forwarded_from: email.forwarded_from.as_deref(),
            from: from.as_ref(),
            to,
            cc: &email.cc,
            reply_to: &email.reply_to,
            attachments: &email.attachments,
            destinations: &self.destinations,
            sent_at: email.sent_at,
            automatic: email.automatic.as_ref(),
            looks_automatic: email.looks_automatic,
            report: email.report.as_ref(),
            authentication: email.authentication.as_ref(),
            cut: &email.cut,
        })
    }
}

/// A mail as the timeline shows it. What a text or a page held besides is in the raw; see [`Email`] for
/// what each part promises.
#[derive(Debug, Serialize)]
pub struct MailContent<'a> {
    pub message_id: Option<&'a str>,
    pub in_reply_to: Option<&'a str>,
    pub subject: &'a str,
    pub text: &'a str,
    pub html: Option<&'a str>,
    pub quoted: Option<&'a str>,
    pub signature: Option<&'a str>,
    pub forwarded_from: Option<&'a str>,
    pub from: Option<&'a Party>,
    pub to: &'a [Party],
    pub cc: &'a [Party],
    pub reply_to: &'a [Party],
    pub attachments: &'a [Attachment],
    /// The mailboxes of ours it came to.
    pub destinations: &'a BTreeSet<SourceName>,
    /// The sender's claim.
    pub sent_at: Option<Timestamp>,
    pub automatic: Option<&'a Automatic>,
    pub looks_automatic: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<&'a Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<&'a Authentication>,
    #[serde(skip_serializing_if = "<[Cut]>::is_empty")]
    pub cut: &'a [Cut],
}

/// What a Message-ID is known by: 128 bits of SHA-256.
pub fn message_key(message_id: &str) -> [u8; 16] {
    let full: [u8; 32] = Sha256::digest(message_id).into();
    let mut key = [0; 16];
    key.copy_from_slice(&full[..16]);
    key
}

/// The key of the mail itself.
pub(crate) fn own(email: &Email) -> Option<[u8; 16]> {
    email.message_id.as_deref().map(message_key)
}

/// The answer of ours a report is about: its mails are called `<its id>@<our domain>`.
pub(crate) fn answer_reported(email: &Email) -> Option<EntryId> {
    let id = email.report.as_ref()?.original_message_id.as_deref()?;
    id.split_once('@')?.0.parse().ok()
}

/// The keys of the mails it says it answers, the nearest first; at most [`MOST_ANSWERED`].
pub(crate) fn answered(email: &Email) -> impl Iterator<Item = [u8; 16]> {
    let ids = email.in_reply_to.iter().chain(email.references.iter().rev());
    ids.take(MOST_ANSWERED).map(|id| message_key(id))
}

/// At most so many letters, cut between words where there are some.
pub(crate) fn shortened(words: &str, longest: usize) -> String {
    if words.chars().count() <= longest {
        return words.to_owned();
    }
    let head: String = words.chars().take(longest).collect();
    let whole = head.rsplit_once(char::is_whitespace).map_or(head.as_str(), |(whole, _)| whole.trim_end());
    format!("{whole}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_words() {
        assert_eq!(shortened("Добрий день", 11), "Добрий день");
        assert_eq!(shortened("Добрий день усім", 13), "Добрий день…");
        assert_eq!(shortened("Добрийденьусім", 6), "Добрий…");
    }
}
