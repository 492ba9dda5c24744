//! Hands answers to a mail server, one try at a time.
//!
//! How a try ended is decided by how far it came. Until the server has asked for the mail it cannot have it,
//! so whatever breaks before is deferred; what breaks after it is uncertain, because the server may have
//! taken the mail without our hearing of it. A refusal of *us* (greeting, TLS, login) is deferred even
//! when the server calls it permanent: the client's address is not at fault, and a password can be mended.
//!
//! lettre speaks SMTP, one command at a time, so that we know how far it came; its own transport does not
//! tell. The lines are reached, secured and kept here.

mod line;
mod server;
mod wire;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use connector::{Courier, Tried};
use contact::{Order, ReplyFate};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::compose::{Letter, Sender, compose};
use crate::text::clean_line;
use connector::secret::Given;
use line::{Fault, Line, Reply, Step, Way};

pub(crate) use line::trusting;
pub use server::{Security, Server};

/// The most lines to one server at a time; further answers wait, within their own time.
pub const MOST_LINES: usize = 2;

/// How answers of one source are sent.
#[derive(Clone, Debug)]
pub struct Smtp {
    pub server: Server,
    /// The server's user proves it with this; neither without the other.
    pub credential: Option<Credential>,
    /// Certificates in PEM that are trusted instead of the public authorities.
    pub ca: Option<Vec<u8>>,
    /// What the client sees and answers to.
    pub sender: Sender,
    /// As which host we introduce ourselves (EHLO); the sender's domain by default.
    pub hello: Option<String>,
    pub limits: Limits,
}

/// By what we log in. A file is read at every login: tokens are short-lived and renewed from outside.
#[derive(Clone, Debug)]
pub enum Credential {
    /// AUTH PLAIN or LOGIN.
    Password(Given),
    /// An access token (XOAUTH2).
    Token(Given),
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// One try, from the first byte to the last.
    pub attempt: Duration,
    /// Reaching one address of the server.
    pub connect: Duration,
    /// A line unused for longer is not used again.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(60),
            connect: Duration::from_secs(10),
            // Servers hang up after five minutes, some networks after one.
            idle: Duration::from_secs(30),
        }
    }
}

/// What is wrong with an [`Smtp`]: which of its parts, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {sentence}")]
pub struct Unfit {
    pub part: &'static str,
    pub sentence: String,
}

/// Brings answers by mail.
pub struct MailCourier {
    sender: Sender,
    limits: Limits,
    way: Way,
    lines: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    line: Line,
    since: Instant,
}

impl MailCourier {
    /// Connects to nobody yet.
    ///
    /// # Errors
    /// When the parts do not fit together.
    pub fn new(smtp: Smtp) -> Result<Self, Unfit> {
        let unfit = |part, sentence: String| Unfit { part, sentence };
        match (&smtp.server.user, &smtp.credential) {
            (Some(_), None) => {
                return Err(unfit("smtp", "a user without a password or token".to_owned()));
            }
            (None, Some(_)) => {
                return Err(unfit("smtp", "a password or token, but no user in the url".to_owned()));
            }
            _ => {}
        }
        let hello = smtp.hello.clone().unwrap_or_else(|| smtp.sender.domain().to_owned());
        if hello.is_empty() || hello.len() > 255 || !hello.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unfit("hello", "it must be the name of a host".to_owned()));
        }
        let login = smtp.server.user.clone().zip(smtp.credential);
        let ca = smtp.ca.as_deref();
        let way = Way::new(smtp.server, login, hello, ca, smtp.limits.connect)?;
        Ok(Self {
            sender: smtp.sender,
            limits: smtp.limits,
            way,
            lines: Semaphore::new(MOST_LINES),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Reaches the server and logs in, as a try does, and sends nothing.
    ///
    /// # Errors
    /// How far it came, and what was said there.
    pub async fn look(&self) -> Result<(), String> {
        let mut step = Step::Waiting;
        let trouble = match timeout(self.limits.attempt, self.way.open(&mut step)).await {
            Ok(Ok(line)) => {
                line.bye();
                return Ok(());
            }
            Ok(Err(Fault::Refused(reply))) => refusal(step, &reply),
            Ok(Err(fault)) => format!("while {}: {fault}", step.words()),
            Err(_) => format!("no end while {}", step.words()),
        };
        Err(clean_line(&trouble, 600))
    }

    async fn attempt(&self, letter: &Letter, step: &mut Step) -> Result<Reply, Fault> {
        // The semaphore is never closed.
        let _line = self.lines.acquire().await.map_err(|error| Fault::Broken(error.to_string()))?;
        let mut line = match self.resumed(letter, step).await {
            Some(line) => line,
            None => {
                let mut line = self.way.open(step).await?;
                *step = Step::Announcing;
                line.announce(letter).await?;
                line
            }
        };
        let ended = line.send(letter, step).await;
        match &ended {
            Ok(_) => self.rest(line),
            Err(Fault::Refused(_)) => line.bye(),
            Err(_) => {}
        }
        ended
    }

    /// A line from before on which the mail is announced; `None` when there is none that lives.
    ///
    /// While a line rested the server may have hung up, or have had enough of it, or the network between
    /// may have forgotten it: whatever is said there is no answer to this mail. A fresh line's is.
    async fn resumed(&self, letter: &Letter, step: &mut Step) -> Option<Line> {
        while let Some(mut line) = self.rested() {
            *step = Step::Announcing;
            if let Ok(Ok(())) = timeout(self.limits.connect, line.announce(letter)).await {
                return Some(line);
            }
        }
        None
    }

    fn rested(&self) -> Option<Line> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|one| one.since.elapsed() < self.limits.idle);
        idle.pop().map(|one| one.line)
    }

    fn rest(&self, line: Line) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_LINES {
            idle.push(Idle { line, since: Instant::now() });
        }
    }
}

#[async_trait]
impl Courier for MailCourier {
    async fn deliver(&self, order: &Order) -> Tried {
        let letter = match compose(&self.sender, order) {
            Ok(letter) => letter,
            Err(error) => {
                let detail = Some(error.to_string());
                return Tried { fate: ReplyFate::Failed, detail, message_id: None };
            }
        };
        let mut step = Step::Waiting;
        let limit = self.limits.attempt;
        let (fate, detail) = match timeout(limit, self.attempt(&letter, &mut step)).await {
            Ok(Ok(reply)) => (ReplyFate::Sent, reply.to_string()),
            Ok(Err(Fault::Refused(reply))) => (fate_of_refusal(step, reply.code), refusal(step, &reply)),
            Ok(Err(Fault::Never(why))) => (ReplyFate::Failed, why.to_owned()),
            Ok(Err(fault)) => (fate_of_break(step), format!("while {}: {fault}", step.words())),
            Err(_) => {
                let seconds = limit.as_secs_f32();
                (fate_of_break(step), format!("no end within {seconds} s, while {}", step.words()))
            }
        };
        let may_be_there = matches!(fate, ReplyFate::Sent | ReplyFate::Uncertain);
        Tried {
            fate,
            detail: Some(clean_line(&detail, 600)),
            message_id: may_be_there.then_some(letter.message_id),
        }
    }
}

fn fate_of_break(step: Step) -> ReplyFate {
    if step == Step::Sending { ReplyFate::Uncertain } else { ReplyFate::Deferred }
}

fn fate_of_refusal(step: Step, code: u16) -> ReplyFate {
    match code {
        // The login is asked for, refused or too weak (RFC 4954 section 6), whenever it is said.
        530 | 534 | 535 | 538 => ReplyFate::Deferred,
        500..600 if step >= Step::Announcing => ReplyFate::Failed,
        400..600 => ReplyFate::Deferred,
        // Neither yes nor no.
        _ => fate_of_break(step),
    }
}

/// What the server said about the mail stands for itself; otherwise one must know about what.
fn refusal(step: Step, reply: &Reply) -> String {
    if step >= Step::Announcing { reply.to_string() } else { format!("while {}: {reply}", step.words()) }
}
