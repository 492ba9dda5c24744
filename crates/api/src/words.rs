//! The closed sets of words, as the OpenAPI document lists them: taken from the types themselves, so
//! that the document cannot fall behind.

use contact::{Channel, Direction, IdentifierKind, Level, Presence, PromiseKind, Trust};
use timeline::clock::State;
use timeline::figures::By;
use timeline::{EntryKind, LetterState, ReplyState, ReservationState, Role, Stage, Status};
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, Type};

fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

pub(crate) fn channel() -> Object {
    one_of(Channel::ALL.iter().map(|word| word.as_str()))
}

pub(crate) fn direction() -> Object {
    one_of([Direction::Inbound, Direction::Outbound].map(Direction::as_str))
}

pub(crate) fn trust() -> Object {
    one_of([Trust::Verified, Trust::Unverified].map(Trust::as_str))
}

pub(crate) fn identifier_kind() -> Object {
    use IdentifierKind::{Email, External, Phone, Visitor};
    one_of([Phone, Email, Visitor, External].map(IdentifierKind::as_str))
}

pub(crate) fn level() -> Object {
    one_of([Level::Claimed, Level::Observed, Level::Proved].map(Level::as_str))
}

pub(crate) fn entry_kind() -> Object {
    one_of(EntryKind::ALL.iter().map(|word| word.as_str()))
}

pub(crate) fn status() -> Object {
    one_of(Status::ALL.iter().map(|word| word.as_str()))
}

pub(crate) fn reply_state() -> Object {
    one_of(ReplyState::ALL.iter().map(|word| word.as_str()))
}

/// By channel, whether we may write or call there.
pub(crate) fn permissions() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(
            "What the client said about being reached, by channel. Where they said nothing, it is allowed; \
             what a change does not name stays as it is.",
        ))
        .property_names(Some(one_of(REACHED.map(Channel::as_str))))
        .additional_properties(Some(Schema::from(one_of(["allow", "deny"]))))
        .build()
}

/// Whether we may write or call there.
pub(crate) fn permission() -> Object {
    one_of(["allow", "deny"])
}

/// How a relation with a client stands.
pub(crate) fn stage() -> Object {
    one_of(Stage::ALL.iter().map(|word| word.as_str()))
}

/// How figures are told apart.
pub(crate) fn by() -> Object {
    one_of(By::ALL.map(By::as_str))
}

/// The channels on which a client can be reached.
pub(crate) const REACHED: [Channel; 3] = [Channel::Email, Channel::Phone, Channel::Chat];

pub(crate) fn promise_kind() -> Object {
    one_of(PromiseKind::ALL.map(PromiseKind::as_str))
}

pub(crate) fn promise_state() -> Object {
    one_of(State::ALL.map(State::as_str))
}

pub(crate) fn presence() -> Object {
    one_of([Presence::Available, Presence::Away, Presence::Offline].map(Presence::as_str))
}

pub(crate) fn reservation_state() -> Object {
    one_of(ReservationState::ALL.iter().map(|word| word.as_str()))
}

/// By channel, how many conversations.
pub(crate) fn counts() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(one_of(REACHED.map(Channel::as_str))))
        .additional_properties(Some(Schema::from(
            ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build(),
        )))
        .build()
}

pub(crate) fn role() -> Object {
    one_of(Role::ALL.iter().map(|word| word.as_str()))
}

pub(crate) fn letter_state() -> Object {
    one_of(LetterState::ALL.iter().map(|word| word.as_str()))
}
