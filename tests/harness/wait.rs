//! Waiting for a state, never for time to pass.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long anything may take that is not the point of a story: a start, a stop, a command.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks. Pacing only: nothing depends on its length.
pub const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until `look` gives `Ok`, and gives that.
///
/// # Panics
/// After `within`, with what was seen last.
pub async fn eventually<T, Seen: Debug>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<T, Seen>,
) -> T {
    let began = Instant::now();
    loop {
        let seen = match look().await {
            Ok(there) => return there,
            Err(seen) => seen,
        };
        assert!(began.elapsed() < within, "{what}: not within {within:?}; last seen: {seen:#?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// `Ok` when it holds, else what was seen: for [`eventually`].
pub fn when<Seen>(holds: bool, seen: Seen) -> Result<(), Seen> {
    if holds { Ok(()) } else { Err(seen) }
}
