//! What the clinic's phone system tells of a call.

use jiff::{SignedDuration, Timestamp};

use crate::commands::simulate::phone::{Fields, request};
use crate::story::{Call, Person};

/// The clinic's own number.
const OURS: &str = "+380800500500";
/// How a phone system writes that the number is withheld: ANONYMOUS on a keypad.
const WITHHELD: &str = "+266696687";

/// One webhook.
#[derive(Debug)]
pub(super) struct Hook {
    /// So many seconds into the call.
    pub(super) after: u32,
    /// The extension whose leg it is about; `None`: the call itself.
    leg: Option<String>,
    fields: Vec<(&'static str, String)>,
}

/// What is told of this call, in order.
pub(super) fn hooks(call: &Call) -> Vec<Hook> {
    let mut told = Vec::new();
    let mut tell = |after: u32, leg: Option<&String>, fields: Vec<(&'static str, String)>| {
        told.push(Hook { after, leg: leg.cloned(), fields });
    };
    let status =
        |word: &str, nth: u32| vec![("CallStatus", word.to_owned()), ("SequenceNumber", nth.to_string())];
    let ended = |word: &str, nth: u32, seconds: u32| {
        let mut fields = status(word, nth);
        fields.push(("CallDuration", seconds.to_string()));
        fields
    };
    let (answered, over) = (call.rings_s, call.rings_s + call.talks_s);
    let extension = call.extension.as_ref();
    tell(0, None, status("ringing", 0));
    if extension.is_some() {
        tell(0, extension, status("ringing", 0));
    }
    if call.talks_s == 0 {
        tell(answered, None, ended("no-answer", 1, 0));
        return told;
    }
    if extension.is_some() {
        tell(answered, extension, status("in-progress", 1));
    }
    tell(answered, None, status("in-progress", 1));
    if extension.is_some() {
        tell(over, extension, ended("completed", 2, call.talks_s));
    }
    tell(over, None, ended("completed", 2, call.talks_s));
    if let Some(words) = &call.says {
        let seconds = call.talks_s.to_string();
        tell(
            over,
            None,
            vec![
                ("RecordingStatus", "completed".to_owned()),
                ("RecordingDuration", seconds),
                ("RecordingSource", "RecordVerb".to_owned()),
            ],
        );
        let text = ("TranscriptionText", words.clone());
        tell(over, None, vec![("TranscriptionStatus", "completed".to_owned()), text]);
    }
    told
}

impl Hook {
    /// As it goes over the wire. `id` gives 32 hex digits that are the call's own for a word.
    pub(super) fn fields(
        &self,
        call: &Call,
        who: Option<&Person>,
        at: Timestamp,
        id: impl Fn(&str) -> String,
    ) -> Fields {
        let sid = format!("CA{}", id("call"));
        let theirs = who.and_then(|who| who.phone.as_deref()).unwrap_or(WITHHELD);
        let mut fields = match &self.leg {
            None => request(&sid, at),
            Some(_) => request(&format!("CA{}", id("leg")), at),
        };
        let mut say = |name: &str, value: &str| fields.push((name.to_owned(), value.to_owned()));
        match (&self.leg, call.outbound) {
            (Some(extension), _) => {
                say("ParentCallSid", &sid);
                say("Direction", "outbound-dial");
                say("From", theirs);
                say("To", &format!("sip:{extension}@pbx.demo.example"));
            }
            (None, true) => {
                say("Direction", "outbound-api");
                say("From", OURS);
                say("To", theirs);
            }
            (None, false) => {
                say("Direction", "inbound");
                say("From", theirs);
                say("To", OURS);
                if let Some(who) = who {
                    say("CallerName", &who.name);
                }
            }
        }
        let told = |wanted: &str| self.fields.iter().any(|(name, _)| *name == wanted);
        if told("RecordingStatus") || told("TranscriptionStatus") {
            say("RecordingSid", &format!("RE{}", id("recording")));
        }
        if told("TranscriptionStatus") {
            say("TranscriptionSid", &format!("TR{}", id("words")));
        }
        fields.extend(self.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        fields
    }
}

/// So many seconds into the day, but never in the future.
pub(super) fn moment(began_at: Timestamp, seconds: u32, now: Timestamp) -> Timestamp {
    (began_at + SignedDuration::from_secs(i64::from(seconds))).min(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(talks_s: u32, says: Option<&str>) -> Call {
        let extension = says.is_none().then(|| "101".to_owned());
        let says = says.map(str::to_owned);
        Call { who: None, outbound: false, extension, rings_s: 5, talks_s, says }
    }

    #[test]
    fn an_answered_call_is_told_of_both_legs_in_order() {
        let told: Vec<_> =
            hooks(&call(20, None)).iter().map(|hook| (hook.after, hook.leg.is_some())).collect();
        assert_eq!(told, [(0, false), (0, true), (5, true), (5, false), (25, true), (25, false)]);
    }

    #[test]
    fn a_missed_call_ends_when_it_stops_ringing() {
        let told: Vec<_> = hooks(&call(0, None)).iter().map(|hook| hook.after).collect();
        assert_eq!(told, [0, 0, 5]);
    }

    #[test]
    fn nothing_happens_in_the_future() {
        let now = Timestamp::from_second(100).unwrap();
        assert_eq!(moment(Timestamp::UNIX_EPOCH, 99, now).as_second(), 99);
        assert_eq!(moment(Timestamp::UNIX_EPOCH, 101, now), now);
    }

    #[test]
    fn a_message_comes_with_its_recording_and_its_words() {
        let left = call(9, Some("Передзвоніть"));
        let told = hooks(&left);
        let fields: Vec<Fields> = (told.iter())
            .map(|hook| hook.fields(&left, None, Timestamp::UNIX_EPOCH, |what| format!("{what:0>32}")))
            .collect();
        let says = |fields: &Fields, name: &str| fields.iter().any(|(key, _)| key == name);
        assert!(fields.iter().any(|one| says(one, "RecordingSid") && !says(one, "TranscriptionSid")));
        assert!(fields.iter().any(|one| says(one, "RecordingSid") && says(one, "TranscriptionText")));
    }
}
