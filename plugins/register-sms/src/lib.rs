//! Registration by a text that the device starts (REG-2 to REG-4).
//!
//! The device texts `SWH <push token> <device id>`. The sender's number in the text's header is what
//! is proven: the host makes a signature over number, push token, device id and a random number and
//! texts it back, and the device that received it sends all of them over its connection. The host
//! compares; then the number is bound.
//!
//! A text that comes again continues its attempt and is answered by a new signature. A signature
//! whose sending is in doubt may have arrived: the attempt waits for it.
//!
//! With `one_way` nothing is texted back: the number is bound on the transit's word alone, as soon as the text is
//! there, and the text may lack the device id (REG-14). That saves a text each, and trusts the gateway with the
//! sender's number.
//!
//! Configuration, each field with its default: `{"signature_seconds": 600, "one_way": false}`.

use serde::Deserialize;
use switchhook_plugin::{
    Context, Description, Refusal,
    registration::{Delivery, Effect, Event, RegistrationMethod, Signature, TextMessage, Transition},
};

struct RegisterSms;

switchhook_plugin::export!(RegistrationMethod: RegisterSms);

const PREFIX: &str = "SWH ";

impl RegistrationMethod for RegisterSms {
    fn describe() -> Description {
        let summary = "Registers the number that a device texts from, by a signature texted back.";
        Description::new("register-sms", env!("CARGO_PKG_VERSION"), summary)
    }

    fn text_prefixes() -> Vec<String> {
        vec![PREFIX.to_owned()]
    }

    fn validate_config(configuration: &str) -> Result<(), String> {
        Settings::read(configuration).map(|_| ())
    }

    fn claim(text: &TextMessage) -> Option<String> {
        let Named { push_token, device } = Named::in_text(&text.text)?;
        // With the sender: who learns a push token cannot disturb the attempt of its owner.
        Some(format!("{push_token} {} {}", device.unwrap_or_default(), text.sender))
    }

    fn step(context: &Context, state: Option<Vec<u8>>, event: Event) -> Result<Transition, Refusal> {
        let settings =
            Settings::read(&context.configuration).map_err(|why| Refusal::new("configuration", &why))?;
        let number = state.and_then(|state| String::from_utf8(state).ok());
        match (event, number) {
            (Event::TextReceived(text), _) => settings.take(text),
            (Event::SignatureVerified(proven), Some(number)) if proven == number => Ok(bind(number)),
            (Event::TextSent(Delivery::Failed), Some(number)) => Ok(give_up(number)),
            (Event::TextSent(Delivery::Sent | Delivery::Delivered | Delivery::InDoubt), Some(number)) => {
                Ok(settings.wait(number, vec![]))
            }
            _ => Err(Refusal::new("unexpected", "This registration does not go on like that.")),
        }
    }
}

/// What the text of a device names.
struct Named<'a> {
    push_token: &'a str,
    device: Option<&'a str>,
}

impl<'a> Named<'a> {
    fn in_text(text: &'a str) -> Option<Self> {
        let mut words = text.strip_prefix(PREFIX)?.split_ascii_whitespace();
        let named = Self { push_token: words.next()?, device: words.next() };
        let id = |word: &str| {
            let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
            word.len() <= 64 && word.bytes().all(fits)
        };
        (words.next().is_none() && id(named.push_token) && named.device.is_none_or(id)).then_some(named)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// How long a signature may be used: 60 to 86 400.
    signature_seconds: u64,
    /// Whether the transit's word is enough.
    one_way: bool,
}

impl Settings {
    fn read(configuration: &str) -> Result<Self, String> {
        let settings: Self = serde_json::from_str(configuration).map_err(|why| why.to_string())?;
        if !(60..=86_400).contains(&settings.signature_seconds) {
            return Err("signature_seconds is 60 to 86400".to_owned());
        }
        Ok(settings)
    }

    fn take(&self, text: TextMessage) -> Result<Transition, Refusal> {
        if !text.sender.starts_with('+') {
            return Err(Refusal::new("no-number", "The text did not come from a phone number."));
        }
        if self.one_way { Ok(bind(text.sender)) } else { self.sign(text) }
    }

    fn sign(&self, text: TextMessage) -> Result<Transition, Refusal> {
        let Some(Named { push_token, device: Some(device) }) = Named::in_text(&text.text) else {
            return Err(Refusal::new("malformed", "The text does not name a push token and a device."));
        };
        let signature = Signature {
            to: text.sender.clone(),
            push_token: push_token.to_owned(),
            device: device.to_owned(),
            expires_in: self.signature_seconds * 1000,
        };
        Ok(self.wait(text.sender, vec![Effect::SendSignature(signature)]))
    }

    fn wait(&self, number: String, effects: Vec<Effect>) -> Transition {
        Transition { state: number.into_bytes(), effects, expires_in: self.signature_seconds * 1000 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { signature_seconds: 600, one_way: false }
    }
}

fn bind(number: String) -> Transition {
    let state = number.clone().into_bytes();
    let effects = vec![Effect::Bind(number), Effect::Finish];
    Transition { state, effects, expires_in: 1000 }
}

/// The device texts again when nothing comes; that begins anew.
fn give_up(number: String) -> Transition {
    Transition { state: number.into_bytes(), effects: vec![Effect::Finish], expires_in: 1000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: &str = "+15550100";

    #[test]
    fn reg_2_a_text_is_claimed_by_its_prefix_and_its_two_words() {
        let claim = |words: &str| RegisterSms::claim(&text(NUMBER, words));
        assert_eq!(claim("SWH token device"), Some("token device +15550100".to_owned()));
        assert_eq!(claim("SWH  token  device "), claim("SWH token device"));
        for other in ["SWH", "SWH token device more", "swh token device", "hello", "SWH t/k device"] {
            assert_eq!(claim(other), None, "{other}");
        }
    }

    #[test]
    fn reg_3_a_text_is_answered_by_a_signature_to_its_sender_over_what_it_names() {
        let transition = step(None, received(NUMBER)).unwrap();

        let [Effect::SendSignature(signature)] = &transition.effects[..] else { panic!("{transition:?}") };
        assert_eq!(signature.to, NUMBER);
        assert_eq!((&*signature.push_token, &*signature.device), ("token", "device"));
        assert_eq!((signature.expires_in, transition.expires_in), (600_000, 600_000));
    }

    #[test]
    fn reg_4_a_verified_signature_binds_the_number_and_finishes() {
        let signed = step(None, received(NUMBER)).unwrap();

        let bound = step(Some(signed.state), Event::SignatureVerified(NUMBER.to_owned())).unwrap();

        assert!(matches!(
            &bound.effects[..],
            [Effect::Bind(number), Effect::Finish] if number == NUMBER
        ));
    }

    #[test]
    fn reg_4_a_signature_for_another_number_is_refused() {
        let signed = step(None, received(NUMBER)).unwrap();
        let other = Event::SignatureVerified("+15550101".to_owned());
        assert_eq!(step(Some(signed.state), other).unwrap_err().code, "unexpected");
        let first = Event::SignatureVerified(NUMBER.to_owned());
        assert_eq!(step(None, first).unwrap_err().code, "unexpected");
    }

    #[test]
    fn reg_14_one_way_the_transits_word_binds_the_number_with_or_without_a_device_id() {
        let step = |configuration: &str, words: &str| {
            let received = Event::TextReceived(text(NUMBER, words));
            RegisterSms::step(&Context::example(configuration), None, received)
        };
        for words in ["SWH token device", "SWH token"] {
            let bound = step(r#"{"one_way":true}"#, words).unwrap();
            assert!(matches!(&bound.effects[..], [Effect::Bind(number), Effect::Finish] if number == NUMBER));
        }
        assert_eq!(step("{}", "SWH token").unwrap_err().code, "malformed");
    }

    #[test]
    fn a_text_in_doubt_is_waited_for_and_one_that_failed_ends_the_attempt() {
        let state = step(None, received(NUMBER)).unwrap().state;
        let sent = |delivery| step(Some(state.clone()), Event::TextSent(delivery)).unwrap();
        for waiting in [Delivery::Sent, Delivery::Delivered, Delivery::InDoubt] {
            assert!(sent(waiting).effects.is_empty());
            assert_eq!(sent(waiting).state, state);
        }
        assert!(matches!(sent(Delivery::Failed).effects[..], [Effect::Finish]));
    }

    #[test]
    fn a_text_without_a_number_is_refused() {
        assert_eq!(step(None, received("Anonymous")).unwrap_err().code, "no-number");
    }

    fn step(state: Option<Vec<u8>>, event: Event) -> Result<Transition, Refusal> {
        RegisterSms::step(&Context::example("{}"), state, event)
    }

    fn received(sender: &str) -> Event {
        Event::TextReceived(text(sender, "SWH token device"))
    }

    fn text(sender: &str, text: &str) -> TextMessage {
        TextMessage {
            gateway: "sandbox".to_owned(),
            sender: sender.to_owned(),
            recipient: "7000".to_owned(),
            text: text.to_owned(),
        }
    }
}
