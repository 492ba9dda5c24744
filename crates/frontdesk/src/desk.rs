//! What the API asks of the house around it.

use std::sync::Arc;

use api::{Condition, Desk, DeskError, Health, SourceInfo};
use async_trait::async_trait;
use bus::{Bus, topology};
use bytes::Bytes;
use connector::{Supervisor, TaskState};
use contact::email::Attachment;
use contact::{Channel, Content, Event, Raw, RawBytes, SourceName, Suspect, Trust};
use intake::Door;
use metrics_exporter_prometheus::PrometheusHandle;
use object_store::{ObjectStore, ObjectStoreExt as _};
use timeline::DeadLetter;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::cli::RoleName;
use crate::demo;
use crate::sources::Sources;
use crate::storeroom::StoreSlot;
use crate::wire::Roles;

pub(crate) struct HouseDesk {
    pub(crate) roles: Roles,
    /// The lines are made up for a newcomer.
    pub(crate) demo: bool,
    pub(crate) sources: Arc<Sources>,
    pub(crate) public_url: Url,
    /// Where this process has one.
    pub(crate) door: Option<Door>,
    pub(crate) wake: Arc<dyn Fn(i64) + Send + Sync>,
    pub(crate) house: TaskTracker,
    pub(crate) bus: Bus,
    pub(crate) store: StoreSlot,
    pub(crate) blobs: Arc<dyn ObjectStore>,
    pub(crate) supervisor: Supervisor,
    pub(crate) metrics: PrometheusHandle,
}

#[async_trait]
impl Desk for HouseDesk {
    fn sources(&self) -> Vec<SourceInfo> {
        let line = |line: &connector_phone::Line| {
            let source = line.source();
            let base = self.public_url.as_str().trim_end_matches('/');
            SourceInfo {
                name: source.clone(),
                channel: source.channel(),
                provider: line.provider().to_owned(),
                hook: Some(format!("{base}/hooks/phone/{}", source.name())),
                demo: self.demo,
            }
        };
        let plain = |name: &SourceName, provider: &str| SourceInfo {
            name: name.clone(),
            channel: name.channel(),
            provider: provider.to_owned(),
            hook: None,
            demo: self.demo,
        };
        let mailbox = |source: &connector_email::Source| {
            plain(source.name(), if source.polls() { "imap" } else { "handed in" })
        };
        let widget = |widget: &connector_chat::Widget| plain(widget.source(), "widget");
        let Sources { lines, mailboxes, widgets } = self.sources.as_ref();
        let lines = lines.values().map(line);
        lines.chain(mailboxes.values().map(mailbox)).chain(widgets.values().map(widget)).collect()
    }

    async fn health(&self) -> Health {
        let journal = self.door.as_ref().map(Door::status);
        let link = *self.bus.link().borrow();
        let store = self.store.borrow().clone();
        let store_answers = match &store {
            Some(store) => {
                tokio::time::timeout(PATIENCE, store.ping()).await.is_ok_and(|pinged| pinged.is_ok())
            }
            None => false,
        };
        let stores = self.roles.contains(&RoleName::Core) || self.roles.contains(&RoleName::Api);
        let journal_accepts = journal.as_ref().is_none_or(|status| status.accepting);
        let state = |ok: bool, good: &str, bad: &str| Condition {
            ok,
            state: if ok { good.to_owned() } else { bad.to_owned() },
        };
        let connectors = self.supervisor.states().into_iter().map(|(name, now)| {
            let condition = match now {
                TaskState::Running => state(true, "running", ""),
                TaskState::Stopped => state(false, "", "stopped"),
                TaskState::Waiting { reason } => state(false, "", &reason),
            };
            (name, condition)
        });
        Health {
            // The journal carries us while the bus or the store is away; tables must have been made once.
            ready: journal_accepts && (!stores || store.is_some()),
            journal: match journal {
                None => state(true, "not in this process", ""),
                Some(status) => Condition {
                    ok: status.accepting,
                    state: format!(
                        "{}: {} records, {} of {} bytes",
                        if status.accepting { "accepting" } else { "refusing" },
                        status.unretired,
                        status.bytes,
                        status.max_bytes
                    ),
                },
            },
            bus: state(link.connected, "connected", "away"),
            store: match (stores, store_answers) {
                (false, _) => state(true, "not in this process", ""),
                (true, answers) => state(answers, "answering", "away"),
            },
            connectors: connectors.collect(),
            versions: [("frontdesk".to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into(),
        }
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }

    fn secret(&self) -> String {
        demo::token().unwrap_or_else(|error| {
            // Without randomness nothing may be handed out; the system has none only before it is up.
            tracing::error!(error = format!("{error:#}"), "cannot make a secret");
            std::process::abort()
        })
    }

    async fn retry(&self, letter: &DeadLetter) -> Result<(), DeskError> {
        let source = letter.source.as_ref().ok_or_else(|| {
            DeskError::Refused(
                "its source cannot be told from it, so there is no way to send it in again".to_owned(),
            )
        })?;
        let unreadable = Event::from_json(&letter.payload)
            .ok()
            .filter(|event| matches!(event.content, Content::Unreadable(_)));
        let Some(mut kept) = unreadable else {
            let subject = topology::contact_subject(source.channel().as_str(), source.name());
            return self.send(subject, Bytes::from(letter.payload.clone())).await;
        };
        let raw =
            kept.raw.take().ok_or_else(|| DeskError::Refused("it was kept without its raw".to_owned()))?;
        let bytes = match raw.bytes() {
            Some(bytes) => bytes,
            None => self
                .blob(&raw)
                .await?
                .ok_or_else(|| DeskError::Refused("its raw is gone".to_owned()))?
                .to_vec(),
        };
        let (sources, input) = (self.sources.clone(), RawBytes::new(raw.media_type.clone(), bytes));
        let letter = kept.clone();
        // What a stranger wrote may take a moment, and our reader may fail on it once more.
        let read = tokio::task::spawn_blocking(move || read_again(&sources, &letter, &input)).await;
        let events = read.unwrap_or_else(|_| Err("our reader failed on it".to_owned()));
        let events = events.map_err(|why| DeskError::Refused(format!("it still cannot be read: {why}")))?;
        for mut event in events {
            event.raw = Some(raw.clone());
            event.traceparent.clone_from(&kept.traceparent);
            self.take(event).await?;
        }
        Ok(())
    }

    async fn release(&self, suspect: &Suspect, unverified: bool) -> Result<(), DeskError> {
        let events = if unverified {
            connector_phone::release_unverified(&self.sources.lines, suspect)
        } else {
            connector_phone::reverify(&self.sources.lines, suspect, &self.public_url)
        }
        .map_err(|error| DeskError::Refused(error.to_string()))?;
        for (mut event, raw) in events {
            debug_assert!(unverified || event.trust == Trust::Verified);
            event.raw = Some(self.stored(&raw).await?);
            self.take(event).await?;
        }
        Ok(())
    }

    async fn blob(&self, raw: &Raw) -> Result<Option<Bytes>, DeskError> {
        let doing = "read a raw from the blob store";
        match self.blobs.get(&raw.blob_path().into()).await {
            Ok(found) => match found.bytes().await {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) => Err(DeskError::Away { doing, cause: error.into() }),
            },
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(DeskError::Away { doing, cause: error.into() }),
        }
    }

    async fn attachment(&self, raw: &Raw, sha256: &str) -> Result<Option<(Attachment, Bytes)>, DeskError> {
        let mail = match raw.bytes() {
            Some(bytes) => Bytes::from(bytes),
            None => match self.blob(raw).await? {
                Some(bytes) => bytes,
                None => return Ok(None),
            },
        };
        let wanted = sha256.to_owned();
        // What a stranger wrote may take a moment.
        let found = tokio::task::spawn_blocking(move || connector_email::attachment(&mail, &wanted));
        let found = found.await.map_err(|error| DeskError::Failed {
            doing: "find an attachment in its mail",
            cause: error.into(),
        })?;
        Ok(found.map(|file| (file.reference, Bytes::from(file.bytes))))
    }

    fn can_answer(&self, source: &SourceName) -> Result<(), String> {
        let Sources { mailboxes, widgets, .. } = self.sources.as_ref();
        match source.channel() {
            Channel::Email => match mailboxes.get(source) {
                Some(mailbox) if mailbox.answers() => Ok(()),
                Some(_) => Err(format!("{source} has no way to send: give it `smtp`")),
                None => Err(format!("{source} is configured no more")),
            },
            Channel::Chat if widgets.contains_key(source) => Ok(()),
            Channel::Chat => Err(format!("{source} is configured no more")),
            Channel::Phone | Channel::Desk => Err(format!("nobody can be answered in writing over {source}")),
        }
    }

    fn acted(&self, feed_position: i64) {
        (self.wake)(feed_position);
        let (bus, position) = (self.bus.clone(), u64::try_from(feed_position).unwrap_or(0));
        self.house.spawn(async move { bus.hint(position).await });
    }
}

impl HouseDesk {
    /// The raw as an event carries it, large ones put in the blob store first.
    async fn stored(&self, raw: &RawBytes) -> Result<Raw, DeskError> {
        if raw.fits_inline() {
            return Ok(raw.inline());
        }
        let reference = raw.reference();
        let put = self.blobs.put(&reference.blob_path().into(), raw.bytes.clone().into()).await;
        put.map_err(|error| DeskError::Away { doing: "keep a raw in the blob store", cause: error.into() })?;
        Ok(reference)
    }

    async fn take(&self, event: Event) -> Result<(), DeskError> {
        let source = &event.key.source;
        let subject = topology::contact_subject(source.channel().as_str(), source.name());
        self.send(subject, event.to_json().into()).await
    }

    /// Until it is on the timeline the shelf it came from keeps it, so the broker's word is enough.
    async fn send(&self, subject: String, body: Bytes) -> Result<(), DeskError> {
        let doing = "send it in again";
        match self.bus.publish(subject, body).await {
            Ok(_) => Ok(()),
            Err(error @ bus::PublishError::Refused(_)) => {
                Err(DeskError::Failed { doing, cause: error.into() })
            }
            Err(error) => Err(DeskError::Away { doing, cause: error.into() }),
        }
    }
}

/// What was kept unread, read as its channel reads it today.
fn read_again(sources: &Sources, kept: &Event, raw: &RawBytes) -> Result<Vec<Event>, String> {
    let source = &kept.key.source;
    match source.channel() {
        Channel::Phone => {
            connector_phone::renormalise(&sources.lines, source, raw, kept.received_at, kept.trust)
                .map_err(|why| why.reason)
        }
        Channel::Email => {
            let mailbox = sources.mailboxes.get(source);
            let mailbox = mailbox.ok_or_else(|| format!("the source {source} is not configured any more"))?;
            let read =
                connector_email::normalise(mailbox.mailbox(), &raw.bytes, kept.occurred_at, kept.received_at);
            Ok(vec![read.map_err(|why| why.reason)?.0])
        }
        Channel::Chat | Channel::Desk => Err(format!("nothing is read anew that came by {source}")),
    }
}

/// How long a health check waits for the store.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_mail_that_was_kept_unread_is_read_as_a_mail_again() {
        let pairs = [("FRONTDESK__EMAIL__SUPPORT__ADDRESS", "help@example.org")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let sources = Sources::read(&Config::load(None, pairs).unwrap()).unwrap();
        let source: SourceName = "email/support".parse().unwrap();
        let mailbox = sources.mailboxes[&source].mailbox();
        let mail = b"From: olena@example.com\nMessage-ID: <1@example.com>\nSubject: Hello\n\nGood morning\n";
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let why = contact::Unreadable { reason: "our reader failed on it".to_owned(), field: None };
        let kept = connector_email::unreadable(mailbox, mail, why, now);

        let read = read_again(&sources, &kept, &RawBytes::new("message/rfc822", mail.to_vec())).unwrap();
        let usual = connector_email::normalise(mailbox, mail, now, now).unwrap().0;
        assert_eq!(read, [usual], "the same event as if it had been read at once");
        let blank = read_again(&sources, &kept, &RawBytes::new("message/rfc822", b" \n".to_vec()));
        assert_eq!(blank.unwrap_err(), "the mail is empty");
        let gone = Sources { mailboxes: connector_email::Sources::new(), ..sources };
        let gone = read_again(&gone, &kept, &RawBytes::new("message/rfc822", mail.to_vec()));
        assert_eq!(gone.unwrap_err(), "the source email/support is not configured any more");
    }
}
