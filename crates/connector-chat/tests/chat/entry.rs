//! Who may come in, how many, how much, and how it ends.

use std::time::{Duration, Instant};

use connector_chat::{Config, Pace};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::task::TaskTracker;

use crate::people::{Client, Server};
use crate::world::{Core, DEADLINE, SITE, config, pace, visitor};

const SOCKET: &str = "/chat/site/socket";

#[tokio::test]
async fn only_listed_sites_and_our_own_pages_open_a_chat() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let own = format!("http://{}", server.address);
    for origin in [SITE, &own] {
        assert!(Client::from(&server, SOCKET, &[("origin", origin)]).await.is_ok(), "{origin}");
    }
    for headers in [&[][..], &[("origin", "https://evil.example")], &[("origin", "null")]] {
        let (status, problem) = Client::from(&server, SOCKET, headers).await.err().unwrap();
        assert_eq!((status, &problem["status"]), (403, &json!(403)), "{headers:?}");
    }
    for path in ["/chat/shop/socket", "/chat/Sîte/socket", "/chat/%00/socket"] {
        let (status, problem) = Client::from(&server, path, &[("origin", SITE)]).await.err().unwrap();
        assert_eq!((status, &problem["status"]), (404, &json!(404)), "{path}");
    }
    let any = Server::with(&core, &Config { origins: vec!["*".into()], ..config() }, pace()).await;
    for headers in [&[][..], &[("origin", "https://any.example")]] {
        assert!(Client::from(&any, SOCKET, headers).await.is_ok(), "{headers:?}");
    }
}

#[tokio::test]
async fn hello_comes_first_and_in_time() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let mut client = Client::open(&server).await;
    client.line("m1", "hi").await;
    assert_eq!(client.hear().await["code"], "hello_first");
    client.say(json!({"type": "hello"})).await;
    assert_eq!(client.hear().await["type"], "welcome", "it is not too late");
    assert_eq!(core.accepted().len(), 0);
    let hasty = Server::with(&core, &config(), Pace { hello: Duration::from_millis(100), ..pace() }).await;
    assert_eq!(Client::open(&hasty).await.closed().await, Some(4002));
}

#[tokio::test]
async fn what_is_no_secret_is_given_a_new_one() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let mut secrets = std::collections::BTreeSet::new();
    for visitor in
        [json!(null), json!("null"), json!(""), json!("A".repeat(1000)), json!("A".repeat(42) + "!")]
    {
        let mut client = Client::open(&server).await;
        client.say(json!({"type": "hello", "visitor": visitor})).await;
        let secret = client.hear().await["visitor"].as_str().unwrap().to_owned();
        assert!(secret.len() == 43 && secrets.insert(secret), "{visitor}");
    }
    assert_eq!(core.accepted().len(), 0, "nothing is kept of who never wrote");
}

#[tokio::test]
async fn a_silent_client_is_closed_and_one_that_answers_is_not() {
    let core = Core::new();
    // Both run on one thread, so that three pings in a row would have to wait for it to be late.
    let server = Server::with(&core, &config(), Pace { ping: Duration::from_millis(250), ..pace() }).await;
    let (silent, _) = Client::welcomed(&server).await;
    // It answers pings while it listens.
    let (mut awake, secret) = Client::welcomed(&server).await;
    tokio::select! {
        code = silent.unheard() => assert_eq!(code, Some(4002)),
        () = awake.pinged() => {}
    }
    core.answer(&visitor(&secret), "still there?");
    assert_eq!(awake.lines(1).await, [(1, "still there?".to_owned())]);
}

#[tokio::test]
async fn a_flood_of_frames_is_closed() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (mut client, _) = Client::welcomed(&server).await;
    let mut early = Client::open(&server).await;
    let began = Instant::now();
    // Six hundred at once, and ten a second after them.
    for _ in 0..1000 {
        client.try_send(Message::text(r#"{"type":"typing"}"#)).await;
        early.try_send(Message::text("typing")).await;
    }
    assert_eq!(client.closed().await, Some(4008));
    assert_eq!(early.closed().await, Some(4008), "before a hello too");
    let most = 1 + began.elapsed().as_secs() / 2;
    assert!((1..=most).contains(&(core.told().len() as u64)), "agents were told every two seconds at most");
}

#[tokio::test]
async fn too_many_lines_wait_and_the_others_do_not() {
    let core = Core::new();
    let server = Server::with(&core, &Config { visitor_per_minute: 3, ..config() }, pace()).await;
    let (mut client, secret) = Client::welcomed(&server).await;
    for n in 0..3 {
        client.line(&format!("m{n}"), "x").await;
        client.hear_of("ack").await;
    }
    // A new connection is no way around it.
    let (mut again, _) = Client::back(&server, &secret, None).await;
    again.line("m9", "x").await;
    let error = again.hear().await;
    assert_eq!((&error["code"], &error["id"]), (&json!("slow_down"), &json!("m9")));
    assert!((1..=20).contains(&error["retry_after"].as_u64().unwrap()), "{error}");
    let (mut other, _) = Client::welcomed(&server).await;
    other.line("m1", "x").await;
    assert_eq!(other.hear().await["type"], "ack");
    assert_eq!(core.accepted().len(), 4);
}

#[tokio::test]
async fn an_address_has_its_bounds_too() {
    let core = Core::new();
    let few = Config { address_per_minute: 2, ..config() };
    let server = Server::with(&core, &few, pace()).await;
    for n in 0..3 {
        let (mut client, _) = Client::welcomed(&server).await;
        client.line("m1", "x").await;
        assert_eq!(client.hear().await["type"], if n < 2 { "ack" } else { "error" });
    }

    let few = Config { address_hellos_per_minute: 2, ..config() };
    let server = Server::with(&core, &few, pace()).await;
    let (_first, _second) = (Client::open(&server).await, Client::open(&server).await);
    let (status, problem) = Client::from(&server, SOCKET, &[("origin", SITE)]).await.err().unwrap();
    assert_eq!((status, &problem["status"]), (429, &json!(429)));
    // What a stranger says of where they are is not believed, and what our proxy says is.
    let named = [("origin", SITE), ("x-forwarded-for", "192.0.2.7")];
    assert_eq!(Client::from(&server, SOCKET, &named).await.err().unwrap().0, 429);
    let behind = Config { proxies: vec!["127.0.0.1".into()], ..few };
    let server = Server::with(&core, &behind, pace()).await;
    for (hops, status) in [
        ("192.0.2.7", None),
        ("192.0.2.8, 192.0.2.7, 127.0.0.1", None),
        ("192.0.2.9, 192.0.2.7", Some(429)),
        ("192.0.2.7, 192.0.2.9", None),
        ("192.0.2.7, nonsense", None),
    ] {
        let refused =
            Client::from(&server, SOCKET, &[("origin", SITE), ("x-forwarded-for", hops)]).await.err();
        assert_eq!(refused.map(|(status, _)| status), status, "{hops}");
    }
}

#[tokio::test]
async fn connections_are_counted_and_given_back() {
    let core = Core::new();
    let few = Config { visitor_sockets: 2, address_sockets: 4, max_sockets: 5, ..config() };
    let server = Server::with(&core, &few, pace()).await;
    let (_first, secret) = Client::welcomed(&server).await;
    let (second, _) = Client::back(&server, &secret, None).await;
    let mut third = Client::open(&server).await;
    third.say(json!({"type": "hello", "visitor": secret})).await;
    assert_eq!(third.hear().await["code"], "too_many");
    assert_eq!(third.closed().await, Some(4009));
    drop((second, third));
    let open = async || Client::from(&server, SOCKET, &[("origin", SITE)]).await;
    let back = async {
        loop {
            // Those that are closing have their seats a moment longer.
            let Ok(mut client) = open().await else { continue };
            client.say(json!({"type": "hello", "visitor": secret})).await;
            if client.hear().await["type"] == "welcome" {
                return client;
            }
        }
    };
    let _again = tokio::time::timeout(DEADLINE, back).await.unwrap();
    let mut held = Vec::new();
    let refused = loop {
        match open().await {
            Ok(client) => held.push(client),
            Err((status, _)) => break status,
        }
        assert!(held.len() < 4);
    };
    assert_eq!(refused, 429, "one address");
    let server = Server::with(&core, &Config { max_sockets: 1, ..config() }, pace()).await;
    let _only = Client::open(&server).await;
    assert_eq!(open_at(&server).await, Some(503), "altogether");
}

async fn open_at(server: &Server) -> Option<u16> {
    Client::from(server, SOCKET, &[("origin", SITE)]).await.err().map(|(status, _)| status)
}

#[tokio::test]
async fn a_stop_acknowledges_what_was_kept_and_says_goodbye() {
    let core = Core::new();
    let server = Server::start(&core).await;
    let (mut client, _) = Client::welcomed(&server).await;
    let mut nameless = Client::open(&server).await;
    core.hold(true);
    client.line("m1", "the last").await;
    client.say(json!({"type": "typing"})).await;
    crate::world::until(|| core.told().len() == 1).await;
    let stop = server.stop.clone();
    let address = server.address;
    let stopping = TaskTracker::new();
    let stopped = stopping.spawn(server.stop());
    stop.cancelled().await;
    core.hold(false);
    assert_eq!(client.hear_of("ack").await["id"], "m1");
    assert_eq!(client.closed().await, Some(1001));
    assert_eq!(nameless.closed().await, Some(1001));
    stopped.await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
