//! What a method lets happen, and the rules that each effect keeps.

use alloc::{string::String, vec::Vec};
use core::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{DeviceId, PushToken},
    registration::{AddressState, Scope},
};

use super::{InvalidTransition, MAX_ATTEMPT, MIN_TIME};
use crate::policy::{InvalidRequest, MAX_BODY, MAX_MESSAGE, is_web_address, is_word, json};

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
    /// Make credentials for the attempt's device.
    IssueCredentials(WantedCredentials),
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
    /// To whom: a mail address.
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

/// An address of a profile, and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileAddress {
    /// The address.
    pub address: EndpointId,
    /// Its state.
    pub state: AddressState,
}

/// Credentials to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedCredentials {
    /// What they are for.
    pub scope: Scope,
    /// Of scope `profile`: the user whose profile it is, as the user directory has it. Otherwise the address.
    pub identifier: EndpointId,
    /// How long they count: 1 s to [`MAX_CREDENTIALS`].
    #[serde(rename = "expires_in_ms", with = "json::millis")]
    pub expires_in: Duration,
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

    /// What it asks the tenant's own service.
    pub const fn fetches(&self) -> Option<&Fetch> {
        if let Self::Fetch(fetch) = self { Some(fetch) } else { None }
    }

    /// Whom it mails.
    pub const fn mails(&self) -> Option<&EndpointId> {
        match self {
            Self::SendMail(mail) => Some(&mail.to),
            Self::SendLink(proof) => Some(&proof.to),
            Self::SendText(_)
            | Self::SendSignature(_)
            | Self::SendCode(_)
            | Self::Ask(_)
            | Self::Fetch(_)
            | Self::CheckPassword(_)
            | Self::After(_)
            | Self::SetAddressState(_)
            | Self::Bind(_)
            | Self::IssueCredentials(_)
            | Self::Notify(_)
            | Self::Store(_)
            | Self::Finish => None,
        }
    }

    /// Whom it texts.
    pub const fn texts(&self) -> Option<&EndpointId> {
        match self {
            Self::SendText(text) => Some(&text.to),
            Self::SendSignature(signature) => Some(&signature.to),
            Self::SendCode(proof) => Some(&proof.to),
            Self::SendMail(_)
            | Self::SendLink(_)
            | Self::Ask(_)
            | Self::Fetch(_)
            | Self::CheckPassword(_)
            | Self::After(_)
            | Self::SetAddressState(_)
            | Self::Bind(_)
            | Self::IssueCredentials(_)
            | Self::Notify(_)
            | Self::Store(_)
            | Self::Finish => None,
        }
    }

    /// Names the rule that it breaks; `index` is its place among those of the step.
    pub(super) fn check(&self, index: usize) -> Result<(), InvalidTransition> {
        match self {
            Self::SendText(text) => {
                number(&text.to, index)?;
                bounded(&text.text, MAX_TEXT, index)
            }
            Self::SendMail(mail) => {
                mail_address(&mail.to, index)?;
                bounded(&mail.subject, MAX_MESSAGE, index)?;
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
            Self::SendLink(proof) => {
                mail_address(&proof.to, index)?;
                time(proof.expires_in, MAX_PROOF, index)
            }
            Self::Ask(names) => {
                let fine = (1..=MAX_FIELDS).contains(&names.len()) && names.iter().all(|name| is_word(name));
                fine.then_some(()).ok_or(InvalidTransition::Text(index))
            }
            Self::Fetch(fetch) => fetch.check(index).map_err(|why| InvalidTransition::Fetch { index, why }),
            Self::CheckPassword(handle) => bounded(handle, MAX_HANDLE, index),
            Self::After(duration) => time(*duration, MAX_ATTEMPT, index),
            Self::Notify(word) => is_word(word).then_some(()).ok_or(InvalidTransition::Text(index)),
            Self::Store(pair) => pair.is_valid().then_some(()).ok_or(InvalidTransition::Pair(index)),
            Self::IssueCredentials(wanted) => time(wanted.expires_in, MAX_CREDENTIALS, index),
            Self::SetAddressState(_) | Self::Bind(_) | Self::Finish => Ok(()),
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

fn mail_address(to: &EndpointId, index: usize) -> Result<(), InvalidTransition> {
    to.is_mail_address().then_some(()).ok_or(InvalidTransition::NotAMailAddress(index))
}

fn bounded(text: &str, most: usize, index: usize) -> Result<(), InvalidTransition> {
    (1..=most).contains(&text.len()).then_some(()).ok_or(InvalidTransition::Text(index))
}

fn time(duration: Duration, most: Duration, index: usize) -> Result<(), InvalidTransition> {
    (MIN_TIME..=most).contains(&duration).then_some(()).ok_or(InvalidTransition::Time(index))
}

masked! {
    Text: to;
    Mail: to;
    Fetch: id;
    Pair: key;
}

/// Longest text message, in bytes: ten joined parts of GSM-7.
pub const MAX_TEXT: usize = 1530;
/// Most fields asked for at once.
pub const MAX_FIELDS: usize = 16;
/// Longest key of a pair, in bytes: fits a database key.
pub const MAX_PAIR_KEY: usize = 128;
/// Largest value of a pair, in bytes.
pub const MAX_PAIR_VALUE: usize = 16 * 1024;
/// Longest handle of a password, in bytes: the longest user and password, sealed.
pub const MAX_HANDLE: usize = 2048;
/// Longest life of credentials: somebody signs in again once a year.
pub const MAX_CREDENTIALS: Duration = Duration::from_hours(400 * 24);
/// Longest life of a signature, code or link.
pub const MAX_PROOF: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::policy::registration::{State, Transition};

    #[test]
    fn texts_and_codes_go_to_phone_numbers_and_links_to_mail_addresses() {
        let proof =
            |to: &str, seconds| Proof { to: to.parse().unwrap(), expires_in: Duration::from_secs(seconds) };
        assert_eq!(check(Effect::SendCode(proof("+15550100", 300))), Ok(()));
        assert_eq!(check(Effect::SendCode(proof("bob", 300))), Err(InvalidTransition::NotANumber(0)));
        assert_eq!(check(Effect::SendCode(proof("+15550100", 0))), Err(InvalidTransition::Time(0)));
        assert_eq!(check(Effect::SendLink(proof("bob@example.org", 300))), Ok(()));
        let no_mail = check(Effect::SendLink(proof("+15550100", 300)));
        assert_eq!(no_mail, Err(InvalidTransition::NotAMailAddress(0)));
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

    fn check(effect: Effect) -> Result<(), InvalidTransition> {
        Transition { state: State::default(), effects: vec![effect], expires_in: MIN_TIME }.check()
    }
}
