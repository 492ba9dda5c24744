//! The program under test: started, stopped, killed, started again.

use std::fs::{self, File};
use std::process::{Child, ExitStatus};

use rustix::process::Signal;
use serde_json::Value;

use crate::agent::{Agent, client};
use crate::pbx::Pbx;
use crate::process::{Known, clear_away, ended, signal_to};
use crate::setup::{LINE, SECRET, Setup};
use crate::wait::{PATIENCE, eventually, when};

/// A running program.
#[derive(Debug)]
pub struct App {
    pub setup: Setup,
    child: Option<Child>,
}

impl App {
    pub(crate) fn launched(setup: Setup) -> Self {
        let mut app = Self { setup, child: None };
        app.launch();
        app
    }

    /// Starts it where it was, without waiting for anything.
    ///
    /// # Panics
    /// When it runs.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let file = |name: &str| {
            File::options()
                .create(true)
                .append(true)
                .open(self.setup.folder().join(name))
                .expect("could not open a file for what it says")
        };
        let child = self
            .setup
            .start_command()
            .stdout(file("stdout"))
            .stderr(file("log"))
            .spawn()
            .expect("could not start frontdesk");
        self.child = Some(child);
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&mut self) {
        let url = format!("{}/readyz", self.url());
        let http = client();
        eventually("frontdesk is ready", PATIENCE, async || {
            self.lives();
            let answer = http.get(&url).send().await.map_err(|error| error.to_string())?;
            let status = answer.status();
            let body = answer.text().await.map_err(|error| error.to_string())?;
            when(status.is_success(), body)
        })
        .await;
    }

    /// Waits until every part of it is well, which it need not be to be ready.
    pub async fn well(&self) {
        eventually("frontdesk is well", PATIENCE, async || {
            let (ready, body) = self.readiness().await;
            let parts = ["journal", "bus", "store"];
            when(ready && parts.iter().all(|part| body[part]["ok"] == Value::Bool(true)), body)
        })
        .await;
    }

    /// Waits until it listens, ready or not.
    pub async fn listens(&mut self) {
        let address = self.setup.address();
        eventually("frontdesk listens", PATIENCE, async || {
            self.lives();
            tokio::net::TcpStream::connect(&address).await.map(drop)
        })
        .await;
    }

    fn lives(&mut self) {
        if let Some(status) = self.child().try_wait().expect("could not wait for frontdesk") {
            panic!("frontdesk ended with {status}");
        }
    }

    /// Starts it where it was and waits until it is ready.
    pub async fn again(&mut self) {
        self.launch();
        self.ready().await;
    }

    /// As the power goes. Its nats-server ends too, which it sees to by itself.
    pub async fn kill9(&mut self) {
        let mut child = self.child.take().expect("it runs");
        signal_to(child.id(), Signal::KILL);
        ended(&mut child, PATIENCE).await;
    }

    /// As an operator stops it.
    ///
    /// # Panics
    /// When it does not exit with 0, or leaves a process behind.
    pub async fn stop(&mut self) {
        self.stop_by(Signal::TERM).await;
    }

    /// As Ctrl-C stops it.
    ///
    /// # Panics
    /// As [`App::stop`].
    pub async fn interrupt(&mut self) {
        self.stop_by(Signal::INT).await;
    }

    async fn stop_by(&mut self, signal: Signal) {
        let theirs = self.process().children();
        let mut child = self.child.take().expect("it runs");
        signal_to(child.id(), signal);
        let status = ended(&mut child, PATIENCE).await;
        assert!(status.success(), "frontdesk stopped with {status}: {}", self.log());
        let left: Vec<_> = theirs.into_iter().filter(Known::lives).collect();
        assert!(left.is_empty(), "frontdesk left {left:?} behind");
    }

    /// Waits until it ends by itself.
    pub async fn gives_up(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        ended(&mut child, PATIENCE).await
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it runs")
    }

    /// Its process.
    pub fn process(&self) -> Known {
        Known::of(self.child.as_ref().expect("it runs").id()).expect("it has not ended")
    }

    /// The nats-server it supervises, if there is one at this moment.
    pub fn nats_child(&self) -> Option<Known> {
        self.process().children().into_iter().find(|child| child.name == "nats-server")
    }

    /// `http://127.0.0.1:…`
    pub fn url(&self) -> String {
        self.setup.url()
    }

    /// What it logged, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.setup.folder().join("log")).unwrap_or_default()
    }

    /// What it printed, over all its starts.
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.setup.folder().join("stdout")).unwrap_or_default()
    }

    /// The phone system of [`LINE`].
    pub fn pbx(&self) -> Pbx {
        Pbx::new(&self.url(), LINE, SECRET)
    }

    /// Somebody with a token of this role.
    pub async fn agent(&self, role: &str) -> Agent {
        Agent::new(&self.url(), &self.setup.token(role).await)
    }

    /// Somebody of this name with a token of this role.
    ///
    /// # Panics
    /// When no token is given.
    pub async fn hired(&self, role: &str, name: &str) -> Agent {
        let answer = self.setup.ask(&["token", "create", "--role", role, "--name", name]).await;
        assert_eq!(answer.code, Some(0), "{answer:?}");
        Agent::new(&self.url(), answer.stdout.trim())
    }

    /// The body of `/readyz`, and whether it says ready.
    pub async fn readiness(&self) -> (bool, Value) {
        let answer = client().get(format!("{}/readyz", self.url())).send().await.expect("no answer");
        let ready = answer.status().is_success();
        (ready, answer.json().await.expect("readiness is JSON"))
    }

    /// The sum of a metric over its labels, as `/metrics` tells it; only lines that hold `label` count.
    pub async fn metric(&self, name: &str, label: &str) -> Option<f64> {
        let answer = client().get(format!("{}/metrics", self.url())).send().await.ok()?;
        let text = answer.text().await.ok()?;
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
            rest.contains(label).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        });
        values.reduce(|sum, value| sum + value)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            clear_away(child);
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(60).collect();
            eprintln!("--- the end of the log of `frontdesk {}`", self.setup.words());
            for line in tail.into_iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}
