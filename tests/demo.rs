//! The day that `frontdesk demo` plays: what it prints is what the API says, and it is safe to ask for it twice.

use std::time::Duration;

use serde_json::Value;
use tests::setup::Answer;
use tests::wait::{PATIENCE, when};
use tests::{Agent, App, Setup, eventually};

/// The whole day, with everything it waits for, beside other stories.
const DAY: Duration = Duration::from_secs(200);

/// What one day brings: the numbers of its calls, mails, chats and clients.
const ONE_DAY: [usize; 4] = [11, 3, 6, 11];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_is_played_and_what_is_printed_is_what_the_api_says() {
    let mut app = Setup::demo().launch();
    let told = over(&mut app, 1).await;
    let agent = supervisor(&app, &told);
    assert!(told.contains("No frontdesk runs here"), "{told}");
    assert_eq!(reached(&told), ONE_DAY, "{told}");
    assert_eq!(reached(&told), counted(&agent).await, "{told}");

    // Олена is one client over three doors, and somebody we knew before.
    let olena = agent.client_by_phone("+380501234567").await;
    assert_eq!((&olena["segment"], &olena["owner"]), (&"vip".into(), &"olena-k".into()), "{olena}");
    assert_eq!(
        olena["preferred_channel"], "phone",
        "an agent wrote down how she wants to be reached: {olena}"
    );
    for (kind, value) in [("phone", "+380501234567"), ("email", "olena@example.com")] {
        let mut held = olena["identifiers"].as_array().into_iter().flatten();
        let held = held.find(|held| held["kind"] == kind && held["value"] == value);
        assert_eq!(held.map(|held| &held["level"]), Some(&"proved".into()), "{kind}: {olena}");
    }
    let timeline = all(&agent, &format!("/v1/clients/{}/timeline", id(&olena))).await;
    let mut doors: Vec<_> = (timeline.iter().filter(|entry| entry["kind"] == "contact"))
        .map(|entry| entry["channel"].as_str().unwrap_or_default())
        .collect();
    doors.dedup();
    assert_eq!(doors, ["chat", "email", "phone"], "newest first: {timeline:?}");
    assert!(told.contains("Олена Шевчук is one client over 3 doors: phone, then email, then chat"), "{told}");

    // Five missed calls are one callback, which is still owed; the other man was called back.
    let owed = callbacks(&agent, "+380671234505").await;
    assert_eq!(
        (owed.len(), &owed[0]["missed"], &owed[0]["done_at"]),
        (1, &5.into(), &Value::Null),
        "{owed:?}"
    );
    assert!(told.contains("Сергій Бондар: a call back, for 5 missed calls"), "{told}");
    let done = callbacks(&agent, "+380931234512").await;
    assert!(done.len() == 1 && done[0]["done_at"].is_string(), "{done:?}");

    // What waits is what waits.
    let waiting = all(&agent, "/v1/conversations?waiting=true").await.len();
    assert!(told.contains(&format!("{waiting} conversations wait for an agent")), "{waiting}: {told}");

    // An address typed in a chat is a candidate, and merges nobody.
    let anna = agent.get("/v1/clients?email=anna%40example.net").await["items"][0].clone();
    let candidates = all(&agent, &format!("/v1/clients/{}/candidates", id(&anna))).await;
    assert_eq!(candidates.len(), 1, "{candidates:?}");
    assert_eq!(candidates[0]["identifier"]["value"], "anna@example.net", "{candidates:?}");
    // So are the three people behind one office's number.
    let office = agent.client_by_phone("+380441234560").await;
    let people = all(&agent, &format!("/v1/clients/{}/candidates", id(&office))).await;
    assert_eq!(people.len(), 3, "{people:?}");
    assert!(told.contains("4 possible matches"), "{told}");

    // A machine's mail is on its owner's timeline and in nobody's way; a forged webhook is nowhere but here.
    let mails = all(&agent, "/v1/contacts?channel=email").await;
    let quiet: Vec<_> = mails.iter().filter(|mail| mail["conversation"].is_null()).collect();
    assert!(quiet.len() == 1 && quiet[0]["content"]["automatic"].is_object(), "{quiet:?}");
    assert!(told.contains("1 mail by a machine"), "{told}");
    assert_eq!(all(&agent, "/v1/quarantine").await.len(), 1);
    assert!(told.contains("1 forged webhook in quarantine"), "{told}");
    assert_eq!(all(&agent, "/v1/contacts?client=none").await.len(), 1, "who withheld the number is nobody");

    // Every answer was brought, and every chat that was to be offered was offered, and accepted.
    let chats = all(&agent, "/v1/conversations?channel=chat&status=resolved").await;
    assert_eq!(chats.len(), 3, "{chats:?}");
    for chat in &chats {
        let timeline = format!("/v1/clients/{}/timeline", id(&chat["client"]));
        eventually("the answer is said to be sent", PATIENCE, async || {
            let entries = agent.all(&timeline).await?;
            let sent = |entry: &&Value| entry["kind"] == "reply" && entry["content"]["state"] == "sent";
            when(entries.iter().any(|entry| sent(&entry)), format!("{entries:?}"))
        })
        .await;
    }
    assert!(told.contains("3 chats were offered to an agent and accepted"), "{told}");

    // Whoever opens the console may work at once.
    let me = agent.get("/v1/me").await;
    assert_eq!((&me["name"], &me["presence"]), (&"guest".into(), &"available".into()), "{me}");
    assert_eq!(me["profile"]["capacity"]["chat"], 3, "{me}");

    // Asked for again it plays nothing; with --again it plays another day, of the same people.
    let again = played(&app.setup, &["demo"]).await;
    assert!(again.contains("played here already") && !again.contains("No frontdesk runs here"), "{again}");
    assert_eq!(reached(&again), ONE_DAY, "{again}");
    assert_eq!(counted(&agent).await, ONE_DAY);
    let more = played(&app.setup, &["demo", "--again", "--speed", "1000"]).await;
    // Two of them chat as strangers, and are strangers every day; who is signed in may go on with a chat.
    let [calls, mails, chats, clients] = reached(&more);
    assert_eq!((calls, mails, clients), (22, 6, 13), "{more}");
    assert!((8..=12).contains(&chats), "{more}");
    assert_eq!(counted(&agent).await, reached(&more));
    // What is left of the first day is offered first, and gives way.
    assert!(more.contains("3 chats were offered to an agent and accepted"), "{more}");
    let owed = callbacks(&agent, "+380671234505").await;
    assert_eq!((owed.len(), &owed[0]["missed"]), (1, &10.into()), "still one callback: {owed:?}");
    app.interrupt().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_was_broken_off_goes_on_and_nothing_is_told_twice() {
    // Half a minute: on the slowest machine it is not over before we have seen it begin and killed it.
    let quick = Setup::demo();
    let mut app = quick.clone().word("--speed=4").launch();
    eventually("the day is under way", DAY, async || {
        let told = app.stdout();
        when(told.contains("Сергій calls a third time"), told)
    })
    .await;
    app.kill9().await;
    assert!(!app.stdout().contains("Ctrl-C stops"), "it was broken off");
    let mut app = quick.launch();
    let told = over(&mut app, 1).await;
    assert!(told.contains("Day 1 was broken off; it goes on where it was."), "{told}");
    assert_eq!(told.matches("Олена signs in on the site").count(), 1, "it is not told twice: {told}");
    assert_eq!(reached(&told), ONE_DAY, "{told}");
    assert_eq!(counted(&supervisor(&app, &told)).await, ONE_DAY);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_plays_to_what_runs_already_and_leaves_it_running() {
    let mut app = Setup::up().start().await;
    let told = played(&app.setup, &["demo", "--speed", "1000"]).await;
    assert!(!told.contains("No frontdesk runs here") && !told.contains("Ctrl-C"), "{told}");
    assert_eq!(counted(&supervisor(&app, &told)).await, ONE_DAY);

    // The key it prints is revoked: another is made.
    let (first, admin) = (key(&told), app.agent("admin").await);
    let tokens = all(&admin, "/v1/tokens").await;
    let guest = tokens.iter().find(|token| token["name"] == "guest").expect("its key");
    let (status, _) = admin.ask(reqwest::Method::DELETE, &format!("/v1/tokens/{}", id(guest))).await;
    assert!(status.is_success(), "{status}");
    let again = played(&app.setup, &["demo"]).await;
    assert_ne!(key(&again), first);
    assert_eq!(counted(&supervisor(&app, &again)).await, ONE_DAY);

    // The rules it was routed by are asked again, though no file says them.
    let judged = played(&app.setup, &["dry-run"]).await;
    for told in ["asked are its rules", "rule chats", "rule key-accounts"] {
        assert!(judged.contains(told), "{told}: {judged}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_invented_is_told_to_real_sources() {
    let real = Setup::up().line();
    let refused = real.ask(&["demo"]).await;
    assert_eq!(refused.code, Some(78), "{refused:?}");
    one_sentence(&refused, &["[phone.main] is configured", "the demo plays on a line"]);
    assert!(!real.folder().join("data").exists(), "nothing is made there");

    // It is told nothing of the line that runs, or looks for the data elsewhere.
    let mut app = real.start().await;
    let data = real.folder().join("data");
    let blind = Setup::up().with("http.listen", real.address()).with("data", data.display());
    let refused = blind.ask(&["demo"]).await;
    assert_eq!(refused.code, Some(78), "{refused:?}");
    one_sentence(&refused, &[&real.url(), "has real sources"]);
    assert!(!data.join("secrets").exists(), "no key is made for it");
    let elsewhere = Setup::up().with("http.listen", real.address());
    let refused = elsewhere.ask(&["demo"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    one_sentence(&refused, &[&real.url(), "no frontdesk with its data in"]);
    assert!(!elsewhere.folder().join("data").exists(), "nothing is made there either");
    assert_eq!(counted(&app.agent("supervisor").await).await, [0; 4], "nothing was told");
    app.stop().await;
}

/// What it printed in all, once so many days are over.
async fn over(app: &mut App, days: usize) -> String {
    eventually("the day is over", DAY, async || {
        let told = app.stdout();
        when(told.matches("Ctrl-C stops").count() == days, told.clone()).map(|()| told)
    })
    .await
}

/// What a run of it printed that ended well.
async fn played(setup: &Setup, words: &[&str]) -> String {
    let answer = setup.ask_within(words, DAY).await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    answer.stdout
}

/// The key in the console's address.
fn key(told: &str) -> String {
    let (_, rest) = told.rsplit_once("/console/#token=").expect("the console's address");
    rest.split_whitespace().next().expect("a key").to_owned()
}

fn supervisor(app: &App, told: &str) -> Agent {
    assert!(told.contains(&format!("{}/console/#token=", app.url())), "{told}");
    Agent::new(&app.url(), &key(told))
}

/// Calls, mails, chats and clients, as they are printed.
fn reached(told: &str) -> [usize; 4] {
    let line = told.lines().rfind(|line| line.contains("reached the clinic")).expect("how many reached it");
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
    std::array::from_fn(|_| numbers.next().expect("four numbers"))
}

/// The same, as the API counts them.
async fn counted(agent: &Agent) -> [usize; 4] {
    let mut counts = [0; 4];
    let lists = ["/v1/contacts?channel=phone", "/v1/contacts?channel=email", "/v1/contacts?channel=chat"];
    for (count, list) in counts.iter_mut().zip(lists.into_iter().chain(["/v1/clients"])) {
        *count = all(agent, list).await.len();
    }
    counts
}

/// The callbacks of the client with this number.
async fn callbacks(agent: &Agent, number: &str) -> Vec<Value> {
    let client = agent.client_by_phone(number).await;
    let mut found = all(agent, &format!("/v1/conversations?client={}", id(&client))).await;
    found.iter_mut().map(|conversation| conversation["callback"].take()).collect()
}

async fn all(agent: &Agent, path: &str) -> Vec<Value> {
    eventually("the API answers", PATIENCE, async || agent.all(path).await).await
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap_or_else(|| panic!("an id in {value}"))
}

/// It ended with one line of ours that tells all of this.
fn one_sentence(answer: &Answer, telling: &[&str]) {
    let said: Vec<_> = answer.stderr.lines().filter(|line| line.starts_with("frontdesk: ")).collect();
    assert_eq!(said.len(), 1, "{answer:?}");
    for word in telling {
        assert!(said[0].contains(word), "`{word}` is told: {answer:?}");
    }
    assert!(!answer.stderr.contains("panicked"), "{answer:?}");
}
