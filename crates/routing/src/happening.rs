//! What the desk is told, and why it may say no.

use contact::ConversationId;

use crate::agent::{AgentName, Presence, Profile};
use crate::desk::Arrival;

/// What the desk is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A conversation needs an agent, or what it needs changed. Ignored while somebody has it.
    Arrived(Arrival),
    /// It needs nobody any more, wherever it stands.
    Left(ConversationId),
    Accepted {
        conversation: ConversationId,
        agent: AgentName,
        number: u64,
    },
    Declined {
        conversation: ConversationId,
        agent: AgentName,
        number: u64,
    },
    /// An agent takes it without being asked.
    Claimed {
        conversation: ConversationId,
        agent: AgentName,
    },
    /// An agent gives back what they have.
    GivenBack {
        conversation: ConversationId,
        agent: AgentName,
    },
    /// An agent is new, or can take something else than before.
    Profiled {
        agent: AgentName,
        profile: Profile,
    },
    Presence {
        agent: AgentName,
        presence: Presence,
    },
    /// Their last console connected or was lost.
    Connected {
        agent: AgentName,
        connected: bool,
    },
    /// They work here no longer.
    Removed(AgentName),
    /// A deadline has come.
    Passed,
}

/// Why a happening changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("this conversation waits for nobody")]
    NotHere,
    #[error("{by} has it")]
    Taken { by: AgentName },
    #[error("this offer is over")]
    Over,
    #[error("{agent} has as many conversations of this channel as they may")]
    Full { agent: AgentName },
    #[error("nobody called {agent} is at work")]
    NotAtWork { agent: AgentName },
}
