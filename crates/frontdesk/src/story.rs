//! The day that `frontdesk demo` plays: who there is, who does what, when, and what is told of it. It is
//! data, in `story/day.toml`.

use std::collections::BTreeMap;
use std::fmt;

use contact::{Channel, Presence, Profile};
use serde::Deserialize;

const DAY: &str = include_str!("story/day.toml");

/// A day.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Story {
    /// By the names the steps call them.
    pub(crate) people: BTreeMap<String, Person>,
    /// In their order.
    pub(crate) steps: Vec<Step>,
}

/// Somebody who reaches us.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) phone: Option<String>,
    pub(crate) email: Option<String>,
    /// Where they are signed in on the site: its token then proves the above. Else they chat as a stranger.
    pub(crate) account: Option<String>,
}

/// One thing that happens.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Step {
    /// Seconds into the day.
    pub(crate) at: u32,
    /// For whoever watches.
    pub(crate) tell: String,
    #[serde(flatten)]
    pub(crate) scene: Scene,
}

/// What happens, over which door.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Scene {
    /// Another system of ours says who somebody is.
    Introduce {
        who: String,
        segment: String,
        value: i64,
        owner: String,
        language: String,
    },
    /// An agent comes to work, and opens their console.
    Arrive {
        agent: String,
        profile: Profile,
    },
    /// Somebody may work too, once they say so.
    Engage {
        agent: String,
        profile: Profile,
    },
    /// Somebody says whether they are here, without opening a console.
    Appear {
        agent: String,
        presence: Presence,
    },
    /// An agent goes home.
    Leave {
        agent: String,
    },
    Call(Call),
    Mail {
        who: String,
        subject: String,
        text: String,
        #[serde(default)]
        automatic: bool,
    },
    /// A visitor writes a line.
    Write {
        who: String,
        text: String,
    },
    /// A visitor types their name and address.
    Identify {
        who: String,
    },
    /// Somebody who does not know the secret tells of a call by this number.
    Forge {
        who: String,
    },
    /// An agent accepts what they are offered.
    Take {
        agent: String,
        of: Thing,
    },
    /// An agent takes what nobody has.
    Claim {
        agent: String,
        of: Thing,
    },
    Answer {
        agent: String,
        of: Thing,
        text: String,
    },
    Note {
        agent: String,
        of: Thing,
        text: String,
    },
    Resolve {
        agent: String,
        of: Thing,
    },
    /// An agent writes down how a client wants to be reached.
    Prefer {
        agent: String,
        who: String,
        channel: Channel,
    },
}

/// A call, from its first ring to its end.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    /// `None`: the number is withheld.
    pub(crate) who: Option<String>,
    /// We call them.
    #[serde(default)]
    pub(crate) outbound: bool,
    /// The telephone of ours that rings.
    pub(crate) extension: Option<String>,
    pub(crate) rings_s: u32,
    /// 0: nobody answers.
    #[serde(default)]
    pub(crate) talks_s: u32,
    /// What they tell the machine that answers.
    pub(crate) says: Option<String>,
}

/// A person's latest contact on a channel: `olena/chat`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Thing {
    pub(crate) who: String,
    pub(crate) channel: Channel,
}

impl TryFrom<String> for Thing {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (who, channel) = text.split_once('/').ok_or_else(|| format!("`{text}` is not who/channel"))?;
        let channel = channel.parse().map_err(|error| format!("`{text}`: {error}"))?;
        Ok(Self { who: who.to_owned(), channel })
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.who, self.channel)
    }
}

impl Story {
    /// The day that comes with the program.
    pub(crate) fn day() -> anyhow::Result<Self> {
        Ok(toml::from_str(DAY)?)
    }

    /// How long it lasts when it is not hurried, in seconds.
    pub(crate) fn length_s(&self) -> u32 {
        let end = |step: &Step| {
            step.at + if let Scene::Call(call) = &step.scene { call.rings_s + call.talks_s } else { 0 }
        };
        self.steps.iter().map(end).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Top-level domains and domains that nobody can have (RFC 2606).
    fn is_reserved(address: &str) -> bool {
        let domain = address.split_once('@').unwrap().1;
        domain.ends_with(".example") || ["example.com", "example.net", "example.org"].contains(&domain)
    }

    #[test]
    fn everybody_is_invented() {
        let story = Story::day().unwrap();
        for (who, person) in &story.people {
            assert!(person.email.as_deref().is_none_or(is_reserved), "{who}");
            // Ukrainian numbers whose last digits are counted, as in every example of ours.
            assert!(person.phone.as_deref().is_none_or(|phone| phone.contains("12345")), "{who}");
        }
    }

    #[test]
    fn the_day_goes_forward_and_lasts_about_two_minutes() {
        let story = Story::day().unwrap();
        assert!(story.steps.is_sorted_by_key(|step| step.at));
        assert!((100..=140).contains(&story.length_s()), "{} s", story.length_s());
    }

    #[test]
    fn nobody_does_anything_with_what_has_not_happened() {
        let story = Story::day().unwrap();
        let mut happened = BTreeSet::new();
        for Step { tell, scene, .. } in &story.steps {
            let told = match scene {
                Scene::Call(Call { who, .. }) => who.as_ref().map(|who| (who, "phone")),
                Scene::Mail { who, .. } => Some((who, "email")),
                Scene::Write { who, .. } => Some((who, "chat")),
                _ => None,
            };
            if let Some((who, channel)) = told {
                assert!(story.people.contains_key(who), "{tell}: {who}");
                happened.insert(Thing::try_from(format!("{who}/{channel}")).unwrap());
            }
            if let Scene::Take { of, .. }
            | Scene::Claim { of, .. }
            | Scene::Answer { of, .. }
            | Scene::Note { of, .. }
            | Scene::Resolve { of, .. } = scene
            {
                assert!(happened.contains(of), "{tell}: {of}");
            }
        }
    }

    #[test]
    fn three_languages_are_spoken() {
        let story = Story::day().unwrap();
        let texts: Vec<&String> = (story.steps.iter())
            .filter_map(|step| match &step.scene {
                Scene::Write { text, .. } | Scene::Mail { text, .. } => Some(text),
                _ => None,
            })
            .collect();
        let any = |test: &dyn Fn(&str) -> bool| texts.iter().any(|text| test(text));
        assert!(any(&|text| text.contains(['і', 'ї', 'є'])), "Ukrainian");
        assert!(any(&|text| text.contains(['ы', 'э', 'ё'])), "Russian");
        assert!(any(&|text| text.is_ascii()), "English");
    }

    #[test]
    fn a_step_with_a_mistake_is_refused() {
        for (right, wrong) in [("rings_s = ", "rangs_s = "), ("at = 3\n", "at = 3\nspeed = 2\n")] {
            assert!(toml::from_str::<Story>(&DAY.replacen(right, wrong, 1)).is_err(), "{wrong}");
        }
        assert!(Thing::try_from("olena".to_owned()).is_err());
        assert!(Thing::try_from("olena/fax".to_owned()).is_err());
    }
}
