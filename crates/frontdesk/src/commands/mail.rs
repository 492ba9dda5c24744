//! `frontdesk mail`: one mail from standard input to the running instance, for the pipe of a mail system.
//!
//! The exit codes are those of sysexits.h as mail systems read them. Whatever trying again may mend is 75:
//! the mail stays in their queue. A source or a configuration that is wrong is among it, because 67 or 78
//! would send the mail back to the client for a mistake of ours. No answer is 75 too, although the mail
//! may be kept: a second copy is recognised.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use contact::{Channel, SourceName};
use figment::Figment;
use figment::providers::{Format as _, Toml};

use crate::config::DEFAULTS;
use crate::pipe::frame::{self, Answer, LARGEST, LONGEST_ANSWER};

/// The mail stays where it is and comes again (`EX_TEMPFAIL`).
pub(crate) const EXIT_LATER: u8 = 75;
/// This mail can never be taken (`EX_DATAERR`): the mail system sends it back.
const EXIT_NEVER: u8 = 65;
/// From the first connection to the answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Hands the mail over. Reads no configuration but the place of the data folder, because the mail
/// system's user may not read our secrets; takes no lock.
pub(super) fn run(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    source: &str,
) -> ExitCode {
    let answer = data_folder(file, environment)
        .and_then(|data| hand_over(&frame::socket(&data), source, io::stdin().lock(), PATIENCE));
    let (code, error) = match answer {
        Ok(Answer::Kept) => return ExitCode::SUCCESS,
        Ok(Answer::Later(why)) => (EXIT_LATER, anyhow!("not kept, try again later: {why}")),
        Ok(Answer::Never(why)) => (EXIT_NEVER, anyhow!("not kept: {why}")),
        Err(error) => (EXIT_LATER, error.context("not kept, try again later")),
    };
    crate::complain(&error);
    ExitCode::from(code)
}

/// The mail is read whole before anybody is asked: a mail system dislikes a pipe that closes early.
pub(crate) fn hand_over(
    socket: &Path,
    source: &str,
    mut mail: impl Read,
    patience: Duration,
) -> anyhow::Result<Answer> {
    let mut raw = Vec::new();
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX) + 1;
    mail.by_ref().take(most).read_to_end(&mut raw).context("could not read the mail")?;
    if raw.len() > LARGEST {
        io::copy(&mut mail, &mut io::sink()).context("could not read the mail")?;
        return Ok(Answer::Never(format!("the mail is over the bound of {LARGEST} bytes")));
    }
    drop_mbox_line(&mut raw);
    if raw.is_empty() {
        return Ok(Answer::Never("there was no mail on standard input".to_owned()));
    }
    SourceName::new(Channel::Email, source)?;
    let head = frame::head(source, raw.len()).context("the name of the source is too long")?;

    let (socket, (tell, told)) = (socket.to_owned(), mpsc::sync_channel(1));
    let shown = socket.display().to_string();
    // On a thread, because a connection to a process that stands still cannot be given a time-out.
    std::thread::spawn(move || tell.send(ask(&socket, &head, &raw)).ok());
    match told.recv_timeout(patience) {
        Ok(answer) => answer.with_context(|| format!("frontdesk at {shown}")),
        Err(_) => bail!("frontdesk at {shown}: no answer within {} s", patience.as_secs()),
    }
}

fn ask(socket: &Path, head: &[u8], raw: &[u8]) -> anyhow::Result<Answer> {
    let mut peer = UnixStream::connect(socket).context("could not be reached; does it run?")?;
    let sent = peer.write_all(head).and_then(|()| peer.write_all(raw));
    // Who refuses early answers before all is sent.
    let (mut line, most) = (Vec::new(), u64::try_from(LONGEST_ANSWER).unwrap_or(u64::MAX));
    let heard = BufReader::new(peer).take(most).read_until(b'\n', &mut line);
    match (Answer::read(&String::from_utf8_lossy(&line)), sent, heard) {
        (Some(answer), ..) => Ok(answer),
        (None, Err(error), _) => Err(error).context("did not take the mail"),
        (None, _, Err(error)) => Err(error).context("did not answer"),
        (None, _, Ok(_)) => bail!("ended before it had answered"),
    }
}

/// The line with which some mail systems begin a mail for a pipe, as in a mailbox file. It is no part of
/// the mail (RFC 4155).
fn drop_mbox_line(raw: &mut Vec<u8>) {
    if raw.starts_with(b"From ") {
        let end = raw.iter().position(|byte| *byte == b'\n').map_or(raw.len(), |at| at + 1);
        raw.drain(..end);
    }
}

/// `data`, as [`Config::load`](crate::config::Config::load) would find it.
fn data_folder(
    file: Option<&Path>,
    mut environment: impl Iterator<Item = (String, String)>,
) -> anyhow::Result<PathBuf> {
    let data = match environment.find(|(name, _)| name == "FRONTDESK__DATA") {
        Some((_, data)) => PathBuf::from(data),
        None => {
            let usual = Path::new("config/frontdesk.toml");
            let file = file.or(usual.exists().then_some(usual));
            configured(file).with_context(|| match file {
                Some(file) => format!("could not find the data folder in {}", file.display()),
                None => "could not find the data folder".to_owned(),
            })?
        }
    };
    // A mail system runs its commands in a folder of its own: the sentence should say where we looked.
    std::path::absolute(data).context("could not tell where the data folder is")
}

fn configured(file: Option<&Path>) -> anyhow::Result<PathBuf> {
    let mut layers = Figment::from(Toml::string(DEFAULTS));
    if let Some(file) = file {
        layers = layers.merge(Toml::string(&std::fs::read_to_string(file)?));
    }
    Ok(layers.extract_inner("data")?)
}
