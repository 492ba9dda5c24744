//! Which queue, how urgent, which skills, which promises: the first rule whose condition holds decides.
//!
//! A rule that gives no answer (it compared a text with a number, say) does not match; the decision names it,
//! and the next rule is asked. A decision therefore always comes out, and says why.

use std::collections::{BTreeMap, BTreeSet};

use contact::work::USUAL_POINT_S;
pub use contact::{Decision, FailedRule};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::calendar::Calendars;
use crate::expression::{BadCondition, Condition, Language};
use crate::facts::Facts;
use crate::order::{Priority, TOP_PRIORITY};
use crate::promise::{Kind, Target};

/// The most rules of a set.
pub const MOST_RULES: usize = 200;
/// The most skills a rule asks for.
pub const MOST_SKILLS: usize = 20;

/// The rules in configuration.
///
/// ```toml
/// [routing.otherwise]
/// queue = "default"
/// [routing.segments]
/// vip = 30
/// [routing.rules.vip-calls]
/// order = 10
/// when = "event.channel == 'phone' && client.segment == 'vip'"
/// queue = "key-accounts"
/// skills = ["contracts"]
/// promises.callback = { within_s = 300, calendar = "office" }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RulesConfig {
    /// What holds where no rule matches, and where the one that matches says nothing.
    pub otherwise: Outcome,
    /// The seconds of waiting that are worth a point of priority; with 0 only the time of arrival counts.
    pub point_s: u32,
    /// Points a segment adds to the priority, or takes off it; the sum stays within 0 and 100.
    pub segments: BTreeMap<String, i32>,
    /// Points for what a client is worth; of those that hold the one with the greatest `at_least` counts.
    pub values: BTreeMap<String, ValueConfig>,
    pub rules: BTreeMap<String, RuleConfig>,
}

impl Default for RulesConfig {
    fn default() -> RulesConfig {
        let (otherwise, segments, values, rules) = Default::default();
        RulesConfig { otherwise, point_s: USUAL_POINT_S, segments, values, rules }
    }
}

/// What being worth so much adds to the priority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueConfig {
    pub at_least: i64,
    pub points: i32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// The least is asked first; equal ones by name.
    #[serde(default)]
    pub order: u32,
    /// A CEL expression over `event`, `client` and `time`, see [`crate::facts`].
    pub when: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// 0 to 100; 50 where nobody says anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skills: Option<BTreeSet<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub promises: BTreeMap<Kind, Target>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outcome {
    pub queue: String,
    pub priority: u8,
    pub skills: BTreeSet<String>,
    pub promises: BTreeMap<Kind, Target>,
}

impl Default for Outcome {
    fn default() -> Outcome {
        Outcome {
            queue: "default".to_owned(),
            priority: Priority::USUAL.get(),
            skills: BTreeSet::new(),
            promises: BTreeMap::new(),
        }
    }
}

/// What is wrong, and in which rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRules {
    #[error("there are more than {MOST_RULES} rules")]
    TooMany,
    #[error("rule `{rule}`: the condition is not good: {cause}")]
    Condition { rule: String, cause: BadCondition },
    #[error("{place}: {what}")]
    Value { place: String, what: String },
}

/// A set of rules, checked and ready.
#[derive(Debug)]
pub struct Rules {
    language: Language,
    version: String,
    rules: Vec<Rule>,
    otherwise: Outcome,
    segments: BTreeMap<String, i32>,
    values: BTreeMap<String, ValueConfig>,
    point_s: u32,
}

#[derive(Debug)]
struct Rule {
    name: String,
    condition: Condition,
    config: RuleConfig,
}

impl Rules {
    /// All that is wrong at once, so that it is put right at once.
    pub fn compile(config: &RulesConfig, calendars: &Calendars) -> Result<Rules, Vec<BadRules>> {
        let language = Language::new();
        let mut wrong = Vec::new();
        if config.rules.len() > MOST_RULES {
            return Err(vec![BadRules::TooMany]);
        }
        let otherwise = &config.otherwise;
        check("otherwise", Some(&otherwise.queue), Some(otherwise.priority), &otherwise.skills, &mut wrong);
        check_promises("otherwise", &otherwise.promises, calendars, &mut wrong);
        let mut rules = Vec::with_capacity(config.rules.len());
        for (name, rule) in &config.rules {
            let place = format!("rule `{name}`");
            let none = BTreeSet::new();
            check(
                &place,
                rule.queue.as_ref(),
                rule.priority,
                rule.skills.as_ref().unwrap_or(&none),
                &mut wrong,
            );
            check_promises(&place, &rule.promises, calendars, &mut wrong);
            match language.compile(&rule.when) {
                Ok(condition) => rules.push(Rule { name: name.clone(), condition, config: rule.clone() }),
                Err(cause) => wrong.push(BadRules::Condition { rule: name.clone(), cause }),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        // Stable, so that equal ones stay in the order of their names.
        rules.sort_by_key(|rule| rule.config.order);
        let RulesConfig { otherwise, point_s, segments, values, .. } = config.clone();
        Ok(Rules { language, version: version(config), rules, otherwise, segments, values, point_s })
    }

    /// 16 hex digits over everything that decides; equal configurations have the same.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The rules that ask about the moment, for which there must be a calendar.
    pub fn asking_the_time(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(|rule| rule.condition.asks.contains("time")).map(|rule| rule.name.as_str())
    }

    /// Decides. Takes tens of microseconds and a few more for each rule, so a batch need not leave its thread.
    pub fn decide(&self, facts: &Facts) -> Decision {
        let mut failed = Vec::new();
        let rule = self.first_match(facts, &mut failed);
        let mut reasons = vec![match rule {
            Some(rule) => format!("rule `{}` matched", rule.name),
            None => "no rule matched".to_owned(),
        }];
        let config = rule.map(|rule| &rule.config);
        let otherwise = &self.otherwise;
        let base = config.and_then(|config| config.priority).unwrap_or(otherwise.priority);
        let segment = facts.client.segment.as_deref();
        let mut sum = i32::from(base);
        let points = segment.and_then(|segment| self.segments.get(segment)).copied().unwrap_or(0);
        if let Some(segment) = segment.filter(|_| points != 0) {
            sum = sum.saturating_add(points);
            reasons.push(format!("segment `{segment}` moves the priority by {points:+}"));
        }
        let worth = facts.client.value;
        let holds = self.values.iter().filter(|(_, value)| worth != 0 && value.at_least <= worth);
        if let Some((name, value)) = holds.max_by_key(|(_, value)| value.at_least) {
            sum = sum.saturating_add(value.points);
            reasons.push(format!("value `{name}` moves the priority by {:+}", value.points));
        }
        let priority = Priority::clamped(sum);
        if sum != i32::from(base) {
            reasons.push(format!("priority {base} becomes {priority}"));
        }
        let mut promises = otherwise.promises.clone();
        promises.extend(config.map(|config| config.promises.clone()).unwrap_or_default());
        Decision {
            rule: rule.map(|rule| rule.name.clone()),
            version: self.version.clone(),
            queue: config.and_then(|config| config.queue.clone()).unwrap_or_else(|| otherwise.queue.clone()),
            priority,
            skills: config
                .and_then(|config| config.skills.clone())
                .unwrap_or_else(|| otherwise.skills.clone()),
            promises,
            reasons,
            failed,
            point_s: self.point_s,
        }
    }

    /// What these rules would do to contacts that were decided before.
    pub fn dry_run<'a>(&self, past: impl IntoIterator<Item = (&'a Facts, &'a Decision)>) -> DryRun {
        let mut run = DryRun::default();
        for (facts, before) in past {
            run.count(&self.decide(facts), before);
        }
        run
    }

    fn first_match(&self, facts: &Facts, failed: &mut Vec<FailedRule>) -> Option<&Rule> {
        let context = match self.language.context(facts) {
            Ok(context) => context,
            Err(unanswered) => {
                let all = self.rules.iter();
                failed.extend(
                    all.map(|rule| FailedRule { rule: rule.name.clone(), reason: unanswered.0.clone() }),
                );
                return None;
            }
        };
        self.rules.iter().find(|rule| match rule.condition.holds(&context) {
            Ok(holds) => holds,
            Err(unanswered) => {
                failed.push(FailedRule { rule: rule.name.clone(), reason: unanswered.0 });
                false
            }
        })
    }
}

/// What a dry run found: counts only, bounded by the number of rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DryRun {
    pub contacts: u64,
    /// Contacts that would go another way than they did.
    pub changed: u64,
    /// `None`: no rule matched.
    pub by_rule: BTreeMap<Option<String>, u64>,
    pub by_queue: BTreeMap<String, u64>,
    /// How often each rule gave no answer.
    pub failed: BTreeMap<String, u64>,
}

impl DryRun {
    /// One more contact: what would be decided, and what was.
    pub fn count(&mut self, after: &Decision, before: &Decision) {
        self.contacts += 1;
        *self.by_rule.entry(after.rule.clone()).or_default() += 1;
        *self.by_queue.entry(after.queue.clone()).or_default() += 1;
        for failed in &after.failed {
            *self.failed.entry(failed.rule.clone()).or_default() += 1;
        }
        if !after.does_the_same(before) {
            self.changed += 1;
        }
    }
}

fn version(config: &RulesConfig) -> String {
    let canonical = serde_json::to_vec(config).unwrap_or_default();
    let full: [u8; 32] = Sha256::digest(canonical).into();
    hex::encode(&full[..8])
}

fn check(
    place: &str,
    queue: Option<&String>,
    priority: Option<u8>,
    skills: &BTreeSet<String>,
    wrong: &mut Vec<BadRules>,
) {
    let mut say = |what: String| wrong.push(BadRules::Value { place: place.to_owned(), what });
    if let Some(queue) = queue.filter(|queue| !is_name(queue)) {
        say(format!("`{queue}` is no name of a queue; it has a-z, 0-9 and -, and starts with a letter"));
    }
    if let Some(priority) = priority.filter(|priority| *priority > TOP_PRIORITY) {
        say(format!("priority {priority} is more than {TOP_PRIORITY}"));
    }
    if skills.len() > MOST_SKILLS {
        say(format!("there are more than {MOST_SKILLS} skills"));
    }
    if let Some(skill) = skills.iter().find(|skill| !is_name(skill)) {
        say(format!("`{skill}` is no name of a skill; it has a-z, 0-9 and -, and starts with a letter"));
    }
}

fn check_promises(
    place: &str,
    promises: &BTreeMap<Kind, Target>,
    calendars: &Calendars,
    wrong: &mut Vec<BadRules>,
) {
    for target in promises.values() {
        let mut say = |what: String| wrong.push(BadRules::Value { place: place.to_owned(), what });
        if target.within_s == 0 {
            say("a promise of 0 seconds cannot be kept".to_owned());
        }
        if target.warn_percent > 100 {
            say(format!("a warning at {} % comes after the end", target.warn_percent));
        }
        if let Some(name) = target.calendar.as_deref().filter(|name| calendars.get(name).is_none()) {
            say(format!("there is no calendar `{name}`"));
        }
    }
}

/// `[a-z][a-z0-9-]{0,39}`, as all names in configuration.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.len() <= 40
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
