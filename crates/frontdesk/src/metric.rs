//! Every metric of the house, described in one place. A test holds the sources to this list.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds, from a flush of a fast disk to a broker that was away.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0];

/// How many went together.
const COUNTS: [f64; 7] = [1.0, 2.0, 8.0, 32.0, 128.0, 512.0, 2048.0];

/// Installs the recorder; `/metrics` renders the handle.
pub(crate) fn install() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_events".to_owned()), &COUNTS)?
        .set_buckets_for_metric(Matcher::Suffix("_messages".to_owned()), &COUNTS)?
        .set_buckets_for_metric(Matcher::Suffix("_records".to_owned()), &COUNTS)?
        .install_recorder()?;
    for (name, help) in COUNTERS {
        metrics::describe_counter!(*name, *help);
    }
    for (name, help) in GAUGES {
        metrics::describe_gauge!(*name, *help);
    }
    for (name, help) in HISTOGRAMS {
        metrics::describe_histogram!(*name, *help);
    }
    Ok(handle)
}

const COUNTERS: &[(&str, &str)] = &[
    ("frontdesk_hooks_total", "Webhooks, by source and by the status they were answered with"),
    ("frontdesk_hooks_quarantined_total", "Webhooks that did not prove themselves, by source"),
    ("frontdesk_quarantine_requests_total", "Requests brought to the quarantine, by source: kept or dropped"),
    ("frontdesk_quarantine_dropped_total", "Held requests dropped because their source's shelf was full"),
    ("frontdesk_journal_appended_total", "Records made durable"),
    ("frontdesk_journal_refused_total", "Records not taken: full, broken, too large or stopping"),
    ("frontdesk_journal_published_total", "Publishes the broker confirmed"),
    ("frontdesk_journal_republished_total", "Those of them that repeated an earlier one or followed a start"),
    ("frontdesk_journal_retired_total", "Records the recorder confirmed"),
    ("frontdesk_journal_forgotten_total", "Times all sequence numbers were forgotten"),
    ("frontdesk_bus_published_total", "Messages the broker confirmed"),
    ("frontdesk_bus_publish_errors_total", "Publishes that were not confirmed, by kind"),
    ("frontdesk_bus_disconnects_total", "Usable connections to the broker that were lost"),
    ("frontdesk_bus_healed_total", "Consumers made again because the broker's store had rolled back"),
    ("frontdesk_bus_settled_total", "Deliveries by consumer and verdict: done, later, buried"),
    ("frontdesk_bus_redelivered_total", "Deliveries that were not the first of their message"),
    (
        "frontdesk_nats_restarts_total",
        "Times the supervised nats-server ended by itself and was started again",
    ),
    ("frontdesk_handed_in_total", "Mails handed in at the socket, by what became of them"),
    ("frontdesk_mail_kept_total", "Mails kept, by source and lane"),
    ("frontdesk_mail_unreadable_total", "Mails kept that could not be read, by source"),
    ("frontdesk_mail_namesakes_total", "Mails kept under the Message-ID of another one, by source"),
    ("frontdesk_mail_refused_total", "Mails the journal did not take at once, by source"),
    (
        "frontdesk_mail_unmarked_total",
        "Kept mails that could not be marked or moved in their mailbox, by source",
    ),
    ("frontdesk_mail_cursor_away_total", "Times a mailbox's cursor could not be moved, by source"),
    ("frontdesk_chat_lines_total", "Chat lines kept, by source"),
    ("frontdesk_chat_refusals_total", "Chat frames and connections refused, by source and reason"),
    ("frontdesk_replies_tried_total", "Tries to bring an answer to a client, by channel and how they ended"),
    ("frontdesk_routing_decisions_total", "Offers, notices and returns that were decided by themselves"),
    ("frontdesk_recorded_total", "Events put into the log"),
    ("frontdesk_recorded_repeated_total", "Events that were in the log already"),
    ("frontdesk_connector_restarts_total", "Restarts of a connector's task"),
    ("frontdesk_http_requests_total", "API requests answered, by route, method and status"),
];

const GAUGES: &[(&str, &str)] = &[
    ("frontdesk_mailbox_up", "1 while a mailbox is logged in to, by source"),
    ("frontdesk_mailbox_behind_mails", "Mails in a mailbox that are not kept yet, by source"),
    ("frontdesk_chat_connections", "Chat sockets and polls open now, by source"),
    ("frontdesk_journal_bytes", "Segments, spilled raws and damaged files on the disk"),
    ("frontdesk_journal_records_unretired", "Records the recorder has not yet confirmed"),
    ("frontdesk_journal_records_parked", "Records refused for a reason of their own, tried again slowly"),
    ("frontdesk_journal_oldest_seconds", "Age of the oldest unretired record"),
    ("frontdesk_journal_full", "0 below 80 % of the bound, 0.8 above it, 1 when records are refused"),
    ("frontdesk_journal_broken", "1 while the disk refuses and the door is closed"),
    ("frontdesk_journal_damaged_segments", "Segments kept aside for a person to look at"),
    ("frontdesk_bus_connected", "1 while a connection to the broker is usable"),
    ("frontdesk_bus_store_away", "1 while pulling is suspended because the store is away"),
    ("frontdesk_store_wal_pages", "Pages in SQLite's write-ahead log at the last checkpoint"),
    ("frontdesk_sse_subscribers", "Event streams open now"),
    (
        "frontdesk_sse_skipped_total",
        "Times a screen was told to read anew: more happened than it can be told",
    ),
    ("frontdesk_agents_connected", "Agents connected through this process now"),
    ("frontdesk_connector_up", "1 while a connector's task runs"),
    ("frontdesk_waiting_conversations", "Conversations that wait for an agent, by queue"),
    ("frontdesk_waiting_oldest_seconds", "How long the one that waits longest has waited, by queue"),
    ("frontdesk_promises_open", "Conversations with a promise that is not decided yet, by queue"),
    ("frontdesk_promises_breached", "Those of them whose promise is broken, by queue"),
    ("frontdesk_offers_pending", "Offers to agents that nobody has answered yet"),
    ("frontdesk_agents", "Agents with a profile, by presence; without a console open they are offline"),
];

const HISTOGRAMS: &[(&str, &str)] = &[
    ("frontdesk_mail_wait_seconds", "From a mail's arrival in its mailbox to being kept"),
    ("frontdesk_chat_ack_seconds", "From a chat frame to being durable"),
    ("frontdesk_hook_seconds", "From a webhook's head to its answer"),
    ("frontdesk_journal_flush_seconds", "One write with its fdatasync"),
    ("frontdesk_journal_group_records", "Records that shared one fdatasync"),
    ("frontdesk_bus_batch_messages", "Messages in a batch"),
    ("frontdesk_bus_batch_seconds", "Seconds a batch was worked on"),
    ("frontdesk_record_batch_events", "Events in one recorded batch"),
    ("frontdesk_record_delay_seconds", "From an event's receipt to its commit"),
    ("frontdesk_http_request_seconds", "From an API request's head to its answer's head, by route"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// Names of metrics in the sources: `"frontdesk_…"` literals.
    fn named(folder: &Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                named(&path, names);
            } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("metric.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let pieces = text.split("\"frontdesk_").skip(1).filter_map(|rest| rest.split('"').next());
                let good = |name: &&str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
                names.extend(pieces.filter(good).map(|name| format!("frontdesk_{name}")));
            }
        }
    }

    #[test]
    fn every_metric_is_described_and_every_description_is_of_a_metric() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut used = BTreeSet::new();
        for entry in std::fs::read_dir(crates).unwrap() {
            named(&entry.unwrap().path().join("src"), &mut used);
        }
        let described: BTreeSet<String> =
            [COUNTERS, GAUGES, HISTOGRAMS].concat().iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(used, described);
    }
}
