//! Shapes of what other crates serialise, for the `OpenAPI` document. A test holds each to what is really written.

use utoipa::ToSchema;

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
    use switchhook_core::{policy, rollout, row};
    use switchhook_plugin_runtime as runtime;

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
        assert_eq!(members(&policy::Grants::default()), described("Grants"));
        assert_eq!(members(&report.findings[0]), described("Finding"));
        assert_eq!(members(&report), described("Report"));
        assert_eq!(members(&description), described("Description"));
    }

    #[test]
    fn shapes_have_the_words_that_are_written() {
        use policy::Slot::{InviteRouter, NatPolicy, RegistrationMethod};
        use rollout::Leave::{Drain, Kill};
        use row::VersionState::{Active, Draining, Inactive, Killed};
        assert_eq!(words(&[RegistrationMethod, NatPolicy, InviteRouter]), listed("Slot"));
        assert_eq!(words(&[Inactive, Active, Draining, Killed]), listed("VersionState"));
        assert_eq!(words(&[Drain, Kill]), listed("Leave"));
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
