//! Hints that the feed has grown. The table is the truth: a lost hint costs a moment.

use std::time::Duration;

use futures::StreamExt;
use tokio::sync::watch;
use tracing::debug;

use crate::conn::Session;
use crate::publish::Bus;
use crate::topology::HINTS;

/// A hint is worth no more waiting than this.
const BRIEFLY: Duration = Duration::from_millis(50);

impl Bus {
    /// Tells whoever listens that the feed has reached `position`. Best effort.
    pub async fn hint(&self, position: u64) {
        let Some(session) = self.conn.session() else { return };
        let publish = session.client.publish(HINTS, position.to_string().into());
        match tokio::time::timeout(BRIEFLY, publish).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!("a hint was not sent: {error}"),
            Err(_) => debug!("a hint was not sent in time"),
        }
    }

    /// The last position hinted; 0 before the first. It is also marked as changed whenever
    /// listening begins (again), because hints may have been missed: read the table then.
    pub fn hints(&self) -> watch::Receiver<u64> {
        let (sender, receiver) = watch::channel(0);
        let bus = self.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = bus.stop.cancelled() => {}
                // Nobody listens any more.
                () = sender.closed() => {}
                () = bus.listen(&sender) => {}
            }
        });
        receiver
    }

    async fn listen(&self, sender: &watch::Sender<u64>) {
        let mut link = self.link();
        while let Some(session) = self.conn.wait().await {
            self.hear(&session, sender).await;
            session.condemn();
            if link.wait_for(|link| link.generation > session.generation).await.is_err() {
                return;
            }
        }
    }

    /// Until the session is gone.
    async fn hear(&self, session: &Session, sender: &watch::Sender<u64>) {
        let mut hints = match session.client.subscribe(HINTS).await {
            Ok(hints) => hints,
            Err(error) => return debug!("could not listen for hints: {error}"),
        };
        // An answer to a later question means that the broker has seen the subscription.
        if let Err(error) = session.js.query_account().await {
            return debug!("could not listen for hints: {error}");
        }
        sender.send_modify(|_| {});
        loop {
            let hint = tokio::select! {
                () = session.gone.cancelled() => return,
                hint = hints.next() => hint,
            };
            let Some(hint) = hint else { return };
            let position = std::str::from_utf8(&hint.payload).ok().and_then(|text| text.parse().ok());
            match position {
                Some(position) => {
                    sender.send_replace(position);
                }
                None => debug!("a hint that is no position was ignored"),
            }
        }
    }
}
