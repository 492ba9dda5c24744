//! The load: Twilio's status callbacks of 1 KiB, each a missed call of its own, signed before any clock
//! starts. The phone system is not what we measure.

use anyhow::Context as _;
use connector_phone::providers::twilio;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

use crate::numbers::{Numbers, Random, id_of};

/// The account's token that both sides know.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// What the signature covers, whatever port a server has.
pub(crate) const PUBLIC_URL: &str = "http://bench.example";
/// The line's hook.
pub(crate) const PATH: &str = "/hooks/phone/bench";

const BODY_BYTES: usize = 1024;
const CALLERS: u64 = 10_000;
/// Half of all calls are theirs, so that their timelines have more than one page.
const REGULARS: u64 = 1_000;

/// One request.
pub(crate) struct Hook {
    pub(crate) signature: String,
    pub(crate) body: String,
}

/// Hooks, each at its number's place.
pub(crate) struct Batch {
    pub(crate) numbers: Numbers,
    pub(crate) hooks: Vec<Hook>,
}

/// Makes hooks; no two alike.
pub(crate) struct Pbx {
    random: Random,
    next: u32,
    url: String,
    /// Everybody calls once.
    strangers: bool,
}

impl Pbx {
    pub(crate) fn new() -> Self {
        Self { random: Random(0x5eed), next: 0, url: format!("{PUBLIC_URL}{PATH}"), strangers: false }
    }

    /// Calls to the line with this hook, each by somebody who never called before; their numbers and their
    /// calls' begin with `first`.
    pub(crate) fn of_strangers(path: &str, first: u32) -> Self {
        let url = format!("{PUBLIC_URL}{path}");
        Self { random: Random(u64::from(first) + 0x5eed), next: first, url, strangers: true }
    }

    pub(crate) fn batch(&mut self, count: usize) -> anyhow::Result<Batch> {
        #[expect(clippy::disallowed_methods, reason = "we play the phone system here, and it has a clock")]
        let now = jiff::Timestamp::now();
        let at = rfc2822::to_string(&now.to_zoned(TimeZone::UTC)).context("could not write the time")?;
        let at = at.replace(',', "%2C").replace(':', "%3A").replace('+', "%2B").replace(' ', "+");
        let first = self.next;
        let hooks = (0..count).map(|_| self.hook(&at)).collect();
        Ok(Batch { numbers: Numbers { first, count }, hooks })
    }

    fn hook(&mut self, at: &str) -> Hook {
        let number = self.next;
        self.next += 1;
        let sid = id_of(number, [self.random.next(), self.random.next()]);
        let caller = match self.random.next() % 2 {
            _ if self.strangers => u64::from(number),
            0 => self.random.next() % REGULARS,
            _ => self.random.next() % CALLERS,
        };
        let from = phone(caller).replace('+', "%2B");
        let mut body = format!(
            "AccountSid=AC00000000000000000000000000000001&ApiVersion=2010-04-01&CallSid={sid}&CallStatus=no-answer\
             &CallbackSource=call-progress-events&Called=%2B380800500500&CalledCountry=UA&Caller={from}\
             &CallerCountry=UA&CallDuration=0&Direction=inbound&Duration=0&From={from}&FromCity=KYIV&FromCountry=UA\
             &SequenceNumber=1&StirVerstat=TN-Validation-Passed-A&Timestamp={at}&To=%2B380800500500&ToCountry=UA\
             &StirPassportToken=eyJ"
        );
        while body.len() + 16 <= BODY_BYTES {
            body.push_str(&format!("{:016x}", self.random.next()));
        }
        body.extend(std::iter::repeat_n('0', BODY_BYTES.saturating_sub(body.len())));
        let signature = twilio::sign_form(TOKEN.as_bytes(), &self.url, body.as_bytes());
        Hook { signature, body }
    }
}

/// The numbers of some who call often.
pub(crate) fn regulars(count: u64) -> Vec<String> {
    (0..count.min(REGULARS)).map(phone).collect()
}

fn phone(caller: u64) -> String {
    format!("+38050{:07}", 1_000_000 + caller)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::number_of;

    #[test]
    fn a_hook_is_one_kib_and_knows_its_number() {
        let mut pbx = Pbx::new();
        let batch = pbx.batch(3).unwrap();
        let next = pbx.batch(2).unwrap();
        assert_eq!((batch.numbers.first, next.numbers.first), (0, 3));
        for (place, hook) in next.hooks.iter().enumerate() {
            assert_eq!(hook.body.len(), BODY_BYTES);
            let sid = hook.body.split("CallSid=").nth(1).unwrap().split('&').next().unwrap();
            assert_eq!(next.numbers.place(number_of(sid.as_bytes()).unwrap()), Some(place));
        }
    }
}
