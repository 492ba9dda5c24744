//! The routes, and who may come in.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path};
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::routing::{get, post};
use connector::{Clock, Connector, Courier, Intake, Live, Task, Thread};
use contact::{Channel, SourceName};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::compression::CompressionLayer;
use tracing::warn;

use crate::config::Widget;
use crate::courier::ChatCourier;
use crate::hub::Hub;
use crate::limits::{Full, Place, Rates, Seat, Seats};
use crate::problem::Refusal;
use crate::sessions::Sessions;
use crate::talk::count_refusal;
use crate::{Widgets, page, poll, socket};

/// Who was quiet is forgotten this often.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// Why a socket is closed, see the crate's description.
pub(crate) mod close {
    pub(crate) const GOING_AWAY: u16 = 1001;
    pub(crate) const NOT_TEXT: u16 = 1003;
    pub(crate) const TOO_LARGE: u16 = 1009;
    pub(crate) const BAD_TOKEN: u16 = 4001;
    pub(crate) const SILENT: u16 = 4002;
    pub(crate) const FLOOD: u16 = 4008;
    pub(crate) const TOO_MANY: u16 = 4009;
}

/// What stands behind the door.
#[derive(Clone)]
pub struct Doors {
    pub intake: Arc<dyn Intake>,
    pub thread: Arc<dyn Thread>,
    pub live: Arc<dyn Live>,
    pub clock: Clock,
    /// For visitors' secrets, so it must not be guessable.
    pub random: Arc<dyn Fn() -> [u8; 32] + Send + Sync>,
    /// Closes every socket with 1001, after what is being kept was acknowledged.
    pub stop: CancellationToken,
    /// Holds the open sockets, so that a stop can wait for them.
    pub sockets: TaskTracker,
    pub pace: Pace,
}

impl Doors {
    /// With the usual [`Pace`] and a tracker of its own.
    pub fn new(
        intake: Arc<dyn Intake>,
        thread: Arc<dyn Thread>,
        live: Arc<dyn Live>,
        clock: Clock,
        random: Arc<dyn Fn() -> [u8; 32] + Send + Sync>,
        stop: CancellationToken,
    ) -> Self {
        let (sockets, pace) = (TaskTracker::new(), Pace::default());
        Self { intake, thread, live, clock, random, stop, sockets, pace }
    }
}

/// How patient we are.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// A socket that says no hello for so long is closed.
    pub hello: Duration,
    /// A socket is pinged this often, and closed when two pings were not answered.
    pub ping: Duration,
    /// A client that takes nothing for so long is gone.
    pub send: Duration,
    /// A line that is not kept for so long is refused, as far as the visitor is concerned.
    pub accept: Duration,
    /// What is recorded is looked at this often without being told, because signs of life may be lost.
    pub look: Duration,
    /// And this often while it cannot be read.
    pub retry: Duration,
    /// Read marks are kept this often.
    pub read: Duration,
    /// A poll waits so long for something to say.
    pub poll: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            hello: Duration::from_secs(10),
            ping: Duration::from_secs(25),
            send: Duration::from_secs(10),
            accept: Duration::from_secs(30),
            look: Duration::from_secs(30),
            retry: Duration::from_secs(2),
            read: Duration::from_secs(1),
            poll: Duration::from_secs(25),
        }
    }
}

/// The chat's connector: the routes under `/chat/`, a task that brings signs of life to those connected
/// (without it new lines are seen only every [`Pace::look`]), and a courier for each widget.
///
/// A line is acknowledged only after the intake accepted it.
pub fn connect(widgets: Widgets, doors: Doors) -> Connector {
    let hub = Arc::<Hub>::default();
    let mut couriers: BTreeMap<SourceName, Arc<dyn Courier>> = BTreeMap::new();
    let mut sites = BTreeMap::new();
    for (source, widget) in widgets {
        for warning in widget.warnings() {
            warn!(source = %source, field = %warning.field, "{}", warning.sentence);
        }
        let prefix = format!("{}:", source.name());
        couriers.insert(source.clone(), Arc::new(ChatCourier { live: doors.live.clone(), prefix }));
        sites.insert(source, Arc::new(Site::new(widget, doors.clone(), hub.clone())));
    }
    let house = Arc::new(House { sites });
    let (live, tended) = (doors.live, house.clone());
    let task = Task {
        name: "chat/live".to_owned(),
        run: Box::new(move || {
            let (live, house, hub) = (live.clone(), tended.clone(), hub.clone());
            Box::pin(async move {
                tokio::select! {
                    ended = hub.run(live.as_ref()) => ended,
                    () = house.tend() => Ok(()),
                }
            })
        }),
    };
    let refused = || async { Refusal::method() };
    let routes = Router::new()
        .route("/chat/widget.js", get(page::script).fallback(refused).layer(CompressionLayer::new()))
        .route("/chat/{source}/demo", get(page::demo).fallback(refused))
        .route("/chat/{source}/socket", get(socket::open).fallback(refused))
        .route("/chat/{source}/poll", post(poll::poll).options(poll::preflight).fallback(refused))
        // Our own limit answers as a problem.
        .layer(DefaultBodyLimit::disable())
        .with_state(house);
    Connector { name: Channel::Chat.as_str(), routes, tasks: vec![task], couriers }
}

/// Every widget.
pub(crate) struct House {
    sites: BTreeMap<SourceName, Arc<Site>>,
}

/// One widget at work.
pub(crate) struct Site {
    pub(crate) widget: Widget,
    pub(crate) doors: Doors,
    pub(crate) hub: Arc<Hub>,
    pub(crate) sessions: Sessions,
    pub(crate) rates: Rates,
    pub(crate) visitors: Arc<Seats<String>>,
    places: Arc<Seats<Place>>,
}

/// Somebody may come in: a connection of one place, counted while this lives.
pub(crate) struct Admission {
    pub(crate) site: Arc<Site>,
    pub(crate) place: Place,
    _seat: Seat<Place>,
    _open: Open,
}

impl Site {
    fn new(widget: Widget, doors: Doors, hub: Arc<Hub>) -> Self {
        let bounds = widget.bounds;
        Self {
            sessions: Sessions::new(widget.idle),
            rates: Rates::new(&bounds),
            visitors: Seats::new(bounds.visitor_sockets, bounds.sockets),
            places: Seats::new(bounds.address_sockets, bounds.sockets),
            widget,
            doors,
            hub,
        }
    }

    pub(crate) fn source(&self) -> &SourceName {
        &self.widget.source
    }

    /// A frame larger than this, in bytes, is not read: the longest line with every character escaped, and
    /// what is around it; or a hello with its token.
    pub(crate) fn largest_frame(&self) -> usize {
        16 * 1024 + 12 * self.widget.max_text
    }

    /// Whether the request's page may talk to us.
    pub(crate) fn allows(&self, parts: &Parts) -> bool {
        let header = |name| parts.headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        self.widget.origins.allow(header(ORIGIN), header(HOST))
    }

    /// Where the request is from: the peer or, behind our own proxies, whom the last of them names.
    fn place(&self, parts: &Parts) -> Place {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let peer = peer.unwrap_or(Ipv4Addr::UNSPECIFIED.into()).to_canonical();
        let ours = |address: &IpAddr| self.widget.proxies.contains(address);
        if !ours(&peer) {
            return Place::of(peer);
        }
        let named = parts.headers.get_all("x-forwarded-for").into_iter();
        let hops: Vec<_> =
            named.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).collect();
        // From the right: what is left of the first stranger is hearsay.
        let addresses = hops.iter().rev().map_while(|hop| hop.trim().parse::<IpAddr>().ok());
        Place::of(addresses.map(|hop| hop.to_canonical()).find(|hop| !ours(hop)).unwrap_or(peer))
    }

    fn admit(self: &Arc<Self>, parts: &Parts) -> Result<Admission, Refusal> {
        if !self.allows(parts) {
            return Err(Refusal::origin());
        }
        if self.doors.stop.is_cancelled() {
            return Err(Refusal::stopping());
        }
        let place = self.place(parts);
        self.rates.address_hellos.take(&place).map_err(Refusal::slow_down)?;
        let seat = self.places.take(place).map_err(|full| match full {
            Full::Each => Refusal::slow_down(Duration::from_secs(10)),
            Full::All => Refusal::full(),
        })?;
        let open = Open::new(self.source().as_str().to_owned());
        Ok(Admission { site: self.clone(), place, _seat: seat, _open: open })
    }
}

impl House {
    pub(crate) fn site(&self, path: Result<Path<String>, PathRejection>) -> Result<Arc<Site>, Refusal> {
        let site = path.ok().and_then(|Path(name)| {
            let source = SourceName::new(Channel::Chat, &name).ok()?;
            self.sites.get(&source).cloned()
        });
        site.ok_or_else(Refusal::no_such_widget)
    }

    /// Lets somebody in; whoever is refused is counted by why.
    pub(crate) fn admit(
        &self,
        path: Result<Path<String>, PathRejection>,
        parts: &Parts,
    ) -> Result<Admission, Refusal> {
        let site = self.site(path);
        let source = site.as_ref().map_or("unknown", |site| site.source().as_str()).to_owned();
        let admitted = site.and_then(|site| site.admit(parts));
        admitted.inspect_err(|refusal| count_refusal(&source, refusal.reason))
    }

    /// Forgets who was quiet, now and then.
    async fn tend(&self) {
        loop {
            tokio::time::sleep(FORGET_EVERY).await;
            self.sites.values().for_each(|site| site.rates.forget());
        }
    }
}

/// Counted in a gauge while it lives.
struct Open(String);

impl Open {
    fn new(source: String) -> Self {
        metrics::gauge!("frontdesk_chat_connections", "source" => source.clone()).increment(1.0);
        Self(source)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("frontdesk_chat_connections", "source" => self.0.clone()).decrement(1.0);
    }
}
