//! SQLite's way to files, with a [`Disk`] that looks on.
//!
//! SQLite reaches files through a table of functions (a "VFS"), and each open file has a table of methods. Ours are
//! copies of the system's with six functions in which it is written down what is done to files of watched
//! folders; everything else, shared memory and locks included, is the system's own. A sync is only written
//! down: who loses power is the disk that looks on.
//!
//! The system's sync of a log or journal that was opened to be created syncs its folder too, once
//! (`UNIXFILE_DIRSYNC`); so does this.
#![expect(unsafe_code, reason = "SQLite calls C functions; the proof stands beside each block")]

use std::{
    collections::BTreeMap,
    ffi::{CStr, c_char, c_int, c_void},
    path::{Path, PathBuf},
    ptr, slice,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use libsqlite3_sys::{
    SQLITE_OK, SQLITE_OPEN_CREATE, SQLITE_OPEN_MAIN_JOURNAL, SQLITE_OPEN_WAL, sqlite3_file, sqlite3_int64,
    sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};

use super::disk::{Disk, File};

/// A disk that SQLite's threads write to.
pub(super) type Shared = Arc<Mutex<Disk>>;

/// What is known of a file that SQLite has open.
struct Open {
    disk: Shared,
    file: File,
    system: &'static sqlite3_io_methods,
    /// Its next sync syncs the folder too.
    new_log: bool,
}

static WATCHED: Mutex<BTreeMap<PathBuf, Shared>> = Mutex::new(BTreeMap::new());

/// By the address of SQLite's own struct, which stays where it is while the file is open.
static OPEN: Mutex<BTreeMap<usize, Open>> = Mutex::new(BTreeMap::new());

/// From now on a disk looks on at what SQLite does to files in this folder.
pub(super) fn watch(folder: &Path) -> Shared {
    let _system = system();
    let disk = Shared::default();
    lock(&WATCHED).insert(folder.to_owned(), Arc::clone(&disk));
    disk
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The system's functions; at the first call ours become those that SQLite uses.
fn system() -> &'static sqlite3_vfs {
    static SYSTEM: OnceLock<usize> = OnceLock::new();
    let address = SYSTEM.get_or_init(|| {
        // SAFETY: a null name asks for the default; the answer is a static of SQLite's, or null.
        let system = unsafe { sqlite3_vfs_find(ptr::null()) };
        // SAFETY: as above; it is not changed but by (un)registering, which is done here alone.
        let copied = unsafe { system.as_ref() }.copied().expect("SQLite has a way to files");
        let ours = sqlite3_vfs {
            pNext: ptr::null_mut(),
            zName: NAME.as_ptr(),
            xOpen: Some(open),
            xDelete: Some(delete),
            ..copied
        };
        // SAFETY: leaked, so that it stays as long as SQLite may use it. Its functions have the types that
        // the bindings say, and do what the system's do.
        let registered = unsafe { sqlite3_vfs_register(Box::leak(Box::new(ours)), 1) };
        assert_eq!(registered, SQLITE_OK);
        system.expose_provenance()
    });
    // SAFETY: the address of a static of SQLite's, see above.
    unsafe { &*ptr::with_exposed_provenance::<sqlite3_vfs>(*address) }
}

const NAME: &CStr = c"looked-on";

/// The disk of this file's folder, and the file's name.
///
/// # Safety
/// The path is null or ends with NUL, and lives as long as the call.
unsafe fn watched(path: *const c_char) -> Option<(Shared, String)> {
    // SAFETY: the caller promises it.
    let path = (!path.is_null()).then(|| unsafe { CStr::from_ptr(path) })?;
    let path = Path::new(path.to_str().ok()?);
    let disk = lock(&WATCHED).get(path.parent()?).map(Arc::clone)?;
    Some((disk, path.file_name()?.to_str()?.to_owned()))
}

unsafe extern "C" fn open(
    _ours: *mut sqlite3_vfs,
    path: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let system = system();
    let open = system.xOpen.expect("a VFS opens files");
    // SAFETY: these are SQLite's own arguments, for the function that it means. The first is the table it is
    // written for, which it does not change.
    let answer = unsafe { open(ptr::from_ref(system).cast_mut(), path, file, flags, out) };
    // SAFETY: SQLite's paths end with NUL.
    let watched = unsafe { watched(path) };
    let Some((disk, name)) = watched.filter(|_| answer == SQLITE_OK) else { return answer };
    // SAFETY: the system has opened the file and filled the struct in; its methods are a static of SQLite's.
    let methods = unsafe { &*(*file).pMethods };
    let ours = sqlite3_io_methods {
        xClose: Some(close),
        xWrite: Some(write),
        xTruncate: Some(truncate),
        xSync: Some(sync),
        ..*methods
    };
    // SAFETY: as above, and nobody else has the struct yet. The table is leaked, so that it outlives the file.
    unsafe { (*file).pMethods = Box::leak(Box::new(ours)) };
    let new_log =
        flags & SQLITE_OPEN_CREATE != 0 && flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL) != 0;
    let number = lock(&disk).open(&name);
    lock(&OPEN).insert(file.addr(), Open { disk, file: number, system: methods, new_log });
    answer
}

unsafe extern "C" fn delete(_ours: *mut sqlite3_vfs, path: *const c_char, sync_folder: c_int) -> c_int {
    let system = system();
    let delete = system.xDelete.expect("a VFS deletes files");
    // SAFETY: SQLite's own arguments, for the function that it means, as in `open`.
    let answer = unsafe { delete(ptr::from_ref(system).cast_mut(), path, sync_folder) };
    // SAFETY: SQLite's paths end with NUL.
    let watched = unsafe { watched(path) };
    if let Some((disk, name)) = watched.filter(|_| answer == SQLITE_OK) {
        let mut disk = lock(&disk);
        disk.remove(&name);
        if sync_folder != 0 {
            disk.sync_folder();
        }
    }
    answer
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let known = lock(&OPEN).remove(&file.addr()).expect("it was opened");
    let close = known.system.xClose.expect("a file is closed");
    // SAFETY: SQLite's own argument, for the method that it means.
    unsafe { close(file) }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    let (disk, number, system) = of(file);
    // SAFETY: SQLite gives a buffer of this length, and writes elsewhere until this returns.
    let written = unsafe { slice::from_raw_parts(bytes.cast::<u8>(), size(length.into())) };
    lock(&disk).write(number, size(at), written);
    let write = system.xWrite.expect("a file is written");
    // SAFETY: SQLite's own arguments, for the method that it means.
    unsafe { write(file, bytes, length, at) }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    let (disk, number, system) = of(file);
    lock(&disk).truncate(number, size(length));
    let truncate = system.xTruncate.expect("a file is cut");
    // SAFETY: SQLite's own arguments, for the method that it means.
    unsafe { truncate(file, length) }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    let (disk, number, _) = of(file);
    let new_log = lock(&OPEN).get_mut(&file.addr()).is_some_and(|open| std::mem::take(&mut open.new_log));
    let mut disk = lock(&disk);
    disk.sync(number);
    if new_log {
        disk.sync_folder();
    }
    SQLITE_OK
}

/// What is known of an open file; methods of closed ones are not called.
fn of(file: *mut sqlite3_file) -> (Shared, File, &'static sqlite3_io_methods) {
    let known = |open: &Open| (Arc::clone(&open.disk), open.file, open.system);
    lock(&OPEN).get(&file.addr()).map(known).expect("it was opened")
}

fn size(number: sqlite3_int64) -> usize {
    usize::try_from(number).expect("SQLite counts from 0")
}
