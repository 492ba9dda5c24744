//! A throwaway Dovecot (2.3): the peer of every IMAP test.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

use super::authority::Authority;
use super::process::{
    LOOK, START, free_port, fresh_folder, is_root, output, program, required, run, say, watch,
};

/// Every user's password.
const PASSWORD: &str = "correct-horse";
/// Signs the tokens.
const TOKEN_KEY: &[u8] = b"a key for the tokens of a test alone";

/// A running (or killed) server. Any name is a user's.
pub struct Dovecot {
    folder: PathBuf,
    plain: u16,
    tls: u16,
    /// What a client must trust.
    authority: Authority,
    server: Mutex<Child>,
    delivered: AtomicU64,
    /// Kills the server and removes the folder when its standard input ends.
    watcher: Mutex<Child>,
}

impl Dovecot {
    /// A server, or `None` with a line that says so where Dovecot 2.3 is not installed. Where `CI` or
    /// `FRONTDESK_REQUIRE_DOVECOT` is set its absence is a failure: nothing passes silently there.
    pub fn start_or_skip() -> Option<Self> {
        if !installed() {
            assert!(
                !required("FRONTDESK_REQUIRE_DOVECOT"),
                "Dovecot 2.3 is not installed, and CI or FRONTDESK_REQUIRE_DOVECOT asks for it"
            );
            say("skipped: Dovecot 2.3 is not installed (install the package `dovecot-imapd`)");
            return None;
        }
        match Self::start() {
            Ok(server) => Some(server),
            Err(error) => panic!("could not start a throwaway Dovecot: {error}"),
        }
    }

    /// Starts one and waits until it answers.
    pub fn start() -> io::Result<Self> {
        let folder = fresh_folder("frontdesk-dovecot")?;
        // From here on the folder is somebody's to remove.
        let watcher = watch(&folder)?;
        let authority = Authority::new().map_err(io::Error::other)?;
        let identity = authority.identity(&["localhost"]).map_err(io::Error::other)?;
        for inner in ["base", "state", "mail", "keys/default/HS256"] {
            std::fs::create_dir_all(folder.join(inner))?;
        }
        std::fs::write(folder.join("certificate.pem"), identity.certificate)?;
        std::fs::write(folder.join("key.pem"), identity.key)?;
        std::fs::write(folder.join("keys/default/HS256/default"), STANDARD.encode(TOKEN_KEY))?;
        std::fs::write(
            folder.join("tokens.conf"),
            format!(
                "introspection_mode = local\nusername_attribute = sub\n\
                 local_validation_key_dict = fs:posix:prefix={}/keys/\n",
                folder.display()
            ),
        )?;
        if is_root() {
            run(Command::new("chown").arg("mail:mail").arg(folder.join("mail")))?;
        }
        let mut tries = 0;
        let (plain, tls, server) = loop {
            let (plain, tls) = (free_port()?, free_port()?);
            std::fs::write(folder.join("dovecot.conf"), configuration(&folder, plain, tls)?)?;
            match serve(&folder, plain) {
                Ok(server) => break (plain, tls, server),
                // Somebody else took a port in between.
                Err(_) if tries < 4 => tries += 1,
                Err(error) => return Err(error),
            }
        };
        Ok(Self {
            folder,
            plain,
            tls,
            authority,
            server: Mutex::new(server),
            delivered: AtomicU64::new(0),
            watcher: Mutex::new(watcher),
        })
    }

    /// `imaps://…`: TLS from the first byte.
    pub fn imaps(&self, user: &str, folder: &str) -> String {
        format!("imaps://{user}@localhost:{}/{folder}", self.tls)
    }

    /// `imap://…`: STARTTLS.
    pub fn starttls(&self, user: &str, folder: &str) -> String {
        format!("imap://{user}@localhost:{}/{folder}", self.plain)
    }

    /// `imap+insecure://…`: in clear.
    pub fn insecure(&self, user: &str, folder: &str) -> String {
        format!("imap+insecure://{user}@127.0.0.1:{}/{folder}", self.plain)
    }

    /// The port without TLS.
    pub fn plain_port(&self) -> u16 {
        self.plain
    }

    /// Everybody's.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// A token with which `user` may log in until `until`.
    pub fn token(&self, user: &str, until: Timestamp) -> String {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(serde_json::json!({"alg": "HS256", "typ": "JWT"}));
        let body = part(serde_json::json!({"sub": user, "exp": until.as_second()}));
        let signed = format!("{head}.{body}");
        let mut mac = Hmac::<Sha256>::new_from_slice(TOKEN_KEY).expect("a key of any length is one");
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    /// A file with the certificate authority to trust.
    pub fn ca_file(&self) -> io::Result<PathBuf> {
        let path = self.folder.join("ca.pem");
        std::fs::write(&path, self.authority.pem())?;
        Ok(path)
    }

    /// Puts a mail into a mailbox as a delivery agent would, in one step, arrived at `at` (when `None`,
    /// now). Mails become visible in the order they were delivered in.
    pub fn deliver(&self, user: &str, folder: &str, mail: &[u8], at: Option<Timestamp>) -> io::Result<()> {
        let home = self.folder.join("mail").join(user);
        let place = self.folder(user, folder);
        if !place.join("new").is_dir() {
            for part in ["new", "cur", "tmp"] {
                std::fs::create_dir_all(place.join(part))?;
            }
            if is_root() {
                run(Command::new("chown").args(["-R", "mail:mail"]).arg(&home))?;
            }
        }
        let number = self.delivered.fetch_add(1, Ordering::SeqCst);
        // Dovecot numbers new files in the order of the moment in their names.
        let name = format!("{}.M{:06}P1.localhost", 1_700_000_000 + number / 1_000_000, number % 1_000_000);
        let waiting = place.join("tmp").join(&name);
        let mut file = std::fs::File::create(&waiting)?;
        file.write_all(mail)?;
        if let Some(at) = at {
            let age = u64::try_from(at.as_millisecond()).map_err(io::Error::other)?;
            file.set_modified(UNIX_EPOCH + Duration::from_millis(age))?;
        }
        drop(file);
        std::fs::rename(waiting, place.join("new").join(name))
    }

    /// Where the mails of a mailbox lie (a maildir).
    pub fn folder(&self, user: &str, folder: &str) -> PathBuf {
        let home = self.folder.join("mail").join(user);
        if folder == "INBOX" { home } else { home.join(format!(".{folder}")) }
    }

    /// What the server has to say.
    pub fn log(&self) -> io::Result<String> {
        std::fs::read_to_string(self.folder.join("log"))
    }

    /// How many bytes of commands the longest of the sessions that are over has sent.
    pub fn bytes_in(&self) -> u64 {
        let log = self.log().unwrap_or_default();
        let sent = log.split(" in=").skip(1).filter_map(|rest| rest.split(' ').next()?.parse().ok());
        sent.max().unwrap_or(0)
    }

    /// Runs `doveadm` with these words: `["mailbox", "delete", "-u", "anna", "Support"]`.
    pub fn admin(&self, words: &[&str]) -> io::Result<String> {
        let doveadm = program("doveadm").ok_or_else(|| io::Error::other("doveadm is not installed"))?;
        output(Command::new(doveadm).arg("-c").arg(self.folder.join("dovecot.conf")).args(words))
    }

    /// The flags of every mail of a mailbox, in order: `\Seen`, or nothing.
    pub fn flags(&self, user: &str, folder: &str) -> io::Result<Vec<String>> {
        let told = self.admin(&["-f", "tab", "fetch", "-u", user, "uid flags", "mailbox", folder, "all"])?;
        let mut lines: Vec<(u32, String)> = told
            .lines()
            .skip(1)
            .filter_map(|line| {
                let (uid, flags) = line.split_once('\t')?;
                Some((uid.parse().ok()?, flags.replace("\\Recent", "").trim().to_owned()))
            })
            .collect();
        lines.sort();
        Ok(lines.into_iter().map(|(_, flags)| flags).collect())
    }

    /// Kills it as a crash of the machine would: every process of it, at once and unasked.
    pub fn kill9(&self) -> io::Result<()> {
        let mut server = locked(&self.server);
        // One that ended by itself meanwhile is as good.
        run(Command::new("kill").args(["-KILL", "--", &format!("-{}", server.id())])).ok();
        server.wait().map(|_| ())
    }

    /// Starts a killed one again, on the same mail and ports.
    pub fn restart(&self) -> io::Result<()> {
        let mut server = locked(&self.server);
        // Its processes may need a moment to be gone.
        let deadline = Instant::now() + START;
        *server = loop {
            match serve(&self.folder, self.plain) {
                Ok(started) => break started,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(LOOK),
            }
        };
        Ok(())
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let mut watcher = locked(&self.watcher);
        // The end of its input tells it.
        drop(watcher.stdin.take());
        locked(&self.server).wait().ok();
        watcher.wait().ok();
    }
}

fn installed() -> bool {
    let Some(dovecot) = program("dovecot") else { return false };
    // 2.4 has another language of configuration.
    program("doveadm").is_some()
        && output(Command::new(dovecot).arg("--version")).is_ok_and(|version| version.starts_with("2.3."))
}

fn configuration(folder: &std::path::Path, plain: u16, tls: u16) -> io::Result<String> {
    let (place, greeting) = (folder.display(), greeting(folder));
    let own = |flag: &str| output(Command::new("id").args([flag, "-n"])).map(|name| name.trim().to_owned());
    let (user, group) =
        if is_root() { ("mail".to_owned(), "mail".to_owned()) } else { (own("-u")?, own("-g")?) };
    let ourselves = if is_root() {
        String::new()
    } else {
        format!(
            "default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}\n"
        )
    };
    Ok(format!(
        "base_dir = {place}/base\nstate_dir = {place}/state\nlog_path = {place}/log\n{ourselves}\
         login_greeting = {greeting}\nprotocols = imap\nlisten = 127.0.0.1\n\
         ssl = yes\nssl_cert = <{place}/certificate.pem\nssl_key = <{place}/key.pem\n\
         disable_plaintext_auth = no\nauth_mechanisms = plain login xoauth2\nauth_failure_delay = 0 secs\n\
         first_valid_uid = 1\nmail_location = maildir:{place}/mail/%u\nmail_fsync = never\n\
         mail_max_userip_connections = 100\n\
         namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n\
         service imap-login {{\n  chroot =\n\
           inet_listener imap {{\n    port = {plain}\n  }}\n\
           inet_listener imaps {{\n    port = {tls}\n    ssl = yes\n  }}\n}}\n\
         service anvil {{\n  chroot =\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n\
         passdb {{\n  driver = oauth2\n  mechanisms = xoauth2\n  args = {place}/tokens.conf\n}}\n\
         passdb {{\n  driver = static\n  mechanisms = plain login\n  args = password={PASSWORD}\n}}\n\
         userdb {{\n  driver = static\n  args = uid={user} gid={group} home={place}/mail/%u allow_all_users=yes\n}}\n"
    ))
}

/// Starts the server and waits until it greets; fails when it ends instead.
fn serve(folder: &std::path::Path, plain: u16) -> io::Result<Child> {
    let dovecot = program("dovecot").ok_or_else(|| io::Error::other("Dovecot is not installed"))?;
    let said = folder.join("said");
    let log = std::fs::File::create(&said)?;
    std::fs::remove_file(folder.join("base/master.pid")).ok();
    let mut server = Command::new(dovecot)
        .arg("-F")
        .arg("-c")
        .arg(folder.join("dovecot.conf"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // An interrupt of the tests is not for it; the watcher stops it, and its children with it.
        .process_group(0)
        .spawn()?;
    std::fs::write(folder.join("pid"), server.id().to_string())?;
    let deadline = Instant::now() + START;
    loop {
        if server.try_wait()?.is_some() {
            return Err(io::Error::other(std::fs::read_to_string(&said)?));
        }
        if greets(plain, &greeting(folder)) {
            return Ok(server);
        }
        if Instant::now() > deadline {
            server.kill()?;
            server.wait()?;
            return Err(io::Error::other("the server did not answer in time"));
        }
        std::thread::sleep(LOOK);
    }
}

/// By which a server is told from another one that took its port.
fn greeting(folder: &std::path::Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn greets(port: u16, greeting: &str) -> bool {
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut line = String::new();
    stream.set_read_timeout(Some(START)).is_ok()
        && BufReader::new(stream).take(1000).read_line(&mut line).is_ok()
        && line.starts_with("* OK")
        && line.trim_end().ends_with(&format!(" {greeting}"))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
