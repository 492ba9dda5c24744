//! Routing as it is configured: calendars, rules, and how agents are asked.

use std::collections::BTreeMap;

use routing::calendar::{Calendar, Calendars};
use routing::hours::CalendarConfig;
use routing::rules::{Outcome, RuleConfig, Rules, RulesConfig, ValueConfig};
use serde::Deserialize;
use timeline::Policy;

use crate::config::{Config, Wrong};

/// `[routing]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Routing {
    /// The calendar that rules ask about the moment; empty is none.
    pub(crate) calendar: String,
    pub(crate) point_s: u32,
    pub(crate) otherwise: Outcome,
    #[serde(default)]
    pub(crate) segments: BTreeMap<String, i32>,
    #[serde(default)]
    pub(crate) values: BTreeMap<String, ValueConfig>,
    #[serde(default)]
    pub(crate) rules: BTreeMap<String, RuleConfig>,
}

/// What is configured, checked and ready; all that is wrong at once.
pub(crate) fn read(config: &Config) -> Result<Policy, Wrong> {
    let mut wrong = Vec::new();
    let calendars = calendars(&config.calendars, &mut wrong);
    let Routing { calendar, point_s, otherwise, segments, values, rules } = config.routing.clone();
    if !calendar.is_empty() && calendars.get(&calendar).is_none() {
        wrong.push(format!("[routing] calendar: there is no [calendars.{calendar}]"));
    }
    let rules = Rules::compile(&RulesConfig { otherwise, point_s, segments, values, rules }, &calendars);
    let rules = rules.map_err(|bad| wrong.extend(bad.iter().map(|one| format!("[routing] {one}"))));
    if let (Ok(rules), true) = (&rules, calendar.is_empty()) {
        wrong.extend(rules.asking_the_time().map(|rule| {
            format!("[routing] rule `{rule}`: it asks about the `time`, and [routing] calendar names none")
        }));
    }
    let terms = config.offers.clone();
    if terms.rest_s == 0 || terms.missed_offers == 0 {
        wrong.push("[offers] rest_s and missed_offers: each is at least 1".to_owned());
    }
    match rules {
        Ok(rules) if wrong.is_empty() => {
            let calendar = Some(calendar).filter(|name| !name.is_empty());
            Ok(Policy { rules, calendars, calendar, terms })
        }
        _ => Err(Wrong(wrong)),
    }
}

fn calendars(configured: &BTreeMap<String, CalendarConfig>, wrong: &mut Vec<String>) -> Calendars {
    let calendars = configured.iter().filter_map(|(name, config)| match Calendar::new(config) {
        Ok(calendar) => Some((name.clone(), calendar)),
        Err(bad) => {
            wrong.push(format!("[calendars.{name}] {bad}"));
            None
        }
    });
    Calendars::new(calendars.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_asks_about_the_time_needs_a_calendar() {
        let folder = tempfile::tempdir().expect("a folder");
        let load = |calendar: &str| {
            let file = folder.path().join("own.toml");
            let text = format!(
                "[routing]\ncalendar = '{calendar}'\n[routing.rules.night]\nwhen = '!time.open'\n\
                 [routing.rules.mails]\nwhen = \"event.channel == 'email'\"\n\
                 [calendars.office]\nzone = 'UTC'\nweek = {{}}\n"
            );
            std::fs::write(&file, text).expect("a file");
            Config::load(Some(&file), std::iter::empty()).map(|config| read(&config).is_ok())
        };
        assert!(load("office").expect("a good file"));
        let said = load("").expect_err("no calendar").to_string();
        assert!(said.contains("rule `night`: it asks about the `time`"), "{said}");
        assert!(!said.contains("mails"), "{said}");
    }
}
