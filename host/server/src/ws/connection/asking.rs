//! Requests that ask plugins, performed beside their connection: one at a time, and some more wait.
//!
//! Those that find no room are refused: what comes behind them, perhaps the cancel of one, is read all the same.

use std::{collections::VecDeque, sync::Arc};

use switchhook_protocol::{
    call::Operation,
    error::ErrorBody,
    id::RequestId,
    server::{Answer, ServerMessage},
};

use crate::{
    app::App,
    flows::{Caller, FlowError, perform::Performing},
    limits,
};

/// See the module.
#[derive(Default)]
pub(super) struct Asking {
    now: Option<(RequestId, Performing)>,
    next: VecDeque<(RequestId, Operation)>,
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
    /// Whether there is a request without its answer.
    pub(super) const fn is_under_way(&self) -> bool {
        self.now.is_some()
    }

    /// Performs a request, or has it wait for those before it.
    pub(super) fn ask(
        &mut self,
        app: &Arc<App>,
        caller: &Caller,
        id: RequestId,
        operation: Operation,
    ) -> Result<(), ErrorBody> {
        if self.now.is_none() {
            self.now = Some((id, Performing::begin(app, caller, operation)));
        } else if self.next.len() < limits::ASKING {
            self.next.push_back((id, operation));
        } else {
            let refused = FlowError::overloaded().into_body(operation.op());
            app.metrics.refused(refused.code);
            return Err(refused);
        }
        Ok(())
    }

    /// The answer to the one under way, after which the next begins. Never, if there is none.
    pub(super) async fn answer(&mut self, app: &Arc<App>, caller: &Caller) -> ServerMessage {
        let Some((id, performing)) = &mut self.now else { return std::future::pending().await };
        let answer = Answer::new(id.clone(), performing.answer(app).await);
        self.now = self.next.pop_front().map(|(id, next)| (id, Performing::begin(app, caller, next)));
        ServerMessage::Answer(answer)
    }
}
