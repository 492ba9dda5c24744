//! A throwaway Postfix that delivers into a maildir of its own.
//!
//! Postfix separates its parts by users, so it must be started by root.

use std::io;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::authority::Authority;
use super::process::{
    LOOK, START, free_port, fresh_folder, is_root, program, required, run, say, watch_with,
};

/// A running server. Everything for `client.example` and `xn--e1afmkfd.xn--p1ai` is delivered, but:
/// `refused@client.example` is refused for good, `busy@client.example` for now.
pub struct Postfix {
    folder: PathBuf,
    ports: [u16; 3],
    ca: String,
    watcher: Mutex<Child>,
    master: Mutex<Child>,
}

impl Postfix {
    /// Who may log in.
    pub const USER: &str = "help@desk.example";
    pub const PASSWORD: &str = "hush hush";
    pub const TOKEN: &str = "token-of-today";

    /// A server, or `None` with a line that says so where none can be had. Where `CI` or
    /// `FRONTDESK_REQUIRE_POSTFIX` is set that is a failure: nothing passes silently there.
    pub fn start_or_skip() -> Option<Self> {
        let missing = if program("postfix").is_none() {
            Some("Postfix is not installed (install the package `postfix`)")
        } else if !is_root() {
            Some("Postfix can only be started by root")
        } else {
            None
        };
        if let Some(why) = missing {
            let asked = required("FRONTDESK_REQUIRE_POSTFIX");
            assert!(!asked, "{why}, and CI or FRONTDESK_REQUIRE_POSTFIX asks for it");
            say(&format!("skipped: {why}"));
            return None;
        }
        match Self::start() {
            Ok(server) => Some(server),
            Err(error) => panic!("could not start a throwaway Postfix: {error}"),
        }
    }

    /// Starts one and waits until it answers.
    pub fn start() -> io::Result<Self> {
        let mut tries = 0;
        loop {
            match Self::start_once() {
                // Somebody else may have taken a port in between.
                Err(_) if tries < 4 => tries += 1,
                done => return done,
            }
        }
    }

    fn start_once() -> io::Result<Self> {
        let postfix = program("postfix").ok_or_else(|| io::Error::other("it is not installed"))?;
        let folder = fresh_folder("frontdesk-postfix")?;
        for part in ["etc", "queue", "data", "mail"] {
            std::fs::create_dir_all(folder.join(part))?;
        }
        // From here on the folder is somebody's to remove.
        let watcher = Mutex::new(watch(&folder)?);
        run(Command::new("chown").arg("postfix").arg(folder.join("data")))?;
        run(Command::new("chown").arg("nobody").arg(folder.join("mail")))?;
        let authority = Authority::new().map_err(io::Error::other)?;
        let identity = authority.identity(&["localhost"]).map_err(io::Error::other)?;
        std::fs::write(folder.join("etc/key.pem"), identity.key + &identity.certificate)?;
        run(Command::new("chmod").arg("600").arg(folder.join("etc/key.pem")))?;
        let (ports, sasl) = ([free_port()?, free_port()?, free_port()?], answer_logins()?);
        std::fs::write(folder.join("etc/main.cf"), main_cf(&folder, sasl))?;
        std::fs::write(folder.join("etc/master.cf"), master_cf(ports))?;
        let log = std::fs::File::create(folder.join("out"))?;
        let mut master = Command::new(postfix)
            .arg("-c")
            .arg(folder.join("etc"))
            .arg("start-fg")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // An interrupt of the tests is not for it; the watcher stops it.
            .process_group(0)
            .spawn()?;
        let deadline = Instant::now() + START;
        loop {
            let ended = master.try_wait()?.is_some();
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            // It says so when it listens, unlike another one that took a port of its own.
            if log.contains("daemon started") {
                break;
            }
            if ended || Instant::now() > deadline {
                stop(&watcher);
                return Err(io::Error::other(format!("it did not start: {log}")));
            }
            std::thread::sleep(LOOK);
        }
        Ok(Self { folder, ports, ca: authority.pem().to_owned(), watcher, master: Mutex::new(master) })
    }

    /// In clear, with STARTTLS on offer, and without a login.
    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// For submission: STARTTLS and a login are required.
    pub fn submission_port(&self) -> u16 {
        self.ports[1]
    }

    /// TLS from the first byte, and a login is required.
    pub fn tls_port(&self) -> u16 {
        self.ports[2]
    }

    /// What a client must trust. The certificate is for `localhost`.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// What was delivered so far, byte for byte as it lies in the maildir.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn delivered(&self) -> io::Result<Vec<Vec<u8>>> {
        let new = self.folder.join("mail/inbox/new");
        if !new.is_dir() {
            return Ok(Vec::new());
        }
        std::fs::read_dir(new)?.map(|entry| std::fs::read(entry?.path())).collect()
    }

    /// What the server wrote about itself.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        stop(&self.watcher);
        self.master.lock().unwrap_or_else(PoisonError::into_inner).wait().ok();
    }
}

fn main_cf(folder: &Path, sasl: u16) -> String {
    let folder = folder.display();
    format!(
        "compatibility_level = 3.6\n\
         queue_directory = {folder}/queue\n\
         data_directory = {folder}/data\n\
         maillog_file = {folder}/log\n\
         maillog_file_prefixes = {temporary}\n\
         multi_instance_enable = yes\n\
         multi_instance_name = postfix-frontdesk\n\
         inet_interfaces = 127.0.0.1\n\
         inet_protocols = ipv4\n\
         myhostname = localhost\n\
         mydestination =\n\
         mynetworks = 127.0.0.0/8\n\
         alias_maps =\n\
         local_recipient_maps =\n\
         virtual_mailbox_domains = client.example, xn--e1afmkfd.xn--p1ai\n\
         virtual_mailbox_base = {folder}/mail\n\
         virtual_mailbox_maps = static:inbox/\n\
         virtual_minimum_uid = 1\n\
         virtual_uid_maps = static:65534\n\
         virtual_gid_maps = static:65534\n\
         default_transport = error:elsewhere\n\
         relay_transport = error:elsewhere\n\
         answers = check_recipient_access inline:{{\n\
         \x20 {{ refused@client.example = 550 5.1.1 No such person here }}\n\
         \x20 {{ busy@client.example = 451 4.3.0 Come again later }} }}\n\
         smtpd_recipient_restrictions = $answers, permit_mynetworks, reject\n\
         smtpd_tls_chain_files = {folder}/etc/key.pem\n\
         smtpd_tls_security_level = may\n\
         smtpd_tls_auth_only = yes\n\
         smtpd_sasl_type = dovecot\n\
         smtpd_sasl_path = inet:127.0.0.1:{sasl}\n",
        temporary = std::env::temp_dir().display(),
    )
}

fn master_cf(ports: [u16; 3]) -> String {
    let [clear, submission, tls] = ports;
    let with_login = "-o smtpd_sasl_auth_enable=yes -o {smtpd_recipient_restrictions=$answers,permit_sasl_authenticated,reject}";
    format!(
        "127.0.0.1:{clear} inet n - n - - smtpd\n\
         127.0.0.1:{submission} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt {with_login}\n\
         127.0.0.1:{tls} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes {with_login}\n\
         cleanup unix n - n - 0 cleanup\n\
         qmgr unix n - n 300 1 qmgr\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\n\
         rewrite unix - - n - - trivial-rewrite\n\
         bounce unix - - n - 0 bounce\n\
         defer unix - - n - 0 bounce\n\
         trace unix - - n - 0 bounce\n\
         proxymap unix - - n - - proxymap\n\
         error unix - - n - - error\n\
         retry unix - - n - - error\n\
         virtual unix - n n - - virtual\n\
         anvil unix - - n - 1 anvil\n\
         postlog unix-dgram n - n - 1 postlogd\n"
    )
}

/// Tells Postfix who may log in, in Dovecot's authentication protocol (version 1.1).
fn answer_logins() -> io::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    // It waits for Postfix as long as this process lives.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || logins(&stream));
        }
    });
    Ok(port)
}

fn logins(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(
        b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nMECH\tXOAUTH2\nSPID\t1\nCUID\t1\n\
          COOKIE\t00000000000000000000000000000001\nDONE\n",
    )?;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let mut words = line.split('\t');
        let verb = words.next().unwrap_or_default();
        let id = words.next().unwrap_or_default();
        let answer = match verb {
            "AUTH" => {
                let proof = words.find_map(|word| word.strip_prefix("resp=")).unwrap_or_default();
                let proof = BASE64.decode(proof).unwrap_or_default();
                let plain = format!("\0{}\0{}", Postfix::USER, Postfix::PASSWORD);
                let token = format!("user={}\u{1}auth=Bearer {}\u{1}\u{1}", Postfix::USER, Postfix::TOKEN);
                if proof == plain.as_bytes() || proof == token.as_bytes() {
                    format!("OK\t{id}\tuser={}\n", Postfix::USER)
                } else if proof.starts_with(b"user=") {
                    // As the providers do it: the reason first, the refusal after an empty answer.
                    format!("CONT\t{id}\t{}\n", BASE64.encode(r#"{"status":"401"}"#))
                } else {
                    format!("FAIL\t{id}\n")
                }
            }
            "CONT" => format!("FAIL\t{id}\n"),
            _ => continue,
        };
        stream.write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// Its own end, because Postfix keeps the number of its master by itself.
fn watch(folder: &Path) -> io::Result<Child> {
    let script = r#"
        read -r line
        main=$(tr -d ' ' < "$0/queue/pid/master.pid" 2>/dev/null) && kill -TERM "$main" 2>/dev/null
        while [ -n "$main" ] && kill -0 "$main" 2>/dev/null && [ "$(ps -o stat= -p "$main" | cut -c1)" != Z ]
        do sleep 0.02; done
        rm -rf "$0"
    "#;
    watch_with(script, folder)
}

/// The end of its input tells it.
fn stop(watcher: &Mutex<Child>) {
    let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
    drop(watcher.stdin.take());
    watcher.wait().ok();
}
