//! Questions and answers as JSON: what a webhook gets and gives, and what test cases and records hold.
//!
//! Fields are named as in the contract's records, with `_` for `-`; words of variants and enums as
//! they stand there. Times carry their unit (`…_ms`), bytes are base64, a seed is 32 hexadecimal
//! digits. A question comes with its [`Context`] and the plugin's configuration as an [`Asked`]; what
//! is answered is an [`Answered`].

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::time::Duration;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::Value;
use switchhook_protocol::id::TenantId;

use super::{Context, Facts, Refusal, nat, registration, route};

/// One question to a plugin, whole: the same text gets the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Where and when it is asked.
    pub context: Context,
    /// What `validate-config` accepted.
    pub configuration: Value,
    /// What it may look up.
    #[serde(default)]
    pub facts: Facts,
    /// What is asked.
    #[serde(flatten)]
    pub question: Question,
}

/// What is asked, by slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Whom an invite rings.
    Route(route::Question),
    /// Direct or relay.
    Decide(nat::Question),
    /// Which attempt a text belongs to.
    Claim(registration::TextMessage),
    /// What follows in an attempt.
    Step(Step),
}

/// What a webhook is asked outside of any session or attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Introduction {
    /// Who it is: a [`Description`](super::Description).
    Describe {},
    /// Whether it understands a configuration: `{}`, or a refusal.
    ValidateConfig(Value),
    /// Which attempt a text belongs to: its key, or `null`.
    Claim {
        /// Whose it is.
        tenant: TenantId,
        /// What came.
        text: registration::TextMessage,
    },
}

/// What happened in an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What the step before remembered; absent in the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<registration::State>,
    /// What happened.
    pub event: registration::Event,
}

/// An answer, or "no".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answered<T> {
    /// No.
    Refused {
        /// Why.
        refused: Refusal,
    },
    /// The answer of the slot.
    Answer(T),
}

impl<T> From<Answered<T>> for Result<T, Refusal> {
    fn from(answered: Answered<T>) -> Self {
        match answered {
            Answered::Refused { refused } => Err(refused),
            Answered::Answer(answer) => Ok(answer),
        }
    }
}

/// Whole milliseconds.
pub(crate) mod millis {
    use super::{Deserialize as _, Deserializer, Duration, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// Bytes as text.
pub(crate) mod base64 {
    use super::{BASE64, Deserialize as _, Deserializer, Error as _, Serializer, String, Vec};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        BASE64.decode(text.as_bytes()).map_err(D::Error::custom)
    }
}

/// Bytes as text, or nothing.
pub(crate) mod optional_base64 {
    use super::{
        BASE64, Deserialize as _, Deserializer, Error as _, Serialize as _, Serializer, String, Vec,
    };

    #[expect(clippy::ref_option, reason = "serde hands over the field")]
    pub(crate) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(|bytes| BASE64.encode(bytes)).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| BASE64.decode(text.as_bytes()).map_err(D::Error::custom)).transpose()
    }
}

/// Two words of randomness as hexadecimal digits: JSON's numbers end at 2⁵³.
pub(crate) mod seed {
    use super::{Deserialize as _, Deserializer, Error as _, Serializer, String};

    pub(crate) fn serialize<S: Serializer>(seed: &(u64, u64), to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&alloc::format!("{:016x}{:016x}", seed.0, seed.1))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<(u64, u64), D::Error> {
        let text = String::deserialize(from)?;
        let whole = u128::from_str_radix(&text, 16).map_err(D::Error::custom)?;
        Ok((
            u64::try_from(whole >> 64).unwrap_or(0),
            u64::try_from(whole & u128::from(u64::MAX)).unwrap_or(0),
        ))
    }
}

/// Values that are bytes.
pub(crate) mod pairs {
    use super::{BASE64, BTreeMap, Deserialize as _, Deserializer, Error as _, Serializer, String, Vec};

    pub(crate) fn serialize<S: Serializer>(
        pairs: &BTreeMap<String, Vec<u8>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(pairs.iter().map(|(key, value)| (key, BASE64.encode(value))))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<String, Vec<u8>>, D::Error> {
        let pairs = BTreeMap::<String, String>::deserialize(from)?.into_iter();
        pairs
            .map(|(key, value)| Ok((key, BASE64.decode(value.as_bytes()).map_err(D::Error::custom)?)))
            .collect()
    }
}

/// `{"body"}` or `{"error"}`.
pub(crate) mod outcome {
    use super::{Deserialize, Deserializer, Serialize, Serializer, String, Vec};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Outcome {
        Body(#[serde(with = "super::base64")] Vec<u8>),
        Error(String),
    }

    pub(crate) fn serialize<S: Serializer>(
        outcome: &Result<Vec<u8>, String>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let outcome = match outcome {
            Ok(body) => Outcome::Body(body.clone()),
            Err(why) => Outcome::Error(why.clone()),
        };
        outcome.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Result<Vec<u8>, String>, D::Error> {
        Ok(match Outcome::deserialize(from)? {
            Outcome::Body(body) => Ok(body),
            Outcome::Error(why) => Err(why),
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use serde_json::json;

    use super::*;
    use crate::policy::{
        nat::Decided,
        registration::{Effect, Event, Transition},
        route::{Finally, Plan, Routed},
    };

    #[test]
    fn a_question_reads_back_as_it_was_written() {
        let asked = json!({
            "context": {
                "tenant": "acme", "application": "phone", "now": 1_800_000_000_000_u64,
                "seed": "00000000000000010000000000000002", "subject": "s-1",
            },
            "configuration": {"ring_time_seconds": 20},
            "facts": {"devices": {"+15550101": 2}, "pairs": {"vip": "MQ=="}},
            "route": {
                "invite": {
                    "inviter": "+15550100", "invited": ["+15550101"], "purpose": "audio", "inviter_region": "eu",
                },
                "targets": [{"user": 0, "kind": "phone", "region": "eu", "online": true}],
                "so_far": [{"target": 0, "result": "no-answer"}],
                "answers": [{"id": "crm", "body": "eWVz"}, {"id": "shop", "error": "timeout"}],
            },
        });
        let read: Asked = serde_json::from_value(asked.clone()).unwrap();
        let Question::Route(question) = &read.question else { panic!("a route question") };
        assert_eq!(read.context.seed, (1, 2));
        assert_eq!(question.answers[0].outcome, Ok(b"yes".to_vec()));
        assert_eq!(serde_json::to_value(&read).unwrap(), asked);
    }

    #[test]
    fn answers_of_each_slot_have_their_words_and_units() {
        let plan: Answered<Routed> = serde_json::from_value(json!({"ring": {
            "waves": [{"rings": [{"target": 0, "ring_time_ms": 20_000}], "starts_after_ms": 0}],
            "finally": {"give-up": "no-answer"},
        }}))
        .unwrap();
        let Answered::Answer(Routed::Ring(Plan { waves, finally, .. })) = plan else { panic!("a plan") };
        assert_eq!(waves[0].rings[0].ring_time, Duration::from_secs(20));
        assert_eq!(finally, Finally::GiveUp("no-answer".into()));

        let verdict: Answered<Decided> =
            serde_json::from_value(json!({"verdict": {"direct-then-relay": {"patience_ms": 800}}})).unwrap();
        let patience = Duration::from_millis(800);
        let expected =
            Decided::Verdict(nat::Verdict::DirectThenRelay { patience, guessing: nat::Guessing::default() });
        assert_eq!(verdict, Answered::Answer(expected));
        let guessing =
            json!({"verdict": {"direct-then-relay": {"patience_ms": 800, "guessing": {"birthday": true}}}});
        let verdict: Answered<Decided> = serde_json::from_value(guessing).unwrap();
        let guessing = nat::Guessing { next_ports: true, birthday: true };
        let expected = Decided::Verdict(nat::Verdict::DirectThenRelay { patience, guessing });
        assert_eq!(verdict, Answered::Answer(expected));

        let stepped: Answered<Transition> = serde_json::from_value(json!({
            "state": "AQI=", "expires_in_ms": 60_000,
            "effects": [
                {"after-ms": 5_000},
                {"fetch": {"id": "crm", "url": "https://crm.test/", "body": "e30="}},
                "finish",
            ],
        }))
        .unwrap();
        let Answered::Answer(stepped) = stepped else { panic!("a transition") };
        assert_eq!(stepped.state.0, vec![1, 2]);
        assert_eq!(stepped.effects[0], Effect::After(Duration::from_secs(5)));
        assert_eq!(stepped.effects[2], Effect::Finish);
    }

    #[test]
    fn no_is_told_apart_from_an_answer_and_from_nonsense() {
        let refused = json!({"refused": {"code": "not-now", "message": "Later."}});
        let answered: Answered<Routed> = serde_json::from_value(refused).unwrap();
        assert_eq!(Result::from(answered), Err::<Routed, _>(Refusal::new("not-now", "Later.")));
        assert!(serde_json::from_value::<Answered<Routed>>(json!({"sing": {}})).is_err());
    }

    #[test]
    fn an_event_without_data_is_a_word() {
        assert_eq!(serde_json::to_value(Event::Deadline).unwrap(), json!("deadline"));
        let failed = json!({"code-failed": {"tries_left": 2}});
        assert_eq!(serde_json::from_value::<Event>(failed).unwrap(), Event::CodeFailed { tries_left: 2 });
    }
}
