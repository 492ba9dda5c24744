//! How much of the feed goes to a page before somebody's eyes: all of it in quiet times, and in a flood what
//! concerns them before all others, and that the rest was left out. [`Screen`] is pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use timeline::FeedKind;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::metrics::skipped;
use crate::pages::Frame;

/// In bytes, and in bytes a second: what a screen is told at once and in the long run.
const BURST: usize = 256 * 1024;
const PER_S: usize = 512 * 1024;
/// So long everything is left out once it was too much, before the screen is told to read anew.
const GAP: Duration = Duration::from_secs(1);

/// What one screen was told, and what not.
pub(crate) struct Screen {
    agent: String,
    /// What it may be told now, in bytes, as of a moment.
    left: usize,
    at: Instant,
    gap: Option<Gap>,
}

/// A stretch that is left out.
struct Gap {
    after: i64,
    until: Instant,
}

/// What was found in a stretch of the feed.
#[derive(Default)]
pub(crate) struct Found {
    /// What a screen shows, up to a little more than it may be told.
    all: Vec<u8>,
    /// Of that what concerns its agent before all others, without ids: nobody is to come back behind it.
    theirs: Vec<u8>,
}

impl Screen {
    /// The screen of this agent.
    pub(crate) fn of(agent: String, now: Instant) -> Self {
        Self { agent, left: BURST, at: now, gap: None }
    }

    /// Looks at one change more.
    pub(crate) fn look(&self, frame: &Frame, found: &mut Found) {
        let is_theirs = frame.to.contains(&self.agent);
        if frame.kind == FeedKind::Reservation && !is_theirs {
            return;
        }
        if is_theirs {
            found.theirs.extend_from_slice(frame.without_id());
        }
        if found.all.len() <= self.most() {
            found.all.extend_from_slice(&frame.bytes);
        }
    }

    /// What to send of the stretch from `after` to `end`, once it was looked through.
    pub(crate) fn settle(&mut self, found: Found, after: i64, end: i64, now: Instant) -> Vec<u8> {
        let is_too_much = found.all.len() > self.most();
        if is_too_much {
            self.gap.get_or_insert(Gap { after, until: now + GAP });
        }
        let mut chunk = if is_too_much { found.theirs } else { found.all };
        if let Some(gap) = self.gap.take_if(|gap| gap.until <= now) {
            let after = gap.after;
            let said =
                format!("id: {end}\nevent: skipped\ndata: {{\"after\":{after},\"position\":{end}}}\n\n");
            chunk.extend(said.into_bytes());
            skipped();
        }
        let since = usize::try_from(now.duration_since(self.at).as_millis()).unwrap_or(usize::MAX);
        self.left = self.left.saturating_add(since.saturating_mul(PER_S / 1_000)).min(BURST);
        self.left = self.left.saturating_sub(chunk.len());
        self.at = now;
        chunk
    }

    /// Whoever comes back from far behind is told at once to read anew.
    pub(crate) fn leave_out(&mut self, after: i64, now: Instant) {
        self.gap.get_or_insert(Gap { after, until: now }).until = now;
    }

    /// When it is to be told what was left out; `None` while nothing is.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.gap.as_ref().map(|gap| gap.until)
    }

    fn most(&self) -> usize {
        if self.gap.is_some() { 0 } else { self.left }
    }
}

/// The open screens, by their agents: what concerns somebody before all others is told to them without delay.
#[derive(Default)]
pub(crate) struct Screens(Mutex<BTreeMap<String, Vec<Arc<Notify>>>>);

/// How one open screen hears of it; its end is the screen's.
pub(crate) struct Hurry {
    screens: Arc<Screens>,
    agent: String,
    bell: Arc<Notify>,
}

impl Screens {
    /// A screen of this agent opens.
    pub(crate) fn open(self: &Arc<Self>, agent: &str) -> Hurry {
        let bell = Arc::new(Notify::new());
        self.bells().entry(agent.to_owned()).or_default().push(Arc::clone(&bell));
        Hurry { screens: Arc::clone(self), agent: agent.to_owned(), bell }
    }

    /// Something is there that concerns these agents before all others.
    pub(crate) fn hurry(&self, agents: &BTreeSet<String>) {
        let bells = self.bells();
        agents.iter().filter_map(|agent| bells.get(agent)).flatten().for_each(|bell| bell.notify_one());
    }

    fn bells(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Arc<Notify>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hurry {
    /// Waits until something is there; what came since the last time counts too.
    pub(crate) async fn heard(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Hurry {
    fn drop(&mut self) {
        let mut bells = self.screens.bells();
        if let Some(theirs) = bells.get_mut(&self.agent) {
            theirs.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
            if theirs.is_empty() {
                bells.remove(&self.agent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(position: i64, kind: FeedKind, to: &[&str], size: usize) -> Frame {
        let text = format!("id: {position}\nevent: {kind}\ndata: {}\n\n", "x".repeat(size));
        let to = to.iter().map(|name| (*name).to_owned()).collect();
        Frame { kind, to, bytes: text.into_bytes().into() }
    }

    fn told(screen: &mut Screen, frames: &[Frame], after: i64, now: Instant) -> String {
        let mut found = Found::default();
        frames.iter().for_each(|frame| screen.look(frame, &mut found));
        let end = after + i64::try_from(frames.len()).unwrap();
        String::from_utf8(screen.settle(found, after, end, now)).unwrap()
    }

    #[test]
    fn offers_to_others_are_left_out() {
        let began = Instant::now();
        let mut screen = Screen::of("mia".to_owned(), began);
        let frames = [
            frame(1, FeedKind::Conversation, &[], 3),
            frame(2, FeedKind::Reservation, &["bo"], 3),
            frame(3, FeedKind::Reservation, &["mia"], 3),
        ];
        let told = told(&mut screen, &frames, 0, began);
        assert_eq!(told, "id: 1\nevent: conversation\ndata: xxx\n\nid: 3\nevent: reservation\ndata: xxx\n\n");
    }

    #[test]
    fn in_a_flood_they_are_told_their_own_and_a_second_later_what_was_left_out() {
        let began = Instant::now();
        let mut screen = Screen::of("mia".to_owned(), began);
        let mut flood: Vec<Frame> = (1..=300).map(|n| frame(n, FeedKind::Entry, &[], 1_000)).collect();
        flood.push(frame(301, FeedKind::Reservation, &["mia"], 3));
        flood.push(frame(302, FeedKind::Reservation, &["bo"], 3));
        let mine = "event: reservation\ndata: xxx\n\n";
        assert_eq!(told(&mut screen, &flood, 0, began), mine, "without an id");
        assert_eq!(screen.due(), Some(began + GAP));
        let soon = began + GAP / 2;
        assert_eq!(
            told(&mut screen, &[frame(303, FeedKind::Entry, &[], 1)], 302, soon),
            "",
            "also what is little"
        );
        let then = told(&mut screen, &[], 303, began + GAP);
        assert_eq!(then, "id: 303\nevent: skipped\ndata: {\"after\":0,\"position\":303}\n\n");
        assert_eq!(screen.due(), None);
        let after = told(&mut screen, &[frame(304, FeedKind::Entry, &[], 1)], 303, began + GAP);
        assert_eq!(after, "id: 304\nevent: entry\ndata: x\n\n", "and it goes on");
    }

    #[test]
    fn in_the_long_run_a_screen_is_told_so_much_a_second() {
        let began = Instant::now();
        let mut screen = Screen::of("mia".to_owned(), began);
        let (mut bytes, mut position) = (0, 0);
        for n in 0..1_000 {
            let frames = [frame(position + 1, FeedKind::Entry, &[], 16 * 1_024)];
            bytes += told(&mut screen, &frames, position, began + Duration::from_millis(10 * n)).len();
            position += 1;
        }
        assert!((PER_S..=10 * PER_S + BURST).contains(&bytes), "{bytes} in ten seconds");
    }

    #[test]
    fn who_comes_from_far_behind_reads_anew_at_once() {
        let began = Instant::now();
        let mut screen = Screen::of("mia".to_owned(), began);
        screen.leave_out(7, began);
        let told = told(&mut screen, &[], 9_000, began);
        assert_eq!(told, "id: 9000\nevent: skipped\ndata: {\"after\":7,\"position\":9000}\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn what_concerns_somebody_hurries_their_screens_and_no_others() {
        let screens = Arc::new(Screens::default());
        let (first, second, other) = (screens.open("mia"), screens.open("mia"), screens.open("bo"));
        screens.hurry(&BTreeSet::from(["mia".to_owned(), "nobody".to_owned()]));
        first.heard().await;
        second.heard().await;
        tokio::time::timeout(Duration::from_secs(1), other.heard()).await.unwrap_err();
        drop((first, second));
        assert_eq!(screens.bells().len(), 1, "nothing is kept of a screen that was closed");
    }
}
