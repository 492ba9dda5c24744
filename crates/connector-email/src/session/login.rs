//! Getting in.

use std::cell::Cell;
use std::sync::Arc;

use super::{Abilities, Live};
use crate::account::Account;
use crate::courier::Credential;
use crate::line::{Watch, connect};
use crate::trouble::{Trouble, trouble};
use connector::secret::Given;

/// Connects, logs in, and asks what the server can.
pub(super) fn login(account: &Account, watch: &Arc<Watch>) -> Result<Live, Trouble> {
    let (stream, greeting) = connect(account, watch)?;
    let mut client = imap::Client::new(stream);
    if greeting {
        client.read_greeting().map_err(|error| trouble("greet the server", error))?;
    }
    let user = account.place.user.as_deref().unwrap_or_default();
    watch.command(0);
    let before = client.capabilities().map_err(|error| trouble("ask what it can", error))?;
    let secret = |given: &Given| {
        given.read().map_err(|error| Trouble::Refused(format!("the secret could not be read: {error}")))
    };
    watch.command(0);
    let session = match &account.credential {
        Credential::Token(given) => {
            let token = secret(given)?;
            let said = format!("user={user}\x01auth=Bearer {}\x01\x01", token.expose_text());
            client.authenticate("XOAUTH2", &Once::new(said))
        }
        Credential::Password(given) => {
            let password = secret(given)?;
            let said = password.expose_text();
            // LOGIN carries ASCII only, and some servers have done away with it.
            if before.has_str("LOGINDISABLED") || !(said.is_ascii() && user.is_ascii()) {
                client.authenticate("PLAIN", &Once::new(format!("\0{user}\0{said}")))
            } else {
                client.login(user, said)
            }
        }
    };
    let mut session = session.map_err(|(error, _)| match trouble("log in", error) {
        Trouble::No(words) => Trouble::Refused(words),
        other => other,
    })?;
    watch.command(0);
    let can = session.capabilities().map_err(|error| trouble("ask what it can", error))?;
    let can =
        Abilities { idle: can.has_str("IDLE"), move_: can.has_str("MOVE"), uidplus: can.has_str("UIDPLUS") };
    Ok(Live { imap: session, watch: Arc::clone(watch), can, target_is_there: false, news: false })
}

/// Says one thing; to whatever is asked then (the reason of a refusal, in XOAUTH2) it says nothing, upon
/// which the server says no.
struct Once {
    said: Cell<bool>,
    what: String,
}

impl Once {
    fn new(what: String) -> Self {
        Self { said: Cell::new(false), what }
    }
}

impl imap::Authenticator for Once {
    type Response = String;

    fn process(&self, _challenge: &[u8]) -> String {
        if self.said.replace(true) { String::new() } else { self.what.clone() }
    }
}
