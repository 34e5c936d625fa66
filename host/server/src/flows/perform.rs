//! Perform: one operation, one flow; the same for sockets and for signed HTTP requests.
//!
//! Each is a task of its own and goes on to its end, whether or not somebody still waits for its answer: what it commits
//! others are told of.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use switchhook_protocol::{
    call::Operation,
    error::{ErrorBody, ErrorCode},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use super::{
    Caller, FlowError, accept, answer, block, carriers, connection_data, invite, number, push_token,
    registration::{self, held},
    relay, session, sync, take,
};
use crate::{app::App, limits};

/// An operation that is being performed.
pub(crate) struct Performing {
    op: &'static str,
    until: Instant,
    task: JoinHandle<Result<Box<RawValue>, FlowError>>,
}

/// Performs an operation within its deadline; what a good answer holds, or why it was refused.
pub(crate) async fn perform(
    app: &Arc<App>,
    caller: &Caller,
    operation: Operation,
) -> Result<Box<RawValue>, ErrorBody> {
    Performing::begin(app, caller, operation).answer(app).await
}

impl Performing {
    /// Begins an operation.
    pub(crate) fn begin(app: &Arc<App>, caller: &Caller, operation: Operation) -> Self {
        let (op, until) = (operation.op(), Instant::now() + limits::REQUEST);
        let (performing, caller) = (Arc::clone(app), caller.clone());
        let task = app.tasks.spawn(async move { flow(&performing, &caller, operation).await });
        Self { op, until, task }
    }

    /// What came of it; that the host is overloaded, if nothing has by its deadline. To be asked until it answers, once.
    pub(crate) async fn answer(&mut self, app: &App) -> Result<Box<RawValue>, ErrorBody> {
        let done = match timeout_at(self.until, &mut self.task).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(FlowError::Refused(ErrorCode::Internal.into())),
            Err(_) => Err(FlowError::overloaded()),
        };
        done.map_err(|refused| {
            let body = refused.into_body(self.op);
            app.metrics.refused(body.code);
            body
        })
    }
}

/// The flow of an operation, which ends where nobody asks on.
pub(crate) async fn flow(
    app: &App,
    caller: &Caller,
    operation: Operation,
) -> Result<Box<RawValue>, FlowError> {
    match operation {
        Operation::RegisterBegin(request) => ok(&registration::begin(app, caller, *request).await?),
        Operation::RegisterAnswer(request) => ok(&registration::answer(app, caller, *request).await?),
        Operation::RegisterCode(request) => ok(&registration::code(app, caller, *request).await?),
        Operation::RegisterValidate(request) => ok(&registration::validate(app, caller, *request).await?),
        Operation::RegisterLink(request) => ok(&registration::link::post(app, caller, *request).await?),
        Operation::RegisterList(_) => ok(&held::list(app, caller).await?),
        Operation::RegisterRevoke(request) => ok(&held::revoke(app, caller, *request).await?),
        Operation::Invite(request) => ok(&invite::invite(app, caller, *request).await?),
        Operation::Ringing(request) => ok(&answer::ringing(app, caller, *request).await?),
        Operation::Accept(request) => ok(&accept::accept(app, caller, *request).await?),
        Operation::Take(request) => ok(&take::take(app, caller, *request).await?),
        Operation::Decline(request) => ok(&answer::decline(app, caller, *request).await?),
        Operation::Cancel(request) => ok(&answer::cancel(app, caller, *request).await?),
        Operation::Stopped(request) => ok(&answer::stopped(app, caller, *request).await?),
        Operation::InviteUpdate(request) => ok(&session::show_answer(app, caller, *request).await?),
        Operation::SessionUpdate(request) => ok(&session::update(app, caller, *request).await?),
        Operation::SessionAsk(request) => ok(&session::ask::ask(app, caller, *request).await?),
        Operation::SessionRefuse(request) => ok(&session::ask::refuse(app, caller, *request).await?),
        Operation::SessionRenew(request) => ok(&session::renew(app, caller, &request).await?),
        Operation::End(request) => ok(&session::end(app, caller, *request).await?),
        Operation::ConnectionDataChanged(request) => {
            ok(&connection_data::changed(app, caller, *request).await?)
        }
        Operation::RelayRequest(request) => ok(&relay::request(app, caller, *request).await?),
        Operation::RelayUpdate(request) => ok(&relay::update(app, caller, *request).await?),
        Operation::PathReport(request) => ok(&relay::path_report(app, caller, *request).await?),
        Operation::Block(request) => ok(&block::block(app, caller, *request).await?),
        Operation::Unblock(request) => ok(&block::unblock(app, caller, *request).await?),
        Operation::Blocked(request) => ok(&block::blocked(app, caller, *request).await?),
        Operation::PushTokenRenew(request) => ok(&push_token::renew(app, caller, &request).await?),
        Operation::CompleteNumber(request) => ok(&number::complete(caller, &request)?),
        Operation::Carriers(request) => ok(&carriers::present(app, caller, *request).await?),
        Operation::Sync(_) => ok(&sync::sync(app, caller).await?),
    }
}

fn ok(answer: &impl Serialize) -> Result<Box<RawValue>, FlowError> {
    serde_json::value::to_raw_value(answer).map_err(|error| {
        FlowError::Refused(ErrorBody { message: error.to_string(), ..ErrorCode::Internal.into() })
    })
}
