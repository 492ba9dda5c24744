//! Every metric of the house, described in one place. A test holds the sources to this list.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds, from a flush of a fast disk to a broker that was away.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0];

/// Installs the recorder; `/metrics` renders the handle.
pub(crate) fn install() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_events".to_owned()), &[1.0, 2.0, 8.0, 32.0, 128.0, 512.0])?
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
    ("frontdesk_recorded_total", "Events put into the log"),
    ("frontdesk_recorded_repeated_total", "Events that were in the log already"),
    ("frontdesk_connector_restarts_total", "Restarts of a connector's task"),
    ("frontdesk_quarantine_dropped_total", "Held requests dropped because their source's shelf was full"),
];

const GAUGES: &[(&str, &str)] = &[("frontdesk_connector_up", "1 while a connector's task runs")];

const HISTOGRAMS: &[(&str, &str)] = &[
    ("frontdesk_record_batch_events", "Events in one recorded batch"),
    ("frontdesk_record_delay_seconds", "From an event's receipt to its commit"),
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
