//! The listener: one accept loop with the limits that the framework leaves out. Half a header, an idle
//! connection and a connection too many all have an end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;
use tracing::{debug, warn};

use crate::config::Http;

/// A request head larger than this is refused.
const HEAD_LIMIT: usize = 64 * 1024;

/// In milliseconds. Who acknowledges nothing of what was sent for so long is gone: without it an agent whose computer
/// lost its network, which says no word of parting, would be offered work for a quarter of an hour.
const GONE_AFTER: u32 = 30_000;

/// Binds the listener, with a sentence when somebody else has the port.
pub(crate) async fn bind(http: &Http) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(http.listen).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "{} is in use by another program; end it, or choose another address with FRONTDESK__HTTP__LISTEN",
            http.listen
        ),
        _ => anyhow::Error::new(error).context(format!("could not listen on {}", http.listen)),
    })?;
    // What is accepted has it from here.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&bound, GONE_AFTER) {
        debug!(%error, "could not set TCP_USER_TIMEOUT");
    }
    Ok(bound)
}

/// Serves until `stop`, then gives what is being answered `http.drain_s` to finish.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    http: &Http,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let patience = Duration::from_secs(http.header_timeout_s);
    let seats = Arc::new(Semaphore::new(http.max_connections));
    let mut make = app.into_make_service_with_connect_info::<SocketAddr>();
    let graceful = Arc::new(GracefulShutdown::new());
    // HTTP/1.1 only: telling h2c apart reads without a limit.
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(HEAD_LIMIT);
    let connections = TaskTracker::new();
    loop {
        let seat = tokio::select! {
            () = stop.cancelled() => break,
            seat = seats.clone().acquire_owned() => seat.context("the seats of the listener are gone")?,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file handles: spinning would make it worse.
                warn!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let service = make.call(peer).await.unwrap_or_else(|never| match never {});
        let (builder, watcher, stop) = (builder.clone(), graceful.watcher(), stop.clone());
        connections.spawn(async move {
            let _seat = seat;
            if let Err(error) = stream.set_nodelay(true) {
                debug!(%error, "could not set TCP_NODELAY");
            }
            // Who has said nothing yet is not being answered, so a stop does not wait for them.
            let spoke = tokio::select! {
                biased;
                spoke = speaks(&stream, patience) => spoke,
                () = stop.cancelled() => false,
            };
            if !spoke {
                return;
            }
            let service = TowerToHyperService::new(service);
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
            if let Err(error) = watcher.watch(connection.into_owned()).await {
                debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    connections.close();
    let graceful =
        Arc::try_unwrap(graceful).map_err(|_| anyhow::anyhow!("somebody else holds the listener"))?;
    if tokio::time::timeout(Duration::from_secs(http.drain_s), graceful.shutdown()).await.is_err() {
        warn!(drain_s = http.drain_s, "some requests were still being answered at the stop");
    }
    Ok(())
}

/// The header timer starts at the first byte; a connection that never sends one ends here.
async fn speaks(stream: &TcpStream, patience: Duration) -> bool {
    matches!(tokio::time::timeout(patience, stream.peek(&mut [0; 1])).await, Ok(Ok(1)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::harness::PATIENCE;

    fn http() -> Http {
        Http {
            listen: "127.0.0.1:0".parse().unwrap(),
            public_url: String::new(),
            max_connections: 2,
            header_timeout_s: 3600,
            body_timeout_s: 3600,
            body_limit_bytes: 1024,
            drain_s: 3600,
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn who_acknowledges_nothing_is_gone_after_half_a_minute() {
        let listener = bind(&http()).await.unwrap();
        let _other = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert_eq!(rustix::net::sockopt::tcp_user_timeout(&accepted).unwrap(), 30_000);
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_does_not_hold_up_a_stop() {
        let http = http();
        let listener = bind(&http).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let app = Router::new().route("/", axum::routing::get(|| async { "here" }));
        let served = tracker.spawn({
            let stop = stop.clone();
            async move { serve(listener, app, &http, stop).await }
        });
        let silent = TcpStream::connect(address).await.unwrap();
        // Behind it in the queue, so the silent one is admitted when this is answered.
        let mut asking = TcpStream::connect(address).await.unwrap();
        asking.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        asking.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("here"), "{answer}");
        stop.cancel();
        tokio::time::timeout(PATIENCE, served).await.expect("it waits for nobody").unwrap().unwrap();
        drop(silent);
    }
}
