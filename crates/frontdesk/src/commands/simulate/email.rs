//! `frontdesk simulate email`: a mail, handed in as a mail server does.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use jiff::Timestamp;

use super::{chosen, furnished, say};
use crate::cli::SimulateEmail;
use crate::commands::mail::hand_over;
use crate::config::Config;
use crate::pipe::frame::{self, Answer};
use crate::{demo, wire};

/// A mail as its writer's mail system sends it.
pub(in crate::commands) struct Letter<'a> {
    /// Of the Message-ID, before the `@`.
    pub(in crate::commands) id: &'a str,
    pub(in crate::commands) from: &'a str,
    pub(in crate::commands) name: Option<&'a str>,
    pub(in crate::commands) to: &'a str,
    pub(in crate::commands) subject: &'a str,
    pub(in crate::commands) text: &'a str,
    pub(in crate::commands) date: Timestamp,
    /// A machine wrote it in its owner's absence.
    pub(in crate::commands) automatic: bool,
}

impl Letter<'_> {
    /// The Message-ID, as the API shows it.
    pub(in crate::commands) fn message_id(&self) -> String {
        format!("{}@simulated.example", line(self.id))
    }

    /// Hands it in. When this returns `Ok` it is kept.
    pub(in crate::commands) async fn hand_in(&self, config: &Config, source: &str) -> anyhow::Result<()> {
        let (socket, source, raw) = (frame::socket(&config.data), source.to_owned(), self.written()?);
        let handed = tokio::task::spawn_blocking(move || {
            hand_over(&socket, &source, raw.as_bytes(), Duration::from_secs(60))
        });
        match handed.await?? {
            Answer::Kept => Ok(()),
            Answer::Later(why) | Answer::Never(why) => bail!("not kept: {why}"),
        }
    }

    /// Header and body (RFC 5322).
    fn written(&self) -> anyhow::Result<String> {
        let from = match self.name {
            // The header's own bytes may be UTF-8 (RFC 6532); a quoted name may hold no quotes.
            Some(name) => format!("\"{}\" <{}>", line(name).replace(['"', '\\'], ""), line(self.from)),
            None => line(self.from),
        };
        let automatic = if self.automatic { "Auto-Submitted: auto-replied\r\n" } else { "" };
        Ok(format!(
            "From: {from}\r\nTo: {}\r\nSubject: {}\r\nMessage-ID: <{}>\r\nDate: {}\r\n{automatic}\
             MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}\r\n",
            line(self.to),
            line(self.subject),
            self.message_id(),
            jiff::fmt::rfc2822::to_string(&self.date.to_zoned(jiff::tz::TimeZone::UTC))?,
            self.text.replace("\r\n", "\n").replace('\n', "\r\n"),
        ))
    }
}

pub(crate) async fn run(config: &Config, mail: SimulateEmail) -> anyhow::Result<ExitCode> {
    let config = furnished(config)?;
    let source = chosen(mail.source.as_deref(), config.email.keys())?;
    let letter = Letter {
        id: &demo::random_hex(8)?,
        from: &mail.from,
        name: mail.name.as_deref(),
        to: "help@desk.example",
        subject: &mail.subject,
        text: &mail.text,
        date: wire::real_clock()(),
        automatic: false,
    };
    letter.hand_in(&config, source).await?;
    say(format_args!("{} from {}", letter.message_id(), mail.from));
    Ok(ExitCode::SUCCESS)
}

/// What goes into a header is one line.
fn line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}
