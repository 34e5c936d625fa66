//! How a device proves an endpoint identifier: an attempt is driven by events until it finishes (REG-2 to REG-5).
//!
//! A step is pure: `(context, state, event) -> (state', effects)`. State and effects are committed
//! together and the effects performed afterwards; what comes of them is the next event.

use alloc::{string::String, vec::Vec};
use core::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{DeviceId, GatewayId, MethodName, PushToken},
};

use super::{InvalidRequest, MAX_BODY, Refusal, is_web_address, is_word, json};

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

/// What a method lets happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Send a text.
    SendText(Text),
    /// Send a mail.
    SendMail(Mail),
    /// Make a signature and text it to the device (REG-3).
    SendSignature(Signature),
    /// Make a code and text it.
    SendCode(Proof),
    /// Make a link and mail it.
    SendLink(Proof),
    /// Ask the device's user for these fields.
    Ask(Vec<String>),
    /// Ask the tenant's own service.
    Fetch(Fetch),
    /// Compare the password behind this handle with the user directory.
    CheckPassword(String),
    /// Be asked again after this time.
    #[serde(rename = "after-ms", with = "json::millis")]
    After(Duration),
    /// Note the state of an address in the profile.
    SetAddressState(ProfileAddress),
    /// Store the association of this identifier with the attempt's device.
    Bind(EndpointId),
    /// Make login credentials for this identifier.
    IssueCredentials(EndpointId),
    /// Tell the device this word.
    Notify(String),
    /// Change a pair of the tenant's.
    Store(Pair),
    /// The attempt is over.
    Finish,
}

/// A text to send.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// To whom: a phone number.
    pub to: EndpointId,
    /// 1 to [`MAX_TEXT`] bytes.
    pub text: String,
}

/// A mail to send.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// To whom.
    pub to: EndpointId,
    /// One line of at most 256 bytes.
    pub subject: String,
    /// 1 to [`MAX_BODY`] bytes.
    pub text: String,
}

/// A secret that the host makes, hashes, compares and counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// To whom it is sent.
    pub to: EndpointId,
    /// How long it may be used: 1 s to [`MAX_PROOF`].
    #[serde(rename = "expires_in_ms", with = "json::millis")]
    pub expires_in: Duration,
}

/// A signature over number, push token, device id and a random number (REG-3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The number that it proves and that it is texted to.
    pub to: EndpointId,
    /// Push token, as the device's text named it.
    pub push_token: PushToken,
    /// Device, as its text named it.
    pub device: DeviceId,
    /// How long it may be used: 1 s to [`MAX_PROOF`].
    #[serde(rename = "expires_in_ms", with = "json::millis")]
    pub expires_in: Duration,
}

/// A request to the tenant's own service.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// A word, repeated by the answer.
    pub id: String,
    /// An `https` or `http` address.
    pub url: String,
    /// At most [`MAX_BODY`] bytes.
    #[serde(default, with = "json::base64")]
    pub body: Vec<u8>,
}

/// A key-value pair of the tenant's, as it shall be.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// 1 to [`MAX_PAIR_KEY`] bytes, without control characters.
    pub key: String,
    /// At most [`MAX_PAIR_VALUE`] bytes; absent: the pair is removed.
    #[serde(default, with = "json::optional_base64")]
    pub value: Option<Vec<u8>>,
}

/// The state of an address in a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressState {
    /// A validation was asked for.
    Asked,
    /// It is validated.
    Validated,
    /// Its owner said no.
    Declined,
}

/// An address of a profile, and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileAddress {
    /// The address.
    pub address: EndpointId,
    /// Its state.
    pub state: AddressState,
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

impl Effect {
    /// Its name, as the contract with plugins has it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SendText(_) => "send-text",
            Self::SendMail(_) => "send-mail",
            Self::SendSignature(_) => "send-signature",
            Self::SendCode(_) => "send-code",
            Self::SendLink(_) => "send-link",
            Self::Ask(_) => "ask",
            Self::Fetch(_) => "fetch",
            Self::CheckPassword(_) => "check-password",
            Self::After(_) => "after",
            Self::SetAddressState(_) => "set-address-state",
            Self::Bind(_) => "bind",
            Self::IssueCredentials(_) => "issue-credentials",
            Self::Notify(_) => "notify",
            Self::Store(_) => "store",
            Self::Finish => "finish",
        }
    }

    fn check(&self, index: usize) -> Result<(), InvalidTransition> {
        match self {
            Self::SendText(text) => {
                number(&text.to, index)?;
                bounded(&text.text, MAX_TEXT, index)
            }
            Self::SendMail(mail) => {
                bounded(&mail.subject, super::MAX_MESSAGE, index)?;
                let one_line = !mail.subject.chars().any(char::is_control);
                one_line.then_some(()).ok_or(InvalidTransition::Text(index))?;
                bounded(&mail.text, MAX_BODY, index)
            }
            Self::SendSignature(signature) => {
                number(&signature.to, index)?;
                time(signature.expires_in, MAX_PROOF, index)
            }
            Self::SendCode(proof) => {
                number(&proof.to, index)?;
                time(proof.expires_in, MAX_PROOF, index)
            }
            Self::SendLink(proof) => time(proof.expires_in, MAX_PROOF, index),
            Self::Ask(names) => {
                let fine = (1..=MAX_FIELDS).contains(&names.len()) && names.iter().all(|name| is_word(name));
                fine.then_some(()).ok_or(InvalidTransition::Text(index))
            }
            Self::Fetch(fetch) => fetch.check(index).map_err(|why| InvalidTransition::Fetch { index, why }),
            Self::CheckPassword(handle) => bounded(handle, super::MAX_MESSAGE, index),
            Self::After(duration) => time(*duration, MAX_ATTEMPT, index),
            Self::Notify(word) => is_word(word).then_some(()).ok_or(InvalidTransition::Text(index)),
            Self::Store(pair) => pair.is_valid().then_some(()).ok_or(InvalidTransition::Pair(index)),
            Self::SetAddressState(_) | Self::Bind(_) | Self::IssueCredentials(_) | Self::Finish => Ok(()),
        }
    }
}

impl Pair {
    fn is_valid(&self) -> bool {
        let key = (1..=MAX_PAIR_KEY).contains(&self.key.len()) && !self.key.chars().any(char::is_control);
        key && self.value.as_ref().is_none_or(|value| value.len() <= MAX_PAIR_VALUE)
    }
}

impl Fetch {
    fn check(&self, index: usize) -> Result<(), InvalidRequest> {
        if !is_word(&self.id) {
            return Err(InvalidRequest::Id(index));
        }
        if !is_web_address(&self.url) {
            return Err(InvalidRequest::Url(index));
        }
        if self.body.len() > MAX_BODY {
            return Err(InvalidRequest::Body(index));
        }
        Ok(())
    }
}

fn number(to: &EndpointId, index: usize) -> Result<(), InvalidTransition> {
    to.is_phone_number().then_some(()).ok_or(InvalidTransition::NotANumber(index))
}

fn bounded(text: &str, most: usize, index: usize) -> Result<(), InvalidTransition> {
    (1..=most).contains(&text.len()).then_some(()).ok_or(InvalidTransition::Text(index))
}

fn time(duration: Duration, most: Duration, index: usize) -> Result<(), InvalidTransition> {
    (MIN_TIME..=most).contains(&duration).then_some(()).ok_or(InvalidTransition::Time(index))
}

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

masked! {
    TextMessage: gateway, sender, recipient;
    AttemptKey: ;
    State: ;
    Field: name;
    Fetched: id;
    Text: to;
    Mail: to;
    Fetch: id;
    Pair: key;
}

/// Largest state, in bytes: it is sealed and written with every step.
pub const MAX_STATE: usize = 16 * 1024;
/// Most effects of one step: each is a row of the outbox.
pub const MAX_EFFECTS: usize = 16;
/// Longest text message, in bytes: ten joined parts of GSM-7.
pub const MAX_TEXT: usize = 1530;
/// Longest attempt key, in bytes.
pub const MAX_KEY: usize = 512;
/// Most fields asked for at once.
pub const MAX_FIELDS: usize = 16;
/// Longest key of a pair, in bytes: fits a database key.
pub const MAX_PAIR_KEY: usize = 128;
/// Largest value of a pair, in bytes.
pub const MAX_PAIR_VALUE: usize = 16 * 1024;
/// Longest life of a signature, code or link.
pub const MAX_PROOF: Duration = Duration::from_hours(24);
/// Longest life of an attempt.
pub const MAX_ATTEMPT: Duration = Duration::from_hours(7 * 24);

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
    fn texts_and_codes_go_to_phone_numbers() {
        let proof =
            |to: &str, seconds| Proof { to: to.parse().unwrap(), expires_in: Duration::from_secs(seconds) };
        assert_eq!(check(Effect::SendCode(proof("+15550100", 300))), Ok(()));
        assert_eq!(check(Effect::SendCode(proof("bob", 300))), Err(InvalidTransition::NotANumber(0)));
        assert_eq!(check(Effect::SendCode(proof("+15550100", 0))), Err(InvalidTransition::Time(0)));
        assert_eq!(check(Effect::SendLink(proof("bob@example.org", 300))), Ok(()));
        let text = Text { to: "+15550100".parse().unwrap(), text: "x".repeat(1531) };
        assert_eq!(check(Effect::SendText(text)), Err(InvalidTransition::Text(0)));
    }

    #[test]
    fn a_mails_subject_is_one_line() {
        let mail = |subject: &str| Mail {
            to: "bob@example.org".parse().unwrap(),
            subject: subject.into(),
            text: "Hello".into(),
        };
        assert_eq!(check(Effect::SendMail(mail("Hello"))), Ok(()));
        let injected = check(Effect::SendMail(mail("Hello\r\nBcc: all@example.org")));
        assert_eq!(injected, Err(InvalidTransition::Text(0)));
    }

    #[test]
    fn what_is_fetched_asked_and_told_is_of_words() {
        let fetch = Fetch { id: "crm".into(), url: "ftp://example.org".into(), body: vec![] };
        let why = InvalidRequest::Url(0);
        assert_eq!(check(Effect::Fetch(fetch)), Err(InvalidTransition::Fetch { index: 0, why }));
        assert_eq!(check(Effect::Ask(vec![])), Err(InvalidTransition::Text(0)));
        assert_eq!(check(Effect::Notify("validated".into())), Ok(()));
        assert_eq!(check(Effect::Notify("Validated!".into())), Err(InvalidTransition::Text(0)));
        let store = |key: &str, bytes| Effect::Store(Pair { key: key.into(), value: Some(vec![0; bytes]) });
        assert_eq!(check(store("seen:+1", MAX_PAIR_VALUE)), Ok(()));
        assert_eq!(check(store("", 0)), Err(InvalidTransition::Pair(0)));
        assert_eq!(check(store("a\nb", 0)), Err(InvalidTransition::Pair(0)));
        assert_eq!(check(store("a", MAX_PAIR_VALUE + 1)), Err(InvalidTransition::Pair(0)));
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

    fn check(effect: Effect) -> Result<(), InvalidTransition> {
        with(vec![effect]).check()
    }
}
