//! What chats need of the house: the recorded lines, and signs of life between processes.

use std::sync::Arc;

use async_trait::async_trait;
use bus::Bus;
use bytes::Bytes;
use connector::{Head, Line, Live, Signal, Thread, ThreadAway};
use serde::{Deserialize, Serialize};
use timeline::Store;
use tokio::sync::broadcast;
use tokio_util::task::TaskTracker;

use crate::storeroom::StoreSlot;

/// Signs a slow socket may lag behind before it misses some; it re-reads now and then anyway.
const KEPT: usize = 1024;

/// The recorded chats, as soon as the store can be had.
pub(crate) struct RecordedChats(pub(crate) StoreSlot);

impl RecordedChats {
    fn store(&self) -> Result<Arc<dyn Store>, ThreadAway> {
        let store = self.0.borrow().clone();
        store.ok_or_else(|| ThreadAway("the store is not open yet".to_owned()))
    }
}

fn away(error: timeline::StoreError) -> ThreadAway {
    ThreadAway(format!("{:#}", anyhow::Error::new(error)))
}

#[async_trait]
impl Thread for RecordedChats {
    async fn head(&self, visitor: &str) -> Result<Option<Head>, ThreadAway> {
        let found = self.store()?.chat(visitor).await.map_err(away)?;
        Ok(found.map(|view| Head {
            seq: view.chat.seq,
            session: view.chat.session,
            last_at: view.chat.last_at,
            resolved: view.resolved,
            read: view.chat.read,
        }))
    }

    async fn lines(&self, visitor: &str, after: i64, limit: usize) -> Result<Vec<Line>, ThreadAway> {
        let lines = self.store()?.chat_lines(visitor, after, limit).await.map_err(away)?;
        let line = |line: timeline::ChatLine| Line {
            seq: line.seq,
            id: line.message_id,
            agent: line.agent,
            text: line.text,
            at: line.at,
        };
        Ok(lines.into_iter().map(line).collect())
    }
}

/// Signs of life over the bus. What is told here is heard here at once, whatever the bus does.
#[derive(Clone)]
pub(crate) struct Signs {
    bus: Bus,
    /// Which process says it, to know one's own echo.
    origin: Arc<str>,
    heard: broadcast::Sender<Signal>,
    house: TaskTracker,
}

#[derive(Serialize, Deserialize)]
struct Said<'a> {
    origin: std::borrow::Cow<'a, str>,
    signal: Signal,
}

impl Signs {
    pub(crate) fn start(bus: Bus, origin: String, house: TaskTracker) -> Self {
        let (heard, _) = broadcast::channel(KEPT);
        let signs = Self { bus, origin: origin.into(), heard, house };
        let mut said = signs.bus.signals().subscribe();
        let hearing = signs.clone();
        signs.house.spawn(async move {
            loop {
                match said.recv().await {
                    Ok(bytes) => hearing.hear(&bytes),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        signs
    }

    fn hear(&self, bytes: &[u8]) {
        if let Ok(said) = serde_json::from_slice::<Said<'_>>(bytes)
            && *said.origin != *self.origin
        {
            // Nobody here may be listening.
            self.heard.send(said.signal).ok();
        }
    }
}

impl Live for Signs {
    fn tell(&self, signal: Signal) {
        let said = Said { origin: std::borrow::Cow::Borrowed(&self.origin), signal: signal.clone() };
        self.heard.send(signal).ok();
        if let Ok(bytes) = serde_json::to_vec(&said) {
            let bus = self.bus.clone();
            self.house.spawn(async move { bus.signal(Bytes::from(bytes)).await });
        }
    }

    fn listen(&self) -> broadcast::Receiver<Signal> {
        self.heard.subscribe()
    }
}
