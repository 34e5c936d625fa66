//! Opening and closing; a tenant's part; the way to the writer and to the readers.

use std::{fmt, io, num::NonZeroU32, path::Path, sync::Arc};

use switchhook_core::row::Write;
use switchhook_protocol::{id::TenantId, time::Timestamp};
use tokio::sync::{oneshot, watch};
use tracing::Instrument as _;

use crate::{
    batch::{Change, Committed},
    database::{self, Database, Held, Opened},
    dialect::{
        Pool, Query, Row,
        sqlite::{self, Place, Synchronous},
    },
    durability,
    error::{OpenError, StorageError},
    job::{Asking, Job, Work},
    limits,
    metrics::Metrics,
    queue::{Queue, Refused},
    transaction::Transaction,
    writer::Writer,
};

/// Tells the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks this function.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// How storage is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where rows are kept.
    pub database: Database,
    /// Connections that read from PostgreSQL; about as many as cores.
    pub readers: NonZeroU32,
    /// Takes a PostgreSQL server that is set up to lose data with its machine (`fsync`, `full_page_writes`), for
    /// tests. Otherwise it is refused.
    pub allow_lossy_database: bool,
    /// Asked where a write depends on the time: what has expired in a full mailbox.
    pub clock: Clock,
}

impl Settings {
    /// This database (a file is SQLite's), and as many readers as cores.
    pub fn new(database: impl Into<Database>, clock: Clock) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let readers = u32::try_from(cores).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        Self { database: database.into(), readers, allow_lossy_database: false, clock }
    }
}

/// All that is stored. Clones share it.
#[derive(Debug, Clone)]
pub struct Storage {
    inner: Arc<Inner>,
}

/// What is stored of one tenant.
#[derive(Debug, Clone)]
pub struct TenantStorage {
    storage: Storage,
    tenant: TenantId,
}

struct Inner {
    readers: Pool,
    queue: Arc<Queue<Option<TenantId>, Job>>,
    metrics: Metrics,
    /// Turns true when the writer has ended.
    ended: watch::Receiver<bool>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

/// The writer ends with the last handle; what it has taken in is still committed.
impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Storage {
    /// Opens a database, makes it if it is a file that is missing, and brings its schema up to date.
    pub async fn open(settings: Settings) -> Result<Self, OpenError> {
        let Settings { database, readers, allow_lossy_database, clock } = settings;
        let storage = Self::start(database.open(readers).await?, clock)?;
        durability::require(&storage, allow_lossy_database).await?;
        Ok(storage)
    }

    /// Storage that nothing outlives: the yardstick "the same in memory".
    ///
    /// The same file format, log and code, in a folder of its own in memory (`/dev/shm`, where there is
    /// one), and nothing waits for a disk. SQLite's own `:memory:` has neither log nor readers beside
    /// the writer, so that it would measure something else.
    pub async fn in_memory(clock: Clock) -> Result<Self, OpenError> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder =
            tempfile::tempdir_in(&parent).map_err(|source| OpenError::File { path: parent, source })?;
        let path = folder.path().join("switchhook.db");
        let place = Place::new(path.clone(), Synchronous::Off);
        let held = Held::new(sqlite::lock(&path)?, Some(folder));
        Self::start(database::open_sqlite(place, held).await?, clock)
    }

    /// Sets the writer going on an open database.
    pub(crate) fn start(Opened { readers, link, held }: Opened, clock: Clock) -> Result<Self, OpenError> {
        let queue = Arc::new(Queue::new(limits::QUEUE, limits::QUEUE_OF_TENANT));
        let metrics = Metrics::default();
        let writer = Writer {
            link,
            queue: Arc::clone(&queue),
            readers: readers.clone(),
            clock,
            metrics: metrics.clone(),
        };
        let ended = begin(writer, held).map_err(OpenError::Writer)?;
        Ok(Self { inner: Arc::new(Inner { readers, queue, metrics, ended }) })
    }

    /// The part of one tenant.
    pub fn of(&self, tenant: &TenantId) -> TenantStorage {
        TenantStorage { storage: self.clone(), tenant: tenant.clone() }
    }

    /// The writer's metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Takes no more in, commits what waits, and leaves one whole file. Returns when that is done.
    pub async fn close(&self) {
        self.inner.queue.close();
        let mut ended = self.inner.ended.clone();
        // An error means that the writer is gone, which is what is waited for.
        drop(ended.wait_for(|ended| *ended).await);
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StorageError> {
        Ok(self.inner.readers.ping().await?)
    }

    pub(crate) fn readers(&self) -> &Pool {
        &self.inner.readers
    }

    /// Runs a transaction of the host itself, which has no tenant.
    pub(crate) async fn run<T, E, F>(&self, name: &'static str, closure: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        self.run_as(None, name, closure).await
    }

    async fn run_as<T, E, F>(&self, tenant: Option<TenantId>, name: &'static str, closure: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let span = tracing::debug_span!(
            "run",
            transaction = name,
            tenant.id = tenant.as_ref().map(TenantId::as_str)
        );
        let (sender, answer) = oneshot::channel();
        let work = Work::Closure(Box::new(Asking::new(closure, sender)));
        self.ask(tenant, name, work, answer).instrument(span).await?
    }

    /// Queues a job and waits for its answer.
    async fn ask<T>(
        &self,
        tenant: Option<TenantId>,
        name: &'static str,
        work: Work,
        answer: oneshot::Receiver<T>,
    ) -> Result<T, StorageError> {
        let lane = tenant.clone();
        let (job, waiting) = Job::new(tenant, name, work, answer);
        self.inner.queue.push(&lane, job).map_err(|refused| match refused {
            Refused::Full => StorageError::Busy,
            Refused::Closed => StorageError::Closed,
        })?;
        waiting.answer().await
    }

    /// Reads one row, or none.
    pub(crate) async fn one<T>(
        &self,
        query: Query,
        decode: impl Fn(&Row) -> Result<T, StorageError> + Send,
    ) -> Result<Option<T>, StorageError> {
        self.inner.readers.fetch_optional(query).await?.as_ref().map(decode).transpose()
    }

    /// Reads rows.
    pub(crate) async fn all<T>(
        &self,
        query: Query,
        decode: impl Fn(&Row) -> Result<T, StorageError> + Send,
    ) -> Result<Vec<T>, StorageError> {
        self.inner.readers.fetch_all(query).await?.iter().map(decode).collect()
    }

    /// Reads rows that are looked for among all that a tenant has.
    pub(crate) async fn all_at_leisure<T>(
        &self,
        query: Query,
        decode: impl Fn(&Row) -> Result<T, StorageError> + Send,
    ) -> Result<Vec<T>, StorageError> {
        self.inner.readers.fetch_all_at_leisure(query).await?.iter().map(decode).collect()
    }
}

impl TenantStorage {
    /// Whose it is.
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// All that is stored.
    pub(crate) const fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Commits writes that depend on nothing stored, in one transaction. The name is metric label and span.
    pub async fn commit(&self, name: &'static str, writes: Vec<Write>) -> Result<Committed, StorageError> {
        self.change(name, writes.into_iter().map(Change::Write).collect()).await
    }

    /// Commits typed changes.
    pub(crate) async fn change(
        &self,
        name: &'static str,
        changes: Vec<Change>,
    ) -> Result<Committed, StorageError> {
        let span = tracing::debug_span!("commit", transaction = name, tenant.id = self.tenant.as_str());
        let (sender, answer) = oneshot::channel();
        let work = Work::Typed { changes, answer: sender };
        self.storage.ask(Some(self.tenant.clone()), name, work, answer).instrument(span).await?
    }

    /// Runs a closure in a transaction: it reads, decides and writes, and awaits nothing but the transaction.
    /// An error undoes what it wrote. The answer comes after the commit.
    pub async fn run<T, E, F>(&self, name: &'static str, closure: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        self.storage.run_as(Some(self.tenant.clone()), name, closure).await
    }
}

fn begin(writer: Writer, held: Held) -> io::Result<watch::Receiver<bool>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (end, ended) = watch::channel(false);
    std::thread::Builder::new().name("storage-writer".to_owned()).spawn(move || {
        runtime.block_on(writer.run());
        drop(held);
        end.send_replace(true);
    })?;
    Ok(ended)
}
