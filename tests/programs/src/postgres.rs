//! A PostgreSQL server for the tests of this machine: started by the first that wants one, stopped after the last.
//!
//! Test runners start a process for each test or for all, several at once, and may kill any of them.
//! So each process that uses the server holds a shared lock, which ends with it however it ends, and the server's
//! keeper, a small script, stops the server and removes its folder as soon as it gets that lock alone.
//! It looks every few seconds, so that the server outlives the moment between two tests.
//!
//! The server listens on a Unix socket only. Its collation is a natural language's, where capitals
//! stand beside their small letters: what is compared or ordered by bytes has to say so.

use std::{
    fs::{self, File, OpenOptions},
    hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState},
    io,
    os::unix::{
        fs::chown,
        net::{UnixDatagram, UnixStream},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use sqlx::Connection as _;

/// Where Debian installs each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// The first version with collations of ICU for a whole database.
const OLDEST: u32 = 15;

/// PostgreSQL does not run as root.
const USER: &str = "postgres";

/// How long a server may say nothing before it is looked at.
const LOOK: Duration = Duration::from_millis(500);

const SETTINGS: [&str; 3] = ["listen_addresses=", "unix_socket_permissions=0700", "max_connections=200"];

/// A test ends with its machine.
const LOSSY: [&str; 3] = ["fsync=off", "full_page_writes=off", "max_wal_size=128MB"];

/// `$1` is the folder, the rest starts the server; standard input is the file that users lock.
const KEEPER: &str = r#"
    folder=$1; shift
    "$@" </dev/null >"$folder/log" 2>&1 &
    server=$!
    while kill -0 $server 2>/dev/null && ! flock --exclusive --nonblock 0; do sleep 2; done
    kill -INT $server 2>/dev/null; wait $server
    rm -rf "$folder"
"#;

/// A running server, and this process's share in it.
struct Server {
    folder: PathBuf,
    _used: File,
}

/// Whether a server keeps what it confirms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    WhatIsConfirmed,
    /// Only as long as its machine goes on.
    Nothing,
}

/// A new database of its own, on a server that may lose all with its machine; `Err` says why there is none.
pub async fn database() -> Result<String, String> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    on(SERVER.get_or_init(|| Ok(start(&programs()?, Keeps::Nothing).unwrap()))).await
}

/// The same on a server that keeps what it confirms.
pub async fn durable_database() -> Result<String, String> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    on(SERVER.get_or_init(|| Ok(start(&programs()?, Keeps::WhatIsConfirmed).unwrap()))).await
}

async fn on(server: &Result<Server, String>) -> Result<String, String> {
    let server = server.as_ref().map_err(String::clone)?;
    let name = format!("test_{:x}", RandomState::new().hash_one(0));
    let mut connection = sqlx::PgConnection::connect(&server.url("postgres")).await.unwrap();
    // The cheaper way where nothing is written to the disk.
    let create = format!("CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy");
    sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    Ok(server.url(&name))
}

impl Keeps {
    /// The folder of the files by which processes find their server, beside their program.
    fn beside(self) -> io::Result<PathBuf> {
        let mut folder = std::env::current_exe()?;
        folder.set_file_name(match self {
            Self::WhatIsConfirmed => "postgres-durable",
            Self::Nothing => "postgres",
        });
        Ok(folder)
    }
}

impl Server {
    fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@localhost/{database}?host={}", self.folder.display())
    }

    /// It listens before it is ready, and says in a file when it is; one that died listens no more.
    fn is_ready(&self) -> bool {
        let said = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap_or_default();
        said.lines().nth(7).is_some_and(|status| status.trim() == "ready")
            && UnixStream::connect(self.folder.join(".s.PGSQL.5432")).is_ok()
    }
}

/// The folder of the newest version's programs.
fn programs() -> Result<PathBuf, String> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let versions = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let newest = versions.max().filter(|version| *version >= OLDEST);
    let newest = newest.ok_or("PostgreSQL is not installed (Debian package postgresql)")?;
    Ok(Path::new(VERSIONS).join(newest.to_string()).join("bin"))
}

fn start(programs: &Path, keeps: Keeps) -> io::Result<Server> {
    let beside = &keeps.beside()?;
    fs::create_dir_all(beside)?;
    let used = open(&beside.join("postgres.used"))?;
    used.lock_shared()?;
    let starting = open(&beside.join("postgres.starting"))?;
    starting.lock()?;

    let mut place = DefaultHasher::new();
    beside.hash(&mut place);
    // A socket's path has to be short.
    let folder = std::env::temp_dir().join(format!("switchhook-{:x}", place.finish()));
    let server = Server { folder, _used: used };
    if !server.is_ready() {
        let says = keep(programs, keeps, &server.folder, open(&beside.join("postgres.used"))?)?;
        while !server.is_ready() {
            // It says so (`sd_notify`); looked at now and then, in case it died or was built without.
            let _said = says.recv(&mut [0; 64]);
            assert!(server.folder.exists(), "the server did not start");
        }
    }
    Ok(server)
}

/// Makes a cluster and starts its keeper. On the socket the server says when it is ready.
fn keep(programs: &Path, keeps: Keeps, folder: &Path, used: File) -> io::Result<UnixDatagram> {
    let owner = owner()?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir(folder)?;
    if let Some((user, group)) = owner {
        chown(folder, Some(user), Some(group))?;
    }
    let data = folder.join("data");
    let as_owner = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((user, group)) = owner {
            command.uid(user).gid(group);
        }
        command
    };
    let mut initdb = as_owner(&programs.join("initdb"));
    initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username", USER]);
    initdb.args(["--locale-provider=icu", "--icu-locale=en-US", "--pgdata"]).arg(&data);
    let made = initdb.stderr(Stdio::piped()).output()?;
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));

    let mut keeper = as_owner(Path::new("sh"));
    keeper.args(["-c", KEEPER, "postgres-keeper"]).arg(folder).arg(programs.join("postgres"));
    keeper.arg("-D").arg(&data).arg("-k").arg(folder);
    let more: &[_] = if keeps == Keeps::Nothing { &LOSSY } else { &[] };
    keeper.args(SETTINGS.iter().chain(more).flat_map(|setting| ["-c", setting]));
    let socket = folder.join("ready");
    let says = UnixDatagram::bind(&socket)?;
    says.set_read_timeout(Some(LOOK))?;
    if let Some((user, group)) = owner {
        chown(&socket, Some(user), Some(group))?;
    }
    // A group of its own: who ends a test with all that it started does not mean this.
    keeper.env("NOTIFY_SOCKET", &socket).stdin(used).process_group(0).spawn()?;
    Ok(says)
}

/// User and group to be instead of root.
fn owner() -> io::Result<Option<(u32, u32)>> {
    use std::os::unix::fs::MetadataExt as _;

    // The process's own files are its user's.
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let owner = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == USER).then_some(())?;
        let user = fields.nth(1)?.parse().ok()?;
        Some((user, fields.next()?.parse().ok()?))
    });
    owner.map(Some).ok_or_else(|| io::Error::other(format!("there is no user {USER}")))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
}
