//! What a caller does: one act of the log, done by the timeline, told to everybody who follows.

use contact::{Act, Actor, Channel, Content, Deed, Direction, Event, EventKey, SourceName, Trust, micros};
use timeline::Arrival;
use timeline::act::{Acted, subject};

use crate::App;
use crate::caller::Caller;
use crate::once::Asked;
use crate::problem::Problem;

/// Does it in the caller's name. When this returns `Ok` it is committed; asked for again under the same key
/// it is done once.
pub(crate) async fn perform(app: &App, caller: &Caller, asked: Asked, deed: Deed) -> Result<Acted, Problem> {
    let Asked { id, at } = asked;
    let contact = subject(&deed);
    let event = Event {
        key: EventKey { source: SourceName::new(Channel::Desk, "api").map_err(|_| Problem::ours())?, id },
        contact: contact.clone(),
        occurred_at: at,
        received_at: at,
        traceparent: None,
        direction: Direction::Outbound,
        trust: Trust::Verified,
        from: None,
        to: Vec::new(),
        content: Content::Act(Box::new(Act { by: Actor::Agent(caller.token.name.clone()), deed })),
        raw: None,
    };
    let payload = String::from_utf8(event.to_json()).expect("JSON is UTF-8");
    // Asked for once and done at a later try, it was done later.
    let recorded_at = micros((app.clock)()).max(at);
    let acted = timeline::act(app.store.as_ref(), Arrival { event, payload, recorded_at }).await?;
    app.feed.wake(acted.feed_position);
    app.desk.acted(acted.feed_position);
    tracing::info!(
        act.subject = %contact.0, act.repeated = acted.repeated, token.id = caller.token.id,
        "did what was asked"
    );
    Ok(acted)
}
