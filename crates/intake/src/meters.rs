//! The journal's figures, all in one place. Each carries `lane`: `contacts` or `quarantine`.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

pub(crate) struct Meters {
    pub(crate) bytes: Gauge,
    pub(crate) unretired: Gauge,
    pub(crate) parked: Gauge,
    pub(crate) oldest_seconds: Gauge,
    pub(crate) full: Gauge,
    pub(crate) broken: Gauge,
    pub(crate) damaged: Gauge,
    pub(crate) appended: Counter,
    pub(crate) refused: Counter,
    pub(crate) published: Counter,
    pub(crate) republished: Counter,
    pub(crate) retired: Counter,
    pub(crate) forgotten: Counter,
    pub(crate) flush_seconds: Histogram,
    pub(crate) group: Histogram,
}

impl Meters {
    pub(crate) fn new(lane: &'static str) -> Self {
        Self {
            bytes: gauge!("frontdesk_journal_bytes", "lane" => lane),
            unretired: gauge!("frontdesk_journal_records_unretired", "lane" => lane),
            parked: gauge!("frontdesk_journal_records_parked", "lane" => lane),
            oldest_seconds: gauge!("frontdesk_journal_oldest_seconds", "lane" => lane),
            full: gauge!("frontdesk_journal_full", "lane" => lane),
            broken: gauge!("frontdesk_journal_broken", "lane" => lane),
            damaged: gauge!("frontdesk_journal_damaged_segments", "lane" => lane),
            appended: counter!("frontdesk_journal_appended_total", "lane" => lane),
            refused: counter!("frontdesk_journal_refused_total", "lane" => lane),
            published: counter!("frontdesk_journal_published_total", "lane" => lane),
            republished: counter!("frontdesk_journal_republished_total", "lane" => lane),
            retired: counter!("frontdesk_journal_retired_total", "lane" => lane),
            forgotten: counter!("frontdesk_journal_forgotten_total", "lane" => lane),
            flush_seconds: histogram!("frontdesk_journal_flush_seconds", "lane" => lane),
            group: histogram!("frontdesk_journal_group_records", "lane" => lane),
        }
    }
}
