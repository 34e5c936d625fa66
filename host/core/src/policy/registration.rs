//! How a device proves an endpoint identifier: an attempt is driven by events until it finishes (REG-2 to REG-5).
//!
//! A step is pure: `(context, state, event) -> (state', effects)`. State and effects are committed
//! together and the effects performed afterwards; what comes of them is the next event. `effect` has what a
//! method may let happen, and within which bounds.

use alloc::{string::String, vec::Vec};
use core::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{GatewayId, MethodName},
};

use super::{InvalidRequest, Refusal, json};

macro_rules! masked {
    ($($name:ident: $($field:ident),*;)*) => {$(
        /// Masked: texts and values may hold secrets.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))$(.field(stringify!($field), &self.$field))*.finish_non_exhaustive()
            }
        }
    )*};
}

mod effect;

pub use self::effect::{
    Effect, Fetch, MAX_CREDENTIALS, MAX_FIELDS, MAX_HANDLE, MAX_PAIR_KEY, MAX_PAIR_VALUE, MAX_PROOF,
    MAX_TEXT, Mail, Pair, ProfileAddress, Proof, Signature, Text, WantedCredentials,
};

/// A text that arrived through a gateway.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextMessage {
    /// The gateway that received it.
    pub gateway: GatewayId,
    /// The sender, as the gateway read it from the message's header.
    pub sender: EndpointId,
    /// The number or short code it was sent to.
    pub recipient: String,
    /// What it says; may hold a push token.
    pub text: String,
}

/// Which attempt of which method an inbound text begins or continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The method that claims it.
    pub method: MethodName,
    /// The attempt, in the method's words.
    pub key: AttemptKey,
}

/// A method's own name of an attempt: 1 to [`MAX_KEY`] bytes. It may hold personal data and prints masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptKey(String);

/// What a method remembers between two steps, at most [`MAX_STATE`] bytes. Sealed wherever it is stored.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct State(#[serde(with = "json::base64")] pub Vec<u8>);

/// A field that the device's user filled in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The field's name.
    pub name: String,
    /// What stands in it: personal, prints masked.
    pub value: String,
}

/// What became of something sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Handed to the provider.
    Sent,
    /// The provider refused it.
    Failed,
    /// Nobody knows; it is not sent again by itself.
    InDoubt,
    /// The provider says it arrived.
    Delivered,
}

/// The outcome of a [`Fetch`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// The fetch's id.
    pub id: String,
    /// The response's body, or why there is none.
    #[serde(flatten, with = "json::outcome")]
    pub outcome: Result<Vec<u8>, String>,
}

/// What drives an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A text claimed for this attempt.
    TextReceived(TextMessage),
    /// The device asked for this method.
    Begun(Vec<Field>),
    /// What became of a [`Text`].
    TextSent(Delivery),
    /// What became of a [`Mail`].
    MailSent(Delivery),
    /// The device sent back the signature that the host made; every field matched.
    SignatureVerified(EndpointId),
    /// The device sent the code that the host made.
    CodeVerified(EndpointId),
    /// The code was wrong.
    CodeFailed {
        /// How often the device may try again.
        tries_left: u8,
    },
    /// The link was opened.
    LinkOpened(EndpointId),
    /// The device's user answered what was asked.
    Answered(Vec<Field>),
    /// The tenant's service answered.
    Fetched(Fetched),
    /// Whether a password was right.
    Checked(bool),
    /// The time of an [`Effect::After`] is over.
    Deadline,
}

/// What a step answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Handed to the next step of this attempt.
    pub state: State,
    /// At most [`MAX_EFFECTS`], performed after they are committed together with the state.
    pub effects: Vec<Effect>,
    /// The attempt is forgotten after this time: 1 s to [`MAX_ATTEMPT`].
    #[serde(rename = "expires_in_ms", with = "json::millis")]
    pub expires_in: Duration,
}

/// A rule of [`Transition`] that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTransition {
    /// Larger than [`MAX_STATE`].
    #[error("the state is larger than 16 KiB")]
    State,
    /// More than [`MAX_EFFECTS`].
    #[error("more than 16 effects")]
    TooManyEffects,
    /// Shorter than 1 s or longer than [`MAX_ATTEMPT`].
    #[error("the attempt expires in less than 1 second or more than 7 days")]
    Expiry,
    /// A `finish` that is not the last effect.
    #[error("effect {0} is a finish and not the last")]
    AfterFinish(usize),
    /// A text or code to what is no phone number.
    #[error("effect {0} sends a text to what is not a phone number")]
    NotANumber(usize),
    /// A mail or link to what is no mail address.
    #[error("effect {0} sends a mail to what is not a mail address")]
    NotAMailAddress(usize),
    /// A text, subject, word or name that is empty, too long, or of wrong characters.
    #[error("effect {0} has a text that is empty, too long or not of the kind asked for")]
    Text(usize),
    /// A time out of its bounds.
    #[error("effect {0} has a time out of its bounds")]
    Time(usize),
    /// A pair whose key is empty, longer than [`MAX_PAIR_KEY`] or has control characters, or whose value
    /// is larger than [`MAX_PAIR_VALUE`].
    #[error("effect {0} stores a key of none or more than 128 bytes, or a value of more than 16 KiB")]
    Pair(usize),
    /// A fetch that is not allowed.
    #[error("effect {index}: {why}")]
    Fetch {
        /// Which effect.
        index: usize,
        /// Which rule.
        why: InvalidRequest,
    },
}

/// The declared default: what counts when a method failed. It says nothing about why.
pub fn unavailable() -> Refusal {
    Refusal::new("unavailable", "This way of registering does not work at the moment.")
}

impl AttemptKey {
    /// The key itself: for a hash or a query, never for a log.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// None if it is empty or longer than [`MAX_KEY`].
    pub fn new(key: String) -> Option<Self> {
        (1..=MAX_KEY).contains(&key.len()).then_some(Self(key))
    }
}

impl Transition {
    /// Names the first rule that it breaks.
    pub fn check(&self) -> Result<(), InvalidTransition> {
        if self.state.0.len() > MAX_STATE {
            return Err(InvalidTransition::State);
        }
        if self.effects.len() > MAX_EFFECTS {
            return Err(InvalidTransition::TooManyEffects);
        }
        if !(MIN_TIME..=MAX_ATTEMPT).contains(&self.expires_in) {
            return Err(InvalidTransition::Expiry);
        }
        for (index, effect) in self.effects.iter().enumerate() {
            if *effect == Effect::Finish && index + 1 != self.effects.len() {
                return Err(InvalidTransition::AfterFinish(index));
            }
            effect.check(index)?;
        }
        Ok(())
    }
}

masked! {
    TextMessage: gateway, sender, recipient;
    AttemptKey: ;
    State: ;
    Field: name;
    Fetched: id;
}

/// Largest state, in bytes: it is sealed and written with every step.
pub const MAX_STATE: usize = 16 * 1024;
/// Most effects of one step: each is a row of the outbox.
pub const MAX_EFFECTS: usize = 16;
/// Longest attempt key, in bytes.
pub const MAX_KEY: usize = 512;
/// Longest life of an attempt.
pub const MAX_ATTEMPT: Duration = Duration::from_hours(7 * 24);

/// Shortest time of anything.
const MIN_TIME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use alloc::{format, vec};

    use super::*;

    #[test]
    fn a_transition_keeps_state_effects_and_life_bounded() {
        assert_eq!(with(vec![]).check(), Ok(()));
        let large = Transition { state: State(vec![0; MAX_STATE + 1]), ..with(vec![]) };
        assert_eq!(large.check(), Err(InvalidTransition::State));
        let many = with(vec![Effect::After(MIN_TIME); 17]);
        assert_eq!(many.check(), Err(InvalidTransition::TooManyEffects));
        let eternal = Transition { expires_in: Duration::MAX, ..with(vec![]) };
        assert_eq!(eternal.check(), Err(InvalidTransition::Expiry));
    }

    #[test]
    fn nothing_follows_a_finish() {
        let number = || "+15550100".parse().unwrap();
        assert_eq!(with(vec![Effect::Bind(number()), Effect::Finish]).check(), Ok(()));
        let backwards = with(vec![Effect::Finish, Effect::Bind(number())]);
        assert_eq!(backwards.check(), Err(InvalidTransition::AfterFinish(0)));
    }

    #[test]
    fn personal_data_prints_masked() {
        let text = TextMessage {
            gateway: "sandbox".parse().unwrap(),
            sender: "+15550100".parse().unwrap(),
            recipient: "7000".into(),
            text: "SWH secret device".into(),
        };
        let printed = format!("{:?}", Event::TextReceived(text));
        assert!(!printed.contains("secret") && !printed.contains("5550100"), "{printed}");
        let field = Field { name: "number".into(), value: "+15550100".into() };
        assert!(!format!("{:?}", Event::Begun(vec![field])).contains("5550100"));
    }

    fn with(effects: Vec<Effect>) -> Transition {
        Transition { state: State::default(), effects, expires_in: Duration::from_mins(10) }
    }
}
