//! The desk at a glance, as gauges: what waits, what is late, who is there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use connector::Clock;
use jiff::Timestamp;
use timeline::Store;
use timeline::figures::{Board, QueueBoard};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// So often the store is asked; a scrape shows the last answer.
const LOOK: Duration = Duration::from_secs(5);
/// Every word of presence has a gauge, whether anybody is it or not.
const PRESENCES: [&str; 3] = ["available", "away", "offline"];

/// Looks until `stop`.
pub(crate) async fn watch(store: Arc<dyn Store>, clock: Clock, stop: CancellationToken) {
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut shown, mut away) = (BTreeSet::new(), false);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let now = clock();
        match store.board(now).await {
            Ok(board) => {
                show(&board, &mut shown, now);
                away = false;
            }
            // The gauges stand until it is back; it is said once.
            Err(error) if !away => {
                warn!(
                    error = format!("{:#}", anyhow::Error::new(error)),
                    "the desk's gauges wait for the store"
                );
                away = true;
            }
            Err(_) => {}
        }
    }
}

/// Sets every gauge. A queue that was shown before and has nothing more is shown as empty: without that its
/// last value would stand for ever.
fn show(board: &Board, shown: &mut BTreeSet<String>, now: Timestamp) {
    shown.extend(board.queues.keys().cloned());
    let nothing = QueueBoard::default();
    for queue in shown.iter() {
        let told = board.queues.get(queue).unwrap_or(&nothing);
        let oldest = told.oldest_since.map_or(0.0, |since| now.duration_since(since).as_secs_f64().max(0.0));
        let gauges = [
            metrics::gauge!("frontdesk_waiting_conversations", "queue" => queue.clone()),
            metrics::gauge!("frontdesk_promises_open", "queue" => queue.clone()),
            metrics::gauge!("frontdesk_promises_breached", "queue" => queue.clone()),
        ];
        for (gauge, count) in gauges.iter().zip([told.waiting, told.promised, told.breached]) {
            gauge.set(count as f64);
        }
        metrics::gauge!("frontdesk_waiting_oldest_seconds", "queue" => queue.clone()).set(oldest);
    }
    metrics::gauge!("frontdesk_offers_pending").set(board.offers as f64);
    for presence in PRESENCES {
        let count = board.agents.get(presence).copied().unwrap_or(0);
        metrics::gauge!("frontdesk_agents", "presence" => presence).set(count as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_is_empty_again_is_shown_as_empty() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let since = "2026-11-21T11:58:30Z".parse().unwrap();
        let sales = QueueBoard { waiting: 3, oldest_since: Some(since), promised: 2, breached: 1 };
        let board = Board {
            queues: [("sales".to_owned(), sales)].into(),
            offers: 4,
            agents: [("available".to_owned(), 5)].into(),
        };
        let mut shown = BTreeSet::new();
        metrics::with_local_recorder(&recorder, || {
            show(&board, &mut shown, now);
            let told = handle.render();
            for line in [
                "frontdesk_waiting_conversations{queue=\"sales\"} 3",
                "frontdesk_waiting_oldest_seconds{queue=\"sales\"} 90",
                "frontdesk_promises_open{queue=\"sales\"} 2",
                "frontdesk_promises_breached{queue=\"sales\"} 1",
                "frontdesk_offers_pending 4",
                "frontdesk_agents{presence=\"available\"} 5",
                "frontdesk_agents{presence=\"away\"} 0",
            ] {
                assert!(told.lines().any(|one| one == line), "{line}: {told}");
            }
            show(&Board::default(), &mut shown, now);
            let told = handle.render();
            for line in [
                "frontdesk_waiting_conversations{queue=\"sales\"} 0",
                "frontdesk_waiting_oldest_seconds{queue=\"sales\"} 0",
                "frontdesk_offers_pending 0",
                "frontdesk_agents{presence=\"available\"} 0",
            ] {
                assert!(told.lines().any(|one| one == line), "{line}: {told}");
            }
        });
    }
}
