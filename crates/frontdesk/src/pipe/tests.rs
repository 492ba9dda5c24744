//! The socket, its two sides played against each other and against strangers.

mod fuzz;

use std::io::{self, Read as _, Write as _};
use std::os::unix::net as blocking;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::task::JoinHandle;

use super::*;
use crate::commands::mail::hand_over;
use crate::harness::{PATIENCE, eventually};

/// Far more than a test takes.
const WAIT: Duration = Duration::from_secs(50);

/// A running pipe over a hand-in that keeps what it is given in memory.
struct House {
    data: tempfile::TempDir,
    kept: Kept,
    /// How many are being kept now, and how many were at most.
    busy: Arc<(AtomicUsize, AtomicUsize)>,
    /// Taken, nothing is kept before it is given back.
    gate: Arc<tokio::sync::RwLock<()>>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl House {
    async fn open() -> Self {
        Self::open_in(tempfile::tempdir().unwrap()).await
    }

    #[expect(clippy::disallowed_methods, reason = "a test waits for it by its handle")]
    async fn open_in(data: tempfile::TempDir) -> Self {
        let pipe = Pipe::open(data.path()).unwrap();
        let (kept, busy, gate) = (Arc::default(), Arc::default(), Arc::default());
        let hand_in = hand_in(&kept, &busy, &gate);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(pipe.serve(hand_in, stop.clone()));
        Self { data, kept, busy, gate, stop, serving }
    }

    fn socket(&self) -> PathBuf {
        frame::socket(self.data.path())
    }

    /// As `frontdesk mail` does it.
    fn mail(&self, source: &str, mail: impl Into<Vec<u8>>) -> JoinHandle<anyhow::Result<Answer>> {
        let (socket, source, mail) = (self.socket(), source.to_owned(), mail.into());
        tokio::task::spawn_blocking(move || hand_over(&socket, &source, mail.as_slice(), WAIT))
    }

    fn stranger(&self) -> blocking::UnixStream {
        let stranger = blocking::UnixStream::connect(self.socket()).unwrap();
        stranger.set_read_timeout(Some(WAIT)).unwrap();
        stranger
    }

    fn kept(&self) -> Vec<(String, Vec<u8>)> {
        self.kept.lock().unwrap().clone()
    }

    fn busy(&self) -> usize {
        self.busy.0.load(Ordering::SeqCst)
    }

    async fn leave(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.serving).await.expect("the pipe did not stop").unwrap();
        let left: Vec<_> = fs::read_dir(self.data.path().join("run")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

type Kept = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// Knows the sources `support` and `full`; finds that a mail with a bell in it can never be taken.
fn hand_in(
    kept: &Kept,
    busy: &Arc<(AtomicUsize, AtomicUsize)>,
    gate: &Arc<tokio::sync::RwLock<()>>,
) -> HandIn {
    let (kept, busy, gate) = (kept.clone(), busy.clone(), gate.clone());
    Arc::new(move |source: &str, raw: Vec<u8>| {
        let (kept, busy, gate, source) = (kept.clone(), busy.clone(), gate.clone(), source.to_owned());
        async move {
            let now = busy.0.fetch_add(1, Ordering::SeqCst) + 1;
            busy.1.fetch_max(now, Ordering::SeqCst);
            drop(gate.read().await);
            busy.0.fetch_sub(1, Ordering::SeqCst);
            match source.as_str() {
                "support" if raw.contains(&7) => Err(Refused::Never("it rings".to_owned())),
                "support" => {
                    kept.lock().unwrap().push((source, raw));
                    Ok(())
                }
                "full" => Err(Refused::Later("the journal is full".to_owned())),
                other => Err(Refused::Later(format!("there is no [email.{other}]"))),
            }
        }
        .boxed()
    })
}

#[tokio::test]
async fn kept_is_said_after_the_mail_was_kept_byte_for_byte() {
    let house = House::open().await;
    let all: Vec<u8> = (0..200_000u32).map(|n| if n % 256 == 7 { 0 } else { (n % 256) as u8 }).collect();
    let shut = house.gate.write().await;
    let mut mail = house.mail("support", all.clone());
    eventually(async || house.busy() == 1).await;
    assert!((&mut mail).now_or_never().is_none(), "answered before it was kept");
    drop(shut);
    assert_eq!(mail.await.unwrap().unwrap(), Answer::Kept);
    assert_eq!(house.kept(), [("support".to_owned(), all)]);
    house.leave().await;
}

#[tokio::test]
async fn a_refusal_arrives_with_its_sentence() {
    let house = House::open().await;
    for (source, mail, answer) in [
        ("full", "x", Answer::Later("the journal is full".to_owned())),
        ("sales", "x", Answer::Later("there is no [email.sales]".to_owned())),
        ("support", "\u{7}", Answer::Never("it rings".to_owned())),
        ("support", "", Answer::Never("there was no mail on standard input".to_owned())),
        (
            "support",
            "From mailer Sat Nov 21\n",
            Answer::Never("there was no mail on standard input".to_owned()),
        ),
    ] {
        assert_eq!(house.mail(source, mail).await.unwrap().unwrap(), answer, "{source}");
    }
    assert!(house.mail("Not A Name", "x").await.unwrap().is_err());
    assert_eq!(house.kept(), []);
    house.leave().await;
}

#[tokio::test]
async fn the_line_of_a_mailbox_file_is_no_part_of_the_mail() {
    let house = House::open().await;
    for mail in ["From a@b.c Sat Nov 21 10:00:00 2026\nSubject: x\n\nx", "Subject: x\n\nx"] {
        assert_eq!(house.mail("support", mail).await.unwrap().unwrap(), Answer::Kept);
    }
    let whole = ("support".to_owned(), b"Subject: x\n\nx".to_vec());
    assert_eq!(house.kept(), [whole.clone(), whole]);
    let answer = house.mail("support", "From: a@b.c\n\nx").await.unwrap().unwrap();
    assert_eq!((answer, house.kept().len()), (Answer::Kept, 3));
    assert!(house.kept().pop().unwrap().1.starts_with(b"From: "));
    house.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_at_the_bound_is_kept_and_one_over_it_never() {
    let house = House::open().await;
    let mut large = vec![b'x'; LARGEST];
    assert_eq!(house.mail("support", large.clone()).await.unwrap().unwrap(), Answer::Kept);
    assert_eq!(house.kept().pop().unwrap().1.len(), LARGEST);
    large.push(b'x');
    let over = house.mail("support", large).await.unwrap().unwrap();
    assert!(matches!(&over, Answer::Never(why) if why.contains("67108864")), "{over:?}");

    // One who does not know the bound, and sends on after the answer.
    let mut stranger = house.stranger();
    stranger.write_all(&frame::head("support", LARGEST + 1).unwrap()).unwrap();
    let sent = tokio::task::spawn_blocking(move || {
        let sent = (0..2000).try_for_each(|_| stranger.write_all(&[b'x'; 4096]));
        (sent, said_to(stranger))
    });
    let (sent, said) = sent.await.unwrap();
    assert!(sent.is_err(), "it was read to the end");
    assert!(matches!(Answer::read(&said), Some(Answer::Never(_))), "{said:?}");
    assert_eq!(house.kept().len(), 1);
    house.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_request_keeps_nothing() {
    let house = House::open().await;
    let whole = [frame::head("support", 5).unwrap(), b"hello".to_vec()].concat();
    for cut in 0..whole.len() {
        let mut stranger = house.stranger();
        stranger.write_all(&whole[..cut]).unwrap();
        stranger.shutdown(std::net::Shutdown::Write).unwrap();
        let said = tokio::task::spawn_blocking(|| said_to(stranger)).await.unwrap();
        assert!(matches!(Answer::read(&said), Some(Answer::Later(_))), "cut at {cut}: {said:?}");
    }
    for wrong in
        [&b"FDM2\x07support\0\0\0\x01x"[..], b"GET / HTTP/1.1\r\n\r\n", b"FDM1\x02\xff\xff\0\0\0\x01x"]
    {
        let mut stranger = house.stranger();
        stranger.write_all(wrong).unwrap();
        let said = tokio::task::spawn_blocking(|| said_to(stranger)).await.unwrap();
        assert!(matches!(Answer::read(&said), Some(Answer::Later(_))), "{wrong:?}: {said:?}");
    }
    assert_eq!(house.kept(), []);
    let mut stranger = house.stranger();
    stranger.write_all(&whole).unwrap();
    assert_eq!(tokio::task::spawn_blocking(|| said_to(stranger)).await.unwrap(), "kept\n");
    house.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_is_told_so_and_holds_nobody_up() {
    let house = House::open().await;
    let mut slow = UnixStream::connect(house.socket()).await.unwrap();
    slow.write_all(&frame::head("support", 5).unwrap()).await.unwrap();
    slow.write_all(b"he").await.unwrap();
    let mut quick = UnixStream::connect(house.socket()).await.unwrap();
    let began = tokio::time::Instant::now();
    let request = [frame::head("support", 5).unwrap(), b"hello".to_vec()].concat();
    quick.write_all(&request).await.unwrap();
    let mut said = String::new();
    quick.read_to_string(&mut said).await.unwrap();
    assert_eq!((said.as_str(), began.elapsed() < RECEIVE), ("kept\n", true));
    said.clear();
    slow.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "later the mail did not come in time\n");
    assert!((RECEIVE..RECEIVE + ANSWER).contains(&began.elapsed()), "{:?}", began.elapsed());
    house.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_cannot_be_kept_in_time_is_not_waited_for() {
    let house = House::open().await;
    let shut = house.gate.clone().write_owned().await;
    let mut peer = UnixStream::connect(house.socket()).await.unwrap();
    let began = tokio::time::Instant::now();
    peer.write_all(&[frame::head("support", 1).unwrap(), b"x".to_vec()].concat()).await.unwrap();
    let mut said = String::new();
    peer.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "later it could not be kept in time\n");
    assert!(began.elapsed() < Duration::from_secs(60), "the other side has gone by now");
    drop(shut);
    house.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_all_are_kept_within_the_bounds() {
    let house = House::open().await;
    let shut = house.gate.clone().write_owned().await;
    let mails: Vec<_> = (0..200).map(|n| house.mail("support", format!("mail {n}"))).collect();
    eventually(async || house.busy() == MOST_REQUESTS).await;
    drop(shut);
    for mail in mails {
        assert_eq!(mail.await.unwrap().unwrap(), Answer::Kept);
    }
    assert_eq!(house.busy.1.load(Ordering::SeqCst), MOST_REQUESTS);
    let mut kept: Vec<_> = house.kept().into_iter().map(|(_, raw)| raw).collect();
    kept.sort();
    kept.dedup();
    assert_eq!(kept.len(), 200);
    house.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_mail_waits_for_its_room_and_gives_it_back() {
    let (kept, room) = (Kept::default(), Arc::new(Semaphore::new(2)));
    let hand_in = hand_in(&kept, &Arc::default(), &Arc::default());
    let desk = Desk { hand_in, room: Arc::clone(&room), stop: CancellationToken::new() };
    let attend = async |length: usize| {
        let (mut peer, ours) = UnixStream::pair().unwrap();
        let asking = async {
            let head = frame::head("support", length).unwrap();
            peer.write_all(&[head, vec![b'x'; length]].concat()).await.unwrap();
            let mut said = String::new();
            BufReader::new(peer).read_line(&mut said).await.unwrap();
            said
        };
        tokio::join!(asking, desk.attend(ours)).0
    };
    let held = room.try_acquire().unwrap();
    let (large, small) = tokio::join!(attend(PIECE + 1), attend(PIECE));
    assert_eq!((large.as_str(), small.as_str()), ("later the mail did not come in time\n", "kept\n"));
    drop(held);
    assert_eq!(attend(PIECE + 1).await, "kept\n");
    assert_eq!((kept.lock().unwrap().len(), room.available_permits()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_is_being_kept_and_puts_off_the_rest() {
    let house = House::open().await;
    let shut = house.gate.clone().write_owned().await;
    let being_kept = house.mail("support", "being kept");
    eventually(async || house.busy() == 1).await;
    let mut half = house.stranger();
    half.write_all(&frame::head("support", 5).unwrap()).unwrap();
    half.write_all(b"he").unwrap();
    // Admitted in the order of their coming: when this one is being served, the half is too.
    let the_last = house.mail("support", "the last");
    eventually(async || house.busy() == 2).await;
    house.stop.cancel();
    // Nobody is admitted any more, long before the last one is served.
    eventually(async || blocking::UnixStream::connect(house.socket()).is_err()).await;
    assert!(house.mail("support", "too late").await.unwrap().is_err());
    let said = tokio::task::spawn_blocking(|| said_to(half)).await.unwrap();
    assert_eq!(said, "later frontdesk is shutting down\n");
    assert!(!house.serving.is_finished());
    drop(shut);
    for mail in [being_kept, the_last] {
        assert_eq!(mail.await.unwrap().unwrap(), Answer::Kept);
    }
    assert_eq!(house.kept().len(), 2);
    house.leave().await;
}

#[tokio::test]
async fn what_a_killed_process_left_is_replaced() {
    let data = tempfile::tempdir().unwrap();
    let socket = frame::socket(data.path());
    fs::create_dir(data.path().join("run")).unwrap();
    // A listener that is dropped leaves its file, as a killed process does; twice, half way too.
    drop(blocking::UnixListener::bind(&socket).unwrap());
    drop(blocking::UnixListener::bind(socket.with_extension("new")).unwrap());
    let sentence = hand_over(&socket, "support", &b"x"[..], WAIT).unwrap_err();
    assert!(format!("{sentence:#}").contains("could not be reached"), "{sentence:#}");
    let house = House::open_in(data).await;
    assert_eq!(house.mail("support", "x").await.unwrap().unwrap(), Answer::Kept);
    let mode = fs::metadata(house.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, MODE, "{mode:o}");
    house.leave().await;
}

#[tokio::test]
async fn a_living_process_and_other_peoples_files_are_left_alone() {
    let house = House::open().await;
    let error = Pipe::open(house.data.path()).unwrap_err();
    assert!(error.to_string().contains("another frontdesk answers"), "{error:#}");
    assert_eq!(house.mail("support", "x").await.unwrap().unwrap(), Answer::Kept);

    // Somebody put their own in our place: at our end it stays.
    fs::remove_file(house.socket()).unwrap();
    fs::write(house.socket(), "mine").unwrap();
    let error = Pipe::open(house.data.path()).unwrap_err();
    assert!(error.to_string().contains("no socket"), "{error:#}");
    house.stop.cancel();
    tokio::time::timeout(PATIENCE, house.serving).await.unwrap().unwrap();
    assert_eq!(fs::read(frame::socket(house.data.path())).unwrap(), b"mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_is_given_up() {
    let data = tempfile::tempdir().unwrap();
    let socket = data.path().join("socket");
    // It accepts in the kernel and never reads.
    let silent = blocking::UnixListener::bind(&socket).unwrap();
    let patience = Duration::from_millis(200);
    let mail = vec![b'x'; 4 << 20];
    let asked = socket.clone();
    let answer = tokio::task::spawn_blocking(move || hand_over(&asked, "support", mail.as_slice(), patience));
    let sentence = format!("{:#}", answer.await.unwrap().unwrap_err());
    assert!(sentence.contains("no answer within"), "{sentence}");

    // It goes in the middle of an answer.
    let asked = socket.clone();
    let answer = tokio::task::spawn_blocking(move || hand_over(&asked, "support", &b"x"[..], WAIT));
    let (_given_up, _) = silent.accept().unwrap();
    let (mut peer, _) = silent.accept().unwrap();
    let mut request = frame::head("support", 1).unwrap();
    request.push(b'x');
    peer.read_exact(&mut request).unwrap();
    peer.write_all(b"kept").unwrap();
    drop(peer);
    let sentence = format!("{:#}", answer.await.unwrap().unwrap_err());
    assert!(sentence.contains("ended before it had answered"), "{sentence}");
}

/// Everything it is told until the other side hangs up.
fn said_to(mut stranger: blocking::UnixStream) -> String {
    let mut said = Vec::new();
    match stranger.read_to_end(&mut said) {
        Ok(_) => {}
        // The other side left some of what was sent unread.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    String::from_utf8(said).unwrap()
}
