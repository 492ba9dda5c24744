//! How we are asked to stop: SIGTERM or Ctrl-C softly, a second time at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The exit code of a stop that did not wait, as shells report SIGINT.
const IMPATIENT: i32 = 130;

/// Cancels `stop` at the first signal and ends the process at the second.
pub(crate) fn on_signals(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let watch = async move {
        let mut asked = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked {
                warn!("asked twice: stopping at once; what was accepted is in the journal");
                std::process::exit(IMPATIENT);
            }
            asked = true;
            info!("stopping");
            stop.cancel();
        }
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "it must outlive every tracked task, to hear the second signal"
    )]
    tokio::spawn(watch);
    Ok(())
}
