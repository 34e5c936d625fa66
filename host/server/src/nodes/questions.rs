//! What one node asks another by itself: what that one has in its memory alone.
//!
//! Each node hears its own subject on the bus. A question and its answer are letters, sealed; the answer is about that very
//! question, whose bytes no other has, so that no former answer can be given for it.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use switchhook_bus::Asker;
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{NodeId, TenantId},
};

use super::{
    letters::Letters,
    others::{Heard, Others},
};
use crate::limits;

/// Asked of one node.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ToNode {
    /// Which invites it refused lately that an identifier made or that were for it.
    Refused(TenantId, EndpointId),
}

/// What this node is asked, until it is dropped.
pub(crate) struct Questions {
    heard: Heard,
    letters: Letters,
}

/// Whoever asked, and what.
pub(crate) struct Answering {
    asker: Asker,
    about: String,
    letters: Letters,
}

impl Others {
    /// Asks another node; none if it does not answer in time, or not to this.
    pub(crate) async fn ask_node<A: DeserializeOwned>(&self, node: &NodeId, question: &ToNode) -> Option<A> {
        let place = self.letters.of_node(node).next()?;
        let question = self.letters.seal(&place, question);
        let answer = self.ask(&place, question.clone(), limits::ASK_NODE).await.ok()?;
        let (from, answer) = self.letters.open(&about(&question), &answer)?;
        (from == *node).then_some(answer)
    }

    /// Hears what this node is asked from now on.
    pub(crate) async fn hear_questions(&self) -> Option<Questions> {
        let heard = self.subscribe(self.letters.of_node(self.me())).await?;
        Some(Questions { heard, letters: self.letters.clone() })
    }
}

impl Questions {
    /// The next question. Nothing is lost when this is dropped and called again.
    pub(crate) async fn next(&mut self) -> (ToNode, Answering) {
        loop {
            let (question, message) = self.heard.next().await;
            if let Some(asker) = message.asker {
                let (about, letters) = (about(&message.payload), self.letters.clone());
                return (question, Answering { asker, about, letters });
            }
        }
    }
}

impl Answering {
    pub(crate) fn answer(self, answer: &impl Serialize) {
        self.asker.answer(self.letters.seal(&self.about, answer));
    }
}

/// What an answer to this is about.
fn about(question: &[u8]) -> String {
    BASE32_NOPAD.encode(&Sha256::digest(question))
}

impl fmt::Debug for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Questions").field("heard", &self.heard).finish_non_exhaustive()
    }
}

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answering").field("about", &self.about).finish_non_exhaustive()
    }
}
