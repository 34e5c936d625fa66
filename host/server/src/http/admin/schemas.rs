//! Shapes of what other crates serialise, for the `OpenAPI` document. A test holds each to what is really written.

use utoipa::ToSchema;

/// Which number a client texts, by its SIM's carrier.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct CarrierBundle {
    /// Counts its changes.
    version: u64,
    carriers: Vec<Carrier>,
}

/// For SIMs of which all that it says is true.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct Carrier {
    /// Mobile country code: three digits.
    mcc: Option<String>,
    /// Mobile network code: two or three digits.
    mnc: Option<String>,
    /// Country: two capital letters.
    country: Option<String>,
    /// The number or short code to text.
    number: String,
}

/// Where clients reach a relay host, and peers what it relays.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct RelayAddresses {
    /// TURN over UDP and TCP, as `192.0.2.10:3478`.
    main: String,
    /// The same over the other family of addresses.
    other: Option<String>,
    /// TURN over TLS, at the same addresses.
    tls: Option<TlsDoor>,
}

/// TURN over TLS.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct TlsDoor {
    port: u16,
    /// The name that the certificate is for.
    name: String,
}

/// When devices register again without a person.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(dead_code, reason = "a shape")]
pub(crate) enum RegisterAgain {
    /// Whenever the device was switched on.
    EachPowerOn,
    /// Whenever the application starts.
    EachStart,
    /// As long as nothing is registered.
    FirstTime,
    /// When the user wants it.
    OnWish,
}

/// What becomes of an identifier on devices that have it, when another device proves it.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(dead_code, reason = "a shape")]
pub(crate) enum ProvenElsewhere {
    /// It reaches all of them, and those that had it are told.
    Tell,
    /// It reaches all of them, and nobody is told.
    Share,
    /// It reaches the one that proved it last; those that had it are told.
    Move,
}

/// Whether a user may sign in.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(dead_code, reason = "a shape")]
pub(crate) enum UserState {
    /// Yes.
    Active,
    /// No password is right for this user.
    Blocked,
}

/// The state of an address in a profile.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(dead_code, reason = "a shape")]
pub(crate) enum AddressState {
    /// A validation was asked for.
    Asked,
    /// It is validated.
    Validated,
    /// Its user said no.
    Declined,
}

/// A number that is nobody's, with a fixed code.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct TestNumber {
    /// A number that its country keeps for fiction.
    number: String,
    /// 6 to 8 digits.
    code: String,
}

/// Whom a tenant texts, and how much of it in a day.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct TextPolicy {
    /// Short messages of one day (UTC); none: as many as are asked for.
    per_day: Option<u32>,
    /// Beginnings of the numbers that are texted (`+49`); none: all.
    countries: Option<Vec<String>>,
    /// Whether typed numbers are texted only if the numbering plan of their country has such numbers.
    only_valid: Option<bool>,
}

/// How a connection to a mail server is hidden.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "a shape")]
pub(crate) enum Security {
    /// TLS from the first byte; the default.
    Tls,
    /// TLS after a word in clear.
    StartTls,
    /// Not at all: only inside networks that the operator has allowed.
    Plain,
}

/// What a mail with a link says; `{link}`, `{token}` and `{address}` are put in.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct MailTemplate {
    /// One line of at most 200 bytes.
    subject: String,
    /// Plain text of at most 16 KiB, with `{link}` or `{token}` in it.
    text: String,
}

/// How a gateway is spoken to.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[expect(dead_code, reason = "a shape")]
pub(crate) enum Provider {
    /// JSON, signed under the secret in both directions.
    Webhook {
        /// Where the host asks it to send a text.
        send_url: String,
    },
    /// Twilio, or what speaks like it.
    Twilio(TwilioAccount),
    /// An SMSC, by SMPP 3.4; the secret is the password.
    Smpp(SmppAccount),
}

/// An account at an SMSC.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct SmppAccount {
    /// Host and port.
    address: String,
    /// Whether the connection is TLS.
    tls: Option<bool>,
    /// Who binds.
    system_id: String,
    /// What kind of system binds; mostly empty.
    system_type: Option<String>,
    /// Whether a sender whose type of number is unknown is an international number without its plus; by default
    /// such a text is refused.
    unknown_is_international: Option<bool>,
    /// Submissions that may be unanswered at once, on each node; by default 10.
    window: Option<u16>,
}

/// An account at Twilio, or at what speaks like it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct TwilioAccount {
    /// The account's SID.
    account: String,
    /// Where its REST API is; by default Twilio's own.
    #[schema(default = "https://api.twilio.com")]
    api_url: Option<String>,
    /// SID of a messaging service that texts go out by; otherwise they come from the gateway's number.
    messaging_service: Option<String>,
}

/// Where a plugin belongs.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(dead_code, reason = "a shape")]
pub(crate) enum Slot {
    RegistrationMethod,
    NatPolicy,
    InviteRouter,
}

/// What becomes of a version.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(dead_code, reason = "a shape")]
pub(crate) enum VersionState {
    Inactive,
    Active,
    Draining,
    Killed,
}

/// What becomes of attempts that began with the version that is left.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(dead_code, reason = "a shape")]
pub(crate) enum Leave {
    /// They go on with it.
    Drain,
    /// They get the declared default.
    Kill,
}

/// What a plugin may do beyond answering.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct Grants {
    /// Hosts that it may ask: `crm.example.com`, `*.example.com`, `hook.example.com:8443`.
    outbound: Vec<String>,
    /// Pairs that it may keep, in bytes.
    key_value_bytes: u64,
    /// Requests that it may make.
    fetches_per_minute: u32,
}

/// Bounds of what a tenant's devices may do.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct Limits {
    /// Invites that one device sends in a minute.
    invites_of_device: Option<u32>,
    /// Invites from one identifier in a minute, by all its devices together.
    invites_of_identifier: Option<u32>,
    /// Invites from one identifier to another in a minute.
    invites_of_pair: Option<u32>,
    /// Invites of the whole tenant in a minute.
    invites_of_tenant: Option<u32>,
    /// Devices that one invite reaches.
    fan_out: Option<u32>,
    /// `session-update`s that one device sends in a minute.
    updates_of_device: Option<u32>,
    /// Requests in a minute with an application's tokens.
    requests_of_application: Option<u32>,
    /// Requests in a minute with the tokens of all applications.
    requests_of_applications: Option<u32>,
    /// Devices that enrol from one address in a minute.
    enrolments_of_address: Option<u32>,
    /// Devices of the tenant that enrol in a minute.
    enrolments_of_tenant: Option<u32>,
    /// Allocations that the tenant holds at a time on one relay host; 4294967295 is what the host's settings give.
    relay_allocations: Option<u32>,
    /// Kilobytes that one relay host relays for the tenant in a second; 4294967295 is what the host's settings give.
    relay_kilobytes: Option<u32>,
}

/// Who may ring whom: identifiers, or the beginning of some and a `*`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct RingRule {
    /// Who rings.
    from: String,
    /// Who is rung.
    to: String,
}

/// What an upload is, and what of it does not fit the contract of its slot.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct Report {
    /// SHA-256, hexadecimal.
    digest: String,
    /// In bytes.
    size: u64,
    slot: Slot,
    /// The version of the contract that it was built against.
    contract: Option<String>,
    /// What it is written in.
    language: Option<String>,
    class: Class,
    /// Names of what it imports.
    imports: Vec<String>,
    /// What does not fit, worst first.
    findings: Vec<Finding>,
    description: Option<Description>,
}

/// Which engine it runs in.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "a shape")]
pub(crate) enum Class {
    Small,
    Large,
}

/// One thing that does not fit.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct Finding {
    severity: Severity,
    /// The part of the upload.
    at: String,
    /// A sentence that a person can act on.
    says: String,
}

/// Whether an upload is refused for it.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "a shape")]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// What a plugin says about itself.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct Description {
    name: String,
    version: String,
    summary: String,
    /// Beginnings of the texts that a registration method claims.
    text_prefixes: Vec<String>,
}

/// The bytes of a component, at most 32 MiB.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "a shape")]
pub(crate) struct Component(Vec<u8>);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Serialize;
    use serde_json::Value;
    use switchhook_core::{
        limits, mail, may_ring, policy, registration::test_number, relay_host, rollout, row,
        transit::policy::TextPolicy,
    };
    use switchhook_plugin_runtime as runtime;
    use switchhook_protocol::carrier::{Carrier, CarrierBundle};

    use super::super::openapi;

    #[test]
    fn shapes_have_the_members_that_are_written() {
        let report = runtime::report(b"", policy::Slot::InviteRouter, &policy::Grants::default());
        let description = policy::Description {
            name: "a".to_owned(),
            version: "1".to_owned(),
            summary: String::new(),
            text_prefixes: vec![],
        };
        let number = "+15550100".parse().unwrap();
        let test_number = test_number::TestNumber { number, code: "123456".to_owned() };
        let rule = may_ring::RingRule { from: "alice".to_owned(), to: "*".to_owned() };
        assert_eq!(members(&limits::Limits::default()), described("Limits"));
        assert_eq!(members(&rule), described("RingRule"));
        assert_eq!(members(&test_number), described("TestNumber"));
        assert_eq!(members(&policy::Grants::default()), described("Grants"));
        assert_eq!(members(&report.findings[0]), described("Finding"));
        assert_eq!(members(&report), described("Report"));
        assert_eq!(members(&description), described("Description"));
    }

    #[test]
    fn shapes_of_gateways_and_carriers_have_the_members_that_are_written() {
        let word = || "word".to_owned();
        let twilio = row::TwilioAccount { account: word(), api_url: word(), messaging_service: Some(word()) };
        let smpp = row::SmppAccount {
            address: word(),
            tls: true,
            system_id: word(),
            system_type: word(),
            unknown_is_international: true,
            window: 1,
        };
        let carrier = Carrier { mcc: Some(word()), mnc: Some(word()), country: Some(word()), number: word() };
        assert_eq!(members(&twilio), described("TwilioAccount"));
        assert_eq!(members(&smpp), described("SmppAccount"));
        assert_eq!(members(&carrier), described("Carrier"));
        assert_eq!(members(&CarrierBundle::default()), described("CarrierBundle"));
        assert_eq!(members(&TextPolicy::default()), described("TextPolicy"));
        assert_eq!(members(&mail::Template::default()), described("MailTemplate"));
    }

    #[test]
    fn shapes_of_relay_hosts_have_the_members_that_are_written() {
        let tls = relay_host::TlsDoor { port: 443, name: "relay.example".to_owned() };
        assert_eq!(members(&tls), described("TlsDoor"));
        let main = "192.0.2.10:3478".parse().unwrap();
        let addresses = relay_host::RelayAddresses { main, other: None, tls: Some(tls) };
        assert_eq!(members(&addresses), described("RelayAddresses"));
    }

    #[test]
    fn shapes_have_the_words_that_are_written() {
        use policy::Slot::{InviteRouter, NatPolicy, RegistrationMethod};
        use rollout::Leave::{Drain, Kill};
        use row::VersionState::{Active, Draining, Inactive, Killed};
        use switchhook_core::registration::elsewhere::ProvenElsewhere::{Move, Share, Tell};
        use switchhook_protocol::registration::RegisterAgain::{EachPowerOn, EachStart, FirstTime, OnWish};
        assert_eq!(words(&[RegistrationMethod, NatPolicy, InviteRouter]), listed("Slot"));
        assert_eq!(words(&[Inactive, Active, Draining, Killed]), listed("VersionState"));
        assert_eq!(words(&[Drain, Kill]), listed("Leave"));
        assert_eq!(
            words(&[row::Security::Tls, row::Security::StartTls, row::Security::Plain]),
            listed("Security")
        );
        assert_eq!(words(&[EachPowerOn, EachStart, FirstTime, OnWish]), listed("RegisterAgain"));
        let elsewhere = [Tell, Share, Move];
        assert_eq!(words(&elsewhere), listed("ProvenElsewhere"));
        assert_eq!(words(&[runtime::Class::Small, runtime::Class::Large]), listed("Class"));
        assert_eq!(words(&[runtime::Severity::Error, runtime::Severity::Warning]), listed("Severity"));
    }

    fn members(value: &impl Serialize) -> BTreeSet<String> {
        let value = serde_json::to_value(value).unwrap();
        value.as_object().unwrap().keys().cloned().collect()
    }

    fn words(values: &[impl Serialize]) -> BTreeSet<String> {
        let word = |value| serde_json::to_value(value).unwrap().as_str().unwrap().to_owned();
        values.iter().map(word).collect()
    }

    fn described(name: &str) -> BTreeSet<String> {
        schema(name)["properties"].as_object().unwrap().keys().cloned().collect()
    }

    fn listed(name: &str) -> BTreeSet<String> {
        let all = schema(name)["enum"].as_array().unwrap().clone();
        all.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    fn schema(name: &str) -> Value {
        let document: Value = serde_json::from_str(openapi::text()).unwrap();
        document.pointer(&format!("/components/schemas/{name}")).cloned().unwrap()
    }
}
