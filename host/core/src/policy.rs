//! Questions to a tenant's plugins, and what their answers must mean before they count.
//!
//! One module a slot: [`registration`] (how a device proves an identifier), [`nat`] (direct or
//! through the relay) and [`route`] (whom an invite rings). Each has the question and the answer in
//! the host's own types, mirrors of the packages in `wit/`; the bounds that an answer must keep, as
//! a function that names the first rule broken; and the declared default, which counts whenever a
//! plugin fails or breaks a rule.
//!
//! The runtime turns a guest's bytes into these types and calls the checks; whoever acts on an
//! answer may rely on every rule here.

mod facts;
pub mod grants;
pub mod json;
pub mod nat;
pub mod registration;
pub mod route;
pub mod secret;

use alloc::{collections::BTreeSet, string::String, vec::Vec};
use core::fmt;

pub use facts::{Facts, Standing};
pub use grants::{Grants, InvalidGrants};
use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    id::{ApplicationId, TenantId},
    time::Timestamp,
};

/// Which questions a plugin answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slot {
    /// How a device proves an identifier; a tenant has several, by name.
    RegistrationMethod,
    /// Direct or relay.
    NatPolicy,
    /// Whom an invite rings.
    InviteRouter,
}

impl Slot {
    /// Its name in paths, rows and metrics: the name of its world.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RegistrationMethod => "registration-method",
            Self::NatPolicy => "nat-policy",
            Self::InviteRouter => "invite-router",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a call may know about where and when it runs.
///
/// The tenant's configuration is not here: it belongs to the plugin's active version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Whose plugin is asked.
    pub tenant: TenantId,
    /// Application of the session or attempt.
    pub application: ApplicationId,
    /// When the call is made.
    pub now: Timestamp,
    /// The call's only source of randomness.
    #[serde(with = "json::seed")]
    pub seed: (u64, u64),
    /// Id of the session or registration attempt that the call decides about.
    pub subject: String,
}

/// "No", said on purpose. The words reach the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A word (see [`is_word`]).
    pub code: String,
    /// One sentence for a person, at most [`MAX_MESSAGE`] bytes.
    pub message: String,
}

/// A question to the tenant's own service, asked before the decision is committed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the plugin, repeated by the answer.
    pub id: String,
    /// An `https` or `http` address. Which hosts are allowed is the tenant's grant, not judged here.
    pub url: String,
    /// At most [`MAX_BODY`] bytes.
    #[serde(default, with = "json::base64")]
    pub body: Vec<u8>,
}

/// What came of a [`Request`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The request's id.
    pub id: String,
    /// The response's body, or why there is none.
    #[serde(flatten, with = "json::outcome")]
    pub outcome: Result<Vec<u8>, String>,
}

/// How a plugin introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// A word (see [`is_word`]).
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// One sentence about what it decides.
    pub summary: String,
    /// Beginnings of the texts that a registration method claims; empty in other slots.
    #[serde(default)]
    pub text_prefixes: Vec<String>,
}

/// A rule of [`Refusal`] that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRefusal {
    /// The code is no word.
    #[error("the refusal's code is not a word of 1 to 64 characters a-z, 0-9 and '-'")]
    Code,
    /// The message is too long.
    #[error("the refusal's message is longer than 256 bytes")]
    Message,
}

/// A rule of a list of [`Request`]s that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// It asks nothing, so that it would be called again with what it had.
    #[error("an empty list of requests")]
    None,
    /// More than [`MAX_REQUESTS`].
    #[error("more than 8 requests")]
    TooMany,
    /// An id is no word, or stands twice.
    #[error("the id of request {0} is not a word or is used twice")]
    Id(usize),
    /// Neither `https://` nor `http://`, or longer than 2048 bytes.
    #[error("the address of request {0} is not http(s) or longer than 2048 bytes")]
    Url(usize),
    /// More than [`MAX_BODY`].
    #[error("the body of request {0} is larger than 64 KiB")]
    Body(usize),
}

/// A rule of [`Description`] that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDescription {
    /// The name is no word.
    #[error("the name is not a word of 1 to 64 characters a-z, 0-9 and '-'")]
    Name,
    /// The version is empty or longer than 64 bytes.
    #[error("the version is empty or longer than 64 bytes")]
    Version,
    /// The summary is longer than [`MAX_MESSAGE`].
    #[error("the summary is longer than 256 bytes")]
    Summary,
    /// More than 8 prefixes, or one that is empty or longer than 32 bytes.
    #[error("more than 8 text prefixes, or one that is empty or longer than 32 bytes")]
    TextPrefixes,
}

impl Refusal {
    /// A refusal in words of the host's own.
    pub fn new(code: &str, message: &str) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// Names the first rule that it breaks.
    pub fn check(&self) -> Result<(), InvalidRefusal> {
        if !is_word(&self.code) {
            return Err(InvalidRefusal::Code);
        }
        if self.message.len() > MAX_MESSAGE {
            return Err(InvalidRefusal::Message);
        }
        Ok(())
    }
}

impl Description {
    /// Names the first rule that it breaks.
    pub fn check(&self) -> Result<(), InvalidDescription> {
        if !is_word(&self.name) {
            return Err(InvalidDescription::Name);
        }
        if self.version.is_empty() || self.version.len() > MAX_WORD {
            return Err(InvalidDescription::Version);
        }
        if self.summary.len() > MAX_MESSAGE {
            return Err(InvalidDescription::Summary);
        }
        let prefix = |prefix: &String| (1..=MAX_PREFIX).contains(&prefix.len());
        if self.text_prefixes.len() > MAX_PREFIXES || !self.text_prefixes.iter().all(prefix) {
            return Err(InvalidDescription::TextPrefixes);
        }
        Ok(())
    }
}

/// Names the first rule that these requests break.
pub fn check_requests(requests: &[Request]) -> Result<(), InvalidRequest> {
    if requests.is_empty() {
        return Err(InvalidRequest::None);
    }
    if requests.len() > MAX_REQUESTS {
        return Err(InvalidRequest::TooMany);
    }
    let mut ids = BTreeSet::new();
    for (index, request) in requests.iter().enumerate() {
        if !is_word(&request.id) || !ids.insert(&request.id) {
            return Err(InvalidRequest::Id(index));
        }
        if !is_web_address(&request.url) {
            return Err(InvalidRequest::Url(index));
        }
        if request.body.len() > MAX_BODY {
            return Err(InvalidRequest::Body(index));
        }
    }
    Ok(())
}

/// Whether a text is 1 to 64 characters of `a-z`, `0-9` and `-`: fit for a label, a path, a log line.
pub fn is_word(text: &str) -> bool {
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=MAX_WORD).contains(&text.len()) && text.bytes().all(fits)
}

pub(crate) fn is_web_address(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let clean = |c: char| !c.is_whitespace() && !c.is_control();
    rest.is_some_and(|rest| !rest.is_empty()) && url.len() <= MAX_URL && url.chars().all(clean)
}

/// Prints no body and no query: both may hold personal data.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({}, {} bytes)", self.id, self.body.len())
    }
}

/// Prints no body.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(body) => write!(f, "Answer({}, {} bytes)", self.id, body.len()),
            Err(_) => write!(f, "Answer({}, failed)", self.id),
        }
    }
}

/// Longest word, in bytes: fits a metric label and a database key.
pub const MAX_WORD: usize = 64;
/// Longest sentence for a person, in bytes: one line on a phone, and one in a log.
pub const MAX_MESSAGE: usize = 256;
/// Most requests of one round: they run side by side, in a flow that somebody waits for.
pub const MAX_REQUESTS: usize = 8;
/// Largest body of a request, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

const MAX_URL: usize = 2048;
const MAX_PREFIXES: usize = 8;
const MAX_PREFIX: usize = 32;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_refusal_has_a_word_and_a_short_sentence() {
        assert_eq!(Refusal::new("not-now", "Try again later.").check(), Ok(()));
        assert_eq!(Refusal::new("Not now", "").check(), Err(InvalidRefusal::Code));
        assert_eq!(Refusal::new("", "").check(), Err(InvalidRefusal::Code));
        assert_eq!(Refusal::new("no", &"x".repeat(257)).check(), Err(InvalidRefusal::Message));
    }

    #[test]
    fn requests_are_few_small_and_told_apart() {
        let request = |id: &str, url: &str| Request { id: id.into(), url: url.into(), body: vec![] };
        let fine = request("a", "https://crm.example/a");

        assert_eq!(check_requests(core::slice::from_ref(&fine)), Ok(()));
        assert_eq!(check_requests(&[]), Err(InvalidRequest::None));
        assert_eq!(check_requests(&[fine.clone(), fine.clone()]), Err(InvalidRequest::Id(1)));
        assert_eq!(check_requests(&[request("a", "file:///etc/passwd")]), Err(InvalidRequest::Url(0)));
        assert_eq!(check_requests(&[request("a", "https://a/\r\nX: y")]), Err(InvalidRequest::Url(0)));
        let large = Request { body: vec![0; MAX_BODY + 1], ..fine.clone() };
        assert_eq!(check_requests(&[large]), Err(InvalidRequest::Body(0)));
        assert_eq!(check_requests(&vec![fine; 9]), Err(InvalidRequest::TooMany));
    }

    #[test]
    fn a_description_is_fit_for_a_label() {
        let fine = Description {
            name: "ring-all".into(),
            version: "1.0.0".into(),
            summary: "Rings everybody.".into(),
            text_prefixes: vec!["SWH ".into()],
        };
        assert_eq!(fine.check(), Ok(()));
        let nameless = Description { name: "Ring all".into(), ..fine.clone() };
        assert_eq!(nameless.check(), Err(InvalidDescription::Name));
        let greedy = Description { text_prefixes: vec![String::new()], ..fine };
        assert_eq!(greedy.check(), Err(InvalidDescription::TextPrefixes));
    }
}
