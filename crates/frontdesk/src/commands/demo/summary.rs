//! What the day came to, as the API tells it.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde_json::Value;

use super::caller::Caller;
use super::stage::text;
use super::teller::print;
use crate::story::{Person, Story};

/// So many of the waiting list are shown.
const SHOWN: usize = 6;
/// Of what they say, so many letters.
const LINE: usize = 60;

/// Prints what came, who it was, what waits, and how to go on looking.
pub(super) async fn print_all(caller: &Caller, story: &Story, accepted: u32) -> anyhow::Result<()> {
    let of = |channel: &str| format!("/v1/contacts?channel={channel}");
    let (calls, mails, chats) =
        (caller.all(&of("phone")).await?, caller.all(&of("email")).await?, caller.all(&of("chat")).await?);
    let clients = caller.all("/v1/clients").await?;
    let quiet = mails.iter().filter(|mail| mail["conversation"].is_null()).count();
    let held = caller.all("/v1/quarantine").await?.len();
    print("");
    print(format_args!(
        "  In all {}, {} and {} reached the clinic, from {}.",
        many(calls.len(), "call"),
        many(mails.len(), "mail"),
        many(chats.len(), "chat"),
        many(clients.len(), "client"),
    ));
    if let Some(person) = story.people.get("olena") {
        print_one_person(caller, person).await?;
    }
    print_waiting(caller).await?;
    print(format_args!("  {} to be judged by a person", matches(&candidates(caller, &clients).await?)));
    print(format_args!("  {} by a machine, recorded and put in nobody's way", many(quiet, "mail")));
    print(format_args!("  {} in quarantine", many(held, "forged webhook")));
    print(format_args!("  {} to an agent and accepted", many_offered(accepted)));
    Ok(())
}

/// Who reached us over three doors and is one client.
async fn print_one_person(caller: &Caller, person: &Person) -> anyhow::Result<()> {
    let phone = person.phone.as_deref().context("the story's VIP has a number")?;
    let found = caller.all(&format!("/v1/clients?phone={}", phone.replace('+', "%2B"))).await?;
    for client in found {
        let timeline = caller.all(&format!("/v1/clients/{}/timeline", text(&client, "id"))).await?;
        let mut channels = Vec::new();
        for entry in timeline.iter().rev().filter(|entry| entry["kind"] == "contact") {
            if channels.last() != Some(&text(entry, "channel")) {
                channels.push(text(entry, "channel"));
            }
        }
        print(format_args!(
            "  {} is one client over {}: {}",
            text(&client, "name"),
            many(channels.iter().collect::<BTreeSet<_>>().len(), "door"),
            channels.join(", then "),
        ));
    }
    Ok(())
}

async fn print_waiting(caller: &Caller) -> anyhow::Result<()> {
    let waiting = caller.all("/v1/conversations?waiting=true").await?;
    print(format_args!("  {} for an agent, the first to be taken first:", waits(waiting.len())));
    for conversation in waiting.iter().take(SHOWN) {
        let who = match &conversation["client"] {
            Value::Null => "nobody we know",
            client => client["name"].as_str().unwrap_or("somebody without a name"),
        };
        let what = match conversation["callback"]["missed"].as_u64() {
            Some(missed) => {
                format!("a call back, for {}", many(usize::try_from(missed).unwrap_or(0), "missed call"))
            }
            None => short(text(&conversation["last_entry"], "summary")),
        };
        print(format_args!("      {:<6} {who}: {what}", text(conversation, "channel")));
    }
    if waiting.len() > SHOWN {
        print(format_args!("      and {} more", waiting.len() - SHOWN));
    }
    Ok(())
}

/// The pairs of clients that may be one.
async fn candidates(caller: &Caller, clients: &[Value]) -> anyhow::Result<BTreeSet<[String; 2]>> {
    let mut pairs = BTreeSet::new();
    for client in clients {
        let one = text(client, "id");
        for candidate in caller.all(&format!("/v1/clients/{one}/candidates")).await? {
            let mut pair = [one.to_owned(), text(&candidate["client"], "id").to_owned()];
            pair.sort();
            pairs.insert(pair);
        }
    }
    Ok(pairs)
}

/// Prints how to go on.
pub(super) fn print_ways_on(caller: &Caller, program: &str, chat: &str) {
    let (base, secret) = (&caller.base, &caller.secret);
    print(format_args!(
        r#"
Open the console, signed in as a supervisor:

  {base}/console/#token={secret}

Chat with the clinic yourself, and answer there:  {base}/chat/{chat}/demo

  curl -s -H 'Authorization: Bearer {secret}' '{base}/v1/conversations?waiting=true'
  curl -s -H 'Authorization: Bearer {secret}' '{base}/v1/clients?phone=%2B380501234567'
  {program} demo --again --live     another day, in two minutes, to watch in the console
"#
    ));
}

/// What fits on a line.
fn short(text: &str) -> String {
    if text.chars().count() <= LINE {
        text.to_owned()
    } else {
        text.chars().take(LINE).chain(['…']).collect()
    }
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn waits(count: usize) -> String {
    format!("{} {}", many(count, "conversation"), if count == 1 { "waits" } else { "wait" })
}

fn matches(pairs: &BTreeSet<[String; 2]>) -> String {
    let count = pairs.len();
    format!("{count} possible {}", if count == 1 { "match" } else { "matches" })
}

fn many_offered(count: u32) -> String {
    format!("{count} {}", if count == 1 { "chat was offered" } else { "chats were offered" })
}
