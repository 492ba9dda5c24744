//! One condition: compiled once, within bounds that make it cheap for every contact.
//!
//! CEL has no budget of steps, and three nested loops over a few hundred elements run for half a minute. So the
//! cost is bounded before anything runs, by what an expression may be made of; and a name that does not exist
//! is found at the start and not by the first client it concerns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::parser::{ParseErrors, PrattParser};
use cel::{Context, Env, ExecutionError, Value};
use serde::Serialize;

use crate::facts::Facts;

/// The bytes of one condition.
pub const MOST_BYTES: usize = 2_048;
/// Brackets, operators and loops of one condition within one another. CEL's usual parser overflows a stack of
/// 2 MiB before its own bound, so conditions are read by the other one.
pub const MOST_DEPTH: u16 = 32;
/// The parts (operators, names, literals) of one condition, as it is after macros are expanded.
pub const MOST_PARTS: usize = 500;
/// The elements of all list and map literals of one condition together.
pub const MOST_ELEMENTS: usize = 100;
/// `exists` and the like within one another.
pub const MOST_NESTED: usize = 2;
/// Additions of one condition: each may join two texts to a longer one.
pub const MOST_ADDITIONS: usize = 8;
/// Patterns of one condition, and the bytes of each.
pub const MOST_PATTERNS: usize = 4;
pub const MOST_PATTERN_BYTES: usize = 200;

const FUNCTIONS: [&str; 7] = ["contains", "endsWith", "int", "matches", "size", "startsWith", "string"];

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCondition {
    #[error("it does not parse: {0}")]
    Syntax(String),
    #[error("it has more than {most} {what}")]
    TooMuch { most: usize, what: &'static str },
    #[error("`{name}` is not known; known are {known}")]
    Unknown { name: String, known: String },
    #[error("`{0}` may not be used here; use `exists` or `all`")]
    MakesLists(&'static str),
    #[error("the pattern of `matches` is not written out, or stands inside an `exists` or `all`")]
    Pattern,
    #[error("`{0}` is no regular expression")]
    NoPattern(String),
}

#[derive(Debug)]
pub(crate) struct Condition {
    expression: IdedExpr,
    /// Of `event`, `client` and `time` those it asks about.
    pub(crate) asks: BTreeSet<String>,
}

/// What conditions are compiled and evaluated with: CEL's standard library.
#[derive(Clone)]
pub(crate) struct Language {
    env: Arc<Env>,
    /// What may be asked of each of `event`, `client` and `time`.
    fields: BTreeMap<String, BTreeSet<String>>,
}

impl std::fmt::Debug for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Language").field("fields", &self.fields).finish_non_exhaustive()
    }
}

impl Language {
    pub(crate) fn new() -> Language {
        Language { env: Arc::new(Env::stdlib()), fields: fields() }
    }

    pub(crate) fn compile(&self, text: &str) -> Result<Condition, BadCondition> {
        if text.len() > MOST_BYTES {
            return Err(BadCondition::TooMuch { most: MOST_BYTES, what: "bytes" });
        }
        let expression = parse(text).map_err(|errors| {
            // One sentence: the first error, without the drawing that follows it.
            let first = errors.errors.first().map_or_else(String::new, |error| error.msg.clone());
            BadCondition::Syntax(first.chars().take(200).collect())
        })?;
        let mut check = Check {
            language: self,
            names: Vec::new(),
            asks: BTreeSet::new(),
            parts: 0,
            elements: 0,
            additions: 0,
            patterns: 0,
        };
        check.walk(&expression, 0)?;
        let asks = check.asks;
        Ok(Condition { expression, asks })
    }

    /// Everything conditions read, converted once for all of them.
    pub(crate) fn context(&self, facts: &Facts) -> Result<Context<'static, 'static>, Unanswered> {
        let facts = facts.bounded();
        let mut context = Context::with_env(Arc::clone(&self.env));
        let mut add = |name: &str, value: Result<Value, _>| match value {
            Ok(value) => {
                context.add_variable_from_value(name, value);
                Ok(())
            }
            Err::<_, cel::SerializationError>(_) => Err(Unanswered(format!("`{name}` could not be read"))),
        };
        add("event", cel::to_value(&facts.event))?;
        add("client", cel::to_value(&facts.client))?;
        add("time", cel::to_value(&facts.time))?;
        Ok(context)
    }

    /// Whether CEL takes it for a pattern, asked by using it.
    fn is_pattern(&self, pattern: &str) -> bool {
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.add_variable_from_value("pattern", pattern.to_owned());
        parse("''.matches(pattern)").is_ok_and(|expression| Value::resolve(&expression, &context).is_ok())
    }
}

/// A condition gave no answer. The text names no value: it is kept with the decision, and values are personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unanswered(pub(crate) String);

impl Condition {
    pub(crate) fn holds(&self, context: &Context<'_, '_>) -> Result<bool, Unanswered> {
        match Value::resolve(&self.expression, context) {
            Ok(Value::Bool(answer)) => Ok(answer),
            Ok(other) => {
                Err(Unanswered(format!("it answers with a {}, not with yes or no", other.type_of())))
            }
            Err(error) => Err(Unanswered(reason(&error))),
        }
    }
}

fn parse(text: &str) -> Result<IdedExpr, ParseErrors> {
    PrattParser::new().max_recursion_depth(MOST_DEPTH).parse(text)
}

fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchOverload(overload) => {
            format!("`{}` does not work on {}", overload.function(), overload.argument_types().join(" and "))
        }
        ExecutionError::NoSuchKey(_) => "there is no such key".to_owned(),
        ExecutionError::UndeclaredReference(name) => format!("`{name}` is not known"),
        ExecutionError::IndexOutOfBounds(_) => "an index is out of bounds".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "it divides by nought".to_owned()
        }
        ExecutionError::Overflow(..) => "a number is too large".to_owned(),
        ExecutionError::ValuesNotComparable(..) => "it compares what cannot be compared".to_owned(),
        ExecutionError::FunctionError { function, .. } => format!("`{function}` failed"),
        _ => "it could not be computed".to_owned(),
    }
}

fn fields() -> BTreeMap<String, BTreeSet<String>> {
    fn of(value: &impl Serialize) -> BTreeSet<String> {
        match serde_json::to_value(value) {
            Ok(serde_json::Value::Object(fields)) => fields.into_iter().map(|(name, _)| name).collect(),
            _ => BTreeSet::new(),
        }
    }
    let facts = Facts::default();
    BTreeMap::from([
        ("event".to_owned(), of(&facts.event)),
        ("client".to_owned(), of(&facts.client)),
        ("time".to_owned(), of(&facts.time)),
    ])
}

/// One walk over a parsed condition. Its depth is bounded: the parser's own limit, and [`MOST_PARTS`].
struct Check<'a> {
    language: &'a Language,
    /// Variables of the loops around.
    names: Vec<String>,
    asks: BTreeSet<String>,
    parts: usize,
    elements: usize,
    additions: usize,
    patterns: usize,
}

impl Check<'_> {
    fn walk(&mut self, node: &IdedExpr, nested: usize) -> Result<(), BadCondition> {
        count(&mut self.parts, 1, MOST_PARTS, "parts")?;
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => {
                if let Expr::Ident(root) = &select.operand.expr
                    && !self.names.contains(root)
                    && let Some(known) = self.language.fields.get(root)
                    && !known.contains(&select.field)
                {
                    return Err(unknown(&format!("{root}.{}", select.field), known.iter()));
                }
                self.walk(&select.operand, nested)
            }
            Expr::List(list) => {
                count(&mut self.elements, list.elements.len(), MOST_ELEMENTS, "elements in lists")?;
                self.all(&list.elements, nested)
            }
            Expr::Map(map) => {
                count(&mut self.elements, map.entries.len(), MOST_ELEMENTS, "elements in lists")?;
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.walk(&entry.key, nested)?;
                        self.walk(&entry.value, nested)?;
                    }
                }
                Ok(())
            }
            Expr::Struct(made) => Err(unknown(&made.type_name, FUNCTIONS.iter())),
            Expr::Call(call) => self.call(call, nested),
            Expr::Comprehension(each) => {
                // The list over which a loop goes is no part of it, but may be a loop: those run one after
                // another, and yet count as nested, so that there are few of them.
                let nested = nested + 1;
                if nested > MOST_NESTED {
                    return Err(BadCondition::TooMuch {
                        most: MOST_NESTED,
                        what: "`exists` within one another",
                    });
                }
                if matches!(each.accu_init.expr, Expr::List(_) | Expr::Map(_)) {
                    // Each could make longer texts of what the one before it made.
                    return Err(BadCondition::MakesLists("map` or `filter"));
                }
                self.walk(&each.iter_range, nested)?;
                let before = self.names.len();
                self.names.extend([each.iter_var.clone(), each.accu_var.clone()]);
                self.names.extend(each.iter_var2.clone());
                for part in [&each.accu_init, &each.loop_cond, &each.loop_step, &each.result] {
                    self.walk(part, nested)?;
                }
                self.names.truncate(before);
                Ok(())
            }
        }
    }

    fn call(&mut self, call: &CallExpr, nested: usize) -> Result<(), BadCondition> {
        let function = call.func_name.as_str();
        // Operators are spelt with signs: `_&&_`, `!_`, `@in`.
        if function.starts_with(|first: char| first.is_alphabetic()) && !FUNCTIONS.contains(&function) {
            return Err(unknown(function, FUNCTIONS.iter()));
        }
        if function == "matches" {
            self.pattern(call, nested)?;
        }
        // A loop counts with an addition of its own (`exists_one`); the bound leaves room for it.
        if function == "_+_" {
            count(&mut self.additions, 1, MOST_ADDITIONS, "additions")?;
        }
        if let Some(target) = &call.target {
            self.walk(target, nested)?;
        }
        self.all(&call.args, nested)
    }

    fn pattern(&mut self, call: &CallExpr, nested: usize) -> Result<(), BadCondition> {
        count(&mut self.patterns, 1, MOST_PATTERNS, "patterns")?;
        let Some(Expr::Literal(LiteralValue::String(pattern))) = call.args.last().map(|last| &last.expr)
        else {
            return Err(BadCondition::Pattern);
        };
        let pattern = pattern.inner();
        // A pattern is compiled each time it is used.
        if nested > 0 {
            return Err(BadCondition::Pattern);
        }
        if pattern.len() > MOST_PATTERN_BYTES {
            return Err(BadCondition::TooMuch { most: MOST_PATTERN_BYTES, what: "bytes in a pattern" });
        }
        if self.language.is_pattern(pattern) {
            Ok(())
        } else {
            Err(BadCondition::NoPattern(pattern.to_owned()))
        }
    }

    fn name(&mut self, name: &str) -> Result<(), BadCondition> {
        if self.names.iter().any(|known| known == name) {
            return Ok(());
        }
        if self.language.fields.contains_key(name) {
            self.asks.insert(name.to_owned());
            return Ok(());
        }
        Err(unknown(name, self.language.fields.keys()))
    }

    fn all(&mut self, nodes: &[IdedExpr], nested: usize) -> Result<(), BadCondition> {
        nodes.iter().try_for_each(|node| self.walk(node, nested))
    }
}

fn count(counted: &mut usize, more: usize, most: usize, what: &'static str) -> Result<(), BadCondition> {
    *counted += more;
    if *counted > most { Err(BadCondition::TooMuch { most, what }) } else { Ok(()) }
}

fn unknown(name: &str, known: impl Iterator<Item = impl AsRef<str>>) -> BadCondition {
    let known: Vec<String> = known.map(|name| name.as_ref().to_owned()).collect();
    BadCondition::Unknown { name: name.to_owned(), known: known.join(", ") }
}
