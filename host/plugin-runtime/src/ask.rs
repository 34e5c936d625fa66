//! The one way to ask a plugin: a component in a fresh instance of its engine, or a webhook.

use std::sync::Arc;

use switchhook_core::policy::{
    Context, Description, Facts, Refusal,
    nat::{self, Decided},
    registration::{AttemptKey, Event, State, TextMessage, Transition},
    route::{self, Routed},
};
use switchhook_protocol::id::TenantId;

use crate::{
    bindings::v0_1,
    call::{Call, Ended, Running},
    compiled::{Answerer, Compiled, Guest},
    contract::Class,
    engine::Engine,
    failure::Failure,
    limits::Purpose,
    runtime::{ConfigurationError, Runtime},
    wasi::Moment,
};

/// Answers as the bindings give them.
type Answered<T> = Ended<Result<T, Refusal>>;

type Router = Answerer<v0_1::router::Pre<Call>>;
type Nat = Answerer<v0_1::nat::Pre<Call>>;
type Registration = Answerer<v0_1::registration::Pre<Call>>;

/// Waits for a place, and calls a function of a component in a fresh instance.
macro_rules! call {
    ($runtime:ident, $linked:ident, $how:expr, $function:path $(, $argument:expr)*) => {
        match $runtime.begin($linked.class, $how).await {
            (engine, Ok(mut running)) => {
                let result = engine.run($function(&$linked.pre, &mut running.store $(, $argument)*)).await;
                running.end(result)
            }
            (_, Err(failure)) => Ended::never(failure),
        }
    };
}

/// The same for what a plugin says of itself: nobody's call yet, and those take turns as one tenant's do.
macro_rules! look {
    ($runtime:ident, $linked:ident, $function:path $(, $argument:expr)*) => {
        call!($runtime, $linked, (None, Purpose::Step, (Moment::NONE, Arc::default())), $function $(, $argument)*)
    };
}

impl Runtime {
    /// Asks a plugin whether it understands a configuration.
    pub async fn validate(&self, plugin: &Compiled, configuration: &str) -> Result<(), ConfigurationError> {
        let judged = match plugin.guest() {
            Guest::Registration(Answerer::Component(linked)) => {
                look!(self, linked, v0_1::registration::validate, configuration)
            }
            Guest::Nat(Answerer::Component(linked)) => {
                look!(self, linked, v0_1::nat::validate, configuration)
            }
            Guest::Router(Answerer::Component(linked)) => {
                look!(self, linked, v0_1::router::validate, configuration)
            }
            Guest::Registration(Answerer::Webhook(transport))
            | Guest::Nat(Answerer::Webhook(transport))
            | Guest::Router(Answerer::Webhook(transport)) => {
                self.webhook_validates(transport, configuration).await
            }
        };
        judged.outcome.map_err(ConfigurationError::Failed)?.map_err(ConfigurationError::Refused)
    }

    /// Asks a plugin to introduce itself.
    pub(crate) async fn describe(&self, guest: &Guest) -> Result<Description, Failure> {
        let described = match guest {
            Guest::Registration(Answerer::Component(linked)) => {
                look!(self, linked, v0_1::registration::describe)
            }
            Guest::Nat(Answerer::Component(linked)) => look!(self, linked, v0_1::nat::describe),
            Guest::Router(Answerer::Component(linked)) => look!(self, linked, v0_1::router::describe),
            Guest::Registration(Answerer::Webhook(transport))
            | Guest::Nat(Answerer::Webhook(transport))
            | Guest::Router(Answerer::Webhook(transport)) => self.webhook_describes(transport).await,
        };
        described.outcome
    }

    pub(crate) async fn route(
        &self,
        router: &Router,
        asked: (&Context, &str),
        question: &route::Question,
        facts: Arc<Facts>,
    ) -> Answered<Routed> {
        let tenant = Some(&asked.0.tenant);
        match router {
            Answerer::Component(linked) => {
                let how = (tenant, Purpose::Decision, (asked.0.into(), facts));
                call!(self, linked, how, v0_1::router::route, asked, question)
            }
            Answerer::Webhook(transport) => self.webhook_routes(transport, asked, question, &facts).await,
        }
    }

    pub(crate) async fn decide(
        &self,
        policy: &Nat,
        asked: (&Context, &str),
        question: &nat::Question,
        facts: Arc<Facts>,
    ) -> Answered<Decided> {
        let tenant = Some(&asked.0.tenant);
        match policy {
            Answerer::Component(linked) => {
                let how = (tenant, Purpose::Decision, (asked.0.into(), facts));
                call!(self, linked, how, v0_1::nat::decide, asked, question)
            }
            Answerer::Webhook(transport) => self.webhook_decides(transport, asked, question, &facts).await,
        }
    }

    pub(crate) async fn claim(
        &self,
        method: &Registration,
        tenant: &TenantId,
        text: &TextMessage,
    ) -> Ended<Option<AttemptKey>> {
        match method {
            Answerer::Component(linked) => {
                let how = (Some(tenant), Purpose::Step, (Moment::NONE, Arc::default()));
                call!(self, linked, how, v0_1::registration::claim, text)
            }
            Answerer::Webhook(transport) => self.webhook_claims(transport, tenant, text).await,
        }
    }

    pub(crate) async fn step(
        &self,
        method: &Registration,
        asked: (&Context, &str),
        happened: (Option<&State>, &Event),
        facts: Arc<Facts>,
    ) -> Answered<Transition> {
        let tenant = Some(&asked.0.tenant);
        match method {
            Answerer::Component(linked) => {
                let how = (tenant, Purpose::Step, (asked.0.into(), facts));
                call!(self, linked, how, v0_1::registration::step, asked, happened)
            }
            Answerer::Webhook(transport) => self.webhook_steps(transport, asked, happened, &facts).await,
        }
    }

    async fn begin(
        &self,
        class: Class,
        (tenant, purpose, told): (Option<&TenantId>, Purpose, (Moment, Arc<Facts>)),
    ) -> (&Engine, Result<Running, Failure>) {
        let engine = self.0.engines.of(class);
        let budget = self.0.deadlines.budget(class, purpose);
        (engine, Running::begin(engine, tenant.cloned(), budget, told).await)
    }
}
