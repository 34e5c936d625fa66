//! Requests that ask plugins, performed beside their connection: one at a time, and one more waits.
//!
//! Each is a task of its own and goes on to its end, also when the connection does not: what it commits others are told
//! of.

use std::sync::Arc;

use switchhook_protocol::{
    call::Operation,
    error::ErrorCode,
    id::RequestId,
    server::{Answer, ServerMessage},
};
use tokio::task::JoinHandle;

use crate::{
    app::App,
    flows::{Caller, perform::perform},
};

/// See the module.
#[derive(Default)]
pub(super) struct Asking {
    now: Option<(RequestId, JoinHandle<Answer>)>,
    next: Option<Box<(RequestId, Operation)>>,
}

/// Whether an operation asks a plugin, which may wait for an outside service.
pub(super) const fn asks_plugins(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::RegisterBegin(_)
            | Operation::RegisterAnswer(_)
            | Operation::RegisterCode(_)
            | Operation::RegisterValidate(_)
            | Operation::RegisterLink(_)
            | Operation::Invite(_)
            | Operation::Accept(_)
            | Operation::Decline(_)
    )
}

impl Asking {
    /// Whether another frame may be read: it may be one more that asks.
    pub(super) const fn has_room(&self) -> bool {
        self.next.is_none()
    }

    /// Whether there is a request without its answer.
    pub(super) const fn is_under_way(&self) -> bool {
        self.now.is_some()
    }

    /// Performs a request, or has it wait for the one under way.
    pub(super) fn ask(&mut self, app: &Arc<App>, caller: &Caller, id: RequestId, operation: Operation) {
        if self.now.is_some() {
            self.next = Some(Box::new((id, operation)));
            return;
        }
        let (asked, performing, caller) = (id.clone(), Arc::clone(app), caller.clone());
        let task = app.tasks.spawn(async move {
            let done = perform(&performing, &caller, operation).await;
            Answer::new(asked, done)
        });
        self.now = Some((id, task));
    }

    /// The answer to the one under way, after which the one that waits begins. Never, if there is none.
    pub(super) async fn answer(&mut self, app: &Arc<App>, caller: &Caller) -> ServerMessage {
        let Some((_, task)) = &mut self.now else { return std::future::pending().await };
        let done = task.await;
        let id = self.now.take().map(|(id, _)| id);
        if let Some(next) = self.next.take() {
            let (id, operation) = *next;
            self.ask(app, caller, id, operation);
        }
        match (done, id) {
            (Ok(answer), _) => ServerMessage::Answer(answer),
            (Err(_), Some(id)) => ServerMessage::Answer(Answer::new(id, Err(ErrorCode::Internal.into()))),
            (Err(_), None) => ServerMessage::Error(ErrorCode::Internal.into()),
        }
    }
}
