//! What is said and not kept: hints that the feed has grown, and signs of life about chats. The tables are
//! the truth: what is lost here costs a moment.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{broadcast, watch};
use tracing::debug;

use crate::conn::Session;
use crate::publish::Bus;
use crate::topology::{HINTS, SIGNALS};

/// A hint is worth no more waiting than this.
const BRIEFLY: Duration = Duration::from_millis(50);
/// Signs of life a slow listener may lag behind before it misses some.
const SIGNALS_KEPT: usize = 1024;

impl Bus {
    /// Tells whoever listens that the feed has reached `position`. Best effort.
    pub async fn hint(&self, position: u64) {
        self.say(HINTS, position.to_string().into()).await;
    }

    /// The last position hinted; 0 before the first. It is also marked as changed whenever
    /// listening begins (again), because hints may have been missed: read the table then.
    pub fn hints(&self) -> watch::Receiver<u64> {
        let (sender, receiver) = watch::channel(0);
        let bus = self.clone();
        self.tracker.spawn(async move {
            let heard = |said: Option<Bytes>| match said {
                None => sender.send_modify(|_| {}),
                Some(hint) => match std::str::from_utf8(&hint).ok().and_then(|text| text.parse().ok()) {
                    Some(position) => {
                        sender.send_replace(position);
                    }
                    None => debug!("a hint that is no position was ignored"),
                },
            };
            tokio::select! {
                () = bus.stop.cancelled() => {}
                // Nobody listens any more.
                () = sender.closed() => {}
                () = bus.listen(HINTS, heard) => {}
            }
        });
        receiver
    }

    /// Tells every process that listens. Best effort.
    pub async fn signal(&self, what: Bytes) {
        self.say(SIGNALS, what).await;
    }

    /// What anybody signals from now on, oneself included, until the bus stops. An empty one says that
    /// listening began (again), so that some may have been missed.
    pub fn signals(&self) -> broadcast::Sender<Bytes> {
        let (sender, _) = broadcast::channel(SIGNALS_KEPT);
        let (bus, heard) = (self.clone(), sender.clone());
        self.tracker.spawn(async move {
            let heard = |said: Option<Bytes>| {
                // Without listeners there is nobody to miss it.
                heard.send(said.unwrap_or_default()).ok();
            };
            tokio::select! {
                () = bus.stop.cancelled() => {}
                () = bus.listen(SIGNALS, heard) => {}
            }
        });
        sender
    }

    async fn say(&self, subject: &'static str, what: Bytes) {
        let Some(session) = self.conn.session() else { return };
        let publish = session.client.publish(subject, what);
        match tokio::time::timeout(BRIEFLY, publish).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!("a hint was not sent: {error}"),
            Err(_) => debug!("a hint was not sent in time"),
        }
    }

    /// Calls `heard` with everything said on `subject`, and with `None` whenever listening begins (again).
    async fn listen(&self, subject: &'static str, heard: impl Fn(Option<Bytes>)) {
        let mut link = self.link();
        while let Some(session) = self.conn.wait().await {
            hear(&session, subject, &heard).await;
            session.condemn();
            if link.wait_for(|link| link.generation > session.generation).await.is_err() {
                return;
            }
        }
    }
}

/// Until the session is gone.
async fn hear(session: &Session, subject: &'static str, heard: &impl Fn(Option<Bytes>)) {
    let mut said = match session.client.subscribe(subject).await {
        Ok(said) => said,
        Err(error) => return debug!("could not listen to {subject}: {error}"),
    };
    // An answer to a later question means that the broker has seen the subscription.
    if let Err(error) = session.js.query_account().await {
        return debug!("could not listen to {subject}: {error}");
    }
    heard(None);
    loop {
        let message = tokio::select! {
            () = session.gone.cancelled() => return,
            message = said.next() => message,
        };
        let Some(message) = message else { return };
        heard(Some(message.payload));
    }
}
