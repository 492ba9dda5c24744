//! Our answers on their way to a visitor.
//!
//! An answer is a line of the thread as soon as it is recorded, and the visitor's connections read it there:
//! what is left to do is to tell them. So a try always ends with "sent", which means: it is in the visitor's
//! thread. Whether they were there to read it, only their `read` says.

use std::sync::Arc;

use async_trait::async_trait;
use connector::{Courier, Live, Sign, Signal, Tried};
use contact::{Order, ReplyFate};

/// Tells the visitors of one widget of their answers.
pub(crate) struct ChatCourier {
    pub(crate) live: Arc<dyn Live>,
    /// What its visitors' identifiers begin with: `<name of the source>:`.
    pub(crate) prefix: String,
}

#[async_trait]
impl Courier for ChatCourier {
    async fn deliver(&self, order: &Order) -> Tried {
        if !order.to.starts_with(&self.prefix) {
            let detail = Some("it is not addressed to a visitor of this widget".to_owned());
            return Tried { fate: ReplyFate::Failed, detail, message_id: None };
        }
        self.live.tell(Signal { visitor: order.to.clone(), what: Sign::Lines });
        Tried { fate: ReplyFate::Sent, detail: None, message_id: None }
    }
}
