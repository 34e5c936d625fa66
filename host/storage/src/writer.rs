//! The one writer: takes what has gathered, applies it, commits, answers.
//!
//! It lives on a thread of its own, with a runtime for this thread only: closures need not be `Send`
//! once they run, and no flood of other tasks delays a commit that many wait for.
//!
//! When a savepoint cannot be undone, the database has given up the whole transaction (disk full, I/O
//! error) or is away: nothing more may be written then, as it would commit by itself. The group ends, everybody
//! hears the error, and the connection is given up with it; the next group gets a new one.

use std::{collections::BTreeSet, error::Error, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use switchhook_protocol::id::TenantId;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use crate::{
    batch::{self, Change, Committed, Part},
    database::Link,
    dialect::{Connection, Pool},
    error::{DriverError, StorageError},
    job::{Closure, Confirm, Job, Ran, Work},
    lifecycle::Clock,
    limits,
    metrics::Metrics,
    queue::Queue,
    transaction::Transaction,
};

/// The writer.
pub(crate) struct Writer {
    pub(crate) link: Link,
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

impl Writer {
    /// Writes until the queue is closed and empty; then leaves a database without a log.
    pub(crate) async fn run(mut self) {
        while let Some(jobs) = self.queue.take(limits::GROUP).await {
            let jobs: Vec<Job> = jobs.into_iter().filter(Job::begin).collect();
            self.metrics.group(jobs.len(), self.queue.len());
            // Everybody may have given up while the database was away.
            if !jobs.is_empty() {
                self.commit(jobs).await;
            }
        }
        // Readers would keep the log from being emptied.
        self.readers.close().await;
        if let Err(error) = self.link.close().await {
            tracing::warn!(error = cause(&error), "the writer's connection did not end well");
        }
    }

    async fn commit(&mut self, jobs: Vec<Job>) {
        let mut applied = Vec::with_capacity(jobs.len());
        let outcome = match self.link.group_time() {
            None => self.group(jobs, &mut applied).await,
            Some(time) => {
                let late = |_| Err(DriverError::Late.into());
                timeout(time, self.group(jobs, &mut applied)).await.unwrap_or_else(late)
            }
        };
        if let Err(error) = &outcome {
            tracing::error!(error = cause(error), "a group was not committed");
            self.link.give_up().await;
        }
        for job in applied {
            if outcome.is_ok() {
                self.metrics.committed(job.name, job.queued_at);
            }
            (job.confirm)(outcome.clone());
        }
    }

    /// Applies and commits. An error means that nothing was committed, but for one: where the database was
    /// asked to commit and did not answer, nobody knows.
    async fn group(&mut self, jobs: Vec<Job>, applied: &mut Vec<Applied>) -> Result<(), StorageError> {
        let connection = match self.link.begin(&tenants(&jobs)).await {
            Ok(connection) => connection,
            Err(error) => {
                let error = StorageError::from(error);
                for step in steps(jobs) {
                    step.refuse(&error);
                }
                return Err(error);
            }
        };
        apply(connection, jobs, &self.clock, applied).await?;
        fail_points(applied, "before");
        connection.commit().await?;
        fail_points(applied, "after");
        Ok(())
    }
}

/// Whose jobs these are.
fn tenants(jobs: &[Job]) -> BTreeSet<&str> {
    jobs.iter().map(|job| text(job.tenant.as_ref())).collect()
}

/// Applies every job of the group, in order. An error means that the group is lost; who is not in
/// `applied` has heard of it.
async fn apply(
    group: &mut Connection,
    jobs: Vec<Job>,
    clock: &Clock,
    applied: &mut Vec<Applied>,
) -> Result<(), StorageError> {
    let mut steps = steps(jobs).into_iter();
    for step in steps.by_ref() {
        let done = match step {
            Step::Together(jobs) => typed(group, jobs, clock, applied).await,
            Step::Alone { tenant, name, queued_at, closure } => {
                let (confirm, ended) = run(group, closure, text(tenant.as_ref()), clock).await;
                applied.extend(confirm.map(|confirm| Applied { name, queued_at, confirm }));
                ended
            }
        };
        if let Err(lost) = done {
            steps.for_each(|step| step.refuse(&lost));
            return Err(lost);
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

/// Runs a closure in a savepoint. Nobody is to be told if it panicked: dropping its answer has told its caller.
async fn run(
    group: &mut Connection,
    closure: Box<dyn Closure>,
    tenant: &str,
    clock: &Clock,
) -> (Option<Confirm>, Result<(), StorageError>) {
    if let Err(error) = group.savepoint().await {
        let lost = StorageError::from(error);
        closure.refuse(lost.clone());
        return (None, Err(lost));
    }
    let mut transaction = Transaction::new(group, tenant, clock);
    let ran = AssertUnwindSafe(closure.run(&mut transaction)).catch_unwind().await;
    let (keep, confirm) = ran.map_or((false, None), |Ran { keep, confirm }| (keep, Some(confirm)));
    let ended = if keep { group.keep().await } else { group.undo().await };
    (confirm, ended.map_err(StorageError::from))
}

/// Applies typed jobs together; if that fails, one by one.
async fn typed(
    group: &mut Connection,
    jobs: Vec<Typed>,
    clock: &Clock,
    applied: &mut Vec<Applied>,
) -> Result<(), StorageError> {
    match answers(group, &jobs, clock).await {
        Ok(answers) => {
            applied.extend(jobs.into_iter().zip(answers).map(|(job, answer)| job.applied(answer)));
            Ok(())
        }
        Err(lost) => {
            for job in jobs {
                job.refuse(&lost);
            }
            Err(lost)
        }
    }
}

async fn answers(
    group: &mut Connection,
    jobs: &[Typed],
    clock: &Clock,
) -> Result<Vec<Result<Committed, StorageError>>, StorageError> {
    let together: Vec<&Typed> = jobs.iter().collect();
    match in_savepoint(group, &together, clock).await? {
        Ok(answers) => Ok(answers),
        Err(error) if jobs.len() == 1 => Ok(vec![Err(error)]),
        Err(_of_somebody) => {
            let mut answers = Vec::with_capacity(jobs.len());
            for job in jobs {
                answers.extend(alone(group, job, clock).await?);
            }
            Ok(answers)
        }
    }
}

async fn alone(
    group: &mut Connection,
    job: &Typed,
    clock: &Clock,
) -> Result<Vec<Result<Committed, StorageError>>, StorageError> {
    Ok(in_savepoint(group, &[job], clock).await?.unwrap_or_else(|error| vec![Err(error)]))
}

/// Applies jobs in a savepoint, which a failure undoes. The outer error: it could not be undone.
async fn in_savepoint(
    group: &mut Connection,
    jobs: &[&Typed],
    clock: &Clock,
) -> Result<Result<Vec<Result<Committed, StorageError>>, StorageError>, StorageError> {
    let parts: Vec<Part<'_>> = jobs.iter().map(|job| job.part()).collect();
    group.savepoint().await?;
    let answers = batch::apply(group, &parts, || clock.now()).await;
    match &answers {
        Ok(_) => group.keep().await?,
        Err(_) => group.undo().await?,
    }
    Ok(answers)
}

impl Step {
    fn refuse(self, error: &StorageError) {
        match self {
            Self::Together(jobs) => jobs.into_iter().for_each(|job| job.refuse(error)),
            Self::Alone { closure, .. } => closure.refuse(error.clone()),
        }
    }
}

impl Typed {
    fn part(&self) -> Part<'_> {
        Part { tenant: text(self.tenant.as_ref()), changes: &self.changes }
    }

    fn refuse(self, error: &StorageError) {
        drop(self.answer.send(Err(error.clone())));
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
