//! Everything people can reach us through, as configured and checked.

use std::collections::BTreeMap;

use contact::{Channel, SourceName};

use crate::config::{Config, Wrong};

/// The sources by channel.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) lines: connector_phone::Lines,
    pub(crate) mailboxes: connector_email::Sources,
    pub(crate) widgets: connector_chat::Widgets,
}

impl Sources {
    /// Reads the secrets the configuration names; everything wrong is told at once.
    pub(crate) fn read(config: &Config) -> Result<Self, Wrong> {
        let mut wrong = Vec::new();
        let mut tell = |section: &str, name: &str, field: &str, sentence: &str| {
            let field = if field.is_empty() { String::new() } else { format!(" {field}") };
            wrong.push(format!("[{section}.{name}]{field}: {sentence}"));
        };
        let mut sources = Self {
            lines: connector_phone::Lines::new(),
            mailboxes: connector_email::Sources::new(),
            widgets: connector_chat::Widgets::new(),
        };
        macro_rules! read {
            ($section:ident, $channel:ident, $into:ident) => {
                for (name, table) in &config.$section {
                    match (SourceName::new(Channel::$channel, name), table.check(name)) {
                        (Ok(source), Ok(checked)) => drop(sources.$into.insert(source, checked)),
                        (_, Err(problems)) => {
                            for problem in problems {
                                tell(stringify!($section), name, &problem.field, &problem.sentence);
                            }
                        }
                        (Err(error), Ok(_)) => tell(stringify!($section), name, "", &error.0),
                    }
                }
            };
        }
        read!(phone, Phone, lines);
        read!(email, Email, mailboxes);
        read!(chat, Chat, widgets);
        for widget in sources.widgets.values() {
            if let Some(mailbox) = widget.mailbox()
                && !sources.mailboxes.get(mailbox).is_some_and(connector_email::Source::answers)
            {
                let name = widget.source().name();
                wrong.push(format!(
                    "[chat.{name}] mailbox: [email.{}] is no mailbox with `smtp`",
                    mailbox.name()
                ));
            }
        }
        if wrong.is_empty() { Ok(sources) } else { Err(Wrong(wrong)) }
    }
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.lines.len() + self.mailboxes.len() + self.widgets.len()
    }

    /// By which mailbox the answers of each chat go that were not read there.
    pub(crate) fn unread_by_mail(&self) -> BTreeMap<SourceName, SourceName> {
        let by = |widget: &connector_chat::Widget| Some((widget.source().clone(), widget.mailbox()?.clone()));
        self.widgets.values().filter_map(by).collect()
    }
}
