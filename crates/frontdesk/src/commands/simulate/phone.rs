//! `frontdesk simulate phone`: the part of a phone system, played against a running instance with the
//! signatures of a real one.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use connector_phone::Secret;
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use url::Url;

use super::{chosen, furnished, say};
use crate::cli::{CallStory, SimulatePhone};
use crate::config::Config;
use crate::{demo, wire};

/// One webhook: so many seconds into the call, these fields.
type Hook = (i64, Vec<(&'static str, String)>);

/// What a request says, in order.
pub(in crate::commands) type Fields = Vec<(String, String)>;

/// The phone system of a line: it posts to where we listen, signed.
pub(in crate::commands) struct PhoneSystem {
    http: reqwest::Client,
    post: Url,
    /// What is signed: where the world reaches us, as a proxy in between would leave it.
    public: Url,
    secret: Secret,
}

impl PhoneSystem {
    /// Of the line called `name`.
    pub(in crate::commands) fn of(config: &Config, name: &str) -> anyhow::Result<Self> {
        let line = config.phone.get(name).with_context(|| format!("no line is called `{name}`"))?;
        let secret = match (&line.auth_token, &line.auth_token_file) {
            (Some(secret), _) => secret.clone(),
            (None, Some(file)) => {
                Secret::from_file(file).with_context(|| format!("could not read {}", file.display()))?
            }
            (None, None) => bail!("the line `{name}` has no auth_token to sign with"),
        };
        let path = format!("hooks/phone/{name}");
        let post = Url::parse(&format!("http://{}/", config.http.listen))?.join(&path)?;
        let mut public = config.public_url().map_err(anyhow::Error::msg)?;
        public.set_path(&format!("{}/{path}", public.path().trim_end_matches('/')));
        let http = crate::commands::http().timeout(Duration::from_secs(10)).build()?;
        Ok(Self { http, post, public, secret })
    }

    /// Tells it. When this returns `Ok` it is kept.
    pub(in crate::commands) async fn tell(&self, fields: &Fields) -> anyhow::Result<()> {
        let answer = self.send(fields, self.secret.expose()).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        bail!("{} answered {}: {}", self.post, answer.status(), answer.text().await.unwrap_or_default())
    }

    /// Tells it as somebody would who does not know the secret. It must be refused.
    pub(in crate::commands) async fn forge(&self, fields: &Fields) -> anyhow::Result<()> {
        match self.send(fields, b"guessed").await?.status() {
            StatusCode::UNAUTHORIZED => Ok(()),
            status => bail!("{} answered {status} to a forged request", self.post),
        }
    }

    async fn send(&self, fields: &Fields, secret: &[u8]) -> anyhow::Result<reqwest::Response> {
        let signature = connector_phone::providers::twilio::sign(secret, self.public.as_str(), fields);
        let request = self.http.post(self.post.clone()).header("X-Twilio-Signature", signature).form(fields);
        let sent = request.send().await;
        sent.with_context(|| format!("could not reach {}; is `frontdesk up` running?", self.post))
    }
}

pub(crate) async fn run(config: &Config, call: SimulatePhone) -> anyhow::Result<ExitCode> {
    let config = furnished(config)?;
    let system = PhoneSystem::of(&config, chosen(call.source.as_deref(), config.phone.keys())?)?;
    for _ in 0..call.count {
        let sid = format!("CA{}", demo::random_hex(16)?);
        let hooks = story(call.story, &sid);
        // The call has just ended: nothing of it lies in the future.
        let length = hooks.iter().map(|(after, _)| *after).max().unwrap_or(0);
        let began = wire::real_clock()() - SignedDuration::from_secs(length);
        for (after, fields) in hooks {
            let at = began + SignedDuration::from_secs(after);
            system.tell(&filled(&call, &sid, at, fields)).await?;
        }
        say(format_args!("{sid} from {}", call.from));
    }
    Ok(ExitCode::SUCCESS)
}

/// What Twilio tells of such a call.
fn story(story: CallStory, sid: &str) -> Vec<Hook> {
    let status = |after: i64, status: &str, nth: u32| {
        (after, vec![("CallStatus", status.to_owned()), ("SequenceNumber", nth.to_string())])
    };
    let ended = |after: i64, word: &str, nth: u32, seconds: u32| {
        let (after, mut fields) = status(after, word, nth);
        fields.push(("CallDuration", seconds.to_string()));
        (after, fields)
    };
    match story {
        CallStory::Ringing => vec![status(0, "ringing", 0)],
        CallStory::Missed => vec![status(0, "ringing", 0), ended(21, "no-answer", 1, 0)],
        CallStory::Answered => {
            vec![status(0, "ringing", 0), status(5, "in-progress", 1), ended(68, "completed", 2, 63)]
        }
        CallStory::Voicemail => {
            let recording = vec![
                ("RecordingSid", sid.replacen("CA", "RE", 1)),
                ("RecordingStatus", "completed".to_owned()),
                ("RecordingDuration", "12".to_owned()),
                ("RecordingSource", "RecordVerb".to_owned()),
            ];
            vec![
                status(0, "ringing", 0),
                status(20, "in-progress", 1),
                ended(38, "completed", 2, 18),
                (40, recording),
            ]
        }
    }
}

fn filled(call: &SimulatePhone, sid: &str, at: Timestamp, fields: Vec<(&'static str, String)>) -> Fields {
    let mut all = request(sid, at);
    all.push(("Direction".into(), "inbound".into()));
    all.push(("From".into(), call.from.clone()));
    all.push(("To".into(), call.to.clone()));
    all.extend(call.name.iter().map(|name| ("CallerName".into(), name.clone())));
    all.extend(fields.into_iter().map(|(key, value)| (key.to_owned(), value)));
    all
}

/// What every request about this call says.
pub(in crate::commands) fn request(sid: &str, at: Timestamp) -> Fields {
    let at = jiff::fmt::rfc2822::to_string(&at.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default();
    vec![
        ("CallSid".into(), sid.to_owned()),
        ("AccountSid".into(), "AC00000000000000000000000000000001".into()),
        ("Timestamp".into(), at),
    ]
}
