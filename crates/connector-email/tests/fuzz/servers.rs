//! Mail servers that answer anything: a reader and a courier end in time, with a sentence, and say of nothing
//! that it was done that was not.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use connector::secret::Secret;
use connector::testing::MemoryIntake;
use connector::testing::hostile::{Wound, wounded};
use connector::{Courier as _, CursorError, Cursors, Mark};
use connector_email::{Config, Doors, Limits, MailCourier, Sender, Server, Smtp, connect};
use contact::{Order, ReplyFate};
use jiff::Timestamp;
use proptest::prelude::*;

/// Far more than a session with a server in this process takes, however busy the machine is.
const DEADLINE: Duration = Duration::from_secs(60);
/// A hurt server waits so long for the next command, then hangs up: each side may wait for the other.
const SILENCE: Duration = Duration::from_millis(100);

fn now() -> Timestamp {
    "2025-03-03T11:00:00Z".parse().unwrap()
}

/// A server of one connection after the other that answers each line with what `says` makes of it, and hangs
/// up where that is nothing. Ends when told so by one more connection.
struct Fake {
    port: u16,
    over: Arc<Mutex<bool>>,
}

impl Fake {
    fn start(greeting: Vec<u8>, says: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) -> Self {
        Self::patient(SILENCE, greeting, says)
    }

    fn patient(
        silence: Duration,
        greeting: Vec<u8>,
        says: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, over) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(false)));
        let ended = over.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if *ended.lock().unwrap() {
                    return;
                }
                // A client that hangs up first is no failure.
                serve(stream, silence, &greeting, &says).ok();
            }
        });
        Self { port, over }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        *self.over.lock().unwrap() = true;
        TcpStream::connect(("127.0.0.1", self.port)).ok();
    }
}

fn serve(
    mut stream: TcpStream,
    silence: Duration,
    greeting: &[u8],
    says: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(silence))?;
    stream.set_write_timeout(Some(silence))?;
    stream.write_all(greeting)?;
    let mut lines = BufReader::new(stream.try_clone()?);
    for _ in 0..400 {
        let mut line = Vec::new();
        if lines.by_ref().take(1 << 20).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let Some(answer) = says(String::from_utf8_lossy(&line).trim_end()) else { break };
        stream.write_all(&answer)?;
    }
    Ok(())
}

/// One mailbox's mark in memory.
#[derive(Default)]
struct OneCursor(Mutex<Option<Mark>>);

#[async_trait]
impl Cursors for OneCursor {
    async fn get(&self, _: &str) -> Result<Option<Mark>, CursorError> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn advance(&self, _: &str, from: Option<u64>, value: &str) -> Result<u64, CursorError> {
        let mut mark = self.0.lock().unwrap();
        if mark.as_ref().map(|mark| mark.revision) != from {
            return Err(CursorError::Moved);
        }
        let revision = from.unwrap_or(0) + 1;
        *mark = Some(Mark { value: value.to_owned(), revision });
        Ok(revision)
    }
}

const IMAP: [&[u8]; 20] = [
    b"* BYE\r\n",
    b"* ",
    b"\r\n",
    b"{5}\r\n",
    b"{4294967295}\r\n",
    b"{18446744073709551616}\r\n",
    b"(",
    b")",
    b"\"",
    b"\\",
    b"NIL",
    b"* 4294967295 EXISTS\r\n",
    b"* 1 EXPUNGE\r\n",
    b"* SEARCH 0 4294967295 99999999999\r\n",
    b"* OK [UIDVALIDITY 0] x\r\n",
    b"* OK [UIDNEXT 4294967295] x\r\n",
    b"* 1 FETCH (UID 1 BODY[] NIL)\r\n",
    b"* 1 FETCH (UID 9 RFC822.SIZE 99999999999)\r\n",
    b" INTERNALDATE \"99-Feb-9999 99:99:99 +9999\"",
    b"+ go on\r\n",
];

/// What a server with one small mail says to a command.
fn imap(line: &str) -> Vec<u8> {
    let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
    let said = match command {
        command if command.starts_with("CAPABILITY") => "* CAPABILITY IMAP4rev1 IDLE\r\n",
        command if command.starts_with("EXAMINE") || command.starts_with("SELECT") => {
            "* 1 EXISTS\r\n* OK [UIDVALIDITY 7] so\r\n* OK [UIDNEXT 2] so\r\n"
        }
        command if command.contains("SEARCH") => "* SEARCH 1\r\n",
        command if command.contains("RFC822.SIZE") => {
            "* 1 FETCH (UID 1 RFC822.SIZE 15 INTERNALDATE \" 3-Mar-2025 10:00:00 +0000\")\r\n"
        }
        command if command.contains("BODY") => "* 1 FETCH (UID 1 BODY[] {15}\r\nSubject: m1\r\n\r\n)\r\n",
        _ => "",
    };
    format!("{said}{tag} OK done\r\n").into_bytes()
}

/// Reads the mailbox once: why that ended, and how many mails were kept.
fn read_once(url: &str) -> Result<(String, usize, Option<Mark>), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (intake, cursors) = (Arc::new(MemoryIntake::default()), Arc::new(OneCursor::default()));
    let doors = Doors::new(intake.clone(), intake.clone(), cursors.clone(), Arc::new(now));
    let config = Config {
        address: Some("support@desk.example".to_owned()),
        imap: Some(url.to_owned()),
        password: Some(Secret::new("a password")),
        from: "all".to_owned(),
        poll_s: 1,
        ..Config::default()
    };
    let source = config.check("support").unwrap();
    let task = connect(&[(source.name().clone(), source)].into(), &doors).unwrap().tasks.remove(0);
    let ended = runtime.block_on(async { tokio::time::timeout(DEADLINE, (task.run)()).await });
    let ended = ended.map_err(|_| TestCaseError::fail("the reader goes on though its server is gone"))?;
    let accepted = intake.accepted();
    for (event, raw) in &accepted {
        prop_assert!(event.to_json().len() < 700 * 1024 && raw.bytes.len() < 1 << 20, "{:?}", event.key);
    }
    let keys: BTreeSet<_> = accepted.iter().map(|(event, _)| event.key.clone()).collect();
    let mark = cursors.0.lock().unwrap().clone();
    Ok((ended.map_or_else(|error| error.to_string(), |()| String::new()), keys.len(), mark))
}

#[test]
fn the_fake_mailbox_is_read_when_nothing_is_wrong_with_it() {
    let heard = Mutex::new(0);
    let server = Fake::patient(DEADLINE, b"* OK ready\r\n".to_vec(), move |line| {
        let mut heard = heard.lock().unwrap();
        *heard += 1;
        // Once all was read, it is over.
        (*heard <= 12 && !line.contains("IDLE")).then(|| imap(line))
    });
    let url = format!("imap+insecure://anna@127.0.0.1:{}/INBOX", server.port);
    let (_, kept, mark) = read_once(&url).unwrap();
    assert_eq!(kept, 1);
    assert!(mark.unwrap().value.contains("\"next\":2"));
}

proptest! {
    // A case is a session: an eighth of what others try by default.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.div_ceil(8)))]

    #[test]
    fn fuzz_whatever_a_mail_server_answers_reading_ends_with_a_sentence(
        nth in 0_usize..9,
        wounds in prop::collection::vec(any::<Wound>(), 1..5),
    ) {
        let heard = Mutex::new(0_usize);
        let hurt = wounds.clone();
        let greeting = b"* OK ready\r\n";
        let first = if nth == 0 { wounded(greeting, &IMAP, &wounds) } else { greeting.to_vec() };
        let server = Fake::start(first, move |line| {
            let mut heard = heard.lock().unwrap();
            *heard += 1;
            let genuine = imap(line);
            // Once all was read, it is over.
            (*heard <= 12 && !line.contains("IDLE")).then(|| if *heard == nth { wounded(&genuine, &IMAP, &hurt) } else { genuine })
        });
        let url = format!("imap+insecure://anna@127.0.0.1:{}/INBOX", server.port);
        let (why, kept, mark) = read_once(&url)?;
        prop_assert!(why.len() < 2000, "{} bytes of a complaint", why.len());
        prop_assert!(kept <= 40, "{} mails of a mailbox with one", kept);
        if let Some(mark) = mark {
            prop_assert!(mark.value.len() < 1000, "{}", mark.value);
        }
    }

    #[test]
    fn fuzz_whatever_a_mail_server_answers_a_mail_is_sent_or_not_and_never_both(
        nth in 0_usize..8,
        wounds in prop::collection::vec(any::<Wound>(), 1..5),
    ) {
        let words: [&[u8]; 14] = [
            b"250 ", b"250-", b"220 x\r\n", b"354 go\r\n", b"421 4.3.2 away\r\n", b"550 5.1.1 no\r\n", b"450 4.2.0 later\r\n",
            b"999 \xff\r\n", b"\r\n", b"\n", b"\r", b"\0", b"2", b"99999999999 ",
        ];
        let (heard, said) = (Mutex::new((0_usize, false)), Arc::new(Mutex::new(false)));
        let (hurt, believed) = (wounds.clone(), said.clone());
        let hurt_words = words.map(<[u8]>::to_vec);
        let first = if nth == 0 { wounded(b"220 ready\r\n", &words, &wounds) } else { b"220 ready\r\n".to_vec() };
        let server = Fake::start(first, move |line| {
            let mut heard = heard.lock().unwrap();
            let ends = heard.1 && line == ".";
            let genuine: &[u8] = match line.get(..4).unwrap_or(line) {
                _ if heard.1 && !ends => b"",
                _ if ends => b"250 2.0.0 queued as 1\r\n",
                "EHLO" => b"250-sink\r\n250 SMTPUTF8\r\n",
                "DATA" => b"354 go ahead\r\n",
                "QUIT" => b"221 bye\r\n",
                _ => b"250 2.0.0 fine\r\n",
            };
            if heard.1 && !ends {
                return Some(Vec::new());
            }
            heard.0 += 1;
            heard.1 = line == "DATA";
            let words: Vec<&[u8]> = hurt_words.iter().map(Vec::as_slice).collect();
            let answer = if heard.0 == nth { wounded(genuine, &words, &hurt) } else { genuine.to_vec() };
            *believed.lock().unwrap() |= ends;
            Some(answer)
        });
        let courier = MailCourier::new(Smtp {
            server: Server::parse(&format!("smtp+insecure://127.0.0.1:{}", server.port)).unwrap(),
            credential: None,
            ca: None,
            sender: Sender::new("help@desk.example", None, false).unwrap(),
            hello: None,
            limits: Limits { attempt: DEADLINE, ..Limits::default() },
        }).unwrap();
        let order = Order {
            reply: "ent_01928f00000070008000000000000007".parse().unwrap(), attempt: 1, written_at: now(),
            to: "olena@client.example".to_owned(), name: None, agent: None, text: "Hello".to_owned(), thread: None, seq: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let tried = runtime.block_on(async { tokio::time::timeout(DEADLINE, courier.deliver(&order)).await });
        let tried = tried.map_err(|_| TestCaseError::fail("a try goes on though its server is gone"))?;
        prop_assert!(tried.detail.as_ref().is_none_or(|detail| detail.len() < 2000), "{:?}", tried.detail);
        let sent = *said.lock().unwrap();
        prop_assert!(tried.fate != ReplyFate::Sent || sent, "told to be sent, but it never was: {:?}", tried);
    }
}
