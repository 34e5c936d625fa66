//! One job of the writer, and its caller's side.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::future::LocalBoxFuture;
use switchhook_protocol::id::TenantId;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use crate::{
    batch::{Change, Committed},
    error::StorageError,
    limits,
    transaction::Transaction,
};

/// A transaction that waits for the writer.
pub(crate) struct Job {
    /// Whose transaction; none for the host's own.
    pub(crate) tenant: Option<TenantId>,
    /// Its name, for metrics and fail points.
    pub(crate) name: &'static str,
    /// When it came.
    pub(crate) queued_at: Instant,
    /// What it does.
    pub(crate) work: Work,
    claim: Claim,
}

/// What a job does.
pub(crate) enum Work {
    /// Changes that depend on nothing stored.
    Typed {
        /// In this order.
        changes: Vec<Change>,
        /// To its caller.
        answer: oneshot::Sender<Result<Committed, StorageError>>,
    },
    /// Reads and writes in a savepoint.
    Closure(Box<dyn Closure>),
}

/// A closure and the way to its caller, whatever it returns.
pub(crate) trait Closure: Send {
    /// Runs it. The value is kept until the outcome of the commit is known.
    fn run<'t>(self: Box<Self>, transaction: &'t mut Transaction<'_>) -> LocalBoxFuture<'t, Ran>;

    /// Answers without running.
    fn refuse(self: Box<Self>, error: StorageError);
}

/// A closure that has run.
pub(crate) struct Ran {
    /// Whether what it wrote is to be kept.
    pub(crate) keep: bool,
    /// Answers its caller, once the group was committed or not.
    pub(crate) confirm: Confirm,
}

/// Answers a caller: with the prepared answer, or with the error of the commit.
pub(crate) type Confirm = Box<dyn FnOnce(Result<(), StorageError>) + Send>;

/// Who begins or gives up a job: whoever is first.
#[derive(Clone, Default)]
struct Claim(Arc<AtomicBool>);

/// The caller's side of a job.
pub(crate) struct Waiting<T> {
    answer: oneshot::Receiver<T>,
    claim: Claim,
}

impl Job {
    /// A job and its caller's side.
    pub(crate) fn new<T>(
        tenant: Option<TenantId>,
        name: &'static str,
        work: Work,
        answer: oneshot::Receiver<T>,
    ) -> (Self, Waiting<T>) {
        let claim = Claim::default();
        let waiting = Waiting { answer, claim: claim.clone() };
        (Self { tenant, name, queued_at: Instant::now(), work, claim }, waiting)
    }

    /// Whether the writer may begin; not if its caller has given up.
    pub(crate) fn begin(&self) -> bool {
        self.claim.take()
    }
}

impl<T> Waiting<T> {
    /// Waits for the answer. Gives up when the writer does not begin in time; once it has begun, its answer is due.
    pub(crate) async fn answer(mut self) -> Result<T, StorageError> {
        let abandoned = |_| StorageError::Abandoned;
        if let Ok(answer) = timeout(limits::WAIT_FOR_WRITER, &mut self.answer).await {
            return answer.map_err(abandoned);
        }
        if self.claim.take() {
            return Err(StorageError::Busy);
        }
        self.answer.await.map_err(abandoned)
    }
}

impl Claim {
    fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// A closure that returns `Result<T, E>`.
pub(crate) struct Asking<F, T, E> {
    closure: F,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Asking<F, T, E> {
    /// With its caller's end.
    pub(crate) const fn new(closure: F, answer: oneshot::Sender<Result<T, E>>) -> Self {
        Self { closure, answer }
    }
}

impl<F, T, E> Closure for Asking<F, T, E>
where
    F: AsyncFnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<StorageError> + Send + 'static,
{
    fn run<'t>(self: Box<Self>, transaction: &'t mut Transaction<'_>) -> LocalBoxFuture<'t, Ran> {
        Box::pin(async move {
            let Self { closure, answer } = *self;
            let said = closure(transaction).await;
            // A closure may pass over a write that failed half-way; its other writes must not stay then.
            let said = match transaction.failure() {
                Some(failure) if said.is_ok() => Err(failure.into()),
                _ => said,
            };
            let keep = said.is_ok();
            let confirm = move |committed: Result<(), StorageError>| {
                // The caller may have gone; the commit counts all the same.
                drop(answer.send(committed.map_err(E::from).and(said)));
            };
            Ran { keep, confirm: Box::new(confirm) }
        })
    }

    fn refuse(self: Box<Self>, error: StorageError) {
        drop(self.answer.send(Err(error.into())));
    }
}
