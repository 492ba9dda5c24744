//! Rules as an operator writes them: what they decide, what they refuse, and what they cost.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use contact::{Channel, Direction};
use proptest::prelude::*;
use routing::calendar::{Calendar, Calendars};
use routing::expression::{BadCondition, MOST_BYTES, MOST_DEPTH};
use routing::facts::Facts;
use routing::hours::CalendarConfig;
use routing::order::Priority;
use routing::promise::Kind;
use routing::rules::{BadRules, Decision, RuleConfig, Rules, RulesConfig};
use serde_json::json;

fn calendars() -> Calendars {
    let config = CalendarConfig {
        zone: "Europe/Kyiv".into(),
        week: BTreeMap::from([("mon-fri".into(), vec!["09:00-18:00".into()])]),
        closed: BTreeSet::new(),
        special: BTreeMap::new(),
    };
    Calendars::new([("office".to_owned(), Calendar::new(&config).unwrap())])
}

fn config(value: serde_json::Value) -> RulesConfig {
    serde_json::from_value(value).unwrap()
}

fn clinic() -> RulesConfig {
    config(json!({
        "otherwise": { "queue": "desk", "promises": { "first_response": { "within_s": 3600, "calendar": "office" } } },
        "segments": { "vip": 30, "noisy": -20, "royal": 1000 },
        "rules": {
            "vip-calls": {
                "order": 10,
                "when": "event.channel == 'phone' && client.segment == 'vip'",
                "queue": "key-accounts", "priority": 60, "skills": ["contracts"],
                "promises": { "callback": { "within_s": 300 } }
            },
            "money": {
                "order": 20,
                "when": "event.subject.matches('(?i)invoice|refund')",
                "queue": "billing"
            },
            "at-night": { "order": 30, "when": "!time.open && event.channel != 'email'", "queue": "night" }
        }
    }))
}

fn compiled(config: &RulesConfig) -> Rules {
    Rules::compile(config, &calendars()).unwrap()
}

fn facts(channel: Channel) -> Facts {
    let mut facts = Facts::default();
    facts.event.channel = Some(channel);
    facts.event.direction = Some(Direction::Inbound);
    facts.time.open = true;
    facts
}

fn one(when: &str) -> RulesConfig {
    let rule = RuleConfig { when: when.into(), queue: Some("hit".into()), ..RuleConfig::default() };
    RulesConfig { rules: BTreeMap::from([("it".into(), rule)]), ..RulesConfig::default() }
}

fn refused(when: &str) -> BadCondition {
    match Rules::compile(&one(when), &calendars()).unwrap_err().remove(0) {
        BadRules::Condition { rule, cause } => {
            assert_eq!(rule, "it");
            cause
        }
        other => panic!("{other}"),
    }
}

fn hits(when: &str, facts: &Facts) -> bool {
    let decision = compiled(&one(when)).decide(facts);
    assert_eq!(decision.failed, [], "{when}");
    decision.queue == "hit"
}

#[test]
fn the_first_rule_that_matches_decides_and_says_why() {
    let rules = compiled(&clinic());
    let mut vip = facts(Channel::Phone);
    vip.client.segment = Some("vip".into());
    vip.event.subject = Some("Invoice".into());
    let decision = rules.decide(&vip);
    assert_eq!(decision.rule.as_deref(), Some("vip-calls"));
    assert_eq!(decision.version, rules.version());
    assert_eq!((decision.queue.as_str(), decision.priority), ("key-accounts", Priority::clamped(90)));
    assert_eq!(decision.skills, BTreeSet::from(["contracts".to_owned()]));
    assert_eq!(decision.promises[&Kind::Callback].within_s, 300);
    assert_eq!(decision.promises[&Kind::FirstResponse].within_s, 3600, "what a rule leaves out stays");
    assert_eq!(
        decision.reasons,
        ["rule `vip-calls` matched", "segment `vip` moves the priority by +30", "priority 60 becomes 90"]
    );
    let kept = serde_json::to_string(&decision).unwrap();
    assert_eq!(serde_json::from_str::<Decision>(&kept).unwrap(), decision);
}

#[test]
fn where_no_rule_matches_there_is_still_a_decision() {
    let decision = compiled(&RulesConfig::default()).decide(&facts(Channel::Email));
    assert_eq!((decision.rule, decision.queue.as_str()), (None, "default"));
    assert_eq!(decision.priority, Priority::USUAL);
    assert_eq!(decision.reasons, ["no rule matched"]);
}

#[test]
fn a_segment_moves_priority_within_its_bounds() {
    let rules = compiled(&clinic());
    let priority = |segment: &str| {
        let mut facts = facts(Channel::Email);
        facts.client.segment = Some(segment.into());
        rules.decide(&facts).priority.get()
    };
    assert_eq!((priority("vip"), priority("noisy"), priority("royal"), priority("plain")), (80, 30, 100, 50));
}

#[test]
fn a_rule_without_an_answer_does_not_match_and_is_named_without_values() {
    let rules = compiled(&clinic());
    let mut night = facts(Channel::Chat);
    night.time.open = false;
    // `money` asks a subject that a chat does not have.
    let decision = rules.decide(&night);
    assert_eq!(decision.rule.as_deref(), Some("at-night"));
    assert_eq!(decision.failed.len(), 1);
    assert_eq!(decision.failed[0].rule, "money");

    let mut secret = facts(Channel::Email);
    secret.event.from = Some("mia@example.org".into());
    for when in [
        "event.from > 5",
        "int(event.from) > 5",
        "event.from[0] == 'm'",
        "event.from",
        "{'a': 1}[event.from] == 1",
    ] {
        let decision = compiled(&one(when)).decide(&secret);
        assert_eq!(decision.failed.len(), 1, "{when}");
        assert!(!format!("{:?}", decision.failed).contains("mia"), "{:?}", decision.failed);
        assert_eq!(decision.queue, "default");
    }
}

#[test]
fn what_is_not_known_is_null_and_compares() {
    let mail = facts(Channel::Email);
    assert!(hits("client.segment == null", &mail));
    assert!(!hits("client.segment == 'vip'", &mail));
    assert!(hits("!(client.segment in ['vip', 'gold']) && !client.known", &mail));
    assert!(hits("client.value - 5 < 0 && time.hour - 1 == -1", &mail));
}

#[test]
fn it_is_known_which_rules_ask_about_the_moment() {
    let asks = |when: &str| compiled(&one(when)).asking_the_time().count() == 1;
    assert!(asks("event.channel == 'chat' && [1, 2].exists(x, x == time.hour)") && asks("!time.open"));
    assert!(!asks("event.to.exists(time, time == client.owner)"), "it is a name of its own there");
}

#[test]
fn lists_may_be_searched() {
    let mut facts = facts(Channel::Email);
    facts.event.to = vec!["help@example.org".into(), "sales@example.org".into()];
    assert!(hits("event.to.exists(to, to.startsWith('sales@'))", &facts));
    assert!(hits("'help@example.org' in event.to", &facts));
    assert!(hits(
        "event.to.all(to, to.endsWith('.org')) && event.to.exists_one(to, to.contains('help'))",
        &facts
    ));
    assert!(hits("['help', 'office'].exists(name, event.to.exists(to, to.startsWith(name + '@')))", &facts));
}

#[test]
fn a_name_that_is_not_known_is_refused_with_those_that_are() {
    let BadCondition::Unknown { name, known } = refused("event.chanel == 'phone'") else { panic!("unknown") };
    assert_eq!(name, "event.chanel");
    assert!(known.contains("channel") && known.contains("subject"), "{known}");
    assert!(
        matches!(refused("customer.segment == 'vip'"), BadCondition::Unknown { name, .. } if name == "customer")
    );
    assert!(matches!(refused("has(client.sgment)"), BadCondition::Unknown { .. }));
    assert!(matches!(refused("lower(event.subject) == 'x'"), BadCondition::Unknown { .. }));
    assert!(
        matches!(refused("event.to.exists(to, too == 'x')"), BadCondition::Unknown { name, .. } if name == "too")
    );
}

#[test]
fn what_would_cost_too_much_is_refused() {
    let much = |when: &str| assert!(matches!(refused(when), BadCondition::TooMuch { .. }), "{when}");
    much(&format!("event.subject == '{}'", "x".repeat(MOST_BYTES)));
    much(&format!("event.from in [{}]", vec!["'a'"; 101].join(",")));
    much(&format!("[{0}] == [{0}]", vec!["1"; 51].join(",")));
    much("event.to.exists(a, event.to.exists(b, event.to.exists(c, a == b)))");
    much(&format!("event.subject == {}", ["event.text"; 10].join("+")));
    much(&vec!["true"; 280].join("||"));
    much(&["event.text.matches('a')"; 5].join("||"));
    much(&format!("event.text.matches('{}')", "a".repeat(201)));
    assert!(matches!(refused("event.to.map(to, to + to) == []"), BadCondition::MakesLists(_)));
    assert!(matches!(refused("size(event.to.filter(to, true)) > 1"), BadCondition::MakesLists(_)));
    assert_eq!(refused("event.text.matches(event.subject)"), BadCondition::Pattern);
    assert_eq!(refused("event.to.exists(to, to.matches('a'))"), BadCondition::Pattern);
    assert_eq!(refused("event.text.matches('(a')"), BadCondition::NoPattern("(a".into()));
    assert_eq!(refused("matches(event.text, '[')"), BadCondition::NoPattern("[".into()));
    for bad in ["", "event.", "event.channel = 'phone'", "(((", "'", "a b", "\u{0}"] {
        assert!(matches!(refused(bad), BadCondition::Syntax(_)), "{bad}");
    }
}

#[test]
fn a_condition_as_deep_as_its_bytes_allow_is_an_answer_and_not_the_end_of_the_stack() {
    for deep in [
        "!".repeat(MOST_BYTES),
        format!("{}true", "!".repeat(500)),
        "(".repeat(MOST_BYTES),
        "(".repeat(usize::from(MOST_DEPTH)),
        "[".repeat(usize::from(MOST_DEPTH)),
        "{".repeat(usize::from(MOST_DEPTH)),
        "size(".repeat(usize::from(MOST_DEPTH)),
        "event.to.all(x,".repeat(usize::from(MOST_DEPTH)),
        "[".repeat(MOST_BYTES),
        "-".repeat(MOST_BYTES),
        format!("{}true{}", "(".repeat(500), ")".repeat(500)),
        format!("true{}", "==true".repeat(300)),
        format!("event{}", ".a".repeat(900)),
        format!("event{}", "[0]".repeat(600)),
        format!("{}true", "true?true:".repeat(200)),
        format!("size{}", "(size".repeat(400)),
    ] {
        // The last line of a test that ended with its stack.
        eprintln!("{} bytes of {:?}", deep.len(), deep.chars().take(12).collect::<String>());
        if let Ok(rules) = Rules::compile(&one(&deep), &calendars()) {
            rules.decide(&Facts::default());
        }
    }
}

#[test]
fn the_dearest_rule_that_is_allowed_stays_cheap() {
    let list = vec!["1"; 100].join(",");
    let dear = format!("[{list}].all(a, event.to.all(b, b.contains('y') || b + b + b + b != 'x'))");
    let rules = compiled(&one(&dear));
    let mut facts = facts(Channel::Email);
    facts.event.to = vec!["x".repeat(4_000); 50];
    let started = Instant::now();
    assert_eq!(rules.decide(&facts).queue, "hit");
    // 5,000 rounds over 16 kB texts: far from the half minute that three loops take, on any machine.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn everything_wrong_is_told_at_once_with_its_rule() {
    let wrong = config(json!({
        "otherwise": { "queue": "The Desk", "priority": 101 },
        "rules": {
            "a": { "when": "event.", "queue": "x" },
            "b": { "when": "true", "skills": ["Uk"], "promises": { "callback": { "within_s": 0, "calendar": "offce", "warn_percent": 120 } } }
        }
    }));
    let told: Vec<String> =
        Rules::compile(&wrong, &calendars()).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 7, "{told:#?}");
    for part in [
        "otherwise: `The Desk`",
        "priority 101",
        "rule `a`: the condition",
        "rule `b`: `Uk`",
        "0 seconds",
        "120 %",
        "`offce`",
    ] {
        assert!(told.iter().any(|line| line.contains(part)), "{part}: {told:#?}");
    }
    assert!(
        serde_json::from_value::<RulesConfig>(json!({ "rules": { "a": { "when": "true", "que": "x" } } }))
            .is_err()
    );
}

#[test]
fn too_many_rules_are_refused() {
    let rule = RuleConfig { when: "true".into(), ..RuleConfig::default() };
    let rules = (0..=200).map(|number| (format!("r{number}"), rule.clone())).collect();
    let config = RulesConfig { rules, ..RulesConfig::default() };
    assert_eq!(Rules::compile(&config, &calendars()).unwrap_err(), [BadRules::TooMany]);
}

#[test]
fn equal_order_goes_by_name_and_the_version_follows_the_rules() {
    let mut both = one("true");
    let other = RuleConfig { when: "true".into(), queue: Some("early".into()), ..RuleConfig::default() };
    both.rules.insert("early".into(), other);
    let rules = compiled(&both);
    assert_eq!(rules.decide(&Facts::default()).queue, "early");
    assert_eq!(rules.version(), compiled(&both).version());
    assert_eq!(rules.version().len(), 16);
    both.rules.get_mut("early").unwrap().order = 1;
    assert_ne!(rules.version(), compiled(&both).version());
    assert_eq!(compiled(&both).decide(&Facts::default()).queue, "hit");
}

#[test]
fn a_dry_run_counts_what_new_rules_would_change() {
    let old = compiled(&clinic());
    let mut past = Vec::new();
    for (subject, channel) in
        [("Invoice 5", Channel::Email), ("Hello", Channel::Email), ("Refund", Channel::Email)]
    {
        let mut facts = facts(channel);
        facts.event.subject = Some(subject.into());
        let decision = old.decide(&facts);
        past.push((facts, decision));
    }
    past.push((facts(Channel::Chat), old.decide(&facts(Channel::Chat))));
    let pairs = || past.iter().map(|(facts, decision)| (facts, decision));
    let same = old.dry_run(pairs());
    assert_eq!((same.contacts, same.changed), (4, 0));
    assert_eq!(same.failed, BTreeMap::from([("money".to_owned(), 1)]));
    let mut fewer = clinic();
    fewer.rules.remove("money");
    let run = compiled(&fewer).dry_run(pairs());
    assert_eq!((run.contacts, run.changed), (4, 2));
    assert_eq!(run.by_queue, BTreeMap::from([("desk".to_owned(), 4)]));
    assert_eq!(run.by_rule, BTreeMap::from([(None, 4)]));
}

#[test]
fn rules_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&compiled(&clinic()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Words of the language in any order, and anything else.
    #[test]
    fn no_text_is_a_panic(words in prop::collection::vec(prop_oneof![
        prop::sample::select(vec![
            "event", ".", "channel", "==", "'phone'", "(", ")", "[", "]", "&&", "!", "-", "in", "client", "value", ",",
            "exists", "all", "map", "has", "x", "?", ":", "1", "true", "null", "{", "}", "matches", "size", "+", "b'",
            "r'", "\"", "\\", "1.5e", "0x", "9223372036854775808", "u",
        ]).prop_map(str::to_owned),
        any::<String>(),
    ], 0..12)) {
        let text = words.concat();
        if let Ok(rules) = Rules::compile(&one(&text), &calendars()) {
            rules.decide(&facts(Channel::Phone));
        }
    }
}
