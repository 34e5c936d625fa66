//! Registration of e-mail addresses (REG-6 to REG-9).
//!
//! A device says by the fields of its request how far it is; each request is an attempt of its own:
//!
//! | fields | what comes of it |
//! |---|---|
//! | `user` `password` | signed in: profile credentials |
//! | `profile-credentials` `addresses` (with spaces between) | a mail to each that is not validated yet; asks for `address` and `register` (`yes` or `no`) |
//! | `profile-credentials` `activate` (an address) | address credentials, if it is validated |
//! | `profile-credentials` `address-credentials` | the address is registered: login credentials |
//! | `login-credentials` | the address is registered again, without a person |
//!
//! Passwords and credentials are the host's to check: what stands in their fields here is a handle, the profile or the
//! address.
//!
//! Configuration, each field with its default: `{"link_minutes": 60, "profile_days": 30, "address_days": 30,
//! "login_days": 365}`.

mod settings;
mod validation;

use serde::{Deserialize, Serialize};
use switchhook_plugin::{
    Context, Description, Refusal,
    facts::{self, Standing},
    registration::{Credentials, Effect, Event, Field, RegistrationMethod, Scope, Transition},
};

use self::{settings::Settings, validation::Validation};

struct RegisterEmail;

switchhook_plugin::export!(RegistrationMethod: RegisterEmail);

impl RegistrationMethod for RegisterEmail {
    fn describe() -> Description {
        let summary = "Registers e-mail addresses of a signed-in profile, validated by a mail.";
        Description::new("register-email", env!("CARGO_PKG_VERSION"), summary)
    }

    fn validate_config(configuration: &str) -> Result<(), String> {
        Settings::read(configuration).map(|_| ())
    }

    fn step(context: &Context, state: Option<Vec<u8>>, event: Event) -> Result<Transition, Refusal> {
        step(context, state, event, facts::standing_of)
    }
}

/// What is known of an address.
type Standings = fn(&str) -> Standing;

/// What an attempt remembers.
#[derive(Serialize, Deserialize)]
enum State {
    /// A password is compared, of this user.
    SigningIn(String),
    Validating(Validation),
}

fn step(
    context: &Context,
    state: Option<Vec<u8>>,
    event: Event,
    standing: Standings,
) -> Result<Transition, Refusal> {
    let settings =
        Settings::read(&context.configuration).map_err(|why| Refusal::new("configuration", &why))?;
    let state = state.and_then(|state| serde_json::from_slice(&state).ok());
    match (event, state) {
        (Event::Begun(fields), None) => begin(context, &settings, &fields, standing),
        (Event::Checked(true), Some(State::SigningIn(user))) => {
            Ok(over(vec![issue(Scope::Profile, user, settings.profile_days)]))
        }
        (Event::Checked(false), Some(State::SigningIn(_))) => {
            Err(Refusal::new("sign-in-failed", "User or password is wrong."))
        }
        (event, Some(State::Validating(validation))) => validation.step(context, &settings, event, standing),
        _ => Err(unexpected()),
    }
}

fn begin(
    context: &Context,
    settings: &Settings,
    fields: &[Field],
    standing: Standings,
) -> Result<Transition, Refusal> {
    let field = |name: &str| fields.iter().find(|field| field.name == name).map(|field| field.value.as_str());
    if let (Some(user), Some(password)) = (field("user"), field("password")) {
        let user = facts::canonical(user)
            .ok_or_else(|| Refusal::new("sign-in-failed", "User or password is wrong."))?;
        let check = Effect::CheckPassword(password.to_owned());
        return Ok(wait(&State::SigningIn(user), vec![check], SIGN_IN));
    }
    if let Some(address) = field("login-credentials") {
        return Ok(register(settings, address));
    }
    if field("profile-credentials").is_none() {
        return Err(missing());
    }
    if let Some(address) = field("address-credentials") {
        return Ok(register(settings, address));
    }
    if let Some(address) = field("activate") {
        return Ok(over(vec![issue(Scope::Address, mail_address(address)?, settings.address_days)]));
    }
    let addresses = field("addresses").ok_or_else(missing)?;
    Validation::begin(context, settings, addresses, standing)
}

/// The host has checked the credentials that name the address.
fn register(settings: &Settings, address: &str) -> Transition {
    let login = issue(Scope::Login, address.to_owned(), settings.login_days);
    over(vec![Effect::Bind(address.to_owned()), login])
}

fn issue(scope: Scope, identifier: String, days: u64) -> Effect {
    Effect::IssueCredentials(Credentials { scope, identifier, expires_in: days * DAY })
}

fn mail_address(typed: &str) -> Result<String, Refusal> {
    let address = facts::canonical(typed).filter(|address| address.contains('@'));
    address.ok_or_else(|| Refusal::new("invalid-address", "An e-mail address is a word, '@' and a domain."))
}

fn missing() -> Refusal {
    Refusal::new("fields-missing", "These fields ask for nothing that this method does.")
}

fn unexpected() -> Refusal {
    Refusal::new("unexpected", "This registration does not go on like that.")
}

fn wait(state: &State, effects: Vec<Effect>, expires_in: u64) -> Transition {
    Transition { state: serde_json::to_vec(state).unwrap_or_default(), effects, expires_in }
}

fn over(mut effects: Vec<Effect>) -> Transition {
    effects.push(Effect::Finish);
    Transition { state: Vec::new(), effects, expires_in: SECOND }
}

const SECOND: u64 = 1000;

const DAY: u64 = 24 * 60 * 60 * SECOND;

/// How long a password may take to be compared.
const SIGN_IN: u64 = 60 * SECOND;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reg_6_a_right_password_leads_to_profile_credentials_and_a_wrong_one_to_one_word() {
        let asked = begun(&[("user", "alice"), ("password", "HANDLE")]).unwrap();
        assert!(matches!(&asked.effects[..], [Effect::CheckPassword(handle)] if handle == "HANDLE"));

        let state = || Some(asked.state.clone());
        let known = next(state(), Event::Checked(true)).unwrap();
        let [Effect::IssueCredentials(wanted), Effect::Finish] = &known.effects[..] else {
            panic!("{known:?}")
        };
        assert_eq!((wanted.scope, &*wanted.identifier), (Scope::Profile, "alice"));
        assert_eq!(next(state(), Event::Checked(false)).unwrap_err().code, "sign-in-failed");
        assert_eq!(next(None, Event::Checked(true)).unwrap_err().code, "unexpected");
        assert_eq!(begun(&[("user", "no one"), ("password", "H")]).unwrap_err().code, "sign-in-failed");
    }

    #[test]
    fn reg_9_address_credentials_register_and_login_credentials_register_again() {
        for fields in [
            &[("profile-credentials", "p1"), ("address-credentials", "bob@example.org")][..],
            &[("login-credentials", "bob@example.org")],
        ] {
            let registered = begun(fields).unwrap();
            let [Effect::Bind(address), Effect::IssueCredentials(wanted), Effect::Finish] =
                &registered.effects[..]
            else {
                panic!("{registered:?}")
            };
            assert_eq!(
                (&**address, wanted.scope, &*wanted.identifier),
                ("bob@example.org", Scope::Login, &**address)
            );
        }
    }

    #[test]
    fn reg_9_an_address_is_activated_by_who_speaks_for_the_profile() {
        let activated = begun(&[("profile-credentials", "p1"), ("activate", "bob@example.org")]).unwrap();
        let [Effect::IssueCredentials(wanted), Effect::Finish] = &activated.effects[..] else {
            panic!("{activated:?}")
        };
        assert_eq!((wanted.scope, &*wanted.identifier), (Scope::Address, "bob@example.org"));
        assert_eq!(begun(&[("activate", "bob@example.org")]).unwrap_err().code, "fields-missing");
        assert_eq!(begun(&[("address-credentials", "bob@example.org")]).unwrap_err().code, "fields-missing");
    }

    fn begun(fields: &[(&str, &str)]) -> Result<Transition, Refusal> {
        let field =
            |(name, value): &(&str, &str)| Field { name: (*name).to_owned(), value: (*value).to_owned() };
        next(None, Event::Begun(fields.iter().map(field).collect()))
    }

    fn next(state: Option<Vec<u8>>, event: Event) -> Result<Transition, Refusal> {
        step(&Context::example("{}"), state, event, |_| Standing::Unknown)
    }
}
