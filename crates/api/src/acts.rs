//! What a caller does: one act of the log, done by the timeline, told to everybody who follows.

use contact::{Act, Actor, Channel, Deed, EventKey, Invalid, SourceName, micros};
use timeline::act::{ActError, Acted, subject};
use timeline::{Arrival, StoreError};

use crate::App;
use crate::caller::Caller;
use crate::once::Asked;
use crate::problem::Problem;

/// Does it in the caller's name. When this returns `Ok` it is committed; asked for again under the same key
/// it is done once.
pub(crate) async fn perform(app: &App, caller: &Caller, asked: Asked, deed: Deed) -> Result<Acted, Problem> {
    let contact = subject(&deed);
    let acted = done_by(app, &caller.token.name, asked, deed).await?;
    tracing::info!(
        act.subject = %contact.0, act.repeated = acted.repeated, token.id = caller.token.id,
        "did what was asked"
    );
    Ok(acted)
}

/// Does it in the name of an agent, whoever noticed that it is to be done.
pub(crate) async fn done_by(app: &App, agent: &str, asked: Asked, deed: Deed) -> Result<Acted, ActError> {
    let (key, at) = (asked.key()?, asked.at);
    let event = timeline::act::event(key, Act { by: Actor::Agent(agent.to_owned()), deed }, at);
    // Asked for once and done at a later try, it was done later.
    let recorded_at = micros((app.clock)()).max(at);
    let acted = timeline::act(app.store.as_ref(), &app.policy, Arrival::new(event, recorded_at)).await?;
    app.feed.wake(acted.feed_position);
    app.desk.acted(acted.feed_position);
    Ok(acted)
}

impl Asked {
    /// Of the event of this act.
    pub(crate) fn key(&self) -> Result<EventKey, ActError> {
        let source = SourceName::new(Channel::Desk, "api").map_err(no_source)?;
        Ok(EventKey { source, id: self.id.clone() })
    }
}

fn no_source(cause: Invalid) -> ActError {
    StoreError::Refused { doing: "name where acts come from", cause: cause.into() }.into()
}
