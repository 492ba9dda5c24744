//! One reading for everybody who asks for the same list at the same moment.
//!
//! Five hundred consoles that read the waiting list together cost two readings and not five hundred. Nobody is given
//! what was read before they asked, so an answer is as fresh as if it had been read for its asker alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use contact::ConversationId;
use serde::Serialize;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep_until};

use crate::paging::{Items, PageOf};
use crate::problem::Problem;

/// A list is read again after so many times as long as its reading took, so that it takes at most a third of the
/// time; and after so long at the latest.
const REST_TIMES: u32 = 2;
const LONGEST_REST: Duration = Duration::from_millis(200);
/// Lists of which it is known who reads them; whoever asks for a further one reads alone.
const MOST_LISTS: usize = 256;

/// A list that is the same for everybody who may read it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum List {
    /// Who works here.
    Agents,
    /// A page of those that wait for an agent, of this queue or of all.
    Waiting(Option<String>, PageOf<(i64, ConversationId)>),
}

/// Who reads what at the moment.
#[derive(Default)]
pub(crate) struct Together(Mutex<HashMap<List, Arc<Line>>>);

/// Everybody who asks for one list.
struct Line {
    /// The reading that has not begun yet.
    next: Mutex<Arc<Reading>>,
    /// Whoever holds it reads; from when on.
    turn: tokio::sync::Mutex<Instant>,
}

type Reading = OnceCell<Result<Bytes, Problem>>;

impl Together {
    /// The list, as `read` gives it to one of all who asked before it began.
    pub(crate) async fn answer<T: Serialize>(
        &self,
        list: List,
        read: impl Future<Output = Result<Items<T>, Problem>>,
    ) -> Result<Response, Problem> {
        let line = self.line(list);
        let reading = Arc::clone(&line.next());
        // When whoever reads goes away meanwhile, another of those who wait begins anew.
        let answer = reading.get_or_init(|| line.read(&reading, read)).await;
        let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(([json], answer.clone()?).into_response())
    }

    fn line(&self, list: List) -> Arc<Line> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(&list) {
            return Arc::clone(line);
        }
        let line = Arc::new(Line::new());
        if lines.len() >= MOST_LISTS {
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        if lines.len() < MOST_LISTS {
            lines.insert(list, Arc::clone(&line));
        }
        line
    }
}

impl Line {
    fn new() -> Self {
        Self { next: Mutex::default(), turn: tokio::sync::Mutex::new(Instant::now()) }
    }

    fn next(&self) -> MutexGuard<'_, Arc<Reading>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever asks from here on waits for the next one.
    fn close(&self, ours: &Arc<Reading>) {
        let mut next = self.next();
        if Arc::ptr_eq(&next, ours) {
            *next = Arc::default();
        }
    }

    async fn read<T: Serialize>(
        &self,
        ours: &Arc<Reading>,
        read: impl Future<Output = Result<Items<T>, Problem>>,
    ) -> Result<Bytes, Problem> {
        let mut turn = self.turn.lock().await;
        sleep_until(*turn).await;
        self.close(ours);
        let began = Instant::now();
        let items = read.await;
        *turn = Instant::now() + began.elapsed().saturating_mul(REST_TIMES).min(LONGEST_REST);
        let json =
            serde_json::to_vec(&items?).expect("what is listed has no map with keys that are not text");
        Ok(Bytes::from(json))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;
    use tokio::task::{JoinHandle, yield_now};
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::extract::Params;

    /// Lists that say how many readings there were. That of the agents is read when it is let.
    struct House {
        together: Together,
        begun: AtomicUsize,
        gate: Semaphore,
        tracker: TaskTracker,
    }

    impl House {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                together: Together::default(),
                begun: AtomicUsize::new(0),
                gate: Semaphore::new(0),
                tracker: TaskTracker::new(),
            })
        }

        /// Gives the number of the reading; the third fails.
        fn ask(self: &Arc<Self>, list: List) -> JoinHandle<Result<String, Problem>> {
            let house = Arc::clone(self);
            self.tracker.spawn(async move {
                let waits = list == List::Agents;
                let read = async {
                    let number = house.begun.fetch_add(1, Ordering::SeqCst) + 1;
                    if waits {
                        house.gate.acquire().await.expect("it is never closed").forget();
                    }
                    match number {
                        3 => Err(Problem::bad("the third")),
                        number => Ok(Items { items: vec![number], next: None }),
                    }
                };
                let answer = house.together.answer(list, read).await?.into_body();
                let bytes = axum::body::to_bytes(answer, 1_000).await.expect("it is in memory");
                Ok(String::from_utf8(bytes.into()).expect("it is JSON"))
            })
        }

        async fn has_begun(&self, times: usize) {
            while self.begun.load(Ordering::SeqCst) < times {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    /// Everybody who was asked for something has come as far as they can.
    async fn settled() {
        for _ in 0..1_000 {
            yield_now().await;
        }
    }

    async fn says(asked: JoinHandle<Result<String, Problem>>, number: usize) {
        let answer = asked.await.expect("nothing panics").expect("it was read");
        assert_eq!(answer, format!(r#"{{"items":[{number}],"next":null}}"#));
    }

    #[tokio::test]
    async fn who_asks_after_a_reading_began_shares_the_next_one() {
        let house = House::new();
        let first = house.ask(List::Agents);
        house.has_begun(1).await;
        let later: Vec<_> = (0..100).map(|_| house.ask(List::Agents)).collect();
        settled().await;
        house.gate.add_permits(100);
        says(first, 1).await;
        for one in later {
            says(one, 2).await;
        }
        assert_eq!(house.begun.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn another_reads_when_whoever_read_has_gone() {
        let house = House::new();
        house.begun.store(10, Ordering::SeqCst);
        let first = house.ask(List::Agents);
        house.has_begun(11).await;
        let (second, third) = (house.ask(List::Agents), house.ask(List::Agents));
        settled().await;
        first.abort();
        house.has_begun(12).await;
        second.abort();
        house.has_begun(13).await;
        house.gate.add_permits(1);
        says(third, 13).await;
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_who_waited_for_it_and_to_nobody_after() {
        let house = House::new();
        house.begun.store(1, Ordering::SeqCst);
        let before = house.ask(List::Agents);
        house.has_begun(2).await;
        let both = [house.ask(List::Agents), house.ask(List::Agents)];
        settled().await;
        house.gate.add_permits(100);
        says(before, 2).await;
        for one in both {
            assert!(one.await.expect("nothing panics").is_err());
        }
        says(house.ask(List::Agents), 4).await;
    }

    #[tokio::test]
    async fn lists_wait_for_nothing_but_themselves_and_unused_ones_are_forgotten() {
        let house = House::new();
        house.begun.store(10, Ordering::SeqCst);
        let under_way = house.ask(List::Agents);
        house.has_begun(11).await;
        let page = PageOf::from_params(&mut Params::parse("").expect("it is empty"))
            .expect("the first page is asked for by nothing");
        for number in 12..12 + 3 * MOST_LISTS {
            says(house.ask(List::Waiting(Some(number.to_string()), page.clone())), number).await;
            assert!(house.together.0.lock().unwrap().len() <= MOST_LISTS);
        }
        assert!(house.together.0.lock().unwrap().contains_key(&List::Agents));
        house.gate.add_permits(1);
        says(under_way, 11).await;
    }
}
