//! One connection to NATS, kept alive, one client per generation.
//!
//! The client library would reconnect by itself and then send what it had buffered. Here that is
//! forbidden: after a disconnect the broker may have lost its tail, and a late publish or ack from
//! before would be written over it before anybody had looked. So a client dies with its
//! connection, and a new one is used only after [`topology::ensure`] has looked.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::{Client, ConnectOptions, Event, ReconnectToServer, ServerAddr};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::names;
use crate::topology::{self, Created, Size};
use crate::version::{OLDEST, Version};

/// How long one request to the broker may take.
pub(crate) const REQUEST: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(2);
/// A frozen broker is noticed after three of these.
const PING: Duration = Duration::from_secs(5);
/// Declaring three streams takes milliseconds; a broker that recovers a large store, longer.
const ENSURE: Duration = Duration::from_secs(30);
/// A connection that lived this long was a good one: the next attempt comes at once.
const GOOD: Duration = Duration::from_secs(10);
/// Nothing ever listens here. It is where a client of a past generation is sent to die.
const NOWHERE: &str = "nats://0.0.0.0:0";

/// How to reach NATS, and how large to make things there.
#[derive(Clone, Debug)]
pub struct Options {
    /// `nats://host:port` or `tls://…`; several, with commas between, are tried in turn.
    pub url: String,
    /// How we say who we are.
    pub auth: Auth,
    /// What NATS shows as the name of our connections.
    pub name: String,
    /// The bound of CONTACTS and of IMPORTS, each. At it publishing returns
    /// [`PublishError::Full`](crate::PublishError::Full). See [`topology::reserved_bytes`].
    pub max_bytes: u64,
    /// Copies of each stream: 1, or 3 in a cluster.
    pub replicas: usize,
}

impl Options {
    /// The options for a local server with one copy and 8 GiB.
    pub fn new(url: impl Into<String>, auth: Auth) -> Self {
        Self { url: url.into(), auth, name: "frontdesk".to_owned(), max_bytes: 8 << 30, replicas: 1 }
    }
}

/// How we say who we are. Never printed.
#[derive(Clone)]
pub enum Auth {
    /// The server asks nobody.
    None,
    /// A user and a password.
    User {
        /// The user.
        name: String,
        /// The password.
        password: String,
    },
    /// A token.
    Token(String),
    /// A `.creds` file: JWT and seed.
    CredentialsFile(PathBuf),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::User { .. } => "User(…)",
            Self::Token(_) => "Token(…)",
            Self::CredentialsFile(_) => "CredentialsFile(…)",
        })
    }
}

/// Whether the bus can be used, and how often that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Connected, and the streams are as declared.
    pub connected: bool,
    /// Rises at every disconnect. A sequence learned under an older generation means nothing.
    pub generation: u64,
}

/// Why there is no bus.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BusError {
    /// Trying again will not help: the server must be changed.
    #[error("{0}")]
    Unfit(String),
    /// Not reached in time. It is still being tried as long as the bus lives.
    #[error("could not reach NATS at {url} within {} s: {last}", .waited.as_secs())]
    Away {
        /// Where.
        url: String,
        /// For how long we tried.
        waited: Duration,
        /// What the last attempt met.
        last: String,
    },
    /// Told to stop before there was a connection.
    #[error("stopped before NATS was reached")]
    Stopped,
}

/// A supervised connection.
#[derive(Clone)]
pub(crate) struct Conn {
    state: watch::Receiver<State>,
    link: watch::Receiver<Link>,
}

/// One generation of a connection.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) generation: u64,
    pub(crate) client: Client,
    pub(crate) js: Context,
    /// When the streams were created, as seen by this generation.
    pub(crate) created: Arc<Created>,
    /// Cancelled when the connection is lost.
    pub(crate) gone: CancellationToken,
}

impl Session {
    /// Gives this connection up: what it found is not what was declared. The next one declares.
    pub(crate) fn condemn(&self) {
        self.gone.cancel();
    }
}

#[derive(Clone, Default)]
struct State {
    session: Option<Session>,
    unfit: Option<String>,
    last: String,
}

impl Conn {
    /// A connection and the task that keeps it until `stop`. `label` tells it from our others;
    /// `healing` is shared by all connections of a process, so that only one heals at a time.
    pub(crate) fn new(
        options: Options,
        label: &'static str,
        healing: Arc<Mutex<()>>,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (state_tx, state) = watch::channel(State::default());
        let (link_tx, link) = watch::channel(Link::default());
        let keeper = Keeper { options, label, healing, state: state_tx, link: link_tx };
        (Self { state, link }, keeper.run(stop))
    }

    pub(crate) fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// The session to use now, if there is one.
    pub(crate) fn session(&self) -> Option<Session> {
        self.state.borrow().session.clone()
    }

    /// Whether what was learned in `generation` still holds.
    pub(crate) fn still(&self, generation: u64) -> bool {
        *self.link.borrow() == Link { connected: true, generation }
    }

    /// Waits for a session; `None` when the keeper has ended.
    pub(crate) async fn wait(&self) -> Option<Session> {
        let mut state = self.state.clone();
        let state = state.wait_for(|state| state.session.is_some()).await.ok()?;
        state.session.clone()
    }

    /// Waits for the first session at most for `patience`, or until the server proves unfit.
    pub(crate) async fn ready(&self, url: &str, patience: Duration) -> Result<(), BusError> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| state.session.is_some() || state.unfit.is_some());
        match tokio::time::timeout(patience, settled).await {
            Ok(Ok(state)) => match &state.unfit {
                Some(reason) if state.session.is_none() => Err(BusError::Unfit(reason.clone())),
                _ => Ok(()),
            },
            Ok(Err(_)) => Err(BusError::Stopped),
            Err(_) => Err(BusError::Away {
                url: url.to_owned(),
                waited: patience,
                last: self.state.borrow().last.clone(),
            }),
        }
    }
}

struct Keeper {
    options: Options,
    label: &'static str,
    healing: Arc<Mutex<()>>,
    state: watch::Sender<State>,
    link: watch::Sender<Link>,
}

/// Why an attempt did not make a session.
enum Attempt {
    Unfit(String),
    Later(String),
}

impl Keeper {
    async fn run(self, stop: CancellationToken) {
        let label = self.label;
        let urls: Vec<String> = self.options.url.split(',').map(|url| url.trim().to_owned()).collect();
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let (mut generation, mut tries) = (0, 0usize);
        let mut told = false;
        loop {
            let url = &urls[tries % urls.len()];
            tries += 1;
            let attempt = tokio::select! {
                () = stop.cancelled() => break,
                attempt = self.establish(url, generation) => attempt,
            };
            match attempt {
                Ok(session) => {
                    told = false;
                    info!(bus.connection = label, link.generation = generation, "connected to NATS");
                    let since = Instant::now();
                    self.up(session.clone());
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = session.gone.cancelled() => {}
                    }
                    generation += 1;
                    self.down(generation);
                    if stop.is_cancelled() {
                        break;
                    }
                    metrics::counter!(names::DISCONNECTS, "connection" => label).increment(1);
                    warn!(
                        bus.connection = label,
                        link.generation = generation,
                        "lost the connection to NATS"
                    );
                    if since.elapsed() >= GOOD {
                        backoff.reset();
                    }
                }
                Err(failure) => {
                    let (unfit, last) = match failure {
                        Attempt::Unfit(reason) => (Some(reason.clone()), reason),
                        Attempt::Later(reason) => (None, reason),
                    };
                    if told {
                        debug!(bus.connection = label, "cannot use NATS yet: {last}");
                    } else {
                        warn!(bus.connection = label, "cannot use NATS yet: {last}");
                        told = true;
                    }
                    self.state.send_modify(|state| {
                        state.unfit = unfit;
                        state.last = last;
                    });
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(backoff.wait()) => {}
            }
        }
        debug!(bus.connection = label, "left NATS");
    }

    fn up(&self, session: Session) {
        let link = Link { connected: true, generation: session.generation };
        metrics::gauge!(names::CONNECTED, "connection" => self.label).set(1.0);
        self.state.send_replace(State { session: Some(session), ..State::default() });
        self.link.send_replace(link);
    }

    /// The link first: whoever sees no session must already see the new generation.
    fn down(&self, generation: u64) {
        self.link.send_replace(Link { connected: false, generation });
        self.state.send_modify(|state| state.session = None);
        metrics::gauge!(names::CONNECTED, "connection" => self.label).set(0.0);
    }

    async fn establish(&self, url: &str, generation: u64) -> Result<Session, Attempt> {
        let gone = CancellationToken::new();
        let client = connect(&self.options, self.label, url, gone.clone()).await?;
        let server = client.server_info();
        match Version::parse(&server.version) {
            Some(version) if version.is_new_enough() => {}
            _ => {
                return Err(Attempt::Unfit(format!(
                    "nats-server {} at {url} is too old: {OLDEST} or newer is needed",
                    server.version
                )));
            }
        }
        if !server.jetstream {
            return Err(Attempt::Unfit(format!(
                "nats-server at {url} runs without JetStream: start it with a `jetstream` section"
            )));
        }
        let js = ContextBuilder::new().timeout(REQUEST).build(client.clone());
        let size = Size { max_bytes: self.options.max_bytes, replicas: self.options.replicas };
        let created = {
            let _one = self.healing.lock().await;
            tokio::time::timeout(ENSURE, topology::ensure(&js, &size))
                .await
                .map_err(|_| Attempt::Later("declaring the streams took too long".to_owned()))?
                .map_err(|error| Attempt::Later(chain(&error)))?
        };
        if gone.is_cancelled() {
            return Err(Attempt::Later("the connection was lost while declaring the streams".to_owned()));
        }
        Ok(Session { generation, client, js, created: Arc::new(created), gone })
    }
}

/// Connects once. The client never reconnects; `gone` is cancelled when its connection ends.
async fn connect(
    options: &Options,
    label: &'static str,
    url: &str,
    gone: CancellationToken,
) -> Result<Client, Attempt> {
    let wrong = |error: std::io::Error| Attempt::Unfit(format!("{url:?} is no address of NATS: {error}"));
    let home: ServerAddr = url.parse().map_err(wrong)?;
    let nowhere: ServerAddr = NOWHERE.parse().map_err(wrong)?;
    let pool = vec![home.clone(), nowhere.clone()];
    let used = AtomicBool::new(false);
    // Also fires when the library drops the callback, which it does when the connection has ended.
    let guard = gone.clone().drop_guard();
    let connect = ConnectOptions::new()
        .name(format!("{}-{label}", options.name))
        .connection_timeout(CONNECT)
        .request_timeout(Some(REQUEST))
        .ping_interval(PING)
        .ignore_discovered_servers()
        .max_reconnects(1)
        .reconnect_to_server_callback(move |_, _| {
            let addr = if used.swap(true, Ordering::Relaxed) { nowhere.clone() } else { home.clone() };
            std::future::ready(Some(ReconnectToServer { addr, delay: Some(Duration::ZERO) }))
        })
        .event_callback(move |event| {
            match event {
                Event::Disconnected | Event::Closed => guard.token().cancel(),
                Event::SlowConsumer(_) => {
                    warn!(bus.connection = label, "NATS deliveries were dropped: we read too slowly");
                }
                other => debug!(bus.connection = label, "NATS says: {other}"),
            }
            std::future::ready(())
        });
    let connect = match &options.auth {
        Auth::None => connect,
        Auth::User { name, password } => connect.user_and_password(name.clone(), password.clone()),
        Auth::Token(token) => connect.token(token.clone()),
        Auth::CredentialsFile(path) => connect.credentials_file(path).await.map_err(|error| {
            Attempt::Unfit(format!("could not read the NATS credentials {}: {error}", path.display()))
        })?,
    };
    connect.connect(pool).await.map_err(|error| Attempt::Later(format!("{url}: {}", chain(&error))))
}

/// An error with its causes, for a sentence.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
