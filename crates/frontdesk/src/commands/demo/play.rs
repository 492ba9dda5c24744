//! Plays a day: one thing after the other, each through its real door.

mod agents;
mod cues;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use contact::{Channel, Presence};
use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use self::cues::{Cue, Deed, cues};
use super::caller::Caller;
use super::day::Day;
use super::exchange::moment;
use super::stage::text;
use super::teller::Teller;
use super::visitor::Visitor;
use crate::commands::simulate::chat;
use crate::commands::simulate::email::Letter;
use crate::commands::simulate::phone::{PhoneSystem, request};
use crate::config::Config;
use crate::story::{Call, Person, Scene, Story, Thing};
use crate::{demo, wire};

/// From what was told to what is on the timeline.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Who acts on our side, beside the agents of the story.
pub(super) const SUPERVISOR: &str = "guest";

/// What plays the day.
pub(super) struct Player<'a> {
    config: &'a Config,
    story: &'a Story,
    keys: &'a BTreeMap<String, Caller>,
    day: Day,
    system: PhoneSystem,
    visitors: BTreeMap<String, Visitor>,
    /// The latest contact of somebody on a channel, as the API names it.
    told: BTreeMap<Thing, String>,
    /// The open consoles of agents.
    consoles: BTreeMap<String, AbortOnDropHandle<()>>,
    tasks: TaskTracker,
}

impl<'a> Player<'a> {
    pub(super) fn new(
        config: &'a Config,
        story: &'a Story,
        keys: &'a BTreeMap<String, Caller>,
        day: Day,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            config,
            story,
            keys,
            day,
            system: PhoneSystem::of(config, demo::NAME)?,
            visitors: BTreeMap::new(),
            told: BTreeMap::new(),
            consoles: BTreeMap::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// Plays what has not been played, `speed` times as fast as it is written, to its end.
    pub(super) async fn play(mut self, speed: u32) -> anyhow::Result<Day> {
        let cues = cues(self.story);
        let first = self.day.next.min(cues.len());
        for cue in cues.iter().take(first) {
            self.recall(cue).await?;
        }
        let scaled = |at: u32| Duration::from_secs(u64::from(at)) / speed;
        let skipped = scaled(cues.get(first).map_or(0, |cue| cue.at));
        let began = Instant::now();
        let teller = Teller::new(cues.len(), first);
        for (nth, cue) in cues.iter().enumerate().skip(first) {
            sleep_until(began + scaled(cue.at).saturating_sub(skipped)).await;
            if let Some(tell) = cue.tell {
                teller.tell(format_args!("{:>2}:{:02}  {tell}", cue.at / 60, cue.at % 60));
            }
            self.perform(cue).await.with_context(|| self.words(cue))?;
            self.day.played(nth + 1)?;
            teller.step();
        }
        // What was told in order is recorded in order: when the latest is, all of it is.
        for of in self.told.keys() {
            self.until("a contact did not end", PATIENCE, async || {
                let contact = self.contact(of).await?;
                let over = of.channel != Channel::Phone || contact["content"]["state"] == "ended";
                Ok(over.then_some(()))
            })
            .await?;
        }
        self.day.end(wire::real_clock()())?;
        Ok(self.day)
    }

    /// For an error.
    fn words(&self, cue: &Cue<'_>) -> String {
        let tell = self.story.steps.get(cue.step).map_or("", |step| &step.tell);
        format!("the day stopped at \"{tell}\"; `frontdesk demo` goes on from there")
    }

    /// It happened before the day was broken off: only who is connected is connected again.
    async fn recall(&mut self, cue: &Cue<'_>) -> anyhow::Result<()> {
        match cue.deed {
            Deed::Hook(call, _) => self.note_call(cue.step, call),
            Deed::Scene(Scene::Mail { who, .. }) => _ = self.note_mail(cue.step, who),
            Deed::Scene(Scene::Write { who, .. }) => _ = self.note_line(cue.step, who),
            Deed::Scene(Scene::Arrive { agent, .. }) => self.connect(agent).await?,
            Deed::Scene(Scene::Leave { agent }) => self.leave(agent).await?,
            Deed::Scene(_) => {}
        }
        Ok(())
    }

    async fn perform(&mut self, cue: &Cue<'_>) -> anyhow::Result<()> {
        let now = wire::real_clock()();
        let at = moment(self.day.began_at, cue.at, now);
        let key = format!("demo-{}", self.day.id(&format!("key/{}", cue.step)));
        let scene = match &cue.deed {
            Deed::Hook(call, hook) => {
                self.note_call(cue.step, call);
                let who = call.who.as_ref().map(|who| self.person(who)).transpose()?;
                let id = |what: &str| self.day.id(&format!("{what}/{}", cue.step));
                return self.system.tell(&hook.fields(call, who, at, id)).await;
            }
            Deed::Scene(scene) => scene,
        };
        match scene {
            Scene::Call(_) => Ok(()),
            Scene::Introduce { who, segment, value, owner, language } => {
                let person = self.person(who)?;
                let known = json!({
                    "name": person.name, "segment": segment, "value": value, "owner": owner, "language": language,
                    "identifiers": [{ "kind": "phone", "value": person.phone }],
                });
                let account = person.account.as_deref().unwrap_or(who);
                let path = format!("/v1/clients/by-external-id/crm/{account}");
                self.key(SUPERVISOR)?.write(Method::PUT, &path, Some(&known), &key).await.map(drop)
            }
            Scene::Arrive { agent, profile } => {
                self.engage(agent, profile, &key).await?;
                self.connect(agent).await
            }
            Scene::Engage { agent, profile } => {
                // While the others are at work, nothing of theirs is offered to whoever watches.
                self.appear(agent, Presence::Away).await?;
                self.engage(agent, profile, &key).await
            }
            Scene::Appear { agent, presence } => self.appear(agent, *presence).await,
            Scene::Leave { agent } => self.leave(agent).await,
            Scene::Mail { who, subject, text, automatic } => {
                let id = self.note_mail(cue.step, who);
                let person = self.person(who)?;
                let letter = Letter {
                    id: &id,
                    from: person.email.as_deref().context("they have no address")?,
                    name: Some(&person.name),
                    to: "help@demo.example",
                    subject,
                    text: text.trim(),
                    date: at,
                    automatic: *automatic,
                };
                letter.hand_in(self.config, demo::NAME).await
            }
            Scene::Write { who, text } => {
                let id = self.note_line(cue.step, who);
                // Before the line: should it be the last thing we do, it is the same visitor who goes on.
                if let Some(secret) = self.visitor(who)?.come().await?.cloned() {
                    self.day.remember(who, secret)?;
                }
                self.visitor(who)?.write(&id, text).await
            }
            Scene::Identify { who } => {
                let person = self.person(who)?;
                let (name, email) =
                    (person.name.clone(), person.email.clone().context("they have no address")?);
                let id = self.day.id(&format!("identify/{}", cue.step));
                self.visitor(who)?.identify(&id, &name, &email).await
            }
            Scene::Forge { who } => self.forge(cue.step, who, at).await,
            Scene::Take { agent, of } => self.take(agent, of, &key).await,
            Scene::Claim { agent, of } => self.act(agent, of, "claim", None, &key).await,
            Scene::Answer { agent, of, text } => {
                self.act(agent, of, "replies", Some(&json!({ "text": text })), &key).await?;
                // It is said when it is read in the visitor's browser.
                self.visitor(&of.who)?.hears(text).await
            }
            Scene::Note { agent, of, text } => {
                let contact = self.contact(of).await?;
                let client = contact["client"].as_str().context("it is nobody's")?;
                let note = json!({ "text": text, "conversation": contact["conversation"] });
                self.key(agent)?
                    .write(Method::POST, &format!("/v1/clients/{client}/notes"), Some(&note), &key)
                    .await
                    .map(drop)
            }
            Scene::Resolve { agent, of } => self.act(agent, of, "resolve", None, &key).await,
            Scene::Prefer { agent, who, channel } => {
                let of = Thing { who: who.clone(), channel: Channel::Chat };
                let contact = self.contact(&of).await?;
                let client = contact["client"].as_str().context("it is nobody's")?;
                let change = json!({ "preferred_channel": channel });
                self.key(agent)?
                    .write(Method::PATCH, &format!("/v1/clients/{client}"), Some(&change), &key)
                    .await
                    .map(drop)
            }
        }
    }

    /// A request that is signed with a guess, and seen in quarantine.
    async fn forge(&self, step: usize, who: &str, at: jiff::Timestamp) -> anyhow::Result<()> {
        let sid = format!("CA{}", self.day.id(&format!("call/{step}")));
        let mut fields = request(&sid, at);
        let person = self.person(who)?;
        fields.push(("CallStatus".into(), "ringing".into()));
        fields.extend(person.phone.iter().map(|phone| ("From".into(), phone.clone())));
        self.system.forge(&fields).await?;
        let looks = self.key(SUPERVISOR)?;
        self.until("a forged request was not held in quarantine", PATIENCE, async || {
            let shelf = looks.get("/v1/quarantine?limit=10").await?;
            for held in shelf["items"].as_array().into_iter().flatten() {
                let whole = looks.get(&format!("/v1/quarantine/{}", text(held, "id"))).await?;
                if text(&whole, "text").contains(&sid) {
                    return Ok(Some(()));
                }
            }
            Ok(None)
        })
        .await
    }

    fn note_call(&mut self, step: usize, call: &Call) {
        if let Some(who) = &call.who {
            let of = Thing { who: who.clone(), channel: Channel::Phone };
            self.told.insert(of, format!("CA{}", self.day.id(&format!("call/{step}"))));
        }
    }

    /// The mail's own id.
    fn note_mail(&mut self, step: usize, who: &str) -> String {
        let id = self.day.id(&format!("mail/{step}"));
        let of = Thing { who: who.to_owned(), channel: Channel::Email };
        self.told.insert(of, format!("{id}@simulated.example"));
        id
    }

    /// The line's own id. What a session shows is its first line.
    fn note_line(&mut self, step: usize, who: &str) -> String {
        let id = self.day.id(&format!("line/{step}"));
        let of = Thing { who: who.to_owned(), channel: Channel::Chat };
        self.told.entry(of).or_insert_with(|| id.clone());
        id
    }

    fn person(&self, who: &str) -> anyhow::Result<&'a Person> {
        self.story.people.get(who).with_context(|| format!("the story knows no `{who}`"))
    }

    fn key(&self, name: &str) -> anyhow::Result<&'a Caller> {
        self.keys.get(name).with_context(|| format!("the story knows no agent `{name}`"))
    }

    fn visitor(&mut self, who: &str) -> anyhow::Result<&mut Visitor> {
        if !self.visitors.contains_key(who) {
            let person = self.person(who)?;
            let token = match &person.account {
                None => None,
                Some(account) => {
                    let claims = json!({
                        "sub": account, "name": person.name, "email": person.email, "phone": person.phone,
                    });
                    let widget = self.config.chat.get(demo::NAME).context("there is no demo chat")?;
                    Some(chat::token(widget, demo::NAME, claims)?)
                }
            };
            let (base, secret) = (&self.key(SUPERVISOR)?.base, self.day.visitor(who).cloned());
            self.visitors.insert(who.to_owned(), Visitor::new(base, demo::NAME, token, secret));
        }
        self.visitors.get_mut(who).context("they were there")
    }
}
