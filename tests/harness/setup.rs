//! How the program is to be run, and its commands.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::app::App;
use crate::database::Database;
use crate::nats::Nats;
use crate::ports::Port;
use crate::process::ended;
use crate::wait::PATIENCE;

/// The line that [`Setup::line`] makes, and what its phone system signs with.
pub const LINE: &str = "main";
/// The auth token of [`LINE`].
pub const SECRET: &str = "tested-auth-token-0123456789abcdef";

/// The widget that [`Setup::widget`] makes, and what its site signs with.
pub const WIDGET: &str = "site";
/// The identity secret of [`WIDGET`].
pub const IDENTITY: &str = "tested-identity-secret-0123456789abcdef";
/// The mailbox that [`Setup::mailbox`] makes.
pub const MAILBOX: &str = "support";

/// How the program is to be run: its folder, its port, its configuration.
#[derive(Clone, Debug)]
pub struct Setup {
    folder: Arc<TempDir>,
    port: Arc<Port>,
    environment: BTreeMap<String, String>,
    command: Vec<String>,
    under: Vec<String>,
    program: PathBuf,
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Answer {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Setup {
    /// `frontdesk up` in an empty folder, on a free port, with nothing configured.
    pub fn up() -> Self {
        Self::of(&["up"])
    }

    /// `frontdesk demo`, likewise.
    pub fn demo() -> Self {
        Self::of(&["demo"])
    }

    /// `frontdesk run --role …` with a line.
    pub fn run(roles: &str, database: &Database, nats: &Nats) -> Self {
        let blobs = format!("file://{}", nats.shared_folder().display());
        Self::of(&["run", "--role", roles]).line().on(database).beside(nats).with("blobs.url", blobs)
    }

    fn of(command: &[&str]) -> Self {
        let (folder, port) = (tempfile::tempdir().expect("could not make a folder"), Port::free());
        let setup = Self {
            folder: Arc::new(folder),
            environment: BTreeMap::new(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            under: Vec::new(),
            program: frontdesk(),
            port: Arc::new(port),
        };
        let listen = setup.address();
        setup.with("http.listen", listen)
    }

    /// With this option, written as in the configuration file: `journal.max_bytes`.
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        let name = key.replace('.', "__").replace('-', "_").to_uppercase();
        self.environment.insert(format!("FRONTDESK__{name}"), value.to_string());
        self
    }

    /// With a Twilio line called [`LINE`] that signs with [`SECRET`].
    pub fn line(self) -> Self {
        self.with("phone.main.provider", "twilio")
            .with("phone.main.region", "UA")
            .with("phone.main.zone", "Europe/Kyiv")
            .with("phone.main.auth_token", SECRET)
    }

    /// With a widget called [`WIDGET`], on any site.
    pub fn widget(self) -> Self {
        self.with("chat.site.origins", "*")
            .with("chat.site.region", "UA")
            .with("chat.site.identity_secret", IDENTITY)
    }

    /// With a mailbox called [`MAILBOX`] that takes what is handed in.
    pub fn mailbox(self) -> Self {
        self.with("email.support.address", "help@example.org")
            .with("email.support.authserv_id", "mx.example.org")
    }

    /// With this store.
    pub fn on(self, database: &Database) -> Self {
        match database.url() {
            None => self,
            Some(url) => self.with("store.url", url),
        }
    }

    /// With a nats-server outside.
    pub fn beside(self, nats: &Nats) -> Self {
        self.with("nats.url", nats.url()).with("nats.max_bytes", 512 << 20)
    }

    /// With another variable of the environment.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Started by this command, which becomes the program or stays beside it.
    pub fn under(mut self, words: &[&str]) -> Self {
        self.under = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// With this copy of the program.
    pub fn program(mut self, program: &Path) -> Self {
        program.clone_into(&mut self.program);
        self
    }

    /// Where it works; its data are in `data`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `127.0.0.1:…`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// `http://127.0.0.1:…`
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What [`App`] runs.
    pub(crate) fn start_command(&self) -> Command {
        let words: Vec<_> = self.under.iter().map(OsStr::new).chain([self.program.as_os_str()]).collect();
        let (first, words) = words.split_first().expect("there is at least the program");
        let mut command = self.prepared(first);
        command.args(words).args(&self.command);
        command
    }

    /// The command as it is written.
    pub(crate) fn words(&self) -> String {
        self.command.join(" ")
    }

    fn prepared(&self, program: &OsStr) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.folder()).stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.envs(&self.environment);
        command
    }

    /// With another word on its command line.
    pub fn word(mut self, word: &str) -> Self {
        self.command.push(word.to_owned());
        self
    }

    /// Runs another command of the program on this configuration.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn ask(&self, words: &[&str]) -> Answer {
        self.ask_within(words, PATIENCE).await
    }

    /// The same of a command that may take this long.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn ask_within(&self, words: &[&str], patience: Duration) -> Answer {
        let out = |name: &str| File::create(self.folder().join(name)).expect("could not create a file");
        let nth = fs::read_dir(self.folder()).expect("could not read the folder").count();
        let (stdout, stderr) = (format!("ask-{nth}.out"), format!("ask-{nth}.err"));
        let began = Instant::now();
        let mut child = self
            .prepared(self.program.as_os_str())
            .args(words)
            .stdout(out(&stdout))
            .stderr(out(&stderr))
            .spawn()
            .expect("could not start frontdesk");
        let status = ended(&mut child, patience).await;
        let read = |name: &str| fs::read_to_string(self.folder().join(name)).unwrap_or_default();
        Answer { code: status.code(), stdout: read(&stdout), stderr: read(&stderr), took: began.elapsed() }
    }

    /// Hands in a mail, as a mail system does.
    ///
    /// # Panics
    /// When the command cannot be run.
    pub async fn mail(&self, source: &str, mail: impl AsRef<[u8]>) -> Answer {
        let file = self.folder().join("mail.eml");
        fs::write(&file, mail).expect("could not write the mail");
        let mut command = self.prepared(self.program.as_os_str());
        command.args(["mail", "--source", source]).stdin(File::open(&file).expect("it was written"));
        let began = Instant::now();
        let out = tokio::task::spawn_blocking(move || command.output());
        let out = out.await.expect("it was waited for").expect("could not start frontdesk");
        Answer {
            code: out.status.code(),
            stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
            took: began.elapsed(),
        }
    }

    /// A token that is valid at once.
    ///
    /// # Panics
    /// When none is given.
    pub async fn token(&self, role: &str) -> String {
        let answer = self.ask(&["token", "create", "--role", role, "--name", "tests"]).await;
        assert_eq!(answer.code, Some(0), "{answer:?}");
        answer.stdout.trim().to_owned()
    }

    /// Starts it, without waiting for anything.
    pub fn launch(&self) -> App {
        App::launched(self.clone())
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&self) -> App {
        let mut app = self.launch();
        app.ready().await;
        app
    }
}

/// The built program: beside the folder this test was built into.
///
/// # Panics
/// When it is not there.
pub fn frontdesk() -> PathBuf {
    let me = std::env::current_exe().expect("could not find this test's own program");
    let built = me.parent().and_then(Path::parent).expect("a test is built into target/<profile>/deps");
    let program = built.join("frontdesk");
    assert!(program.exists(), "{} is missing: run `cargo build --workspace` first", program.display());
    program
}
