//! Signs of life, from wherever they are told to whoever of a visitor is connected here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use connector::{Live, Sign, Signal, TaskError};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;

/// Everybody who is connected to this process, by visitor.
#[derive(Default)]
pub(crate) struct Hub {
    rooms: Mutex<HashMap<String, Vec<Arc<Inbox>>>>,
}

/// What happened since one connection last looked: never more than the latest of each kind, so a slow
/// connection holds no memory.
#[derive(Default)]
pub(crate) struct Inbox {
    news: Mutex<News>,
    bell: Notify,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// There may be new lines.
    pub(crate) lines: bool,
    /// This agent is writing.
    pub(crate) typing: Option<String>,
    /// The visitor has read so far.
    pub(crate) read: Option<i64>,
}

/// One connection's place in the hub, left when dropped.
pub(crate) struct Listening {
    hub: Arc<Hub>,
    visitor: String,
    inbox: Arc<Inbox>,
}

impl Hub {
    /// From now on everything told about `visitor` reaches this connection.
    pub(crate) fn join(self: &Arc<Self>, visitor: &str) -> Listening {
        let inbox = Arc::<Inbox>::default();
        self.rooms().entry(visitor.to_owned()).or_default().push(inbox.clone());
        Listening { hub: self.clone(), visitor: visitor.to_owned(), inbox }
    }

    /// Passes on what is told, until nobody can tell anything any more.
    pub(crate) async fn run(&self, live: &dyn Live) -> Result<(), TaskError> {
        let mut signals = live.listen();
        // Whatever was told before we listened.
        self.wake_all();
        loop {
            match signals.recv().await {
                Ok(signal) => self.pass(&signal),
                // Some were missed; what is recorded tells which.
                Err(RecvError::Lagged(_)) => self.wake_all(),
                Err(RecvError::Closed) => return Err("nobody tells of new lines any more".into()),
            }
        }
    }

    fn pass(&self, signal: &Signal) {
        let rooms = self.rooms();
        for inbox in rooms.get(&signal.visitor).into_iter().flatten() {
            inbox.put(&signal.what);
        }
    }

    fn wake_all(&self) {
        for inbox in self.rooms().values().flatten() {
            inbox.put(&Sign::Lines);
        }
    }

    fn rooms(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Arc<Inbox>>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn put(&self, sign: &Sign) {
        {
            let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
            match sign {
                Sign::Lines => news.lines = true,
                Sign::Typing { agent: Some(agent) } => news.typing = Some(agent.clone()),
                // The visitor's own writing, which is news for agents only.
                Sign::Typing { agent: None } => return,
                Sign::Read { seq } => news.read = news.read.max(Some(*seq)),
            }
        }
        self.bell.notify_one();
    }
}

impl Listening {
    /// Waits until something happened, and takes it. Nothing is lost when this is dropped.
    pub(crate) async fn news(&self) -> News {
        loop {
            let news = std::mem::take(&mut *self.inbox.news.lock().unwrap_or_else(PoisonError::into_inner));
            if news != News::default() {
                return news;
            }
            self.inbox.bell.notified().await;
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut rooms = self.hub.rooms();
        if let Some(room) = rooms.get_mut(&self.visitor) {
            room.retain(|inbox| !Arc::ptr_eq(inbox, &self.inbox));
            if room.is_empty() {
                rooms.remove(&self.visitor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt as _, poll};
    use tokio::sync::broadcast;

    struct Wire(broadcast::Sender<Signal>);

    impl Live for Wire {
        fn tell(&self, signal: Signal) {
            self.0.send(signal).unwrap();
        }

        fn listen(&self) -> broadcast::Receiver<Signal> {
            self.0.subscribe()
        }
    }

    fn sign(visitor: &str, what: Sign) -> Signal {
        Signal { visitor: visitor.into(), what }
    }

    #[tokio::test]
    async fn news_reach_every_connection_of_the_visitor_and_nobody_else() {
        let hub = Arc::<Hub>::default();
        let (first, second, other) = (hub.join("a"), hub.join("a"), hub.join("b"));
        hub.pass(&sign("a", Sign::Lines));
        hub.pass(&sign("a", Sign::Read { seq: 4 }));
        hub.pass(&sign("a", Sign::Read { seq: 3 }));
        hub.pass(&sign("a", Sign::Typing { agent: Some("Mia".into()) }));
        hub.pass(&sign("b", Sign::Typing { agent: None }));
        hub.pass(&sign("nobody", Sign::Lines));
        let expected = News { lines: true, typing: Some("Mia".into()), read: Some(4) };
        assert_eq!(first.news().await, expected);
        assert_eq!(second.news().await, expected);
        assert_eq!(*other.inbox.news.lock().unwrap(), News::default());
        drop((first, second, other));
        assert!(hub.rooms().is_empty(), "who left is not remembered");
    }
    #[tokio::test]
    async fn signs_that_were_missed_are_made_up_for() {
        let (hub, live) = (Arc::<Hub>::default(), Wire(broadcast::channel(4).0));
        let listening = hub.join("a");
        let mut run = std::pin::pin!(hub.run(&live));
        assert!(poll!(run.as_mut()).is_pending());
        let lines = News { lines: true, ..News::default() };
        assert_eq!(listening.news().now_or_never(), Some(lines.clone()), "what was told before we listened");
        live.tell(sign("a", Sign::Lines));
        for _ in 0..9 {
            live.tell(sign("b", Sign::Lines));
        }
        assert!(poll!(run.as_mut()).is_pending());
        assert_eq!(listening.news().now_or_never(), Some(lines), "what was told while we did not listen");
        live.tell(sign("b", Sign::Lines));
        assert!(poll!(run.as_mut()).is_pending());
        assert_eq!(listening.news().now_or_never(), None);
    }
}
