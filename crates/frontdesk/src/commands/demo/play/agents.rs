//! What those of us do who answer: they are offered work and accept it, as a console lets them.

use std::time::Duration;

use anyhow::{Context as _, bail};
use contact::{Channel, Presence, Profile};
use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::super::caller::Caller;
use super::super::stage::text;
use super::{LOOK_EVERY, PATIENCE, Player, SUPERVISOR};
use crate::demo;
use crate::story::{Person, Thing};

/// An offer that has not come by then does not come: the agent takes the conversation as anybody may.
const OFFER: Duration = Duration::from_secs(10);
/// An offer that has not come by then may have no room.
const FULL: Duration = Duration::from_secs(1);
/// An agent's console connects again after so long.
const RECONNECT: Duration = Duration::from_millis(500);

impl Player<'_> {
    /// Accepts the offer of a conversation when it comes. What else is offered is declined where it stands in
    /// the way: what waits from another day may be all that an agent can have.
    pub(super) async fn take(&mut self, agent: &str, of: &Thing, key: &str) -> anyhow::Result<()> {
        let conversation = self.conversation(of).await?;
        let caller = self.key(agent)?.clone();
        let began = Instant::now();
        while began.elapsed() < OFFER {
            let offered = caller.get("/v1/reservations").await?;
            let offered = offered["items"].as_array().into_iter().flatten();
            let (ours, others): (Vec<_>, Vec<_>) = offered
                .filter(|one| one["state"] == "pending")
                .partition(|one| one["conversation"]["id"] == json!(conversation));
            if let Some(offer) = ours.first() {
                let path = format!("/v1/reservations/{}/accept", text(offer, "id"));
                // It may have ended by itself meanwhile, as may those below.
                if caller.try_write(Method::POST, &path, None, key).await?.0.is_success() {
                    self.day.accepted += 1;
                    return Ok(());
                }
            }
            let now = caller.get(&format!("/v1/conversations/{conversation}")).await?;
            if now["assignee"] == json!(agent) {
                return Ok(());
            }
            if began.elapsed() > FULL {
                for offer in others {
                    let path = format!("/v1/reservations/{}/decline", text(offer, "id"));
                    caller.try_write(Method::POST, &path, None, &demo::random_hex(8)?).await?;
                }
            }
            sleep(LOOK_EVERY).await;
        }
        let path = format!("/v1/conversations/{conversation}/claim");
        caller.write(Method::POST, &path, None, key).await.map(drop)
    }

    pub(super) async fn act(
        &self,
        agent: &str,
        of: &Thing,
        deed: &str,
        body: Option<&Value>,
        key: &str,
    ) -> anyhow::Result<()> {
        let path = format!("/v1/conversations/{}/{deed}", self.conversation(of).await?);
        self.key(agent)?.write(Method::POST, &path, body, key).await.map(drop)
    }

    /// Opens the agent's console, which makes them one who can be asked, and says that they are here.
    pub(super) async fn connect(&mut self, agent: &str) -> anyhow::Result<()> {
        let caller = self.key(agent)?.clone();
        let console = self.tasks.spawn(watch(caller.clone()));
        self.consoles.insert(agent.to_owned(), AbortOnDropHandle::new(console));
        self.appear(agent, Presence::Available).await?;
        self.until("an agent's console did not connect", PATIENCE, async || {
            let me = caller.get("/v1/me").await?;
            Ok((me["connected"] == json!(true)).then_some(()))
        })
        .await
    }

    /// Closes it, and says that they have gone home.
    pub(super) async fn leave(&mut self, agent: &str) -> anyhow::Result<()> {
        self.appear(agent, Presence::Offline).await?;
        self.consoles.remove(agent);
        Ok(())
    }

    /// Says what they can take.
    pub(super) async fn engage(&self, agent: &str, profile: &Profile, key: &str) -> anyhow::Result<()> {
        let profile = serde_json::to_value(profile)?;
        self.key(agent)?.write(Method::PUT, "/v1/me", Some(&profile), key).await.map(drop)
    }

    /// Says whether they are here.
    pub(super) async fn appear(&self, agent: &str, presence: Presence) -> anyhow::Result<()> {
        let (body, key) = (json!({ "presence": presence }), format!("demo-{}", demo::random_hex(8)?));
        self.key(agent)?.write(Method::PUT, "/v1/me/presence", Some(&body), &key).await.map(drop)
    }

    /// The latest contact of somebody on a channel, when it is on the timeline, or the entry that shows it.
    pub(super) async fn contact(&self, of: &Thing) -> anyhow::Result<Value> {
        let id = self.told.get(of).with_context(|| format!("{of} has not happened"))?;
        let field = match of.channel {
            Channel::Phone => "call_id",
            Channel::Email | Channel::Chat | Channel::Desk => "message_id",
        };
        let looks = self.key(SUPERVISOR)?;
        self.until("a contact did not come onto the timeline", PATIENCE, async || {
            for path in self.places(of).await? {
                let page = looks.get(&path).await?;
                let mut found = page["items"].as_array().into_iter().flatten();
                if let Some(found) = found.find(|one| one["content"][field] == json!(id)) {
                    return Ok(Some(found.clone()));
                }
            }
            Ok(None)
        })
        .await
        .with_context(|| of.to_string())
    }

    /// Where the API shows it. A session is shown by its first line, which is another day's when somebody who
    /// is signed in goes on with it; then the line stands on their timeline.
    pub(super) async fn places(&self, of: &Thing) -> anyhow::Result<Vec<String>> {
        let mut places = vec![format!("/v1/contacts?channel={}&limit=200", of.channel)];
        if let Person { account: Some(_), email: Some(email), .. } = self.person(&of.who)? {
            let found = self
                .key(SUPERVISOR)?
                .get(&format!("/v1/clients?email={}", email.replace('@', "%40")))
                .await?;
            for client in found["items"].as_array().into_iter().flatten() {
                places.push(format!(
                    "/v1/clients/{}/timeline?channel={}&limit=200",
                    text(client, "id"),
                    of.channel
                ));
            }
        }
        Ok(places)
    }

    pub(super) async fn conversation(&self, of: &Thing) -> anyhow::Result<String> {
        let contact = self.contact(of).await?;
        Ok(contact["conversation"].as_str().with_context(|| format!("{of} is no conversation"))?.to_owned())
    }

    /// Looks until there is something.
    pub(super) async fn until<T>(
        &self,
        complaint: &str,
        within: Duration,
        mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let until = Instant::now() + within;
        loop {
            if let Some(there) = look().await? {
                return Ok(there);
            }
            if Instant::now() > until {
                bail!("{complaint} within {} s", within.as_secs());
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// Keeps an agent's stream of events open, as a console does, and does nothing with it.
async fn watch(caller: Caller) {
    let Ok(http) = crate::commands::http().read_timeout(PATIENCE).build() else { return };
    loop {
        let asked = http.get(format!("{}/v1/events", caller.base)).bearer_auth(&caller.secret).send().await;
        if let Ok(answer) = asked {
            let mut events = answer.bytes_stream();
            while let Some(Ok(_)) = events.next().await {}
        }
        sleep(RECONNECT).await;
    }
}
