//! What is due, decided over a real store and a real broker, with a clock of our own.

use std::sync::Mutex;

use connector::testing::MemoryIntake;
use contact::{ChatChange, ChatFact, ConversationId, Party, Permission};
use timeline::{EntryKind, FindConversations, Page};

use super::*;
use crate::harness::Nats;

const OLENA: &str = "olena@example.com";

/// A house with one chat in it.
struct House {
    nats: Nats,
    dispatcher: Dispatcher,
    now: Arc<Mutex<Timestamp>>,
}

impl House {
    /// With a visitor whose token proves `email`, who wrote a line; unread answers go by `mailbox`.
    async fn with(email: Option<&str>, mailbox: bool) -> Self {
        let nats = Nats::start().await;
        let url = format!("sqlite://{}", nats.dir.path().join("house.db").display());
        let store = store::open(&url, store::Options::default()).await.unwrap();
        let now = Arc::new(Mutex::new("2026-11-21T12:00:00Z".parse().unwrap()));
        let told = now.clone();
        let site: SourceName = "chat/site".parse().unwrap();
        let by_mail = mailbox.then(|| (site.clone(), "email/support".parse().unwrap()));
        let dispatcher = Dispatcher {
            store,
            bus: nats.bus().await,
            policy: Arc::new(timeline::Policy::default()),
            clock: Arc::new(move || *told.lock().unwrap()),
            by_mail: by_mail.into_iter().collect(),
            handed: HashMap::new(),
            wake: Arc::new(|_| {}),
        };
        let house = Self { nats, dispatcher, now };
        let party =
            |kind, value: &str| Party { kind, value: Some(value.into()), raw: value.into(), name: None };
        let line = ChatChange {
            fact: ChatFact::Line { message_id: "m1".into(), text: "Hello".into() },
            proved: email.map(|email| party(IdentifierKind::Email, email)).into_iter().collect(),
            claimed: Vec::new(),
            page: None,
        };
        let now = house.now();
        let event = Event {
            key: EventKey { source: site.clone(), id: "v:m1:0".into() },
            contact: ContactKey::new(&site, "v/s1"),
            direction: Direction::Inbound,
            from: Some(party(IdentifierKind::Visitor, "site:v")),
            content: Content::Chat(Box::new(line)),
            ..fact(site, change(entry(1), ReplyFate::Sent), now)
        };
        house.record(event).await;
        house
    }

    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    async fn record(&self, event: Event) {
        record(
            self.dispatcher.store.as_ref(),
            &timeline::Policy::default(),
            vec![Arrival::new(event, self.now())],
            Vec::new(),
        )
        .await
        .unwrap();
    }

    async fn conversation(&self) -> ConversationId {
        let page = Page { after: None, limit: 10 };
        let found = self.dispatcher.store.conversations(&FindConversations::default(), page).await.unwrap();
        found[0].conversation.id
    }

    /// An agent answers.
    async fn answer(&self) -> EntryId {
        let deed = Deed::Reply { conversation: self.conversation().await, text: "Good morning".into() };
        self.does("reply", deed).await.entry
    }

    /// An agent's act at this moment.
    async fn does(&self, what: &str, deed: Deed) -> timeline::act::Acted {
        let now = self.now();
        let key = EventKey { source: "desk/api".parse().unwrap(), id: format!("{what}:{now}") };
        let event = event(key, Act { by: Actor::Agent("mia".into()), deed }, now);
        let (store, policy) = (self.dispatcher.store.as_ref(), Policy::default());
        act(store, &policy, Arrival::new(event, now)).await.unwrap()
    }

    async fn told(&self, reply: EntryId, attempt: u32, fate: ReplyFate) {
        let change = ReplyChange { attempt, ..change(reply, fate) };
        self.record(fact("chat/site".parse().unwrap(), change, self.now())).await;
    }

    async fn round(&mut self) {
        self.dispatcher.round().await.unwrap();
    }

    fn later(&self, minutes: i64) {
        *self.now.lock().unwrap() += SignedDuration::from_mins(minutes);
    }

    async fn due(&self) -> Vec<Reply> {
        self.dispatcher.store.due_replies(self.now(), 10).await.unwrap()
    }

    async fn leave(self) {
        drop(self.dispatcher);
        self.nats.leave().await;
    }
}

fn entry(nth: u8) -> EntryId {
    format!("ent_0198b2c3d4e5700080000000000000{nth:02x}").parse().unwrap()
}

fn change(reply: EntryId, fate: ReplyFate) -> ReplyChange {
    ReplyChange { reply, attempt: 1, fate, detail: None, message_id: None }
}

#[tokio::test]
async fn an_unread_answer_goes_by_mail_where_an_address_is_proved() {
    let mut house = House::with(Some(OLENA), true).await;
    let reply = house.answer().await;
    house.told(reply, 1, ReplyFate::Sent).await;
    house.later(9);
    house.round().await;
    assert!(house.due().await.is_empty(), "it has its while to be read");
    house.later(2);
    house.round().await;
    let due = house.due().await;
    let [mail] = due.as_slice() else { panic!("one mail: {due:?}") };
    assert_eq!((mail.source.as_str(), mail.order.to.as_str()), ("email/support", OLENA));
    assert_eq!((mail.instead_of, mail.order.text.as_str()), (Some(reply), "Good morning"));
    let client = mail.client.unwrap();
    let page = Page { after: None, limit: 10 };
    let shown = house.dispatcher.store.timeline(client, None, page).await.unwrap();
    assert_eq!(shown.iter().filter(|entry| entry.kind == EntryKind::Reply).count(), 2);
    house.round().await;
    assert_eq!(house.due().await.len(), 1, "once");
    house.leave().await;
}

#[tokio::test]
async fn an_unread_answer_stays_where_it_is_without_a_way_and_a_read_one_is_let_be() {
    for (email, mailbox, why) in
        [(None, true, "no address of the client is proved"), (Some(OLENA), false, "names no mailbox")]
    {
        let mut house = House::with(email, mailbox).await;
        let reply = house.answer().await;
        house.told(reply, 1, ReplyFate::Sent).await;
        house.later(11);
        house.round().await;
        assert!(house.due().await.is_empty());
        let found = house.dispatcher.store.conversation(house.conversation().await).await.unwrap().unwrap();
        let content = found.last_entry.unwrap().content;
        assert!(content.contains(why), "{content}");
        house.leave().await;
    }
    let mut house = House::with(Some(OLENA), true).await;
    let reply = house.answer().await;
    house.told(reply, 1, ReplyFate::Sent).await;
    let site: SourceName = "chat/site".parse().unwrap();
    let read =
        ChatChange { fact: ChatFact::Read { seq: 2 }, proved: Vec::new(), claimed: Vec::new(), page: None };
    let party =
        Party { kind: IdentifierKind::Visitor, value: Some("site:v".into()), raw: "v".into(), name: None };
    house
        .record(Event {
            key: EventKey { source: site.clone(), id: "v:read:2".into() },
            contact: ContactKey::new(&site, "v/s1"),
            direction: Direction::Inbound,
            from: Some(party),
            content: Content::Chat(Box::new(read)),
            ..fact(site, change(reply, ReplyFate::Sent), house.now())
        })
        .await;
    house.later(11);
    house.round().await;
    assert!(house.due().await.is_empty(), "it was read");
    house.leave().await;
}

#[tokio::test]
async fn a_try_nobody_tells_the_end_of_has_ended_in_doubt_and_is_followed_by_one_more() {
    let mut house = House::with(None, false).await;
    let reply = house.answer().await;
    house.round().await;
    assert!(house.dispatcher.handed.contains_key(&(reply, 1)));
    house.begun(reply, 1).await;
    house.later(9);
    house.round().await;
    assert_eq!(house.due().await[0].attempts, 0, "it may still be told");
    house.later(2);
    house.round().await;
    assert!(house.due().await.is_empty(), "whatever was recorded of it has time to arrive");
    house.later(16);
    house.round().await;
    assert!(house.dispatcher.handed.contains_key(&(reply, 2)), "one more try");
    house.begun(reply, 2).await;
    house.later(11);
    house.round().await;
    house.later(60 * 24);
    house.round().await;
    assert!(house.due().await.is_empty(), "and no third");
    house.leave().await;
}

/// Sends everything, and counts.
#[derive(Default)]
struct Sends(Mutex<Vec<u32>>);

#[async_trait]
impl Courier for Sends {
    async fn deliver(&self, order: &Order) -> Tried {
        self.0.lock().unwrap().push(order.attempt);
        Tried { fate: ReplyFate::Sent, detail: None, message_id: None }
    }
}

#[tokio::test]
async fn a_try_nobody_took_is_withdrawn_so_that_a_late_courier_sends_the_answer_once() {
    let mut house = House::with(None, false).await;
    let reply = house.answer().await;
    house.round().await;
    let first = house.due().await[0].next_order();
    house.later(11);
    house.round().await;
    let content = house.shown(reply).await;
    for part in ["\"state\":\"deferred\"", "nobody who sends by chat/site took the try"] {
        assert!(content.contains(part), "{content}");
    }
    house.later(2);
    house.round().await;
    assert!(house.dispatcher.handed.contains_key(&(reply, 2)), "another follows");
    let second = house.due().await[0].next_order();

    // The couriers are back, and find both on the bus.
    let (sends, intake) = (Arc::new(Sends::default()), Arc::new(MemoryIntake::default()));
    let told = house.now.clone();
    let couriers = Couriers {
        couriers: [("chat/site".parse().unwrap(), sends.clone() as Arc<dyn Courier>)].into(),
        attempts: house.dispatcher.attempts(),
        intake: intake.clone(),
        clock: Arc::new(move || *told.lock().unwrap()),
        stop: CancellationToken::new(),
    };
    for order in [&first, &second, &second] {
        let delivery = Delivery {
            subject: "reply.v1.chat.site".into(),
            payload: serde_json::to_vec(order).unwrap().into(),
            stream_seq: 1,
            delivered: 1,
        };
        couriers.handle(&[delivery]).await.unwrap();
    }
    assert_eq!(*sends.0.lock().unwrap(), [2]);
    assert_eq!(intake.accepted().len(), 1);
    house.leave().await;
}

impl House {
    /// The client said so about this channel.
    async fn denies(&self, channel: Channel) {
        let found = self.dispatcher.store.conversation(self.conversation().await).await.unwrap().unwrap();
        let deed = Deed::Change {
            client: found.client.unwrap().client.id,
            name: None,
            channels: vec![(channel, Permission::Deny)],
            preferred_channel: None,
            language: None,
            hours: None,
        };
        self.does("deny", deed).await;
    }

    /// Some process took the try.
    async fn begun(&self, reply: EntryId, attempt: u32) {
        assert!(self.dispatcher.attempts().take_once(&attempt_key(reply, attempt)).await.unwrap());
    }

    /// What its entry shows of an answer.
    async fn shown(&self, reply: EntryId) -> String {
        let found = self.dispatcher.store.conversation(self.conversation().await).await.unwrap().unwrap();
        let page = Page { after: None, limit: 10 };
        let client = found.client.unwrap().client.id;
        let entries = self.dispatcher.store.timeline(client, None, page).await.unwrap();
        entries.into_iter().find(|entry| entry.id == reply).unwrap().content
    }
}

#[tokio::test]
async fn what_the_client_denied_meanwhile_is_not_tried_again() {
    let mut house = House::with(Some(OLENA), true).await;
    let chat = house.answer().await;
    house.told(chat, 1, ReplyFate::Sent).await;
    house.later(11);
    house.round().await;
    let mail = house.due().await[0].id;
    house.round().await;
    assert!(house.dispatcher.handed.contains_key(&(mail, 1)), "the first try");
    house.told(mail, 1, ReplyFate::Deferred).await;
    house.denies(Channel::Email).await;
    house.later(2);
    assert_eq!(house.due().await.len(), 1);
    house.round().await;
    assert!(house.due().await.is_empty() && house.dispatcher.handed.is_empty(), "nothing more is tried");
    let content = house.shown(mail).await;
    for part in ["\"state\":\"failed\"", "the client does not want to be reached by email"] {
        assert!(content.contains(part), "{content}");
    }
    house.leave().await;
}

#[tokio::test]
async fn what_was_not_tried_yet_when_it_was_denied_is_not_tried_at_all() {
    let mut house = House::with(None, false).await;
    let reply = house.answer().await;
    house.denies(Channel::Chat).await;
    house.round().await;
    assert!(house.due().await.is_empty() && house.dispatcher.handed.is_empty());
    let content = house.shown(reply).await;
    assert!(content.contains("the client does not want to be reached by chat"), "{content}");
    house.leave().await;
}

#[tokio::test]
async fn an_unread_answer_stays_in_the_chat_where_mails_are_denied() {
    let mut house = House::with(Some(OLENA), true).await;
    let reply = house.answer().await;
    house.told(reply, 1, ReplyFate::Sent).await;
    house.denies(Channel::Email).await;
    house.later(11);
    house.round().await;
    assert!(house.due().await.is_empty());
    let content = house.shown(reply).await;
    assert!(content.contains("it was not read, and the client does not want mails"), "{content}");
    house.leave().await;
}
