//! From an answer of ours to the mail that brings it. Pure: the same order gives the same bytes, so that
//! every try sends one and the same mail, and a client who gets it twice sees it once.
//!
//! What came from outside (the parent's subject and ids, the client's address) is cleaned and bounded
//! here; no value can begin a header line of its own.

use std::time::{Duration, SystemTime};

use contact::{MailThread, Order};
use lettre::Address;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{Mailbox, Message};

use crate::text::{LINE, NAME, clean_line, clean_text};
use crate::{address, thread};

/// The longest answer, in bytes; a longer one is refused, because half an answer is none.
pub const LONGEST_ANSWER: usize = 1024 * 1024;

/// Under which name and address we answer.
#[derive(Clone, Debug)]
pub struct Sender {
    address: Address,
    name: Option<String>,
    names_agent: bool,
}

impl Sender {
    /// `names_agent`: whether the client sees who answers, as `Mia (Acme)`.
    ///
    /// # Errors
    /// When no mail could be sent from that address.
    pub fn new(address: &str, name: Option<&str>, names_agent: bool) -> Result<Self, Unsendable> {
        let address = mailable(address).ok_or(Unsendable::From)?;
        // An address of ours that needs SMTPUTF8 would make every answer depend on the client's server.
        if !address.user().is_ascii() {
            return Err(Unsendable::From);
        }
        let name = name.map(|name| shown(name, NAME)).filter(|name| !name.is_empty());
        Ok(Self { address, name, names_agent })
    }

    /// With its domain as A-labels.
    pub fn address(&self) -> &str {
        self.address.as_ref()
    }

    /// Its part behind the `@`.
    pub fn domain(&self) -> &str {
        self.address.domain()
    }

    fn display(&self, agent: Option<&str>) -> Option<String> {
        let agent = agent.map(|agent| shown(agent, NAME)).filter(|agent| !agent.is_empty());
        match (agent.filter(|_| self.names_agent), &self.name) {
            (Some(agent), Some(name)) => Some(format!("{agent} ({name})")),
            (agent, name) => agent.or_else(|| name.clone()),
        }
    }
}

/// A mail, ready to be handed to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Without `<>`. Of the answer, not of the try: each try sends it under the same.
    pub message_id: String,
    /// The envelope's sender and its one recipient, domains as A-labels.
    pub from: Address,
    pub to: Address,
    /// Header and body; lines end in CR LF and have at most 998 bytes. ASCII unless `needs_utf8`.
    pub bytes: Vec<u8>,
    /// The recipient's local part is not ASCII: only a server with SMTPUTF8 (RFC 6531) can take it.
    pub needs_utf8: bool,
}

/// Why no mail could be made of an order. It never will: trying again gives the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    #[error("our own address is none that mail can be sent from")]
    From,
    #[error("the client's address is none that mail can be sent to")]
    To,
    #[error("the answer is empty")]
    Empty,
    #[error("the answer is longer than {LONGEST_ANSWER} bytes")]
    Long,
    #[error("the mail could not be written: {0}")]
    Unwritten(String),
}

/// The mail that brings an answer (RFC 5322; threading as in its section 3.6.4).
///
/// It carries no `Auto-Submitted`, because a person wrote it, and `X-Frontdesk-Reply` with the answer's id,
/// by which a copy of it is recognised. The client's name is not written into `To`: visitors type
/// their names themselves, and we would send a stranger's words under our name.
///
/// # Errors
/// When the order cannot become a mail, now or later.
pub fn compose(sender: &Sender, order: &Order) -> Result<Letter, Unsendable> {
    let to = mailable(&order.to).ok_or(Unsendable::To)?;
    if order.text.len() > LONGEST_ANSWER {
        return Err(Unsendable::Long);
    }
    let text = clean_text(&order.text);
    if text.is_empty() {
        return Err(Unsendable::Empty);
    }
    let reply = order.reply.to_string();
    let message_id = format!("{reply}@{}", sender.domain());
    let mut mail = Message::builder()
        .from(Mailbox::new(sender.display(order.agent.as_deref()), sender.address.clone()))
        .to(Mailbox::new(None, to.clone()))
        .subject(subject(sender, order.thread.as_ref()))
        .message_id(Some(format!("<{message_id}>")))
        .date(sent_at(order));
    if let Some(thread) = &order.thread {
        if let Some(parent) = thread.in_reply_to.as_deref().and_then(usable) {
            mail = mail.in_reply_to(format!("<{parent}>"));
        }
        let references = references(thread);
        if !references.is_empty() {
            mail = mail.references(references);
        }
    }
    let mail = mail
        .header(ReplyMark(reply))
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN)
        .body(text + "\n")
        .map_err(|error| Unsendable::Unwritten(error.to_string()))?;
    Ok(Letter {
        message_id,
        from: sender.address.clone(),
        needs_utf8: !to.user().is_ascii(),
        to,
        bytes: mail.formatted(),
    })
}

/// `Re:` and the parent's subject, however often it has been answered before.
fn subject(sender: &Sender, thread: Option<&MailThread>) -> String {
    let Some(thread) = thread else {
        // There was no mail to answer: a subject of its own, so that it is not taken for spam.
        return sender.name.clone().unwrap_or_else(|| sender.address.to_string());
    };
    let parent = shown(&thread.subject, LINE);
    format!("Re: {}", unanswered(&parent)).trim_end().to_owned()
}

/// On one line, and without what would be decoded a second time: `=?` begins an encoded word (RFC 2047),
/// and inside one there may be anything.
fn shown(text: &str, longest: usize) -> String {
    clean_line(text, longest).replace("=?", "= ?")
}

/// A subject without the marks of answers at its beginning; marks of forwarding stay.
fn unanswered(subject: &str) -> &str {
    const MARKS: &[&str] = &[
        "re",
        "aw",
        "antw",
        "antwort",
        "sv",
        "vs",
        "ynt",
        "odp",
        "rif",
        "res",
        "ref",
        "на",
        "відп",
        "відповідь",
        "ответ",
        "отв",
        "回复",
        "答复",
    ];
    let mut rest = subject.trim_start();
    while let Some((mark, after)) = rest.split_once([':', '：']) {
        // `Re[2]`, `Re(2)` and `Re^2` count.
        let word = mark.trim_end().trim_end_matches(|c: char| c.is_ascii_digit() || "[]()^".contains(c));
        if !MARKS.contains(&word.to_lowercase().as_str()) {
            break;
        }
        rest = after.trim_start();
    }
    rest
}

/// The parent's References and its id: the first and the last [`thread::ENDS`] of them.
fn references(parent: &MailThread) -> String {
    let mut ids: Vec<String> = Vec::new();
    // The parent's own id is always the last, also when it stands among its References.
    let own = parent.in_reply_to.as_deref().and_then(usable);
    for id in parent.references.iter().filter_map(|id| usable(id)) {
        if Some(&id) != own.as_ref() && !ids.contains(&id) {
            ids.push(id);
        }
        if ids.len() > 2 * thread::ENDS {
            ids.remove(thread::ENDS);
        }
    }
    ids.extend(own);
    if ids.len() > 2 * thread::ENDS {
        ids.remove(thread::ENDS);
    }
    ids.iter().map(|id| format!("<{id}>")).collect::<Vec<_>>().join(" ")
}

/// A Message-ID that can be written as it is. Another would be encoded, and match nothing.
fn usable(id: &str) -> Option<String> {
    thread::id(id).filter(|id| id.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// An address mail can be sent to: its local part as written, its domain as lower-case A-labels.
fn mailable(raw: &str) -> Option<Address> {
    let canonical = address::canonical(raw)?;
    let domain = address::domain(&canonical);
    let (local, _) = raw.trim().trim_start_matches('<').rsplit_once('@')?;
    let local = local.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(local);
    Address::new(local, domain).ok()
}

/// When the agent wrote it, within the years that the header's form knows.
fn sent_at(order: &Order) -> SystemTime {
    const LAST_OF_9999: u64 = 253_402_300_799;
    let seconds = u64::try_from(order.written_at.as_second()).unwrap_or(0).min(LAST_OF_9999);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The id of the answer that a mail of ours brings.
#[derive(Clone)]
struct ReplyMark(String);

impl Header for ReplyMark {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("X-Frontdesk-Reply")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}
