//! Mails by hand: a bare loop that fetches all of a mailbox in batches and publishes what came, and one that
//! waits in IDLE and looks at the clock when it has the bytes.

use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use async_nats::jetstream;
use bytes::Bytes;
use imap::extensions::idle::WaitOutcome;
use imap::types::UnsolicitedResponse;
use memchr::memmem;
use tokio::sync::mpsc;

use super::recorder::Commits;
use crate::machine::micros;
use crate::numbers::number_of;

/// Mails of one command.
const BATCH: usize = 100;
/// Batches that are fetched and not yet published.
const AHEAD: usize = 2;
/// A mailbox to which so long nothing comes is given up.
const SILENCE: Duration = Duration::from_secs(60);

/// Which mailbox: port, user, password and folder, a line each.
pub(super) struct Place {
    port: u16,
    user: String,
    password: String,
    folder: String,
}

impl Place {
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let mut lines = text.lines().map(str::to_owned);
        let mut next = || lines.next().context("a place has four lines");
        let port = next()?.parse().context("a place begins with a port")?;
        Ok(Self { port, user: next()?, password: next()?, folder: next()? })
    }

    fn open(&self) -> anyhow::Result<imap::Session<TcpStream>> {
        let stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).context("could not reach a mail server")?;
        stream.set_nodelay(true).context("could not set TCP_NODELAY")?;
        stream.set_read_timeout(Some(SILENCE)).context("could not set a time-out")?;
        let mut client = imap::Client::new(stream);
        client.read_greeting().context("a mail server did not greet")?;
        let mut session = client.login(&self.user, &self.password).map_err(|(error, _)| error)?;
        session.examine(&self.folder).context("could not open a mailbox")?;
        Ok(session)
    }
}

/// Publishes all mails of a mailbox; returns when the broker has them. While one batch is acked the next is
/// fetched.
pub(super) async fn publish_all(
    place: Place,
    broker: &jetstream::Context,
    subject: &'static str,
) -> anyhow::Result<()> {
    let (batches, mut fetched) = mpsc::channel(AHEAD);
    let fetching = tokio::task::spawn_blocking(move || fetch_all(&place, &batches));
    while let Some(batch) = fetched.recv().await {
        let mut acks = Vec::with_capacity(batch.len());
        for event in batch {
            acks.push(broker.publish(subject, event).await.context("could not publish a mail")?);
        }
        for ack in acks {
            ack.await.context("a mail was not acked")?;
        }
    }
    fetching.await.context("fetching ended badly")?
}

fn fetch_all(place: &Place, batches: &mpsc::Sender<Vec<Bytes>>) -> anyhow::Result<()> {
    let mut session = place.open()?;
    let mut uids: Vec<u32> = session.uid_search("ALL").context("could not search")?.into_iter().collect();
    uids.sort_unstable();
    for some in uids.chunks(BATCH) {
        let set: Vec<String> = some.iter().map(u32::to_string).collect();
        let told = session.uid_fetch(set.join(","), "(UID BODY.PEEK[])").context("could not fetch")?;
        let batch: Vec<Bytes> = told.iter().filter_map(|one| event(one.body()?)).collect();
        ensure!(batch.len() == some.len(), "{} of {} mails came", batch.len(), some.len());
        if batches.blocking_send(batch).is_err() {
            bail!("nobody publishes any more");
        }
    }
    Ok(())
}

/// What the recorder reads: who wrote, under which id, and then the mail as it came.
fn event(mail: &[u8]) -> Option<Bytes> {
    let mut event = Vec::with_capacity(mail.len() + 128);
    for (name, field, end) in [("From=", "\r\nFrom: ", b'>'), ("&CallSid=", "\r\nMessage-ID: ", b'@')] {
        let line = mail.get(memmem::find(mail, field.as_bytes())? + field.len()..)?;
        let value = line.get(memchr::memchr(b'<', line)? + 1..)?;
        event.extend_from_slice(name.as_bytes());
        event.extend_from_slice(value.get(..memchr::memchr(end, value)?)?);
    }
    event.push(b'&');
    event.extend_from_slice(mail);
    Some(event.into())
}

/// Waits in IDLE until so many mails were read, and notes when each was.
pub(super) fn wait(place: &Place, mails: usize, read: &Arc<Mutex<Commits>>) -> anyhow::Result<()> {
    let mut session = place.open()?;
    let (mut next, mut seen) = (1, 0);
    while seen < mails {
        let told = session.uid_fetch(format!("{next}:*"), "(UID BODY.PEEK[])").context("could not fetch")?;
        let now = micros();
        for one in told.iter() {
            let (Some(uid), Some(mail)) = (one.uid, one.body()) else { continue };
            // `*` is the last mail there is, even one before `next`.
            if uid < next {
                continue;
            }
            next = uid + 1;
            seen += 1;
            let event = event(mail).context("a mail without sender or id")?;
            let id = memmem::find(&event, b"&CallSid=").and_then(|at| event.get(at + 9..));
            let number = id.and_then(number_of).context("a mail that is none of ours")?;
            if let Ok(mut read) = read.lock() {
                read.push((number, now));
            }
        }
        // What was announced during a command is not announced again in IDLE.
        let news = |told: &UnsolicitedResponse| matches!(told, UnsolicitedResponse::Exists(_));
        if session.take_all_unsolicited().any(|told| news(&told)) || seen == mails {
            continue;
        }
        let waited = session.idle().timeout(SILENCE).keepalive(false).wait_while(|told| !news(&told));
        ensure!(waited.context("IDLE broke")? == WaitOutcome::MailboxChanged, "no mail came for a minute");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_becomes_what_the_recorder_reads() {
        let mail =
            b"Received: x\r\nFrom: \"A\" <a@x.example>\r\nMessage-ID: <CA7@client.example>\r\n\r\nHello";
        let event = event(mail).unwrap();
        assert!(event.starts_with(b"From=a@x.example&CallSid=CA7&Received: x\r\n"), "{event:?}");
        assert!(super::event(b"From: nobody\r\n\r\n").is_none());
    }
}
