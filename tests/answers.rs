//! What an agent answers reaches the client once, and what became of it is told.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::post::{header, mail};
use tests::wait::{PATIENCE, when};
use tests::{Agent, Database, Post, Random, Setup, eventually, over_both_stores};

over_both_stores!(an_answer_goes_into_the_thread, killed_while_sending_nobody_is_written_to_twice);

const OLENA: &str = "olena@client.example";

/// The conversations that wait for us, once there are so many.
async fn open(agent: &Agent, count: usize) -> Vec<Value> {
    eventually("the mails wait", PATIENCE, async || {
        let open = agent.all("/v1/conversations?status=open").await?;
        when(open.len() == count, json!(open)).map(|()| open).map_err(|seen| seen.to_string())
    })
    .await
}

/// The answer's entry, once it is in this state.
async fn becomes(agent: &Agent, conversation: &str, state: &str) -> Value {
    let path = format!("/v1/conversations/{conversation}");
    eventually("the answer is in its state", PATIENCE, async || {
        let entry = agent.get(&path).await["last_entry"].clone();
        when(entry["content"]["state"] == state, entry.clone()).map(|()| entry)
    })
    .await
}

async fn an_answer_goes_into_the_thread(database: Database) {
    let Some(post) = Post::start() else { return };
    let setup = post.serves(Setup::up().on(&database));
    post.deliver(&mail("before@client.example", "m0", "Of before", ""));
    let mut app = setup.start().await;
    post.is_watched(&app).await;
    let agent = app.agent("agent").await;
    // What was there before us is history, and waits for nobody.
    let before = eventually("it is imported", PATIENCE, async || {
        let mails = agent.all("/v1/contacts?channel=email").await?;
        mails.first().cloned().ok_or_else(|| "no mail".to_owned())
    })
    .await;
    assert_eq!(
        (&before["summary"], &before["conversation"]),
        (&json!("Of before"), &Value::Null),
        "{before}"
    );
    post.deliver(&mail(OLENA, "m1", "Order 17", ""));
    let conversation = open(&agent, 1).await[0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/conversations/{conversation}/replies");
    let (status, body) = agent.post(&path, &json!({ "text": "Вітаю! Воно в дорозі." })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    let sent = becomes(&agent, &conversation, "sent").await;
    let delivered = post.postfix.delivered().expect("the maildir cannot be read");
    let [answer] = delivered.as_slice() else { panic!("one answer: {}", delivered.len()) };
    let answer = String::from_utf8_lossy(answer).into_owned();
    assert_eq!(header(&answer, "In-Reply-To"), Some("<m1@client.example>"), "{answer}");
    assert_eq!(header(&answer, "To"), Some(OLENA), "{answer}");
    let id = sent["content"]["message_id"].as_str().expect("an id");
    assert_eq!(header(&answer, "Message-ID"), Some(format!("<{id}>").as_str()), "{answer}");

    // What the client answers comes back to the same conversation.
    let more = format!("In-Reply-To: <{id}>\r\nReferences: <m1@client.example> <{id}>\r\n");
    post.deliver(&mail(OLENA, "m2", "Re: Order 17", &more));
    let again = open(&agent, 1).await;
    assert_eq!(again[0]["id"], json!(conversation), "{again:?}");
    let timeline = format!("/v1/clients/{}/timeline", again[0]["client"]["id"].as_str().expect("an id"));
    let kinds: Vec<_> =
        agent.all(&timeline).await.expect("a timeline").iter().map(|e| e["kind"].clone()).collect();
    assert_eq!(kinds.len(), 3, "{kinds:?}");

    // Refused for good, and for now.
    for (who, state) in [("refused", "failed"), ("busy", "deferred")] {
        post.deliver(&mail(&format!("{who}@client.example"), who, who, ""));
        let waiting = eventually("the mail waits", PATIENCE, async || {
            let open = agent.all("/v1/conversations?status=open").await?;
            let found = open.iter().find(|row| row["last_entry"]["summary"] == who).cloned();
            found.ok_or_else(|| json!(open).to_string())
        })
        .await;
        let id = waiting["id"].as_str().expect("an id");
        let (status, body) =
            agent.post(&format!("/v1/conversations/{id}/replies"), &json!({ "text": "Hello" })).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        let entry = becomes(&agent, id, state).await;
        // Who has no answer waits for one still.
        let row = agent.get(&format!("/v1/conversations/{id}")).await;
        assert_eq!(row["status"], if state == "failed" { "open" } else { "pending" }, "{row}");
        assert!(entry["content"]["detail"].is_string(), "what the server said: {entry}");
        assert_eq!(entry["content"]["next_try_at"].is_string(), state == "deferred", "{entry}");
    }

    // Who does not want mails gets none.
    let client = format!("/v1/clients/{}", again[0]["client"]["id"].as_str().expect("an id"));
    let (status, body) = agent.patch(&client, &json!({ "permissions": { "email": "deny" } })).await;
    assert!(status.is_success(), "{status}: {body}");
    let (status, body) = agent.post(&path, &json!({ "text": "One more thing" })).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    assert!(body["detail"].as_str().is_some_and(|told| told.contains("does not want")), "{body}");
    let check = app.setup.ask(&["replay", "--check"]).await;
    assert_eq!(check.code, Some(0), "{check:?}");
    app.stop().await;
}

async fn killed_while_sending_nobody_is_written_to_twice(database: Database) {
    const MAILS: usize = 30;
    let Some(post) = Post::start() else { return };
    let mut random = Random::new();
    let mut app = post.serves(Setup::up().on(&database)).start().await;
    post.is_watched(&app).await;
    let agent = app.agent("agent").await;
    for nth in 0..MAILS {
        post.deliver(&mail(&format!("client-{nth}@client.example"), &format!("m{nth}"), "Hello", ""));
    }
    let waiting = open(&agent, MAILS).await;
    let kills = random.moments(3, MAILS);
    for (nth, conversation) in waiting.iter().enumerate() {
        let path = format!("/v1/conversations/{}/replies", conversation["id"].as_str().expect("an id"));
        let (status, body) = agent.post(&path, &json!({ "text": "Hello to you" })).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        if kills.contains(&nth) {
            app.kill9().await;
            app.again().await;
        }
    }
    // Every answer ends up sent, but for those in hand at a kill: of these nobody knows.
    let told = eventually("every answer is told of", PATIENCE, async || {
        let mut states: Vec<(String, String)> = Vec::new();
        for conversation in agent.all("/v1/conversations?status=pending").await? {
            let entry = &conversation["last_entry"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            states.push((text(&entry["id"]), text(&entry["content"]["state"])));
        }
        let unsent = states.iter().filter(|(_, state)| state != "sent").count();
        // A process has eight tries in hand at most.
        when(states.len() == MAILS && unsent <= 8 * kills.len(), format!("{states:?}")).map(|()| states)
    })
    .await;
    let delivered = post.answers();
    assert!(delivered.values().all(|count| *count == 1), "written to twice: {delivered:?}");
    for (id, _) in told.iter().filter(|(_, state)| state == "sent") {
        assert!(delivered.contains_key(id), "{id} was never delivered, but is told to be sent");
    }
    let check = app.setup.ask(&["replay", "--check"]).await;
    assert_eq!(check.code, Some(0), "{check:?}");
    let (status, _) = agent.ask(Method::GET, "/readyz").await;
    assert!(status.is_success());
    app.stop().await;
}
