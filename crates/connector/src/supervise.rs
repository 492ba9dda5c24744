//! Runs the connectors' tasks: one that ends or errs is restarted with backoff, and one broken
//! mailbox never stops the telephone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::Task;

/// A first pause this long after a failure, doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A task that ran this long before it failed starts again with the first pause.
const SETTLED: Duration = Duration::from_secs(120);

/// What a task is doing, for `/healthz` and the gauge `frontdesk_connector_up`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    Running,
    /// It ended; it is started again after a pause.
    Waiting {
        reason: String,
    },
    Stopped,
}

/// Holds the state of every task it runs.
#[derive(Clone, Default)]
pub struct Supervisor {
    states: Arc<Mutex<BTreeMap<String, TaskState>>>,
}

impl Supervisor {
    /// Runs `task` until `stop`, on `tracker`.
    pub fn watch(&self, task: Task, tracker: &TaskTracker, stop: CancellationToken) {
        let supervisor = self.clone();
        tracker.spawn(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                supervisor.set(&task.name, TaskState::Running);
                let began = std::time::Instant::now();
                let ended = tokio::select! {
                    () = stop.cancelled() => break,
                    ended = (task.run)() => ended,
                };
                let reason = match ended {
                    Ok(()) => "it ended, though nobody stopped it".to_owned(),
                    Err(error) => chain(error.as_ref()),
                };
                if began.elapsed() > SETTLED {
                    pause = FIRST_PAUSE;
                }
                warn!(task.name = %task.name, pause_ms = pause.as_millis() as u64, %reason, "restarting a task");
                metrics::counter!("frontdesk_connector_restarts_total", "task" => task.name.clone()).increment(1);
                supervisor.set(&task.name, TaskState::Waiting { reason });
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            supervisor.set(&task.name, TaskState::Stopped);
            info!(task.name = %task.name, "task stopped");
        });
    }

    /// Every task ever watched with its present state.
    pub fn states(&self) -> BTreeMap<String, TaskState> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, name: &str, state: TaskState) {
        let up = if state == TaskState::Running { 1.0 } else { 0.0 };
        metrics::gauge!("frontdesk_connector_up", "task" => name.to_owned()).set(up);
        self.states.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), state);
    }
}

/// The error and its causes on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn a_task_that_fails_is_started_again_until_the_stop() {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let task = Task {
            name: "email/support".into(),
            run: Box::new(move || {
                let nth = counted.fetch_add(1, Ordering::SeqCst);
                Box::pin(async move {
                    match nth {
                        0 => Err("the mailbox is locked".into()),
                        1 => Ok(()),
                        _ => std::future::pending().await,
                    }
                })
            }),
        };
        let (supervisor, tracker, stop) =
            (Supervisor::default(), TaskTracker::new(), CancellationToken::new());
        supervisor.watch(task, &tracker, stop.clone());
        while runs.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(supervisor.states()["email/support"], TaskState::Running);
        stop.cancel();
        tracker.close();
        tracker.wait().await;
        assert_eq!(supervisor.states()["email/support"], TaskState::Stopped);
    }
}
