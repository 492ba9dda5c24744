//! `frontdesk simulate email`: a mail, handed in as a mail server does.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;

use super::{chosen, furnished, say};
use crate::cli::SimulateEmail;
use crate::commands::mail::hand_over;
use crate::config::Config;
use crate::pipe::frame::{self, Answer};
use crate::{demo, wire};

pub(crate) async fn run(config: &Config, mail: SimulateEmail) -> anyhow::Result<ExitCode> {
    let config = furnished(config)?;
    let source = chosen(mail.source.as_deref(), config.email.keys())?.to_owned();
    let id = format!("{}@simulated.example", demo::random_hex(8)?);
    let now = wire::real_clock()().to_zoned(jiff::tz::TimeZone::UTC);
    let from = match &mail.name {
        // The header's own bytes may be UTF-8 (RFC 6532); a quoted name may hold no quotes.
        Some(name) => format!("\"{}\" <{}>", line(name).replace(['"', '\\'], ""), line(&mail.from)),
        None => line(&mail.from),
    };
    let text = format!(
        "From: {from}\r\nTo: help@desk.example\r\nSubject: {}\r\nMessage-ID: <{id}>\r\nDate: {}\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}\r\n",
        line(&mail.subject),
        jiff::fmt::rfc2822::to_string(&now)?,
        mail.text,
    );
    let socket = frame::socket(&config.data);
    let handed = tokio::task::spawn_blocking(move || {
        hand_over(&socket, &source, text.as_bytes(), Duration::from_secs(60))
    });
    match handed.await?? {
        Answer::Kept => say(format_args!("{id} from {}", mail.from)),
        Answer::Later(why) | Answer::Never(why) => bail!("not kept: {why}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// What goes into a header is one line.
fn line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}
