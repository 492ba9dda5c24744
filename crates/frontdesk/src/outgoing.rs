//! Answers on their way out.
//!
//! The store knows which answers are due and counts their tries; [`Dispatcher`] hands each try out over the
//! bus, and [`Couriers`] have it delivered by the connector that owns the channel. A try is taken by exactly
//! one process and never twice, whatever is published again; how it ended comes back as a fact through the
//! journal. Of a try that somebody took and nobody tells the end of, nobody knows whether it arrived; one that
//! nobody took is withdrawn, so that whoever takes it later lets it be, and another follows.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bus::kv::{ATTEMPTS, Kv};
use bus::{Bus, Delivery, Failure, Handler, topology};
use bytes::Bytes;
use connector::{Clock, Courier, Intake, Tried};
use contact::{
    Act, Actor, Channel, ClientId, ContactKey, Content, Deed, Direction, EntryId, Event, EventKey,
    IdentifierKind, Level, Order, RawBytes, ReplyChange, ReplyFate, SourceName, Trust, micros,
};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use timeline::act::{ActError, act, event};
use timeline::{Arrival, Client, Policy, Reply, ReplyState, Store, StoreError, record};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Tries a process has under way at once.
const AT_ONCE: usize = 8;
/// A try of which nothing is heard for so long was taken by nobody, or has ended in doubt. Longer than any
/// courier's time-out.
const UNHEARD: SignedDuration = SignedDuration::from_mins(10);
/// Answers handed out in one round.
const ROUND: usize = 500;
/// Rounds are at least so far apart, and at most.
const BREATH: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(60);
/// The rule by which an unread answer goes by mail, as a decision keeps it.
const UNREAD_POLICY: &str = "unread-chat/1";
const UNHEARD_POLICY: &str = "unheard-try/1";
/// The rule by which nothing more is tried where the client does not want it.
const WISHES_POLICY: &str = "clients-wishes/1";

/// Has tries delivered by the connectors of this process.
pub(crate) struct Couriers {
    pub(crate) couriers: BTreeMap<SourceName, Arc<dyn Courier>>,
    pub(crate) attempts: Kv,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) clock: Clock,
    pub(crate) stop: CancellationToken,
}

impl Couriers {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), Failure> {
        let order: Order = serde_json::from_slice(&delivery.payload)
            .map_err(|error| Failure::Poison(format!("it is no order: {error}")))?;
        let source = source_of(&delivery.subject)
            .ok_or_else(|| Failure::Poison(format!("{} names no source", delivery.subject)))?;
        if self.stop.is_cancelled() {
            return Err(Failure::Away("stopping".to_owned()));
        }
        match self.attempts.take_once(&attempt_key(order.reply, order.attempt)).await {
            Ok(true) => {}
            // Somebody has tried it, or is trying it, or it was withdrawn.
            Ok(false) => return Ok(()),
            Err(error) => return Err(Failure::Away(error.to_string())),
        }
        let tried = match self.couriers.get(&source) {
            Some(courier) => courier.deliver(&order).await,
            None => Tried {
                fate: ReplyFate::Failed,
                detail: Some(format!("{source} has no way to send")),
                message_id: None,
            },
        };
        info!(reply.id = %order.reply, reply.attempt = order.attempt, reply.fate = tried.fate.as_str(), "tried to bring an answer");
        metrics::counter!("frontdesk_replies_tried_total", "channel" => source.channel().as_str(), "fate" => tried.fate.as_str())
            .increment(1);
        self.tell(&source, &order, tried).await;
        Ok(())
    }

    /// Keeps how it ended, however long the journal is full: a message that is taken is told of nowhere else.
    async fn tell(&self, source: &SourceName, order: &Order, tried: Tried) {
        let raw = RawBytes::new("text/plain", tried.detail.clone().unwrap_or_else(|| "no word".to_owned()));
        let change = ReplyChange {
            reply: order.reply,
            attempt: order.attempt,
            fate: tried.fate,
            detail: tried.detail,
            message_id: tried.message_id,
        };
        let event = fact(source.clone(), change, micros((self.clock)()));
        while let Err(error) = self.intake.accept(event.clone(), raw.clone()).await {
            warn!(reply.id = %order.reply, %error, "what became of an answer cannot be kept yet");
            tokio::time::sleep(error.retry_after()).await;
        }
    }
}

#[async_trait]
impl Handler for Couriers {
    async fn handle(&self, batch: &[Delivery]) -> Result<(), Failure> {
        let tries: Vec<_> = batch.iter().map(|delivery| self.deliver(delivery)).collect();
        let ended: Vec<_> = futures::stream::iter(tries).buffer_unordered(AT_ONCE).collect().await;
        ended.into_iter().collect()
    }

    async fn bury(&self, one: &Delivery, reason: &str) -> Result<(), Failure> {
        // The store still knows the answer, and will hand out another try.
        warn!(subject = %one.subject, reason, "dropped what is no order");
        Ok(())
    }

    async fn probe(&self) -> bool {
        !self.stop.is_cancelled()
    }
}

/// Hands out what is due.
pub(crate) struct Dispatcher {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Bus,
    pub(crate) policy: Arc<Policy>,
    pub(crate) clock: Clock,
    /// By which mailbox unread answers of a chat go.
    pub(crate) by_mail: BTreeMap<SourceName, SourceName>,
    /// Tries handed out and not heard of, and when.
    pub(crate) handed: HashMap<(EntryId, u32), Timestamp>,
    pub(crate) wake: Arc<dyn Fn(i64) + Send + Sync>,
}

impl Dispatcher {
    /// Until `stop`; `hints` says that something was recorded.
    pub(crate) async fn run(mut self, mut hints: watch::Receiver<u64>, stop: CancellationToken) {
        loop {
            let pause = match self.round().await {
                Ok(next) => next,
                Err(error) => {
                    warn!(error = format!("{:#}", anyhow::Error::new(error)), "answers wait for the store");
                    Duration::from_secs(2)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause.clamp(BREATH, LONGEST)) => {}
                changed = hints.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(BREATH) => {}
                    }
                }
            }
        }
    }

    /// One round; gives how long nothing will be due.
    async fn round(&mut self) -> Result<Duration, StoreError> {
        let now = micros((self.clock)());
        let due = self.store.due_replies(now, ROUND).await?;
        let unwanted = self.unwanted(&due).await?;
        let mut waiting = HashMap::new();
        let mut bus_away = false;
        for reply in &due {
            if reply.state == ReplyState::Sent {
                self.unread(reply, now).await?;
                continue;
            }
            let order = reply.next_order();
            let key = (reply.id, order.attempt);
            match self.handed.get(&key) {
                Some(at) if bus_away || now.duration_since(*at) < UNHEARD => {
                    waiting.insert(key, *at);
                }
                Some(at) => match self.attempts().take_once(&attempt_key(reply.id, order.attempt)).await {
                    Ok(untaken) => self.unheard(reply, order.attempt, untaken, now).await?,
                    // Whether somebody took it cannot be told now, of this one or the next.
                    Err(error) => {
                        warn!(reply.id = %reply.id, %error, "whether anybody took a try cannot be told yet");
                        waiting.insert(key, *at);
                        bus_away = true;
                    }
                },
                None if unwanted.contains(&reply.id) => self.let_be(reply, order.attempt, now).await?,
                None => {
                    if self.hand_out(reply, &order).await {
                        waiting.insert(key, now);
                    }
                }
            }
        }
        self.handed = waiting;
        let next = self.store.next_due().await?.filter(|at| *at > now);
        let unheard = self.handed.values().min().map(|at| *at + UNHEARD);
        let next = next.into_iter().chain(unheard).min();
        let pause = next.map_or(LONGEST, |at| Duration::try_from(at.duration_since(now)).unwrap_or(BREATH));
        let pause = if bus_away { pause.max(Duration::from_secs(1)) } else { pause };
        // What could not be handed out is tried again soon.
        let stuck = due.iter().filter(|reply| !unwanted.contains(&reply.id)).any(|reply| {
            reply.state != ReplyState::Sent && !self.handed.contains_key(&(reply.id, reply.attempts + 1))
        });
        Ok(if stuck || due.len() == ROUND { pause.min(Duration::from_secs(1)) } else { pause })
    }

    /// Those whose client does not want to be reached there any more. They may have said so since it was written,
    /// or since the last try, so it is asked before each.
    async fn unwanted(&self, due: &[Reply]) -> Result<HashSet<EntryId>, StoreError> {
        let next = |reply: &&Reply| {
            reply.state != ReplyState::Sent && !self.handed.contains_key(&(reply.id, reply.attempts + 1))
        };
        let whose: BTreeSet<ClientId> = due.iter().filter(next).filter_map(|reply| reply.client).collect();
        if whose.is_empty() {
            return Ok(HashSet::new());
        }
        let whose: Vec<ClientId> = whose.into_iter().collect();
        let cards = self.store.clients(&whose).await?;
        let clients: HashMap<ClientId, Client> =
            cards.into_iter().map(|card| (card.client.id, card.client)).collect();
        let denied = |reply: &&Reply| {
            let client = reply.client.and_then(|client| clients.get(&client));
            client.is_some_and(|client| !client.allows(reply.source.channel()))
        };
        Ok(due.iter().filter(next).filter(denied).map(|reply| reply.id).collect())
    }

    /// Nothing more is tried.
    async fn let_be(&self, reply: &Reply, attempt: u32, now: Timestamp) -> Result<(), StoreError> {
        let channel = reply.source.channel();
        let reason = format!("the client does not want to be reached by {channel}");
        info!(reply.id = %reply.id, policy = WISHES_POLICY, "an answer is brought no further");
        let deed = Deed::LetBe { reply: reply.id, reason };
        self.decide(WISHES_POLICY, format!("unwanted:{}:{attempt}", reply.id), deed, now).await
    }

    async fn hand_out(&self, reply: &Reply, order: &Order) -> bool {
        let subject = topology::reply_subject(reply.source.channel().as_str(), reply.source.name());
        let Ok(body) = serde_json::to_vec(order) else { return false };
        match self.bus.publish(subject, Bytes::from(body)).await {
            Ok(_) => true,
            Err(error) => {
                warn!(reply.id = %reply.id, %error, "an answer could not be handed out yet");
                false
            }
        }
    }

    /// Nobody told how the try ended; `untaken` when nobody has begun it, and now nobody will.
    async fn unheard(
        &self,
        reply: &Reply,
        attempt: u32,
        untaken: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (fate, detail) = match untaken {
            true => (ReplyFate::Deferred, format!("nobody who sends by {} took the try", reply.source)),
            false => (ReplyFate::Uncertain, "nobody told how the try ended".to_owned()),
        };
        warn!(reply.id = %reply.id, reply.attempt = attempt, policy = UNHEARD_POLICY, "{detail}");
        let change = ReplyChange { reply: reply.id, attempt, fate, detail: Some(detail), message_id: None };
        let Ok(source) = SourceName::new(Channel::Desk, "policy") else { return Ok(()) };
        let event = fact(source, change, now);
        let recorded =
            record(self.store.as_ref(), &self.policy, vec![Arrival::new(event, now)], Vec::new()).await?;
        self.tell(recorded.feed_position).await;
        Ok(())
    }

    /// An answer in a chat was not read: it goes by mail where an address is proved, a mailbox is named for
    /// it and the client does not mind; else it stays where it is.
    async fn unread(&self, reply: &Reply, now: Timestamp) -> Result<(), StoreError> {
        let deed = match self.way_by_mail(reply).await? {
            Ok((source, to)) => Deed::ReplyByMail { reply: reply.id, source, to },
            Err(reason) => Deed::LetBe { reply: reply.id, reason },
        };
        self.decide(UNREAD_POLICY, format!("unread:{}", reply.id), deed, now).await
    }

    /// Does it in the name of a policy, as one event of the log.
    async fn decide(&self, policy: &str, id: String, deed: Deed, now: Timestamp) -> Result<(), StoreError> {
        let Ok(source) = SourceName::new(Channel::Desk, "policy") else { return Ok(()) };
        let deed = Act { by: Actor::Policy(policy.to_owned()), deed };
        let event = event(EventKey { source, id }, deed, now);
        match act(self.store.as_ref(), &self.policy, Arrival::new(event, now)).await {
            Ok(acted) => self.tell(acted.feed_position).await,
            // Somebody else has decided meanwhile.
            Err(ActError::Refused(_)) => {}
            Err(ActError::Store(error)) => return Err(error),
        }
        Ok(())
    }

    async fn way_by_mail(
        &self,
        reply: &Reply,
    ) -> Result<Result<(SourceName, contact::Identifier), String>, StoreError> {
        let Some(mailbox) = self.by_mail.get(&reply.source) else {
            return Ok(Err(format!("it was not read; {} names no mailbox for that", reply.source)));
        };
        let card = match reply.client {
            Some(client) => self.store.clients(&[client]).await?.pop(),
            None => None,
        };
        let Some(card) = card else {
            return Ok(Err("it was not read, and whose it is is not known".to_owned()));
        };
        if !card.client.allows(Channel::Email) {
            return Ok(Err("it was not read, and the client does not want mails".to_owned()));
        }
        let proved = card
            .identifiers
            .into_iter()
            .find(|held| held.identifier.kind == IdentifierKind::Email && held.level == Level::Proved);
        Ok(match proved {
            Some(held) => Ok((mailbox.clone(), held.identifier)),
            None => Err("it was not read, and no address of the client is proved".to_owned()),
        })
    }

    fn attempts(&self) -> Kv {
        self.bus.kv(&ATTEMPTS)
    }

    async fn tell(&self, feed_position: i64) {
        (self.wake)(feed_position);
        self.bus.hint(u64::try_from(feed_position).unwrap_or(0)).await;
    }
}

/// Whoever has this key has the try.
fn attempt_key(reply: EntryId, attempt: u32) -> String {
    format!("{}.{attempt}", reply.uuid().simple())
}

/// The event of how a try ended.
fn fact(source: SourceName, change: ReplyChange, now: Timestamp) -> Event {
    Event {
        key: EventKey { source, id: format!("{}:{}:{}", change.reply, change.attempt, change.fate.as_str()) },
        contact: ContactKey(format!("desk/{}", change.reply)),
        occurred_at: now,
        received_at: now,
        traceparent: None,
        direction: Direction::Outbound,
        trust: Trust::Verified,
        from: None,
        to: Vec::new(),
        content: Content::Reply(change),
        raw: None,
    }
}

/// `reply.v1.email.support` → `email/support`.
fn source_of(subject: &str) -> Option<SourceName> {
    let (channel, name) = subject.strip_prefix("reply.v1.")?.split_once('.')?;
    SourceName::new(channel.parse().ok()?, name).ok()
}
