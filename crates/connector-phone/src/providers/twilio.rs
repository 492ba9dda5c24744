//! Twilio Programmable Voice.
//!
//! Its requests have no event name; the fields tell the kinds apart, the most telling first:
//!
//! | fields | kind | answer |
//! |---|---|---|
//! | `TranscriptionSid` | a voicemail in words | 204 |
//! | `DialCallStatus` | result of `<Dial action>` | empty TwiML |
//! | `RecordingSid` + `RecordingStatus` | recording status | 204 |
//! | `RecordingSid` | result of `<Record action>` | empty TwiML |
//! | `CallbackSource`, `SequenceNumber`, or the call is over | status callback | 204 |
//! | otherwise `CallStatus` | an incoming call | empty TwiML |
//!
//! An empty `<Response/>` steers nothing and so ends the TwiML's turn: what callers hear is configured
//! in Twilio (Studio, TwiML bin, another application), which calls us beside it. Point the status
//! callbacks and actions here; point a number's Voice URL here only if it is to be recorded and hung up.
//!
//! Queued and initiated calls are told as ringing: the call is under way, nobody has answered.

mod signature;

use connector::number::e164;
use contact::{
    Basis, CallChange, CallState, Direction, Outcome, RawBytes, Recording, RecordingKind, Transcript,
    Unreadable,
};
use jiff::Timestamp;

pub use signature::{sign, sign_form};

use crate::config::{Line, Problem};
use crate::form::{Fields, unreadable};
use crate::normalise::clean;
use crate::provider::{Answer, Fact, Forged, Number, Provider, Read};
use crate::request::Evidence;

const TWIML: Answer = Answer::Document {
    media_type: "text/xml",
    body: "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>",
};

/// Longest texts in characters: what is longer is cut, and whole in the raw.
const NAME: usize = 200;
const NUMBER: usize = 200;
const TRANSCRIPT: usize = 32_000;
/// A longer address of a recording is left out: half an address is none.
const URL: usize = 2_000;

/// Says nothing about the call, and may change from one try to the next.
const VOLATILE: [&str; 2] = ["ApiVersion", "bodySHA256"];

#[derive(Debug)]
pub struct Twilio;

impl Provider for Twilio {
    fn name(&self) -> &'static str {
        "twilio"
    }

    fn check(&self, line: &Line) -> Vec<Problem> {
        if line.auth_token.is_some() || !line.signing_keys.is_empty() {
            return Vec::new();
        }
        let sentence = "the account's auth token is missing, without which no request can be verified; \
                        give auth_token_file, auth_token, or signing_keys";
        vec![Problem::new("auth_token", sentence)]
    }

    fn verify(&self, line: &Line, evidence: &Evidence<'_>) -> Result<(), Forged> {
        signature::verify(line, evidence)
    }

    fn read(&self, line: &Line, raw: &RawBytes) -> Result<Read, Unreadable> {
        let fields = Fields::read(raw)?;
        let call = fields.id("CallSid")?.ok_or_else(|| unreadable("CallSid", "is missing"))?;
        let parent = fields.id("ParentCallSid")?.filter(|parent| *parent != call);
        let direction = match fields.get("Direction")? {
            // A leg dialled for a call belongs to the call; that an agent was dialled is no contact.
            _ if parent.is_some() => Direction::Inbound,
            Some("outbound-api" | "outbound-dial" | "trunking-terminating") => Direction::Outbound,
            // Recording callbacks do not tell; they come with neither party.
            Some("inbound" | "trunking-originating") | None => Direction::Inbound,
            Some(_) => return Err(unreadable("Direction", "has a value that is not known")),
        };
        let leg = Leg { fields: &fields, call, child: parent.is_some(), direction };
        let told = leg.told()?;
        let name = fields.get("CallerName")?.map(|name| clean(name, NAME)).filter(|name| !name.is_empty());
        let number = |field: &str, other: &str| -> Result<Option<String>, Unreadable> {
            let given = match fields.get(field)? {
                Some(number) => Some(number),
                None => fields.get(other)?,
            };
            Ok(given.map(|number| clean(number, NUMBER)).filter(|number| !number.is_empty()))
        };
        let from = number("From", "Caller")?
            // A leg shows the caller's number or one of ours; ours says nothing about the caller.
            .filter(|raw| !leg.child || !e164(raw, line.region).is_some_and(|number| line.owns(&number)))
            .map(|raw| Number { raw, name });
        let to = number("To", "Called")?;
        let mut change = told.change;
        let to = if leg.child {
            // Whom the system rang is one of us, not whom the client called.
            change.extension = to.map(|to| extension(&to));
            Vec::new()
        } else {
            to.into_iter().map(|raw| Number { raw, name: None }).collect()
        };
        let fact = Fact {
            call: parent.unwrap_or(call).to_owned(),
            id: told.id,
            kind: told.kind,
            digest: fields.digest(&VOLATILE),
            direction,
            from,
            to,
            at: fields.get("Timestamp")?.and_then(moment),
            change,
        };
        Ok(Read { facts: vec![fact], answer: told.answer })
    }
}

/// What one request tells, by its kind.
struct Told {
    id: String,
    kind: String,
    change: CallChange,
    answer: Answer,
}

struct Leg<'a> {
    fields: &'a Fields,
    call: &'a str,
    child: bool,
    direction: Direction,
}

impl Leg<'_> {
    fn told(&self) -> Result<Told, Unreadable> {
        if let Some(sid) = self.fields.id("TranscriptionSid")? {
            return self.transcription(sid);
        }
        if let Some(status) = self.fields.get("DialCallStatus")? {
            return self.dial_action(status);
        }
        match (self.fields.id("RecordingSid")?, self.fields.get("RecordingStatus")?) {
            (Some(sid), Some(status)) => self.recording(sid, status),
            (Some(sid), None) => self.record_action(sid),
            (None, _) => self.call_status(),
        }
    }

    /// Only what `<Record>` took is transcribed this way, so it is a voicemail even when the words
    /// could not be made out.
    fn transcription(&self, sid: &str) -> Result<Told, Unreadable> {
        // Live transcription of a talk uses the same id in another shape: kept, but no voicemail.
        let live = self.fields.get("TranscriptionEvent")?;
        let text = self.fields.get("TranscriptionText")?.map(|text| clean(text, TRANSCRIPT));
        let recording = self.fields.id("RecordingSid")?.map(str::to_owned);
        Ok(Told {
            id: sid.to_owned(),
            kind: live.map_or_else(|| "transcription".to_owned(), |event| clean(event, 40)),
            change: CallChange {
                outcome: live.is_none().then_some(Outcome::Voicemail),
                transcript: text.filter(|text| live.is_none() && !text.is_empty()).map(|text| Transcript {
                    id: sid.to_owned(),
                    recording,
                    text,
                }),
                ..CallChange::default()
            },
            answer: Answer::Nothing,
        })
    }

    /// The end of `<Dial>`: whether a person's telephone was answered. The `CallStatus` beside it is the
    /// caller's line, of which `in-progress` proves no talk; only that it is over is taken from it.
    fn dial_action(&self, status: &str) -> Result<Told, Unreadable> {
        let (outcome, talked_s) = match status {
            "completed" | "answered" => (Outcome::Answered, self.fields.seconds("DialCallDuration")?),
            other => {
                let talked_s = self.fields.seconds("DialCallDuration")?.filter(|seconds| *seconds == 0);
                (self.not_reached(other, "DialCallStatus")?, talked_s)
            }
        };
        let state = match self.fields.get("CallStatus")? {
            Some("completed" | "busy" | "failed" | "no-answer" | "canceled") => Some(CallState::Ended),
            _ => None,
        };
        let url = self.recording_url()?;
        // `<Dial record>` gives the recording's address here and its id only inside the address.
        let inside = url.as_deref().and_then(|url| url.rsplit('/').next()).filter(|id| id.starts_with("RE"));
        let id = self.fields.id("RecordingSid")?.or(inside).map(str::to_owned);
        let seconds = self.fields.seconds("RecordingDuration")?;
        Ok(Told {
            id: self.call.to_owned(),
            kind: format!("dial-{status}"),
            change: CallChange {
                state,
                outcome: Some(outcome),
                basis: Basis::Person,
                talked_s,
                recording: id.map(|id| Recording {
                    id,
                    kind: RecordingKind::Talk,
                    url,
                    seconds,
                    started_at: None,
                }),
                ..CallChange::default()
            },
            answer: TWIML,
        })
    }

    fn recording(&self, sid: &str, status: &str) -> Result<Told, Unreadable> {
        let voicemail = self.fields.get("RecordingSource")? == Some("RecordVerb");
        let kind = if voicemail { RecordingKind::Voicemail } else { RecordingKind::Talk };
        let (exists, whole) = match status {
            "completed" => (true, true),
            "in-progress" | "paused" | "stopped" | "processing" => (true, false),
            "absent" | "failed" | "deleted" => (false, false),
            _ => return Err(unreadable("RecordingStatus", "has a value that is not known")),
        };
        Ok(Told {
            id: sid.to_owned(),
            kind: format!("recording-{status}"),
            change: CallChange {
                outcome: (voicemail && whole).then_some(Outcome::Voicemail),
                recording: if exists { Some(self.recorded(sid, kind)?) } else { None },
                ..CallChange::default()
            },
            answer: Answer::Nothing,
        })
    }

    /// The end of `<Record>`: a message was left.
    fn record_action(&self, sid: &str) -> Result<Told, Unreadable> {
        Ok(Told {
            id: sid.to_owned(),
            kind: "record".to_owned(),
            change: CallChange {
                outcome: Some(Outcome::Voicemail),
                recording: Some(self.recorded(sid, RecordingKind::Voicemail)?),
                ..CallChange::default()
            },
            answer: TWIML,
        })
    }

    /// A status callback, or the webhook of an incoming call, which has fewer fields.
    fn call_status(&self) -> Result<Told, Unreadable> {
        let status = self.fields.need("CallStatus")?;
        let duration = self.fields.seconds("CallDuration")?;
        let talk = duration.filter(|seconds| *seconds > 0);
        let (state, outcome) = match status {
            "queued" | "initiated" | "ringing" => (CallState::Ringing, None),
            "in-progress" | "answered" => (CallState::Answered, Some(Outcome::Answered)),
            "completed" if talk.is_some() => (CallState::Ended, Some(Outcome::Answered)),
            "completed" if duration.is_none() => (CallState::Ended, None),
            "completed" => (CallState::Ended, Some(self.not_reached("no-answer", "CallStatus")?)),
            other => (CallState::Ended, Some(self.not_reached(other, "CallStatus")?)),
        };
        let ended = state == CallState::Ended;
        let callback =
            self.fields.get("CallbackSource")?.is_some() || self.fields.get("SequenceNumber")?.is_some();
        Ok(Told {
            id: self.call.to_owned(),
            kind: status.to_owned(),
            change: CallChange {
                // The end of one leg is not the end of the call: the next agent may be rung.
                state: Some(state).filter(|_| !(self.child && ended)),
                outcome,
                basis: if self.child { Basis::Person } else { Basis::Line },
                // Nought is told too, of a call that nobody answered.
                talked_s: duration.filter(|seconds| ended && (*seconds == 0 || status == "completed")),
                ..CallChange::default()
            },
            answer: if callback || ended { Answer::Nothing } else { TWIML },
        })
    }

    /// Why nobody was reached: for a call that came in it is missed, whatever the reason.
    fn not_reached(&self, status: &str, field: &str) -> Result<Outcome, Unreadable> {
        let outcome = match status {
            "no-answer" => Outcome::NoAnswer,
            "busy" => Outcome::Busy,
            "failed" => Outcome::Failed,
            "canceled" => Outcome::Canceled,
            _ => return Err(unreadable(field, "has a value that is not known")),
        };
        Ok(if self.direction == Direction::Inbound { Outcome::Missed } else { outcome })
    }

    fn recorded(&self, sid: &str, kind: RecordingKind) -> Result<Recording, Unreadable> {
        Ok(Recording {
            id: sid.to_owned(),
            kind,
            url: self.recording_url()?,
            seconds: self.fields.seconds("RecordingDuration")?,
            started_at: self.fields.get("RecordingStartTime")?.and_then(moment),
        })
    }

    fn recording_url(&self) -> Result<Option<String>, Unreadable> {
        let url = self.fields.get("RecordingUrl")?.map(|url| clean(url, URL + 1));
        Ok(url.filter(|url| !url.is_empty() && url.chars().count() <= URL))
    }
}

/// `mia` of `client:mia`, `101` of `sip:101@pbx.example`, else the number as it is.
fn extension(to: &str) -> String {
    let user = match to.split_once(':') {
        Some(("client", name)) => name,
        Some(("sip" | "sips", address)) => address.split(['@', ';']).next().unwrap_or(address),
        _ => to,
    };
    clean(user, 100)
}

/// RFC 2822. A time that cannot be read is left out: the call is worth more than its minute.
fn moment(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text.trim()).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests;
