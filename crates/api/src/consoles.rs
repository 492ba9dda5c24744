//! Who is connected: the agents of whom a console follows the feed through this process.
//!
//! What the log says of it is made true by one task, [`attend`]: a stream that opens or ends only wakes it. A page
//! that is loaded anew is no parting, so the end of an agent's last stream counts after [`LINGER`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contact::{Deed, micros};
use timeline::act::ActError;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::App;
use crate::acts::done_by;
use crate::caller::token_id;
use crate::metrics::connected;
use crate::once::Asked;

/// So long after the last stream of an agent they are still connected: streams come back after two seconds.
const LINGER: Duration = Duration::from_secs(3);
/// How often the log is asked whether it still says so: a process that was silent for too long is taken for gone,
/// and its agents with it.
const CHECK: Duration = Duration::from_secs(10);
/// How long to leave a store alone that was away.
const AWAY: Duration = Duration::from_secs(1);

/// The consoles of this process, by the names of their agents. There are as many as there are streams at most.
#[derive(Default)]
pub(crate) struct Consoles {
    seats: Mutex<BTreeMap<String, Seat>>,
    changed: Notify,
}

/// What is known of one agent's consoles.
#[derive(Default)]
struct Seat {
    streams: usize,
    /// When the last of them ended; `None` while there is one.
    left_at: Option<Instant>,
    /// The log says that they are connected.
    said: bool,
}

impl Seat {
    fn is_taken(&self, now: Instant) -> bool {
        self.left_at.is_none_or(|left_at| now < left_at + LINGER)
    }
}

/// One open console; its end is the console's.
pub(crate) struct Console {
    consoles: Arc<Consoles>,
    agent: String,
}

impl Consoles {
    /// An agent opened a stream.
    pub(crate) fn open(self: &Arc<Self>, agent: &str) -> Console {
        let mut seats = self.seats();
        let seat = seats.entry(agent.to_owned()).or_default();
        (seat.streams, seat.left_at) = (seat.streams + 1, None);
        self.changed.notify_one();
        Console { consoles: Arc::clone(self), agent: agent.to_owned() }
    }

    fn seats(&self) -> MutexGuard<'_, BTreeMap<String, Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of whom the log is to say something else, and what. Who left and is known to have left is forgotten.
    fn news(&self, now: Instant) -> Vec<(String, bool)> {
        let mut seats = self.seats();
        seats.retain(|_, seat| seat.said || seat.is_taken(now));
        let news = seats.iter().filter(|(_, seat)| seat.said != seat.is_taken(now));
        news.map(|(agent, seat)| (agent.clone(), !seat.said)).collect()
    }

    fn said(&self, agent: &str, open: bool) {
        if let Some(seat) = self.seats().get_mut(agent) {
            seat.said = open;
        }
    }

    /// Forgets what was said of those whom the log does not call connected; gives whether there are any.
    fn doubt(&self, connected: &BTreeSet<String>) -> bool {
        let mut found = false;
        for (_, seat) in self.seats().iter_mut().filter(|(agent, _)| !connected.contains(*agent)) {
            found |= std::mem::take(&mut seat.said);
        }
        found
    }

    /// When somebody who left counts as gone.
    fn next_parting(&self) -> Option<Instant> {
        self.seats().values().filter_map(|seat| Some(seat.left_at? + LINGER)).min()
    }

    fn anybody(&self) -> bool {
        !self.seats().is_empty()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Some(seat) = self.consoles.seats().get_mut(&self.agent) {
            seat.streams = seat.streams.saturating_sub(1);
            if seat.streams == 0 {
                seat.left_at = Some(Instant::now());
            }
        }
        self.consoles.changed.notify_one();
    }
}

/// Says who came and who left, until the stop. Whoever is here then is found to be gone by our silence.
pub(crate) async fn attend(app: App) {
    let mut away = false;
    let mut check = Instant::now() + CHECK;
    loop {
        let told = tell(&app, &mut check).await;
        if let Err(error) = &told
            && !away
        {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(error = %error, cause, "cannot say who is connected; they count as before");
        }
        away = told.is_err();
        let next = match (away, app.consoles.anybody()) {
            (true, _) => Some(Instant::now() + AWAY),
            (false, true) => Some(app.consoles.next_parting().map_or(check, |parting| parting.min(check))),
            (false, false) => None,
        };
        let pause = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = pause => {}
            () = app.consoles.changed.notified(), if !away => {}
        }
    }
}

/// Makes the log say how it is.
async fn tell(app: &App, check: &mut Instant) -> Result<(), ActError> {
    if Instant::now() >= *check && app.consoles.anybody() {
        let here = app.store.agents().await?.into_iter().map(|view| view.agent);
        let ours = here.filter(|agent| agent.consoles.contains(&app.process));
        if app.consoles.doubt(&ours.map(|agent| agent.name).collect()) {
            tracing::info!("agents counted as gone though they are connected; saying so again");
        }
        *check = Instant::now() + CHECK;
    }
    for (agent, open) in app.consoles.news(Instant::now()) {
        let asked = Asked { id: token_id(&app.desk.secret()), at: micros((app.clock)()) };
        let deed = Deed::Connect { agent: agent.clone(), process: app.process.clone(), open };
        done_by(app, &agent, asked, deed).await?;
        app.consoles.said(&agent, open);
    }
    connected(app.consoles.seats().len());
    Ok(())
}
