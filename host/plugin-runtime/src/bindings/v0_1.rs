//! The contract `0.1.0-dev`: what every slot shares.

pub(crate) mod nat;
pub(crate) mod registration;
pub(crate) mod router;

use shared::switchhook::types::{log::Level, types as wire};
use switchhook_core::policy;
use switchhook_protocol::endpoint::EndpointId;

use crate::{call::LogLevel, failure::InvalidOutput};

/// Generated.
pub(crate) mod shared {
    wasmtime::component::bindgen!({
        path: "../../wit/types",
        inline: "
            package switchhook:host;
            world shared {
                import switchhook:types/types@0.1.0-dev;
                import switchhook:types/log@0.1.0-dev;
                import switchhook:types/facts@0.1.0-dev;
                import switchhook:types/key-value@0.1.0-dev;
            }
        ",
        world: "switchhook:host/shared",
        imports: { default: trappable },
    });
}

fn context(context: &policy::Context, configuration: &str) -> wire::Context {
    wire::Context {
        tenant: context.tenant.as_str().to_owned(),
        application: context.application.as_str().to_owned(),
        now: context.now.as_millis(),
        seed: context.seed,
        subject: context.subject.clone(),
        configuration: configuration.to_owned(),
    }
}

fn answers(answers: &[policy::Answer]) -> Vec<wire::Answer> {
    let answer =
        |answer: &policy::Answer| wire::Answer { id: answer.id.clone(), outcome: answer.outcome.clone() };
    answers.iter().map(answer).collect()
}

fn requests(requests: Vec<wire::Request>) -> Vec<policy::Request> {
    let request = |wire::Request { id, url, body }| policy::Request { id, url, body };
    requests.into_iter().map(request).collect()
}

fn refusal(refusal: wire::Refusal) -> Result<policy::Refusal, InvalidOutput> {
    let refusal = policy::Refusal { code: refusal.code, message: refusal.message };
    refusal.check()?;
    Ok(refusal)
}

fn description(
    description: wire::Description,
    text_prefixes: Vec<String>,
) -> Result<policy::Description, InvalidOutput> {
    let wire::Description { name, version, summary } = description;
    let description = policy::Description { name, version, summary, text_prefixes };
    description.check()?;
    Ok(description)
}

fn endpoint(identifier: String) -> Result<EndpointId, InvalidOutput> {
    Ok(EndpointId::try_from(identifier)?)
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}
