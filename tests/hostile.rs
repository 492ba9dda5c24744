//! Mails made to hurt and visitors who mean no good: each is bounded and told so, what was promised is kept
//! byte for byte, and the telephone is answered meanwhile.

use std::fs;
use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::setup::IDENTITY;
use tests::visitor::token;
use tests::wait::{PATIENCE, when};
use tests::{Agent, App, Call, Pbx, Setup, eventually};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Far more than an answer takes, unoptimised on a busy machine; far less than a hostile mail would cost if
/// anybody waited for it.
const SOON: Duration = Duration::from_secs(30);
/// What the program may ever have in memory, in MiB: the largest mail a few times over, and itself.
const MOST_MEMORY: u64 = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_mails_are_kept_as_they_are_and_stop_nobody() {
    // The largest that can be configured.
    let setup = Setup::up().line().widget().mailbox().with("email.support.max_bytes", 64 << 20);
    let mut app = setup.start().await;
    let (agent, pbx) = (app.agent("supervisor").await, app.pbx());

    let head =
        |name: &str| format!("From: eve@client.example\r\nMessage-ID: <{name}@x>\r\nSubject: {name}\r\n");
    let mail = |name: &str, rest: &[u8]| [head(name).as_bytes(), rest].concat();
    let nested: String = (0..10_000)
        .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
        .collect();
    let parts =
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\nx\r\n".repeat(50_000));
    let line = format!("{}\r\n", "QUJD".repeat(19));
    let large = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee the file\r\n--b\r\nContent-Type: a/b; name=f\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}--b--\r\n",
        line.repeat(60_000_000 / line.len())
    );
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let lying = "Content-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=utf-16\r\n\r\n\u{439}\u{446}\u{443}\r\n\
        --b\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n+AAA-+//8-\r\n\
        --b\r\nContent-Type: text/html; charset=\"\0\"\r\n\r\n<p>\x1b$B\r\n--b--";
    let mails = [
        ("large", mail("large", large.as_bytes())),
        ("nested", mail("nested", nested.as_bytes())),
        ("parts", mail("parts", parts.as_bytes())),
        ("nul", mail("nul", &[b"\r\n\0\0".as_slice(), &bytes].concat())),
        ("lying", mail("lying", lying.as_bytes())),
        ("endless", mail("endless", &[b"X: ".as_slice(), &vec![b'x'; 2_000_000]].concat())),
    ];

    // Somebody calls and somebody chats, all the time.
    let (calls, worst) = busy(&app, &pbx, async {
        for (name, raw) in &mails {
            let answer = app.setup.mail("support", raw).await;
            assert_eq!(answer.code, Some(0), "{name}: {answer:?}");
        }
        // Nothing can be read in it: kept all the same, for a person.
        let answer = app.setup.mail("support", b"\r\n \r\n").await;
        assert_eq!(answer.code, Some(0), "{answer:?}");
        // Over the bound: its sender hears so at once, and still has it.
        let answer = app.setup.mail("support", vec![b'x'; 100_000_000]).await;
        assert!(answer.code == Some(65) && answer.stderr.contains("67108864 bytes"), "{answer:?}");
        for (name, raw) in &mails {
            assert!(raw_of(&agent, name).await == *raw, "{name}: another raw");
        }
    })
    .await;
    assert!(worst < SOON, "somebody waited for {worst:?} while a mail was read");

    let letters = eventually("the empty mail is a dead letter", PATIENCE, async || {
        let letters = agent.all("/v1/dead-letters?state=open").await?;
        when(letters.len() == 1, format!("{letters:?}")).map(|()| letters)
    })
    .await;
    let letter = agent.get(&format!("/v1/dead-letters/{}", letters[0]["id"].as_str().expect("an id"))).await;
    let event: Value = serde_json::from_str(letter["text"].as_str().expect("the event")).expect("JSON");
    let raw = event.pointer("/data/raw/text");
    assert_eq!((&letter["source"], raw), (&json!("email/support"), Some(&json!("\r\n \r\n"))), "{letter}");

    // The refused one is nowhere, and everybody who called is there.
    let kept = agent.all("/v1/contacts?channel=email").await.expect("a list");
    assert_eq!(kept.len(), mails.len(), "{kept:?}");
    eventually("every call is recorded", PATIENCE, async || {
        let seen = agent.all("/v1/contacts?channel=phone").await?.len();
        when(seen == calls, format!("{seen} of {calls}"))
    })
    .await;
    is_unharmed(&app).await;
    app.stop().await;
}

/// Does `work` while a phone system and a visitor go on: how many calls were told, and how long the slowest
/// answer took.
async fn busy(app: &App, pbx: &Pbx, work: impl Future<Output = ()>) -> (usize, Duration) {
    let mut visitor = tests::Visitor::new(&app.url());
    visitor.connect().await;
    let (mut work, mut calls, mut worst) = (Box::pin(work), 0, Duration::ZERO);
    let mut talk = async |nth: usize| {
        let began = Instant::now();
        assert_eq!(pbx.send(&Call::nth(nth).ringing()).await, 204);
        visitor.say(&format!("m{nth}"), "hello?").await;
        // A pace, so that what is measured is not our own crowd.
        tokio::time::sleep(Duration::from_millis(50)).await;
        began.elapsed() - Duration::from_millis(50)
    };
    loop {
        let turn = talk(calls);
        tokio::pin!(turn);
        tokio::select! {
            took = &mut turn => worst = worst.max(took),
            () = &mut work => {
                worst = worst.max(turn.await);
                assert!(calls > 10, "nobody called meanwhile");
                return (calls + 1, worst);
            }
        }
        calls += 1;
    }
}

/// The raw of the mail with this subject, as soon as it is recorded.
async fn raw_of(agent: &Agent, subject: &str) -> Vec<u8> {
    let id = eventually("the mail is recorded", PATIENCE, async || {
        let all = agent.all("/v1/contacts?channel=email").await?;
        let one = all.iter().find(|one| one["content"]["subject"] == subject);
        one.and_then(|one| one["id"].as_str().map(str::to_owned))
            .ok_or_else(|| format!("{} others", all.len()))
    })
    .await;
    let answer = agent.try_ask(Method::GET, &format!("/v1/contacts/{id}/raw")).await.expect("an answer");
    assert_eq!(answer.status(), 200, "{subject}");
    answer.bytes().await.expect("all of it").to_vec()
}

/// Nothing panicked, nothing was kept in memory that came from outside, and every part is well.
async fn is_unharmed(app: &App) {
    app.well().await;
    assert!(!app.log().contains("panicked"), "something panicked");
    let status = fs::read_to_string(format!("/proc/{}/status", app.process().pid)).expect("it runs");
    let most = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let most = most.expect("the kernel tells it") / 1024;
    eprintln!("at most {most} MiB");
    assert!(most < MOST_MEMORY, "{most} MiB");
}

const SITE: &str = "https://shop.example";
/// Where the flood comes from, and where the polite ones are, by the word of a proxy of ours.
const FLOOD: &str = "203.0.113.7";
const POLITE: &str = "198.51.100.9";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens the chat as a browser does, or with which status that is refused.
async fn open(app: &App, origin: Option<&str>, address: &str) -> Result<Socket, StatusCode> {
    let url = format!("{}/chat/site/socket", app.url().replacen("http", "ws", 1));
    let mut request = url.into_client_request().expect("a request");
    let value = |text: &str| HeaderValue::from_str(text).expect("a header");
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", value(origin));
    }
    request.headers_mut().insert("x-forwarded-for", value(address));
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16().try_into().expect("a status")),
        Err(error) => panic!("no answer: {error}"),
    }
}

async fn say(socket: &mut Socket, frame: &Value) {
    // Who is shown out may find the line closed.
    socket.send(Message::text(frame.to_string())).await.ok();
}

/// The next frame, or with which code the line was closed; 0 where it was cut.
async fn hear(socket: &mut Socket) -> Result<Value, u16> {
    loop {
        let next = tokio::time::timeout(PATIENCE, socket.next()).await.expect("silence");
        match next {
            Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
            Some(Ok(Message::Close(why))) => return Err(why.map_or(0, |why| why.code.into())),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Err(0),
        }
    }
}

/// How the line is closed, whatever is said before.
async fn closed(socket: &mut Socket) -> u16 {
    loop {
        if let Err(code) = hear(socket).await {
            return code;
        }
    }
}

/// A welcome, and what it says.
async fn welcomed(app: &App, address: &str, visitor: Option<&str>) -> (Socket, Value) {
    let mut socket = open(app, Some(SITE), address).await.expect("they are let in");
    say(&mut socket, &json!({"type": "hello", "visitor": visitor})).await;
    let welcome = hear(&mut socket).await.expect("a welcome");
    assert_eq!(welcome["type"], "welcome", "{welcome}");
    (socket, welcome)
}

/// Says a line and waits for its ack: how long that took.
async fn is_served(socket: &mut Socket, id: &str) -> Duration {
    let began = Instant::now();
    say(socket, &json!({"type": "message", "id": id, "text": "good day"})).await;
    loop {
        let said = hear(socket).await.expect("the polite are not shown out");
        assert_ne!(said["type"], "error", "{said}");
        if said["type"] == "ack" {
            return began.elapsed();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a token is good for some time from now")]
async fn hostile_visitors_are_shown_out_and_the_polite_are_served() {
    let setup = Setup::up().line().widget().with("http.header_timeout_s", 1);
    let setup = setup.with("chat.site.origins", SITE).with("chat.site.proxies", "127.0.0.1");
    let mut app = setup.with("chat.site.address_sockets", 20).start().await;
    let (agent, pbx) = (app.agent("reader").await, app.pbx());

    // Other sites, and programs that are on none.
    for origin in [
        Some("https://evil.example"),
        Some("http://shop.example"),
        Some("https://shop.example.evil.example"),
        Some("https://shop.example@evil.example"),
        Some("https://evil.example/https://shop.example"),
        Some("null"),
        Some("*"),
        None,
    ] {
        assert_eq!(open(&app, origin, POLITE).await.err(), Some(StatusCode::FORBIDDEN), "{origin:?}");
    }

    // Who is not who they say they are.
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({"sub": "42", "exp": now + 600, "email": "olena@client.example"});
    let genuine = token(&claims, IDENTITY);
    let (body, signature) =
        genuine.split_once('.').and_then(|(_, rest)| rest.split_once('.')).expect("three parts");
    let tokens = [
        (token(&claims, "another-secret-that-is-long-enough-0123"), "bad_token"),
        (token(&json!({"sub": "42", "exp": now - 60}), IDENTITY), "expired_token"),
        (token(&json!({"sub": "42"}), IDENTITY), "bad_token"),
        // {"alg":"none","typ":"JWT"}, with and without the signature.
        (format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}."), "bad_token"),
        (format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.{signature}"), "bad_token"),
        (genuine.replacen('.', "..", 1), "bad_token"),
        ("a".repeat(10_000), "bad_token"),
    ];
    for (token, code) in tokens {
        let mut socket = open(&app, Some(SITE), POLITE).await.expect("they are let in");
        say(&mut socket, &json!({"type": "hello", "token": token})).await;
        assert_eq!(hear(&mut socket).await.expect("an answer")["code"], code, "{token}");
        say(&mut socket, &json!({"type": "message", "id": "m1", "text": "believe me"})).await;
        assert_eq!(closed(&mut socket).await, 4001, "{token}");
    }

    // What is no frame of a chat.
    for (frame, codes) in [
        (Message::binary(vec![0xff; 1000]), [1003, 1003]),
        // Cut where the client was still sending.
        (Message::text("x".repeat(1 << 20)), [1009, 0]),
        (Message::binary(vec![0; 1 << 20]), [1009, 0]),
    ] {
        let (mut socket, _) = welcomed(&app, POLITE, None).await;
        let size = frame.len();
        socket.send(frame).await.ok();
        let code = closed(&mut socket).await;
        assert!(codes.contains(&code), "{size} bytes: {code}");
    }

    // Half handshakes, and sockets that never say who they are, as many as are let in.
    let half = "GET /chat/site/socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upg";
    let mut halves = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(app.setup.address()).await.expect("a connection");
        stream.write_all(half.as_bytes()).await.expect("it can be said");
        halves.push(stream);
    }
    let mut silent = Vec::new();
    let refused = loop {
        match open(&app, Some(SITE), FLOOD).await {
            Ok(socket) => silent.push(socket),
            Err(status) => break status,
        }
        assert!(silent.len() <= 20, "more than one address may have");
    };
    assert_eq!((refused, silent.len()), (StatusCode::TOO_MANY_REQUESTS, 20));
    drop(silent.split_off(10));

    // A flood, which is shown out, beside two who are served.
    let mut flood =
        eventually("a place is free again", PATIENCE, async || open(&app, Some(SITE), FLOOD).await).await;
    let (mut polite, _) = welcomed(&app, POLITE, None).await;
    say(&mut flood, &json!({"type": "hello"})).await;
    let secret = hear(&mut flood).await.expect("a welcome")["visitor"].as_str().expect("a secret").to_owned();
    let (mut write, mut read) = flood.split();
    let talk = async {
        for nth in 0..5_000 {
            let line = json!({"type": "message", "id": format!("f{nth}"), "text": "x".repeat(2000)});
            if write.send(Message::text(line.to_string())).await.is_err() {
                return;
            }
        }
    };
    let listen = async {
        let (mut acks, mut errors) = (0_i64, 0_i64);
        while let Some(Ok(message)) = read.next().await {
            match message {
                Message::Text(text) if text.contains("\"type\":\"ack\"") => acks += 1,
                Message::Text(text) if text.contains("\"code\":\"slow_down\"") => errors += 1,
                Message::Close(why) => return (acks, errors, why.map(|why| u16::from(why.code))),
                _ => {}
            }
        }
        (acks, errors, None)
    };
    let served = async {
        let mut worst = Duration::ZERO;
        for nth in 0..20 {
            worst = worst.max(is_served(&mut polite, &format!("p{nth}")).await);
            let began = Instant::now();
            assert_eq!(pbx.send(&Call::nth(nth).ringing()).await, 204);
            worst = worst.max(began.elapsed());
        }
        worst
    };
    let ((), (acks, errors, code), worst) = tokio::join!(talk, listen, served);
    assert!(worst < SOON, "somebody polite waited for {worst:?}");
    // Sixty at once and then one a second, for as long as it is let.
    assert!((1..=120).contains(&acks) && errors >= 1, "{acks} taken, {errors} refused");
    assert!(matches!(code, None | Some(4008)), "{code:?}");

    // What was acknowledged is there, also of the flood, and nothing else.
    eventually("the lines are recorded", PATIENCE, async || {
        let (_, welcome) = welcomed(&app, "198.51.100.10", Some(&secret)).await;
        when(welcome["seq"] == acks, welcome)
    })
    .await;
    let chats = eventually("both chats are there", PATIENCE, async || {
        let chats = agent.all("/v1/contacts?channel=chat").await?;
        when(chats.len() == 2, format!("{chats:?}")).map(|()| chats)
    })
    .await;
    assert!(chats.iter().all(|chat| chat["client"].is_string()), "{chats:?}");
    assert!(!json!(chats).to_string().contains("believe me"));
    for half in &mut halves {
        let mut rest = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(half, &mut rest);
        tokio::time::timeout(PATIENCE, read).await.expect("a half handshake is ended by us").ok();
    }
    drop(silent);
    is_unharmed(&app).await;
    app.stop().await;
}
