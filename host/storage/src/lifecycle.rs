//! Opening and closing; a tenant's part; the way to the writer and to the readers.

use std::{
    fmt,
    fs::{File, OpenOptions, TryLockError},
    io,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
};

use sqlx::{
    Connection as _,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use switchhook_core::row::Write;
use switchhook_protocol::{id::TenantId, time::Timestamp};
use tokio::sync::{oneshot, watch};
use tracing::Instrument as _;

use crate::{
    batch::{Change, Committed},
    dialect::{Connection, Pool, Query, Row},
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
    /// The database's file; made if missing, with `-wal`, `-shm` and `.lock` beside it.
    pub path: PathBuf,
    /// Connections that read; about as many as cores.
    pub readers: NonZeroU32,
    /// Asked where a write depends on the time: what has expired in a full mailbox.
    pub clock: Clock,
}

impl Settings {
    /// This file, and as many readers as cores.
    pub fn new(path: impl Into<PathBuf>, clock: Clock) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let readers = u32::try_from(cores).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        Self { path: path.into(), readers, clock }
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

/// What exists while the database is open, and goes after it.
struct Held {
    _lock: File,
    _folder: Option<tempfile::TempDir>,
}

impl Storage {
    /// Opens a database, makes it if it is missing, and brings its schema up to date.
    pub async fn open(settings: Settings) -> Result<Self, OpenError> {
        let options = options(&settings.path).synchronous(SqliteSynchronous::Full);
        let lock = lock(&settings.path)?;
        Self::start(settings, options, Held { _lock: lock, _folder: None }).await
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
        let settings = Settings::new(folder.path().join("switchhook.db"), clock);
        let options = options(&settings.path).synchronous(SqliteSynchronous::Off);
        let lock = lock(&settings.path)?;
        Self::start(settings, options, Held { _lock: lock, _folder: Some(folder) }).await
    }

    async fn start(settings: Settings, options: SqliteConnectOptions, held: Held) -> Result<Self, OpenError> {
        let mut connection = Connection::connect_with(&options.clone().create_if_missing(true)).await?;
        sqlx::migrate!("../../migrations/sqlite").run(&mut connection).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(settings.readers.get())
            .acquire_timeout(limits::WAIT_FOR_READER)
            .test_before_acquire(false)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with(options.pragma("query_only", "on"));
        let queue = Arc::new(Queue::new(limits::QUEUE, limits::QUEUE_OF_TENANT));
        let metrics = Metrics::default();
        let writer = Writer {
            connection,
            queue: Arc::clone(&queue),
            readers: readers.clone(),
            clock: settings.clock,
            metrics: metrics.clone(),
        };
        let ended = begin(writer, held).map_err(|source| OpenError::File { path: settings.path, source })?;
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
        self.one(sqlx::query("SELECT 1"), |_| Ok(())).await.map(drop)
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
        query.fetch_optional(&self.inner.readers).await?.as_ref().map(decode).transpose()
    }

    /// Reads rows.
    pub(crate) async fn all<T>(
        &self,
        query: Query,
        decode: impl Fn(&Row) -> Result<T, StorageError> + Send,
    ) -> Result<Vec<T>, StorageError> {
        query.fetch_all(&self.inner.readers).await?.iter().map(decode).collect()
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

fn options(path: &Path) -> SqliteConnectOptions {
    use sqlx::ConnectOptions as _;

    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(limits::BUSY_TIMEOUT)
        .foreign_keys(true)
        .statement_cache_capacity(limits::STATEMENTS)
        .pragma("wal_autocheckpoint", limits::CHECKPOINT_PAGES.to_string())
        .disable_statement_logging()
}

/// Makes the file, readable by its owner alone (SQLite gives its log the same mode), and keeps other
/// processes away: two writers would take each other's outbox entries for those of a dead process.
fn lock(path: &Path) -> Result<File, OpenError> {
    let refused = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::File { path, source }
    };
    let beside = path.with_extension("lock");
    let lock = private(&beside).map_err(refused(&beside))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => return Err(refused(&beside)(source)),
    }
    private(path).map_err(refused(path))?;
    Ok(lock)
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn begin(writer: Writer, held: Held) -> io::Result<watch::Receiver<bool>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (end, ended) = watch::channel(false);
    std::thread::Builder::new().name("storage-writer".to_owned()).spawn(move || {
        runtime.block_on(writer.run());
        drop(held);
        end.send_replace(true);
    })?;
    Ok(ended)
}
