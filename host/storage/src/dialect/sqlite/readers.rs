//! Connections that read: as many as threads read at once.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::{Place, SqliteConnection};
use crate::{error::DriverError, limits};

/// Connections that read. Clones share them.
///
/// Who reads takes one out, or makes one if there is none: nobody keeps one while waiting for something else, so that
/// there are never more than threads.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    place: Arc<Place>,
    /// Nothing when closed. Who reads shares it, so that closing waits for all of them.
    idle: Arc<RwLock<Option<Mutex<Vec<SqliteConnection>>>>>,
}

impl Readers {
    /// Makes none before it is needed.
    pub(crate) fn of(place: Place) -> Self {
        Self { place: Arc::new(place), idle: Arc::new(RwLock::new(Some(Mutex::default()))) }
    }

    /// Reads on one of them.
    pub(crate) fn read<T>(
        &self,
        ask: impl FnOnce(&SqliteConnection) -> Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        let open = self.idle.read().unwrap_or_else(PoisonError::into_inner);
        let answer = open.as_ref().map_or(Err(DriverError::Closed), |idle| self.read_on(idle, ask));
        drop(open);
        answer
    }

    /// Reads at leisure: on a thread that nobody waits for, on a connection of its own that is not kept.
    pub(crate) async fn read_at_leisure<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&SqliteConnection) -> Result<T, DriverError> + Send + 'static,
    ) -> Result<T, DriverError> {
        let readers = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let open = readers.idle.read().unwrap_or_else(PoisonError::into_inner);
            let answer = open.as_ref().map_or(Err(DriverError::Closed), |_| {
                let connection = readers.place.reader()?;
                connection.bound(limits::INSTRUCTIONS.saturating_mul(limits::LEISURE))?;
                ask(&connection)
            });
            drop(open);
            answer
        });
        // It panics only where reading in place would.
        read.await.or(Err(DriverError::Late))?
    }

    fn read_on<T>(
        &self,
        idle: &Mutex<Vec<SqliteConnection>>,
        ask: impl FnOnce(&SqliteConnection) -> Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        let lock = || idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = lock().pop();
        let connection = kept.map_or_else(|| self.place.reader(), Ok)?;
        let answer = ask(&connection)?;
        lock().push(connection);
        Ok(answer)
    }

    /// Closes them, when nobody reads.
    pub(crate) fn close(&self) {
        *self.idle.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
