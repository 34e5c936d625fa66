//! Plugins that run elsewhere: asked the same questions as JSON ([`switchhook_core::policy::json`]), their answers
//! held to the same rules, and the same default where they fail.
//!
//! Who carries question and answer is the server's to say ([`Transport`]): it signs, judges addresses, and ends what
//! takes too long.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use switchhook_core::policy::{
    Context, Description, Facts, Refusal,
    json::{Answered, Asked, Introduction, Question, Step},
    nat::{self, Decided},
    registration::{AttemptKey, Event, State, TextMessage, Transition},
    route::{self, Routed},
};
use switchhook_protocol::id::TenantId;

use crate::{
    call::Ended,
    clock::Stopwatch,
    failure::{Failure, InvalidOutput},
    limits::{MAX_OUTPUT, WEBHOOK_STEP},
    runtime::Runtime,
};

/// Carries a question to a webhook and its answer back.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Asks, and gives the answer's bytes; ends by itself at the deadline. The error's words are for the tenant.
    fn ask(&self, question: Vec<u8>, deadline: Duration) -> Carried<'_>;
}

/// What a [`Transport`] promises.
pub type Carried<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send + 'a>>;

/// "Yes" to a configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {}

type Answer<T> = Ended<Result<T, Refusal>>;

impl Runtime {
    pub(crate) async fn webhook_describes(&self, transport: &Arc<dyn Transport>) -> Ended<Description> {
        let question = (None, &Introduction::Describe {}, WEBHOOK_STEP);
        let described = self.webhook(transport, question, |description: Description| {
            description.check()?;
            Ok(description)
        });
        described.await.answered()
    }

    pub(crate) async fn webhook_validates(
        &self,
        transport: &Arc<dyn Transport>,
        configuration: &str,
    ) -> Ended<Result<(), String>> {
        let configuration = match serde_json::from_str(configuration) {
            Ok(configuration) => configuration,
            Err(wrong) => return Ended::never(Failure::Host(wrong.to_string())),
        };
        let question = Introduction::ValidateConfig(configuration);
        let judged = self.webhook(transport, (None, &question, WEBHOOK_STEP), |Accepted {}| Ok(())).await;
        judged.map(|judged| judged.map_err(|refusal| refusal.message))
    }

    pub(crate) async fn webhook_routes(
        &self,
        transport: &Arc<dyn Transport>,
        asked: (&Context, &str),
        question: &route::Question,
        facts: &Facts,
    ) -> Answer<Routed> {
        let asking = whole(asked, Question::Route(question.clone()), facts);
        let whose = (Some(&asked.0.tenant), &asking, self.0.deadlines.webhook);
        let check = |routed: Routed| {
            routed.check(question)?;
            Ok(routed)
        };
        self.webhook(transport, whose, check).await
    }

    pub(crate) async fn webhook_decides(
        &self,
        transport: &Arc<dyn Transport>,
        asked: (&Context, &str),
        question: &nat::Question,
        facts: &Facts,
    ) -> Answer<Decided> {
        let asking = whole(asked, Question::Decide(question.clone()), facts);
        let whose = (Some(&asked.0.tenant), &asking, self.0.deadlines.webhook);
        let check = |decided: Decided| {
            decided.check()?;
            Ok(decided)
        };
        self.webhook(transport, whose, check).await
    }

    pub(crate) async fn webhook_claims(
        &self,
        transport: &Arc<dyn Transport>,
        tenant: &TenantId,
        text: &TextMessage,
    ) -> Ended<Option<AttemptKey>> {
        let question = Introduction::Claim { tenant: tenant.clone(), text: text.clone() };
        let check = |key: Option<String>| {
            let key = key.map(|key| AttemptKey::new(key).ok_or(InvalidOutput::AttemptKey));
            key.transpose()
        };
        self.webhook(transport, (Some(tenant), &question, WEBHOOK_STEP), check).await.answered()
    }

    pub(crate) async fn webhook_steps(
        &self,
        transport: &Arc<dyn Transport>,
        asked: (&Context, &str),
        (state, event): (Option<&State>, &Event),
        facts: &Facts,
    ) -> Answer<Transition> {
        let step = Step { state: state.cloned(), event: event.clone() };
        let asking = whole(asked, Question::Step(step), facts);
        let whose = (Some(&asked.0.tenant), &asking, WEBHOOK_STEP);
        let check = |transition: Transition| {
            transition.check()?;
            Ok(transition)
        };
        self.webhook(transport, whose, check).await
    }

    /// Waits for a place among the webhooks, asks one, and holds its answer to the rules.
    async fn webhook<T: DeserializeOwned, U>(
        &self,
        transport: &Arc<dyn Transport>,
        (tenant, question, deadline): (Option<&TenantId>, &(impl Serialize + Sync), Duration),
        check: impl FnOnce(T) -> Result<U, InvalidOutput> + Send,
    ) -> Answer<U> {
        let since = Stopwatch::start();
        let outcome = match self.0.webhooks.place(tenant.cloned(), deadline).await {
            Ok(_place) => ask(&**transport, question, deadline).await,
            Err(failure) => Err(failure),
        };
        let outcome = outcome.and_then(|answered| Ok(judge(answered, check)?));
        Ended { outcome, took: since.elapsed(), fuel: 0, log: vec![] }
    }
}

async fn ask<T: DeserializeOwned>(
    transport: &dyn Transport,
    question: &(impl Serialize + Sync),
    deadline: Duration,
) -> Result<Answered<T>, Failure> {
    let question = serde_json::to_vec(question).map_err(|error| Failure::Host(error.to_string()))?;
    let answer = transport.ask(question, deadline).await.map_err(Failure::Unreachable)?;
    if answer.len() > MAX_OUTPUT {
        return Err(Failure::TooLarge);
    }
    serde_json::from_slice(&answer).map_err(|error| Failure::NoAnswer(error.to_string()))
}

fn judge<T, U>(
    answered: Answered<T>,
    check: impl FnOnce(T) -> Result<U, InvalidOutput>,
) -> Result<Result<U, Refusal>, InvalidOutput> {
    match answered.into() {
        Ok(answer) => check(answer).map(Ok),
        Err(refusal) => {
            Refusal::check(&refusal)?;
            Ok(Err(refusal))
        }
    }
}

/// A question with all that its answer may depend on.
fn whole((context, configuration): (&Context, &str), question: Question, facts: &Facts) -> Asked {
    // What was accepted as a configuration is JSON.
    let configuration = serde_json::from_str(configuration).unwrap_or_default();
    Asked { context: context.clone(), configuration, facts: facts.clone(), question }
}
