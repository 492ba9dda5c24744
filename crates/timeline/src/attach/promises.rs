//! What bears on promises: what the client does, what we do, and which calls we owe.

use contact::{ClientId, ConversationId, Deadline, PromiseKind};
use jiff::Timestamp;
use routing::calendar::Calendars;
use routing::promise::{End, Fact};

use super::Desk;
use crate::clock::Clock;
use crate::model::{Callback, Conversation};

impl Desk<'_> {
    /// The client reached out.
    pub(super) fn acted(&mut self, id: ConversationId, at: Timestamp) {
        let Some(row) = self.known.conversations.get_mut(&id) else { return };
        if row.last_answer_at.is_none_or(|answered| answered < at) {
            row.waiting_since = Some(row.waiting_since.map_or(at, |since| since.min(at)));
        }
        let over =
            |clock: Option<&Clock>| clock.is_none_or(|clock| clock.ended().is_some_and(|(end, _)| end <= at));
        if let Some(first) = row.clocks.get_mut(&PromiseKind::FirstResponse) {
            first.fold(at, Fact::Acted);
        }
        let target =
            row.routing.as_ref().and_then(|routing| routing.promises.get(&PromiseKind::NextResponse));
        if let Some(target) = target
            && row.answered_at.is_some_and(|answered| answered < at)
            && over(row.clocks.get(&PromiseKind::FirstResponse))
        {
            if over(row.clocks.get(&PromiseKind::NextResponse)) {
                let mut clock = promised(PromiseKind::NextResponse, target, at);
                clock.follow(row.clocks.get(&PromiseKind::NextResponse));
                row.clocks.insert(PromiseKind::NextResponse, clock);
            }
            if let Some(next) = row.clocks.get_mut(&PromiseKind::NextResponse) {
                next.fold(at, Fact::Acted);
            }
        }
        self.stirred.insert(id);
    }

    /// A person of ours answered them there, in writing or by voice.
    pub(super) fn answered(&mut self, id: ConversationId, at: Timestamp) {
        let Some(row) = self.known.conversations.get_mut(&id) else { return };
        row.answered_at = Some(row.answered_at.map_or(at, |first| first.min(at)));
        row.last_answer_at = row.last_answer_at.max(Some(at));
        row.waiting_since = row.waiting_since.filter(|since| *since > at);
        for kind in [PromiseKind::FirstResponse, PromiseKind::NextResponse] {
            if let Some(clock) = row.clocks.get_mut(&kind) {
                clock.fold(at, Fact::Answered);
            }
        }
        self.stirred.insert(id);
    }

    /// What was written then never arrived: who wrote last at that moment waits still, unless somebody else
    /// answered them, and whatever was promised them is not kept by it.
    pub(super) fn unanswered(
        &mut self,
        id: ConversationId,
        at: Timestamp,
        wrote_at: Option<Timestamp>,
        now: Timestamp,
    ) {
        let Some(row) = self.known.conversations.get_mut(&id) else { return };
        let client = row.client;
        let [first, last] =
            [row.answered_at, row.last_answer_at].map(|answer| answer.filter(|one| *one != at));
        (row.answered_at, row.last_answer_at) = (first.or(last), last.or(first));
        let waits = wrote_at.filter(|wrote| row.last_answer_at.is_none_or(|answer| answer < *wrote));
        row.waiting_since = row.waiting_since.into_iter().chain(waits).min();
        for kind in [PromiseKind::FirstResponse, PromiseKind::NextResponse] {
            if let Some(clock) = row.clocks.get_mut(&kind) {
                clock.fold(at, Fact::Lost);
            }
        }
        let mut broken = Vec::new();
        let theirs = |row: &&mut Conversation| row.id == id || client.is_some() && row.client == client;
        for row in self.known.conversations.values_mut().filter(theirs) {
            let clock = row.clocks.get_mut(&PromiseKind::Callback);
            if let Some(clock) = clock.filter(|clock| clock.ended() == Some((at, End::Answered))) {
                clock.fold(at, Fact::Lost);
                broken.push(row.id);
            }
        }
        broken.sort_unstable();
        for id in broken {
            self.touch(id, now);
        }
    }

    /// The client was reached: whichever of their calls we owed, the promise about it is kept. Their callbacks
    /// stay until they were talked to.
    pub(super) fn reached_by_us(&mut self, client: Option<ClientId>, at: Timestamp, now: Timestamp) {
        let Some(client) = client else { return };
        let mut kept = Vec::new();
        for row in self.known.conversations.values_mut().filter(|row| row.client == Some(client)) {
            let clock = row.clocks.get_mut(&PromiseKind::Callback);
            if let Some(clock) = clock.filter(|clock| clock.ended().is_none()) {
                clock.fold(at, Fact::Answered);
                kept.push(row.id);
            }
        }
        kept.sort_unstable();
        for id in kept {
            self.touch(id, now);
        }
    }

    /// Nobody is owed an answer any more.
    pub(super) fn withdrawn(&mut self, id: ConversationId, at: Timestamp) {
        let Some(row) = self.known.conversations.get_mut(&self.meant(id)) else { return };
        for clock in row.clocks.values_mut().filter(|clock| clock.ended().is_none()) {
            clock.fold(at, Fact::Withdrawn);
        }
    }
}

/// A clock of a promise made at that moment.
pub(super) fn promised(kind: PromiseKind, target: &contact::Target, at: Timestamp) -> Clock {
    let mut clock = Clock::new(kind);
    clock.fold(at, Fact::Promised(target.clone()));
    clock
}

/// The clock of a callback follows what is owed.
pub(super) fn owe_by_the_clock(row: &mut Conversation, now: Timestamp) {
    let target = row.routing.as_ref().and_then(|routing| routing.promises.get(&PromiseKind::Callback));
    let clock = row.clocks.get_mut(&PromiseKind::Callback);
    let runs = clock.as_ref().is_some_and(|clock| clock.ended().is_none());
    match (&row.callback, clock, target) {
        (Some(Callback { done_at: None, since, .. }), clock, Some(target)) => {
            let since = *since;
            match clock {
                // The same callback, of which a call before the first was heard of late.
                Some(clock) if runs || clock.began_at().is_some_and(|began| began >= since) => {
                    clock.fold(since, Fact::Acted);
                }
                before => {
                    let before = before.map(|before| &*before);
                    let mut clock = promised(PromiseKind::Callback, target, since);
                    clock.follow(before);
                    clock.fold(since, Fact::Acted);
                    row.clocks.insert(PromiseKind::Callback, clock);
                }
            }
        }
        (Some(Callback { done_at: Some(done), .. }), Some(clock), _) if runs => {
            clock.fold(*done, Fact::Answered);
        }
        (None, Some(clock), _) if runs => clock.fold(now, Fact::Withdrawn),
        _ => {}
    }
}

pub(super) fn running(row: &mut Conversation, at: Timestamp, fact: Fact) {
    for clock in row.clocks.values_mut().filter(|clock| clock.ended().is_none()) {
        clock.fold(at, fact.clone());
    }
}

pub(super) fn set(row: &mut Conversation, deadline: &Deadline) {
    if let Some(clock) = row.clocks.get_mut(&deadline.promise) {
        clock.set(deadline);
    }
}

/// The deadlines that are others than those kept.
pub(super) fn reckoned(row: &Conversation, calendars: &Calendars) -> Vec<Deadline> {
    // Of what has ended nothing comes due any more.
    let runs = |clock: &&Clock| clock.ended().is_none() || clock.due_at().is_none();
    let news = |clock: &Clock| clock.news(clock.promise().measure(calendars).as_ref());
    row.clocks.values().filter(runs).filter_map(news).collect()
}
