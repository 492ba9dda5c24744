//! The first hour: what is printed works, and what goes wrong is said in one sentence.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use tests::setup::frontdesk;
use tests::wait::PATIENCE;
use tests::{Agent, App, Database, Nats, Setup, eventually};

const NUMBER: &str = "+380441234567";

#[test]
fn what_the_readme_shows_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is in the checkout");
    let readme = fs::read_to_string(root.join("README.md")).expect("could not read it");
    let shown: Vec<_> = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(shown.iter().any(|path| path.ends_with(".png")), "a picture of the console: {shown:?}");
    for path in shown.iter().filter(|path| !path.contains("://")) {
        assert!(root.join(path).exists(), "{path} is not there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_printed_works() {
    let mut app = Setup::up().start().await;
    let welcome = welcome(&app).await;
    let url = app.url();
    for told in [format!("{url}/docs"), format!("{url}/readyz"), format!("{url}/hooks/phone/demo")] {
        assert!(welcome.contains(&told), "{told} is told: {welcome}");
    }
    let asks = asks(&welcome, &url);
    assert!(asks.len() >= 3, "events, clients and conversations: {welcome}");
    let token = asks[0].0.clone();
    assert!(asks.iter().all(|(given, _)| *given == token));
    let agent = Agent::new(&url, &token);
    let follower = agent.follow();

    // The line that plays a missed call, as it stands there.
    let line = welcome.lines().find(|line| line.contains("simulate phone missed")).expect("a call to try");
    let words: Vec<_> = line.split_whitespace().skip(1).map(|word| word.trim_matches('\'')).collect();
    let played = app.setup.ask(&words).await;
    assert_eq!(played.code, Some(0), "{played:?}");
    let call = played.stdout.split_whitespace().next().expect("it prints the call's id").to_owned();
    follower.sees(&[(call, 2)].into()).await;

    // What they ask shows the client, and the call that is owed.
    let client = agent.client_by_phone(NUMBER).await;
    insta::assert_json_snapshot!("client", shape(client.clone()));
    for (_, path) in asks.iter().filter(|(_, path)| !path.contains("/v1/events")) {
        assert_eq!(agent.get(path).await["items"].as_array().map(Vec::len), Some(1), "{path}");
    }
    let timeline =
        agent.get(&format!("/v1/clients/{}/timeline", client["id"].as_str().expect("an id"))).await;
    insta::assert_json_snapshot!("timeline", shape(timeline.clone()));
    insta::assert_json_snapshot!("conversations", shape(agent.get("/v1/conversations").await));
    insta::assert_json_snapshot!("sources", shape(agent.get("/v1/sources").await));

    // What is kept about people is for nobody else on the machine.
    for kept in ["data", "data/frontdesk.db", "data/journal/contacts", "data/secrets", "data/nats"] {
        let about = fs::metadata(app.setup.folder().join(kept)).expect("it is kept");
        assert_eq!(about.permissions().mode() & 0o007, 0, "{kept} is open to others");
    }

    // The next day it is all there, and the token is the same.
    app.stop().await;
    let beside = fs::metadata(app.setup.folder().join("data/frontdesk.db-wal")).map_or(0, |file| file.len());
    assert_eq!(beside, 0, "stopped, the database is one file");
    fs::remove_file(app.setup.folder().join("stdout")).expect("it printed something");
    app.again().await;
    let again = self::welcome(&app).await;
    assert_eq!(again, welcome);
    assert_eq!(agent.client_by_phone(NUMBER).await, client);
    let path = format!("/v1/clients/{}/timeline", client["id"].as_str().expect("an id"));
    assert_eq!(agent.get(&path).await, timeline);

    // The same person writes a mail, and chats signed in: one client.
    for (what, count) in [("simulate email", 2), ("simulate chat", 1)] {
        let line = welcome.lines().find(|line| line.contains(what)).expect("something to try");
        let words: Vec<_> = line.split_whitespace().skip(1).map(|word| word.trim_matches('\'')).collect();
        let played = app.setup.ask(&words).await;
        assert_eq!(played.code, Some(0), "{played:?}");
        eventually("it is recorded", PATIENCE, async || {
            let clients = agent.all("/v1/clients").await?;
            if clients.len() == count { Ok(()) } else { Err(format!("{clients:?}")) }
        })
        .await;
    }
    let (status, _) = agent.ask(reqwest::Method::GET, "/chat/demo/demo").await;
    assert!(status.is_success(), "the chat page: {status}");
    app.interrupt().await;

    // With a real line the keys of the trial are called by name.
    let mut app = app.setup.clone().line().start().await;
    eventually("the left over token is told", PATIENCE, async || {
        let log = app.log();
        if log.contains("the token `quickstart` (agent) was made to try") { Ok(()) } else { Err(log) }
    })
    .await;
    assert!(!(app.log() + &app.stdout()).contains(&token), "no secret in a log");
    app.stop().await;
}

/// What was printed, once all of it is.
async fn welcome(app: &App) -> String {
    eventually("the welcome is printed", PATIENCE, async || {
        let text = app.stdout();
        if text.contains("Ctrl-C stops") { Ok(text) } else { Err(text) }
    })
    .await
}

/// The printed requests: their token, and their path.
fn asks(welcome: &str, url: &str) -> Vec<(String, String)> {
    let ask = |line: &str| {
        // Printed into a file, it is no secret but where to read it.
        let file = line.split_once("Bearer $(cat '")?.1.split('\'').next()?;
        let token = fs::read_to_string(file).ok()?.trim().to_owned();
        let path = line.split_once(url)?.1.trim_end_matches('\'');
        Some((token, path.to_owned()))
    };
    welcome.lines().filter(|line| line.trim_start().starts_with("curl ")).filter_map(ask).collect()
}

/// What stays of an answer when ids, times and ports, which differ, are named by their kind.
fn shape(mut value: Value) -> Value {
    match &mut value {
        Value::Array(items) => items.iter_mut().for_each(|item| *item = shape(item.take())),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                // A place in the waiting list is reckoned from a moment.
                let place = name == "rank" && field.is_i64();
                *field = if place { json!("<place>") } else { shape(field.take()) };
            }
        }
        Value::String(text) => {
            if let Some((kind @ ("cli" | "con" | "cnv" | "ent"), _)) = text.split_once('_') {
                value = json!(format!("<{kind}_id>"));
            } else if text.parse::<jiff::Timestamp>().is_ok() && text.ends_with('Z') {
                value = json!("<time>");
            } else if text.starts_with("CA") && text.len() == 34 {
                value = json!("<call id>");
            } else if let Some((_, path)) = text.split_once("/hooks/") {
                value = json!(format!("<url>/hooks/{path}"));
            }
        }
        _ => {}
    }
    value
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_one_is_refused_in_one_sentence() {
    // Somebody else has the port.
    let mut first = Setup::up();
    let taken = TcpListener::bind(first.address()).expect("the port was free");
    let mut app = first.launch();
    let status = app.gives_up().await;
    assert_eq!(status.code(), Some(1));
    one_sentence(&app.log(), &[&first.address(), "in use by another program"]);
    drop(taken);

    // Somebody else has the data.
    first = Setup::up();
    let mut running = first.start().await;
    let pid = running.process().pid.to_string();
    let elsewhere = Setup::up().with("data", first.folder().join("data").display());
    let mut second = elsewhere.launch();
    assert_eq!(second.gives_up().await.code(), Some(1));
    one_sentence(&second.log(), &["is held by another frontdesk", &format!("pid {pid}")]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_nats_server_is_told_with_the_way_to_get_it() {
    // Somewhere with no nats-server beside it or above it.
    let folder = tempfile::tempdir().expect("could not make a folder");
    let copy = folder.path().join("frontdesk");
    fs::copy(frontdesk(), &copy).expect("could not copy the program");
    let setup =
        Setup::up().program(&copy).with("nats.server_path", "/nowhere/nats-server").variable("PATH", "");
    let mut app = setup.launch();
    assert_eq!(app.gives_up().await.code(), Some(1));
    one_sentence(&app.log(), &["no nats-server 2.12", "/nowhere/nats-server", "install-nats.sh"]);
}

/// The last thing said is one line of ours that tells all of this.
fn one_sentence(log: &str, telling: &[&str]) {
    let said: Vec<_> = log.lines().filter(|line| line.starts_with("frontdesk: ")).collect();
    assert_eq!(said.len(), 1, "{log}");
    for word in telling {
        assert!(said[0].contains(word), "`{word}` is told: {log}");
    }
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_configuration_is_refused_by_file_and_key() {
    let setup = Setup::up().line();
    let file = setup.folder().join("own.toml");
    let path = file.display().to_string();
    for (text, telling) in [
        ("[http]\nlisen = \"127.0.0.1:1\"\n", vec!["own.toml", "[http]", "lisen"]),
        ("[journal]\nmax_bytes = \"much\"\n", vec!["own.toml", "[journal] max_bytes"]),
        ("[http\n", vec!["own.toml"]),
        ("[store]\nurl = \"mysql://x\"\n", vec!["[store] url"]),
        ("[phone.second]\nprovider = \"twilio\"\nregion = \"UA\"\n", vec!["[phone.second] auth_token"]),
    ] {
        fs::write(&file, text).expect("could not write a file");
        for command in ["up", "check-config", "migrate"] {
            let answer = setup.ask(&[command, "--config", &path]).await;
            assert_eq!(answer.code, Some(78), "{command} with {text}: {answer:?}");
            for word in &telling {
                assert!(answer.stderr.contains(word), "{command}: `{word}` is told: {answer:?}");
            }
        }
    }
    let gone = setup.ask(&["check-config", "--config", "/nowhere.toml"]).await;
    assert!(gone.code == Some(78) && gone.stderr.contains("/nowhere.toml"), "{gone:?}");
    let unknown = setup.clone().with("http.colour", "red").ask(&["check-config"]).await;
    assert!(unknown.code == Some(78) && unknown.stderr.contains("colour"), "{unknown:?}");

    // Roles that run apart need what they can share.
    let alone = setup.ask(&["run", "--role", "core"]).await;
    assert!(alone.code == Some(78) && alone.stderr.contains("[nats] url"), "{alone:?}");
    let split =
        setup.clone().with("nats.url", "nats://127.0.0.1:1").ask(&["run", "--role", "core,api"]).await;
    assert!(split.code == Some(78) && split.stderr.contains("SQLite"), "{split:?}");
    let split = setup.clone().with("nats.url", "nats://127.0.0.1:1").ask(&["run", "--role", "phone"]).await;
    assert!(split.code == Some(78) && split.stderr.contains("[blobs] url"), "{split:?}");

    let right = setup.ask(&["check-config"]).await;
    assert_eq!(right.code, Some(0), "{right:?}");
    assert!(right.stdout.contains(&setup.address()), "what is in force is shown: {right:?}");
    assert!(!right.stdout.contains(tests::setup::SECRET), "but no secret: {right:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_does_what_it_says() {
    // A proxy of the user's has nothing to do with an instance on this machine.
    let setup = Setup::up().line().variable("http_proxy", "http://127.0.0.1:1");
    // Before there is anything: what looks makes nothing.
    let doctor = setup.ask(&["doctor"]).await;
    assert!(doctor.code == Some(0) && doctor.stdout.contains("the first start makes it"), "{doctor:?}");
    for command in [
        ["token", "create", "--role", "admin", "--name", "early"].as_slice(),
        &["replay", "--check"],
        &["dry-run"],
    ] {
        let early = setup.ask(command).await;
        assert!(early.code == Some(1) && early.stderr.contains("there is no database at"), "{early:?}");
        assert_eq!(early.stdout, "", "{command:?}");
    }
    assert!(!setup.folder().join("data/frontdesk.db").exists());
    let migrated = setup.ask(&["migrate"]).await;
    assert!(migrated.code == Some(0) && migrated.stdout.contains("up to date"), "{migrated:?}");
    let document = setup.ask(&["openapi"]).await;
    let document: Value = serde_json::from_str(&document.stdout).expect("OpenAPI is JSON");
    assert!(document["paths"]["/v1/clients/{id}/timeline"].is_object(), "{document}");
    assert_eq!(setup.ask(&["healthcheck"]).await.code, Some(1), "nobody listens");
    let doctor = setup.ask(&["doctor"]).await;
    assert_eq!(doctor.code, Some(0), "{doctor:?}");

    let mut app = setup.start().await;
    let token = setup.token("admin").await;
    let admin = Agent::new(&app.url(), &token);
    let names = admin.get("/v1/tokens").await;
    assert_eq!(names["items"][0]["name"], "tests", "it is valid at once: {names}");
    assert!(!names.to_string().contains(&token), "the secret is kept nowhere");
    assert_eq!(Agent::new(&app.url(), "fd_guessed").ask(reqwest::Method::GET, "/v1/clients").await.0, 401);
    let served = admin.get("/openapi.json").await;
    assert_eq!(served, document);
    for command in [["healthcheck"].as_slice(), &["doctor"], &["replay", "--check"]] {
        let answer = setup.ask(command).await;
        assert_eq!(answer.code, Some(0), "{command:?}: {answer:?}");
    }
    let health = setup.ask(&["healthcheck", &format!("{}/nowhere", app.url())]).await;
    assert_eq!(health.code, Some(1), "{health:?}");
    for story in ["missed", "answered", "voicemail", "ringing"] {
        let played = setup.ask(&["simulate", "phone", story, "--count", "2"]).await;
        assert_eq!((played.code, played.stdout.lines().count()), (Some(0), 2), "{played:?}");
    }
    app.stop().await;
}

/// A connector's copy is gone for good, its disk is not: what the disk holds is sent in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orphaned_journal_is_drained() {
    let Some(database) = Database::postgres() else { return };
    let mut nats = Nats::start().await;
    let mut desk = Setup::run("core,api", &database, &nats).start().await;
    let mut door = Setup::run("phone", &database, &nats).start().await;
    let agent = desk.agent("reader").await;
    nats.kill9().await;
    let told = tests::Load::start(&[door.pbx()], 0..30, &mut tests::Random::new()).finish().await;
    let stranger = tests::Pbx::new(&door.url(), tests::setup::LINE, "a guess");
    assert_eq!(stranger.send(&tests::Call::nth(99).ringing()).await, 401);
    door.kill9().await;
    nats.up().await;

    let folder = |path: &str| door.setup.folder().join(path).display().to_string();
    let wrong = desk.setup.ask(&["journal", "drain", &folder("data/run")]).await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    let drained = desk.setup.ask(&["journal", "drain", &folder("data")]).await;
    let facts: usize = told.values().sum();
    assert_eq!(drained.code, Some(0), "{drained:?}");
    let said = format!(
        "contacts: {facts} records to send\ncontacts: 0 records left\n\
         quarantine: 1 records to send\nquarantine: 0 records left\n"
    );
    assert_eq!(drained.stdout, said, "{drained:?}");
    agent.sees(&told).await;
    desk.stop().await;
}
