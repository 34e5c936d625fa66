//! Registration by a company badge: an example of a method that is a tenant's own (REG-12).
//!
//! The device asks with the fields `badge` and `pin`. A service of the company's, which the tenant has granted to
//! the method, says whose badge it is; that identifier is bound. Nothing here needs the host to know what a badge
//! is, and no text or mail is sent.
//!
//! Configuration: `{"url": "https://badges.example.com/check"}`. The service is asked by a `POST` with
//! `{"badge": …, "pin": …, "secret": …}`, where `secret` is the plugin's secret `badges`, and answers
//! `{"endpoint": …}`, or `{}` if badge and pin do not belong together.

use serde::{Deserialize, Serialize};
use switchhook_plugin::{
    Context, Description, Refusal,
    registration::{Effect, Event, Fetch, Fetched, Field, RegistrationMethod, Transition},
};

struct RegisterBadge;

switchhook_plugin::export!(RegistrationMethod: RegisterBadge);

/// The only request of an attempt.
const CHECK: &str = "check";

/// How long the service may take, with all tries: milliseconds.
const PATIENCE: u64 = 60_000;

impl RegistrationMethod for RegisterBadge {
    fn describe() -> Description {
        let summary = "Registers whom a company's badge belongs to, as a service of the company says.";
        Description::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), summary)
    }

    fn validate_config(configuration: &str) -> Result<(), String> {
        Settings::read(configuration).map(drop)
    }

    fn step(context: &Context, state: Option<Vec<u8>>, event: Event) -> Result<Transition, Refusal> {
        let settings =
            Settings::read(&context.configuration).map_err(|why| Refusal::new("configuration", &why))?;
        match (event, state) {
            (Event::Begun(fields), None) => settings.ask(&fields),
            (Event::Fetched(fetched), Some(_)) if fetched.id == CHECK => bind(fetched),
            _ => Err(Refusal::new("unexpected", "This registration does not go on like that.")),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where the service is.
    url: String,
}

#[derive(Serialize)]
struct Question<'a> {
    badge: &'a str,
    pin: &'a str,
    /// Filled in by the host.
    secret: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    endpoint: Option<String>,
}

impl Settings {
    fn read(configuration: &str) -> Result<Self, String> {
        let settings: Self = serde_json::from_str(configuration).map_err(|why| why.to_string())?;
        // A laptop has no certificate.
        let safe = settings.url.starts_with("https://") || settings.url.starts_with("http://localhost");
        if safe { Ok(settings) } else { Err("url begins with https://".to_owned()) }
    }

    fn ask(&self, fields: &[Field]) -> Result<Transition, Refusal> {
        let question = Question {
            badge: filled(fields, "badge")?,
            pin: filled(fields, "pin")?,
            secret: "{secret:badges}",
        };
        let body = serde_json::to_vec(&question).map_err(|why| Refusal::new("question", &why.to_string()))?;
        let fetch = Fetch { id: CHECK.to_owned(), url: self.url.clone(), body };
        Ok(Transition { state: vec![1], effects: vec![Effect::Fetch(fetch)], expires_in: PATIENCE })
    }
}

/// Digits and letters alone: nothing that is typed can name a secret of the tenant's.
fn filled<'a>(fields: &'a [Field], name: &str) -> Result<&'a str, Refusal> {
    let value = fields.iter().find(|field| field.name == name).map(|field| field.value.trim());
    let fits = |value: &&str| {
        (1..=32).contains(&value.len()) && value.bytes().all(|letter| letter.is_ascii_alphanumeric())
    };
    value.filter(fits).ok_or_else(|| Refusal::new("incomplete", "Badge and pin are digits and letters."))
}

fn bind(fetched: Fetched) -> Result<Transition, Refusal> {
    let away = |_| Refusal::new("unavailable", "Badges cannot be checked at the moment.");
    let body = fetched.outcome.map_err(away)?;
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| away(String::new()))?;
    let Some(endpoint) = answer.endpoint else {
        return Err(Refusal::new("not-yours", "Badge and pin do not belong together."));
    };
    Ok(Transition { state: vec![], effects: vec![Effect::Bind(endpoint), Effect::Finish], expires_in: 1000 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reg_12_the_service_is_asked_with_badge_pin_and_the_tenants_secret() {
        let asked = step(None, begun("4711", "abc")).unwrap();
        let [Effect::Fetch(fetch)] = &asked.effects[..] else { panic!("{asked:?}") };
        assert_eq!(fetch.url, "https://badges.example.com/check");
        let body = String::from_utf8_lossy(&fetch.body);
        assert_eq!(body, r#"{"badge":"4711","pin":"abc","secret":"{secret:badges}"}"#);
    }

    #[test]
    fn reg_12_whom_the_service_names_is_bound() {
        let bound = step(Some(vec![1]), fetched(Ok(br#"{"endpoint":"erika@example.com"}"#))).unwrap();
        assert!(
            matches!(&bound.effects[..], [Effect::Bind(who), Effect::Finish] if who == "erika@example.com")
        );
    }

    #[test]
    fn without_the_services_word_nothing_is_bound() {
        for (answer, code) in
            [(Ok(&b"{}"[..]), "not-yours"), (Ok(b"<html>"), "unavailable"), (Err("no answer"), "unavailable")]
        {
            assert_eq!(step(Some(vec![1]), fetched(answer)).unwrap_err().code, code);
        }
        let early = fetched(Ok(br#"{"endpoint":"erika@example.com"}"#));
        assert_eq!(step(None, early).unwrap_err().code, "unexpected");
    }

    #[test]
    fn what_is_typed_is_short_and_names_no_secret() {
        for (badge, pin) in
            [("", "abc"), ("4711", "{secret:badges}"), ("47 11", "abc"), (&"7".repeat(33), "abc")]
        {
            assert_eq!(step(None, begun(badge, pin)).unwrap_err().code, "incomplete", "{badge} {pin}");
        }
    }

    #[test]
    fn the_service_has_a_certificate() {
        for wrong in
            ["{}", r#"{"url":"http://badges.example.com/"}"#, r#"{"url":"https://b.example/","more":1}"#]
        {
            RegisterBadge::validate_config(wrong).unwrap_err();
        }
        assert_eq!(RegisterBadge::validate_config(CONFIGURATION), Ok(()));
    }

    const CONFIGURATION: &str = r#"{"url":"https://badges.example.com/check"}"#;

    fn step(state: Option<Vec<u8>>, event: Event) -> Result<Transition, Refusal> {
        RegisterBadge::step(&Context::example(CONFIGURATION), state, event)
    }

    fn begun(badge: &str, pin: &str) -> Event {
        let field = |name: &str, value: &str| Field { name: name.to_owned(), value: value.to_owned() };
        Event::Begun(vec![field("badge", badge), field("pin", pin)])
    }

    fn fetched(outcome: Result<&[u8], &str>) -> Event {
        let outcome = outcome.map(<[u8]>::to_vec).map_err(str::to_owned);
        Event::Fetched(Fetched { id: CHECK.to_owned(), outcome })
    }
}
