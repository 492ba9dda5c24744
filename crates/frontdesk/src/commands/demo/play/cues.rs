//! The order in which things are done: a step is one cue, and a call is several, between those of other steps.

use super::super::exchange::{Hook, hooks};
use crate::story::{Call, Scene, Story};

/// One thing to do.
pub(super) struct Cue<'a> {
    /// Seconds into the day.
    pub(super) at: u32,
    /// Which step it belongs to.
    pub(super) step: usize,
    /// What is told of it, where a step begins.
    pub(super) tell: Option<&'a str>,
    pub(super) deed: Deed<'a>,
}

pub(super) enum Deed<'a> {
    Scene(&'a Scene),
    Hook(&'a Call, Hook),
}

/// Everything in the order in which it happens.
pub(super) fn cues(story: &Story) -> Vec<Cue<'_>> {
    let mut cues = Vec::new();
    for (step, one) in story.steps.iter().enumerate() {
        let mut tell = Some(one.tell.as_str());
        match &one.scene {
            Scene::Call(call) => {
                for hook in hooks(call) {
                    let at = one.at + hook.after;
                    cues.push(Cue { at, step, tell: tell.take(), deed: Deed::Hook(call, hook) });
                }
            }
            scene => cues.push(Cue { at: one.at, step, tell, deed: Deed::Scene(scene) }),
        }
    }
    cues.sort_by_key(|cue| cue.at);
    cues
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_go_on_while_other_things_happen() {
        let story = Story::day().unwrap();
        let cues = cues(&story);
        assert!(cues.is_sorted_by_key(|cue| cue.at));
        let told = cues.iter().filter(|cue| cue.tell.is_some()).count();
        assert_eq!(told, story.steps.len(), "each step is told once");
        let first = cues.iter().position(|cue| matches!(cue.deed, Deed::Hook(..))).unwrap();
        let step = cues[first].step;
        let last = cues.iter().rposition(|cue| cue.step == step).unwrap();
        assert!(cues[first..last].iter().any(|cue| cue.step != step), "Олена's call is not alone");
    }
}
