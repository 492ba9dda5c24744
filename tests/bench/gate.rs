//! A gate before a mail server: whoever connects waits at it until it is opened. So reading begins at a
//! moment we know, whatever a program does before.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::machine::micros;
use crate::process::PATIENCE;

/// A closed gate.
pub(crate) struct Gate {
    listener: TcpListener,
    server: u16,
    waiting: Vec<TcpStream>,
}

/// An open one; dropped, it cuts what goes through.
pub(crate) struct Open {
    /// When it was opened.
    pub(crate) began: u64,
    _passing: JoinSet<()>,
}

impl Gate {
    /// Before the server on this port of ours.
    pub(crate) async fn before(server: u16) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("could not open a gate's port")?;
        Ok(Self { listener, server, waiting: Vec::new() })
    }

    pub(crate) fn port(&self) -> anyhow::Result<u16> {
        Ok(self.listener.local_addr().context("a gate has no port")?.port())
    }

    /// Returns when somebody waits.
    pub(crate) async fn somebody_waits(&mut self) -> anyhow::Result<()> {
        let came = tokio::time::timeout(PATIENCE, self.listener.accept()).await;
        let (stream, _) = came.context("nobody came to the gate")?.context("the gate broke")?;
        self.waiting.push(stream);
        Ok(())
    }

    pub(crate) fn open(self) -> Open {
        let Self { listener, server, waiting } = self;
        let mut passing = JoinSet::new();
        passing.spawn(async move {
            let mut lines = JoinSet::new();
            for stream in waiting {
                lines.spawn(pass(stream, server));
            }
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => drop(lines.spawn(pass(stream, server))),
                    // Out of files: somebody will hang up.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        Open { began: micros(), _passing: passing }
    }
}

/// Carries bytes both ways until one side hangs up.
async fn pass(mut client: TcpStream, server: u16) {
    let Ok(mut behind) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
    for stream in [&client, &behind] {
        stream.set_nodelay(true).ok();
    }
    // Whoever hung up knows it.
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut behind, 64 * 1024, 256 * 1024).await.ok();
}
