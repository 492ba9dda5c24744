//! The names of this crate's metrics, in one place.

/// Gauge, by `connection`: 1 while the connection is usable.
pub(crate) const CONNECTED: &str = "frontdesk_bus_connected";
/// Counter, by `connection`: how often a usable connection was lost.
pub(crate) const DISCONNECTS: &str = "frontdesk_bus_disconnects_total";
/// Counter: messages the broker has confirmed.
pub(crate) const PUBLISHED: &str = "frontdesk_bus_published_total";
/// Counter, by `kind`: publishes that were not confirmed.
pub(crate) const PUBLISH_ERRORS: &str = "frontdesk_bus_publish_errors_total";
/// Counter, by `consumer`: consumers recreated because the broker's store had rolled back.
pub(crate) const HEALED: &str = "frontdesk_bus_healed_total";
/// Histogram, by `consumer`: messages in a batch.
pub(crate) const BATCH_MESSAGES: &str = "frontdesk_bus_batch_messages";
/// Histogram, by `consumer`: seconds the handler worked on a batch.
pub(crate) const BATCH_SECONDS: &str = "frontdesk_bus_batch_seconds";
/// Counter, by `consumer` and `verdict` (done, buried, later).
pub(crate) const SETTLED: &str = "frontdesk_bus_settled_total";
/// Counter, by `consumer`: deliveries that were not the first of their message.
pub(crate) const REDELIVERED: &str = "frontdesk_bus_redelivered_total";
/// Gauge, by `consumer`: 1 while pulling is suspended because the store is away.
pub(crate) const STORE_AWAY: &str = "frontdesk_bus_store_away";
/// Counter: times the supervised nats-server ended by itself and was started again.
pub(crate) const SERVER_RESTARTS: &str = "frontdesk_nats_restarts_total";
