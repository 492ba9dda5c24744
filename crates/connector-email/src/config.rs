//! An `[email.<name>]` section: what an operator writes, and the checked [`Source`] it becomes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use contact::{Channel, SourceName};
use jiff::Timestamp;
use jiff::civil::Date;
use rustls::pki_types::ServerName;
use serde::Deserialize;

use crate::account::{Account, Place};
use crate::address::canonical;
use crate::courier::{Credential, Limits, MailCourier, Server, Smtp, trusting};
use crate::normalise::Mailbox;
use crate::reader::BEGINNING;
use crate::{Sender, Unsendable};
use connector::secret::{Given, Secret, lenient};

/// The largest mail that may be asked for, in bytes; the folder for large raws has room for many.
pub(crate) const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// One section as written. Every secret may be given as text or as a file, not as both.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Our address: what clients write to, and what we answer from.
    #[serde(deserialize_with = "lenient::optional")]
    pub address: Option<String>,
    /// Further addresses of ours: aliases, other mailboxes, whatever we send from.
    pub addresses: Vec<String>,
    /// `imaps://user@host:993/INBOX`, or `imap://…` with STARTTLS. Without it the source takes only what
    /// is handed in.
    #[serde(deserialize_with = "lenient::optional")]
    pub imap: Option<String>,
    pub password: Option<Secret>,
    pub password_file: Option<PathBuf>,
    /// An access token (XOAUTH2) instead of a password.
    pub token: Option<Secret>,
    /// A file with it, read again at every login, because tokens are renewed from outside.
    pub token_file: Option<PathBuf>,
    /// Certificates in PEM to trust instead of the public authorities.
    pub ca_file: Option<PathBuf>,
    /// `smtps://user@host:465`, or `smtp://user@host:587` with STARTTLS. Without it nothing is answered.
    #[serde(deserialize_with = "lenient::optional")]
    pub smtp: Option<String>,
    /// Of the `smtp` user; what the `imap` user has when absent.
    pub smtp_password: Option<Secret>,
    pub smtp_password_file: Option<PathBuf>,
    /// The name clients see beside our address.
    #[serde(deserialize_with = "lenient::optional")]
    pub from_name: Option<String>,
    /// Whether they also see the name of who answers.
    pub agent_name: bool,
    /// Which mails of before the first start are imported: `now` (none), `all`, or those that arrived on
    /// or after a date (`2026-01-31`).
    #[serde(deserialize_with = "lenient::text")]
    pub from: String,
    /// What becomes of a mail in the mailbox once it is kept: `leave`, `seen`, `move:<Mailbox>`.
    #[serde(deserialize_with = "lenient::text")]
    pub after: String,
    /// How often, in seconds, the mailbox is looked into whatever the server announces.
    pub poll_s: u64,
    /// Of a larger mail in the mailbox, in bytes, only the beginning is taken.
    pub max_bytes: u64,
    /// Addresses from which web sites send what a person typed into a form.
    pub forms: Vec<String>,
    /// Under which name our mail server writes `Authentication-Results`. Without it no sender is proved.
    #[serde(deserialize_with = "lenient::optional")]
    pub authserv_id: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: None,
            addresses: Vec::new(),
            imap: None,
            password: None,
            password_file: None,
            token: None,
            token_file: None,
            ca_file: None,
            smtp: None,
            smtp_password: None,
            smtp_password_file: None,
            from_name: None,
            agent_name: false,
            from: "now".to_owned(),
            after: "leave".to_owned(),
            poll_s: 60,
            max_bytes: 50 * 1024 * 1024,
            forms: Vec::new(),
            authserv_id: None,
        }
    }
}

/// What is wrong with a section: the field, and a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub field: String,
    pub sentence: String,
}

/// One configured source; whoever holds it holds a section that is right.
#[derive(Clone, Debug)]
pub struct Source {
    mailbox: Mailbox,
    pub(crate) account: Option<Account>,
    pub(crate) smtp: Option<Smtp>,
    pub(crate) from: From,
    pub(crate) after: After,
    pub(crate) poll: Duration,
    pub(crate) max_bytes: u64,
}

impl Source {
    /// What the normaliser must know.
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// `email/<name>`.
    pub fn name(&self) -> &SourceName {
        &self.mailbox.source
    }

    /// Whether it reads a mailbox by itself.
    pub fn polls(&self) -> bool {
        self.account.is_some()
    }

    /// Whether it can answer.
    pub fn answers(&self) -> bool {
        self.smtp.is_some()
    }
}

/// Which of the mails that were there before us are imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Now,
    All,
    /// Those that arrived on that day, by the server's calendar, or later.
    Date(Date),
}

/// What becomes of a mail in the mailbox once it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Leave,
    Seen,
    Move(String),
}

impl Config {
    /// The source this section describes, its files read (a relative path from where we run).
    ///
    /// # Errors
    /// Every problem of the section at once, each with its field.
    pub fn check(&self, name: &str) -> Result<Source, Vec<Problem>> {
        let mut wrong = Problems(Vec::new());
        let source = wrong.keep("", SourceName::new(Channel::Email, name).map_err(|error| error.0));
        let address = wrong.keep(
            "address",
            match &self.address {
                None => Err("our address is missing".to_owned()),
                Some(text) => own(text),
            },
        );
        let mut addresses = wrong.addresses("addresses", &self.addresses);
        addresses.extend(address.clone());
        let forms = wrong.addresses("forms", &self.forms);
        let password = wrong.secret("password", self.password.as_ref(), self.password_file.as_ref());
        let token = wrong.secret("token", self.token.as_ref(), self.token_file.as_ref());
        if password.is_some() && token.is_some() {
            wrong.add("token", "there is a password too; leave one");
        }
        let ca = self.ca(&mut wrong);
        let credential = password.map(Credential::Password).or(token.map(Credential::Token));
        let account = self.account(&mut wrong, credential.clone(), ca.as_deref(), address.as_deref());
        let smtp = self.smtp(&mut wrong, credential, ca, address.as_deref());
        let from = wrong.keep("from", from(&self.from));
        let after = wrong.keep("after", after(&self.after));
        if let (Some(After::Move(to)), Some(account)) = (&after, &account)
            && *to == account.place.folder
        {
            wrong.add("after", "a mail cannot be moved to where it is");
        }
        if !(1..=3600).contains(&self.poll_s) {
            wrong.add("poll_s", "write 1 to 3600");
        }
        if !(BEGINNING..=MOST_BYTES).contains(&self.max_bytes) {
            wrong.add("max_bytes", "write 1048576 (1 MiB) to 67108864 (64 MiB)");
        }
        match (source, from, after) {
            (Some(source), Some(from), Some(after)) if wrong.0.is_empty() => Ok(Source {
                mailbox: Mailbox { source, addresses, forms, authserv_id: self.authserv_id.clone() },
                account,
                smtp,
                from,
                after,
                poll: Duration::from_secs(self.poll_s),
                max_bytes: self.max_bytes,
            }),
            _ => Err(wrong.0),
        }
    }

    fn ca(&self, wrong: &mut Problems) -> Option<Vec<u8>> {
        let path = self.ca_file.as_ref()?;
        let read = std::fs::read(path).map_err(|error| unread(path, &error));
        let checked = read.and_then(|pem| trusting(Some(&pem)).map(|_| pem));
        wrong.keep("ca_file", checked)
    }

    fn account(
        &self,
        wrong: &mut Problems,
        credential: Option<Credential>,
        ca: Option<&[u8]>,
        address: Option<&str>,
    ) -> Option<Account> {
        let mut place = wrong.keep("imap", Place::parse(self.imap.as_ref()?))?;
        place.user = place.user.or_else(|| address.map(str::to_owned));
        let given = self.password.is_some() || self.password_file.is_some();
        if credential.is_none() && !given && self.token.is_none() && self.token_file.is_none() {
            wrong.add("password", "the mailbox needs a password or a token");
        }
        let credential = credential?;
        // What is wrong with the certificates was told at their own field.
        let tls = trusting(ca).ok()?;
        let name = ServerName::try_from(place.host.clone()).ok()?;
        Some(Account { place, name, tls: Arc::new(tls), credential })
    }

    fn smtp(
        &self,
        wrong: &mut Problems,
        credential: Option<Credential>,
        ca: Option<Vec<u8>>,
        address: Option<&str>,
    ) -> Option<Smtp> {
        let password =
            wrong.secret("smtp_password", self.smtp_password.as_ref(), self.smtp_password_file.as_ref());
        let Some(url) = &self.smtp else {
            if password.is_some() {
                wrong.add("smtp_password", "there is no `smtp` it could be for");
            }
            return None;
        };
        let server = wrong.keep("smtp", Server::parse(url))?;
        let sender = Sender::new(address?, self.from_name.as_deref(), self.agent_name);
        let sender = wrong.keep("address", sender.map_err(|why: Unsendable| why.to_string()))?;
        let credential = password.map(Credential::Password).or(credential).filter(|_| server.user.is_some());
        let smtp = Smtp { server, credential, ca, sender, hello: None, limits: Limits::default() };
        match MailCourier::new(smtp.clone()) {
            Ok(_) => Some(smtp),
            Err(unfit) => {
                wrong.add(if unfit.part == "ca" { "ca_file" } else { "smtp" }, unfit.sentence);
                None
            }
        }
    }
}

/// Everything that is wrong, gathered.
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: &str, sentence: impl Into<String>) {
        self.0.push(Problem { field: field.to_owned(), sentence: sentence.into() });
    }

    fn keep<T>(&mut self, field: &str, tried: Result<T, String>) -> Option<T> {
        tried.map_err(|sentence| self.add(field, sentence)).ok()
    }

    fn addresses(&mut self, field: &str, written: &[String]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (at, text) in written.iter().enumerate() {
            found.extend(self.keep(&format!("{field}[{at}]"), own(text)));
        }
        found
    }

    /// A secret from where it is given; a file must be readable now, and is read again when used.
    fn secret(&mut self, field: &str, text: Option<&Secret>, file: Option<&PathBuf>) -> Option<Given> {
        let (given, written) = match (text, file) {
            (None, None) => return None,
            (Some(_), Some(_)) => {
                self.add(field, "it is given both as text and as a file; leave one");
                return None;
            }
            (Some(text), None) => (Given::Text(text.clone()), field.to_owned()),
            (None, Some(path)) => (Given::File(path.clone()), format!("{field}_file")),
        };
        match given.read() {
            Ok(secret) if secret.expose().is_empty() => self.add(&written, "it is empty"),
            Ok(secret) if secret.expose_text().chars().any(char::is_control) => {
                self.add(&written, "it holds a control character, a line end perhaps");
            }
            Ok(_) => return Some(given),
            Err(error) => {
                let path = file.map(|path| unread(path, &error)).unwrap_or_default();
                self.add(&written, path);
            }
        }
        None
    }
}

fn unread(path: &std::path::Path, error: &std::io::Error) -> String {
    format!("could not read the file {}: {error}", path.display())
}

fn own(text: &str) -> Result<String, String> {
    canonical(text).ok_or_else(|| format!("`{text}` is no e-mail address"))
}

fn from(text: &str) -> Result<From, String> {
    match text {
        "now" => Ok(From::Now),
        "all" => Ok(From::All),
        date => date
            .parse::<Date>()
            .or_else(|_| date.parse::<Timestamp>().map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).date()))
            .map(From::Date)
            .map_err(|_| format!("`{text}` is not known; write now, all or a date, as in 2026-01-31")),
    }
}

fn after(text: &str) -> Result<After, String> {
    match text.split_once(':') {
        None if text == "leave" => Ok(After::Leave),
        None if text == "seen" => Ok(After::Seen),
        Some(("move", folder)) if !folder.trim().is_empty() => Ok(After::Move(folder.trim().to_owned())),
        _ => Err(format!("`{text}` is not known; write leave, seen or move:<Mailbox>")),
    }
}

#[cfg(test)]
mod tests;
