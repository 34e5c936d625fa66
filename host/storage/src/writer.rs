//! The one writer: takes what has gathered, applies it, commits, answers.
//!
//! It lives on a thread of its own, with a runtime for this thread only: closures need not be `Send`
//! once they run, and no flood of other tasks delays a commit that many wait for.
//!
//! When undoing a savepoint fails, SQLite has given up the whole transaction (disk full, I/O error):
//! nothing more may be written then, as it would commit by itself. The group ends and everybody
//! hears the error.

use std::{error::Error, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use sqlx::Connection as _;
use switchhook_protocol::id::TenantId;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    batch::{self, Change, Committed, Part},
    dialect::{self, Connection, Database, Pool},
    error::StorageError,
    job::{Closure, Confirm, Job, Ran, Work},
    lifecycle::Clock,
    limits,
    metrics::Metrics,
    queue::Queue,
    transaction::Transaction,
};

/// The writer.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    pub(crate) queue: Arc<Queue<Option<TenantId>, Job>>,
    pub(crate) readers: Pool,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
}

/// A job that was applied and waits for the commit.
struct Applied {
    name: &'static str,
    queued_at: Instant,
    confirm: Confirm,
}

/// A job of typed changes.
struct Typed {
    tenant: Option<TenantId>,
    name: &'static str,
    queued_at: Instant,
    changes: Vec<Change>,
    answer: oneshot::Sender<Result<Committed, StorageError>>,
}

/// What is applied at once.
enum Step {
    Together(Vec<Typed>),
    Alone { tenant: Option<TenantId>, name: &'static str, queued_at: Instant, closure: Box<dyn Closure> },
}

type Group<'c> = sqlx::Transaction<'c, Database>;

impl Writer {
    /// Writes until the queue is closed and empty; then leaves a database without a log.
    pub(crate) async fn run(mut self) {
        while let Some(jobs) = self.queue.take(limits::GROUP).await {
            let jobs: Vec<Job> = jobs.into_iter().filter(Job::begin).collect();
            self.metrics.group(jobs.len(), self.queue.len());
            self.commit(jobs).await;
        }
        // Readers would keep the log from being emptied.
        self.readers.close().await;
        if let Err(error) = sqlx::query(dialect::CHECKPOINT).execute(&mut self.connection).await {
            tracing::warn!(error = cause(&error), "the log was not written back");
        }
        drop(self.connection.close().await);
    }

    async fn commit(&mut self, jobs: Vec<Job>) {
        let mut applied = Vec::with_capacity(jobs.len());
        let outcome = match self.connection.begin_with(dialect::BEGIN).await {
            Ok(mut group) => match apply(&mut group, jobs, &self.clock, &mut applied).await {
                Ok(()) => commit(group, &applied).await,
                Err(error) => group.rollback().await.map_err(StorageError::from).and(Err(error)),
            },
            Err(error) => {
                let error = StorageError::from(error);
                for job in jobs {
                    refuse(job, &error);
                }
                Err(error)
            }
        };
        if let Err(error) = &outcome {
            tracing::error!(error = cause(error), "a group was not committed");
        }
        for job in applied {
            if outcome.is_ok() {
                self.metrics.committed(job.name, job.queued_at);
            }
            (job.confirm)(outcome.clone());
        }
    }
}

async fn commit(group: Group<'_>, applied: &[Applied]) -> Result<(), StorageError> {
    fail_points(applied, "before");
    group.commit().await?;
    fail_points(applied, "after");
    Ok(())
}

/// Applies every job of the group, in order. An error means that the group is lost; the callers of what
/// is dropped hear that it was abandoned.
async fn apply(
    group: &mut Group<'_>,
    jobs: Vec<Job>,
    clock: &Clock,
    applied: &mut Vec<Applied>,
) -> Result<(), StorageError> {
    for step in steps(jobs) {
        match step {
            Step::Together(jobs) => typed(group, jobs, clock, applied).await?,
            Step::Alone { tenant, name, queued_at, closure } => {
                let confirm = run(group, closure, text(tenant.as_ref()), clock).await?;
                applied.extend(confirm.map(|confirm| Applied { name, queued_at, confirm }));
            }
        }
    }
    Ok(())
}

/// Joins typed jobs that stand beside each other.
fn steps(jobs: Vec<Job>) -> Vec<Step> {
    let mut steps = Vec::new();
    for Job { tenant, name, queued_at, work, .. } in jobs {
        match work {
            Work::Closure(closure) => steps.push(Step::Alone { tenant, name, queued_at, closure }),
            Work::Typed { changes, answer } => {
                let job = Typed { tenant, name, queued_at, changes, answer };
                match steps.last_mut() {
                    Some(Step::Together(neighbours)) => neighbours.push(job),
                    Some(Step::Alone { .. }) | None => steps.push(Step::Together(vec![job])),
                }
            }
        }
    }
    steps
}

/// Runs a closure in a savepoint. None if it panicked: dropping its answer has told its caller.
async fn run(
    group: &mut Group<'_>,
    closure: Box<dyn Closure>,
    tenant: &str,
    clock: &Clock,
) -> Result<Option<Confirm>, StorageError> {
    let mut savepoint = group.begin().await?;
    let mut transaction = Transaction::new(&mut savepoint, tenant, clock);
    let ran = AssertUnwindSafe(closure.run(&mut transaction)).catch_unwind().await;
    match ran {
        Ok(Ran { keep: true, confirm }) => savepoint.commit().await.map(|()| Some(confirm)),
        Ok(Ran { keep: false, confirm }) => savepoint.rollback().await.map(|()| Some(confirm)),
        Err(_panic) => savepoint.rollback().await.map(|()| None),
    }
    .map_err(StorageError::from)
}

/// Applies typed jobs together; if that fails, one by one.
async fn typed(
    group: &mut Group<'_>,
    jobs: Vec<Typed>,
    clock: &Clock,
    applied: &mut Vec<Applied>,
) -> Result<(), StorageError> {
    let together: Vec<&Typed> = jobs.iter().collect();
    let answers = match in_savepoint(group, &together, clock).await? {
        Ok(answers) => answers,
        Err(error) if jobs.len() == 1 => vec![Err(error)],
        Err(_of_somebody) => {
            let mut answers = Vec::with_capacity(jobs.len());
            for job in &jobs {
                answers.extend(alone(group, job, clock).await?);
            }
            answers
        }
    };
    applied.extend(jobs.into_iter().zip(answers).map(|(job, answer)| job.applied(answer)));
    Ok(())
}

async fn alone(
    group: &mut Group<'_>,
    job: &Typed,
    clock: &Clock,
) -> Result<Vec<Result<Committed, StorageError>>, StorageError> {
    Ok(in_savepoint(group, &[job], clock).await?.unwrap_or_else(|error| vec![Err(error)]))
}

/// Applies jobs in a savepoint, which a failure undoes. The outer error: it could not be undone.
async fn in_savepoint(
    group: &mut Group<'_>,
    jobs: &[&Typed],
    clock: &Clock,
) -> Result<Result<Vec<Result<Committed, StorageError>>, StorageError>, StorageError> {
    let parts: Vec<Part<'_>> = jobs.iter().map(|job| job.part()).collect();
    let mut savepoint = group.begin().await?;
    let answers = batch::apply(&mut savepoint, &parts, || clock.now()).await;
    match &answers {
        Ok(_) => savepoint.commit().await?,
        Err(_) => savepoint.rollback().await?,
    }
    Ok(answers)
}

impl Typed {
    fn part(&self) -> Part<'_> {
        Part { tenant: text(self.tenant.as_ref()), changes: &self.changes }
    }

    fn applied(self, prepared: Result<Committed, StorageError>) -> Applied {
        let answer = self.answer;
        let confirm = move |committed: Result<(), StorageError>| {
            // The caller may have gone; the commit counts all the same.
            drop(answer.send(committed.and(prepared)));
        };
        Applied { name: self.name, queued_at: self.queued_at, confirm: Box::new(confirm) }
    }
}

/// Whose a job is, as text; the host's own belong to no tenant, whose ids are never empty.
fn text(tenant: Option<&TenantId>) -> &str {
    tenant.map_or("", TenantId::as_str)
}

fn refuse(job: Job, error: &StorageError) {
    match job.work {
        Work::Typed { answer, .. } => drop(answer.send(Err(error.clone()))),
        Work::Closure(closure) => closure.refuse(error.clone()),
    }
}

/// An error with its sources, for the log.
fn cause<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    error
}

/// Lets a test end the process here, by the name of a transaction of the group.
#[cfg(feature = "fail-points")]
fn fail_points(applied: &[Applied], moment: &str) {
    for job in applied {
        let point = format!("commit.{}.{moment}", job.name);
        tracing::trace!(target: "fail_point", point, "passed");
        fail::eval(&point, |_| std::process::abort());
    }
}

#[cfg(not(feature = "fail-points"))]
const fn fail_points(_applied: &[Applied], _moment: &str) {}
