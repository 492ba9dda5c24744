//! Many calls at once, each told until it was taken, and the account of what was told.
//!
//! Neither the calls nor the facts of a call come in the order in which they happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::pbx::{Call, Pbx};
use crate::random::Random;

/// How many facts of each call were taken, by the call's id.
pub type Facts = BTreeMap<String, usize>;

const PATIENCE: Duration = Duration::from_secs(120);

/// Several phone systems that tell of calls, in no particular order of their facts.
#[derive(Debug)]
pub struct Load {
    tracker: TaskTracker,
    told: watch::Receiver<Told>,
    facts: Facts,
}

/// How it went so far.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    taken: usize,
    repeated: usize,
    slowest: Duration,
}

impl Load {
    /// Begins to tell of the calls numbered `calls`; each hook goes to one of `pbxs`, by its call.
    pub fn start(pbxs: &[Pbx], calls: std::ops::Range<usize>, random: &mut Random) -> Self {
        const SENDERS: usize = 4;
        let (sender, told) = watch::channel(Told::default());
        let (sender, tracker) = (Arc::new(sender), TaskTracker::new());
        let mut facts = Facts::new();
        let mut shares: Vec<Vec<_>> = vec![Vec::new(); SENDERS];
        let mut calls: Vec<_> = calls.collect();
        random.shuffle(&mut calls);
        for (place, nth) in calls.into_iter().enumerate() {
            let call = Call::nth(nth);
            let mut hooks = if random.below(2) == 0 { call.missed() } else { call.answered() };
            if random.below(3) == 0 {
                random.shuffle(&mut hooks);
            }
            facts.insert(call.id, hooks.len());
            shares[place % SENDERS].push((place % pbxs.len(), hooks));
        }
        for share in shares {
            let (pbxs, sender) = (pbxs.to_vec(), sender.clone());
            tracker.spawn(async move {
                for (whose, hooks) in share {
                    for hook in hooks {
                        let began = Instant::now();
                        let tries = pbxs[whose].insists(&hook).await;
                        sender.send_modify(|told| {
                            told.taken += 1;
                            told.repeated += tries - 1;
                            told.slowest = told.slowest.max(began.elapsed());
                        });
                    }
                }
            });
        }
        tracker.close();
        Self { tracker, told, facts }
    }

    /// How many hooks there are in all.
    pub fn hooks(&self) -> usize {
        self.facts.values().sum()
    }

    /// Waits until so many hooks were taken.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn reaches(&self, hooks: usize) {
        let mut told = self.told.clone();
        let reached = tokio::time::timeout(PATIENCE, told.wait_for(|told| told.taken >= hooks)).await;
        // An error inside: the senders are gone, and not because they were done.
        let well = matches!(reached, Ok(Ok(_)));
        assert!(well, "not {hooks} hooks were taken: {:?}", *self.told.borrow());
    }

    /// Waits until everything was taken, and gives the account.
    pub async fn finish(self) -> Facts {
        self.reaches(self.hooks()).await;
        self.tracker.wait().await;
        self.facts
    }

    /// As [`Load::finish`], where nothing may have to be told twice or wait for longer than `limit`.
    ///
    /// # Panics
    /// When something had to.
    pub async fn finish_at_once(self, limit: Duration) -> Facts {
        let watch = self.told.clone();
        let facts = self.finish().await;
        let told = *watch.borrow();
        assert!(told.repeated == 0 && told.slowest < limit, "hooks are taken at once, but: {told:?}");
        facts
    }
}
