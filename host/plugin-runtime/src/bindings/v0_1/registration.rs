//! The registration method of the contract `0.1.0-dev`.

use std::time::Duration;

use switchhook_core::policy::{
    Context, Description, Refusal,
    registration::{
        AttemptKey, Delivery, Effect, Event, Fetch, Field, Mail, Pair, ProfileAddress, Proof, Signature,
        State, Text, TextMessage, Transition, WantedCredentials,
    },
};
use switchhook_protocol::registration::{AddressState, Scope};
use wasmtime::Store;
pub(crate) use world::RegistrationMethodPre as Pre;
use world::switchhook::registration_method::registration as wire;

use super::{context, description, endpoint, refusal};
use crate::{call::Call, failure::InvalidOutput};

/// Generated.
pub(crate) mod world {
    wasmtime::component::bindgen!({
        path: ["../../wit/types", "../../wit/registration-method"],
        world: "switchhook:registration-method/registration-method",
        exports: { default: async },
        with: { "switchhook:types@0.1.0-dev": crate::bindings::v0_1::shared::switchhook::types },
    });
}

/// Asks a fresh instance to introduce itself.
pub(crate) async fn describe(
    pre: &Pre<Call>,
    store: &mut Store<Call>,
) -> wasmtime::Result<Result<Description, InvalidOutput>> {
    let guest = pre.instantiate_async(&mut *store).await?;
    let described = guest.call_describe(store).await?;
    Ok(description(described.description, described.text_prefixes))
}

/// Asks a fresh instance whether it understands a configuration.
pub(crate) async fn validate(
    pre: &Pre<Call>,
    store: &mut Store<Call>,
    configuration: &str,
) -> wasmtime::Result<Result<Result<(), String>, InvalidOutput>> {
    Ok(Ok(pre.instantiate_async(&mut *store).await?.call_validate_config(store, configuration).await?))
}

/// Asks a fresh instance which attempt a text belongs to.
pub(crate) async fn claim(
    pre: &Pre<Call>,
    store: &mut Store<Call>,
    text: &TextMessage,
) -> wasmtime::Result<Result<Option<AttemptKey>, InvalidOutput>> {
    let guest = pre.instantiate_async(&mut *store).await?;
    let key = guest.call_claim(store, &message(text)).await?;
    Ok(key.map(|key| AttemptKey::new(key).ok_or(InvalidOutput::AttemptKey)).transpose())
}

/// Asks a fresh instance for the next step of an attempt.
pub(crate) async fn step(
    pre: &Pre<Call>,
    store: &mut Store<Call>,
    (asked, configuration): (&Context, &str),
    (state, happened): (Option<&State>, &Event),
) -> wasmtime::Result<Result<Result<Transition, Refusal>, InvalidOutput>> {
    let guest = pre.instantiate_async(&mut *store).await?;
    let state = state.map(|state| &*state.0);
    let answer = guest.call_step(store, &context(asked, configuration), state, &event(happened)).await?;
    Ok(transition(answer))
}

fn transition(
    answer: Result<wire::Transition, world::Refusal>,
) -> Result<Result<Transition, Refusal>, InvalidOutput> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(refused) => return refusal(refused).map(Err),
    };
    let transition = Transition {
        state: State(answer.state),
        effects: answer.effects.into_iter().map(effect).collect::<Result<_, _>>()?,
        expires_in: Duration::from_millis(answer.expires_in),
    };
    transition.check()?;
    Ok(Ok(transition))
}

fn message(text: &TextMessage) -> wire::TextMessage {
    wire::TextMessage {
        gateway: text.gateway.as_str().to_owned(),
        sender: text.sender.reveal().to_owned(),
        recipient: text.recipient.clone(),
        text: text.text.clone(),
    }
}

fn event(event: &Event) -> wire::Event {
    match event {
        Event::TextReceived(text) => wire::Event::TextReceived(message(text)),
        Event::Begun(filled) => wire::Event::Begun(fields(filled)),
        Event::TextSent(sent) => wire::Event::TextSent(delivery(*sent)),
        Event::MailSent(sent) => wire::Event::MailSent(delivery(*sent)),
        Event::SignatureVerified(proven) => wire::Event::SignatureVerified(proven.reveal().to_owned()),
        Event::CodeVerified(proven) => wire::Event::CodeVerified(proven.reveal().to_owned()),
        Event::CodeFailed { tries_left } => wire::Event::CodeFailed(*tries_left),
        Event::LinkOpened(proven) => wire::Event::LinkOpened(proven.reveal().to_owned()),
        Event::Answered(filled) => wire::Event::Answered(fields(filled)),
        Event::Fetched(fetched) => {
            wire::Event::Fetched(wire::Fetched { id: fetched.id.clone(), outcome: fetched.outcome.clone() })
        }
        Event::Checked(right) => wire::Event::Checked(*right),
        Event::Deadline => wire::Event::Deadline,
    }
}

fn fields(fields: &[Field]) -> Vec<wire::Field> {
    let field = |field: &Field| wire::Field { name: field.name.clone(), value: field.value.clone() };
    fields.iter().map(field).collect()
}

fn delivery(delivery: Delivery) -> wire::Delivery {
    match delivery {
        Delivery::Sent => wire::Delivery::Sent,
        Delivery::Failed => wire::Delivery::Failed,
        Delivery::InDoubt => wire::Delivery::InDoubt,
        Delivery::Delivered => wire::Delivery::Delivered,
    }
}

fn effect(effect: wire::Effect) -> Result<Effect, InvalidOutput> {
    Ok(match effect {
        wire::Effect::SendText(wire::Text { to, text }) => Effect::SendText(Text { to: endpoint(to)?, text }),
        wire::Effect::SendMail(wire::Mail { to, subject, text }) => {
            Effect::SendMail(Mail { to: endpoint(to)?, subject, text })
        }
        wire::Effect::SendSignature(wanted) => Effect::SendSignature(signature(wanted)?),
        wire::Effect::SendCode(wanted) => Effect::SendCode(proof(wanted)?),
        wire::Effect::SendLink(wanted) => Effect::SendLink(proof(wanted)?),
        wire::Effect::Ask(names) => Effect::Ask(names),
        wire::Effect::Fetch(wire::Fetch { id, url, body }) => Effect::Fetch(Fetch { id, url, body }),
        wire::Effect::CheckPassword(handle) => Effect::CheckPassword(handle),
        wire::Effect::After(millis) => Effect::After(Duration::from_millis(millis)),
        wire::Effect::SetAddressState(wanted) => Effect::SetAddressState(ProfileAddress {
            address: endpoint(wanted.address)?,
            state: match wanted.state {
                wire::AddressState::Asked => AddressState::Asked,
                wire::AddressState::Validated => AddressState::Validated,
                wire::AddressState::Declined => AddressState::Declined,
            },
        }),
        wire::Effect::Bind(identifier) => Effect::Bind(endpoint(identifier)?),
        wire::Effect::IssueCredentials(wanted) => Effect::IssueCredentials(credentials(wanted)?),
        wire::Effect::Notify(word) => Effect::Notify(word),
        wire::Effect::Store(wire::Pair { key, value }) => Effect::Store(Pair { key, value }),
        wire::Effect::Finish => Effect::Finish,
    })
}

fn credentials(wanted: wire::Credentials) -> Result<WantedCredentials, InvalidOutput> {
    Ok(WantedCredentials {
        scope: match wanted.scope {
            wire::Scope::Profile => Scope::Profile,
            wire::Scope::Address => Scope::Address,
            wire::Scope::Login => Scope::Login,
        },
        identifier: endpoint(wanted.identifier)?,
        expires_in: Duration::from_millis(wanted.expires_in),
    })
}

fn proof(proof: wire::Proof) -> Result<Proof, InvalidOutput> {
    Ok(Proof { to: endpoint(proof.to)?, expires_in: Duration::from_millis(proof.expires_in) })
}

fn signature(signature: wire::Signature) -> Result<Signature, InvalidOutput> {
    Ok(Signature {
        to: endpoint(signature.to)?,
        push_token: signature.push_token.try_into()?,
        device: signature.device.try_into()?,
        expires_in: Duration::from_millis(signature.expires_in),
    })
}
