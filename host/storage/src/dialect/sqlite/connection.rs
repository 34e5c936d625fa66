//! One connection of SQLite.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use rusqlite::{
    CachedStatement, ToSql,
    types::{FromSql, FromSqlError, ToSqlOutput, Value as Cell, ValueRef},
};

use super::super::query::{Query, Value};
use crate::error::DriverError;

/// A connection.
#[derive(Debug)]
pub(crate) struct SqliteConnection {
    driver: rusqlite::Connection,
    /// What the present statement has done, in portions of [`PORTION`].
    done: Arc<AtomicU32>,
}

/// Instructions of SQLite's machine between two looks at what a statement has done: tens of microseconds.
const PORTION: u32 = 10_000;

/// A row of an answer.
pub(crate) struct SqliteRow(Vec<Cell>);

impl SqliteConnection {
    /// Has no statement do more than so many instructions: it ends with [`DriverError::Late`].
    pub(crate) fn bound(&self, instructions: u32) -> Result<(), DriverError> {
        let (done, most) = (Arc::clone(&self.done), instructions / PORTION);
        let is_over = move || done.fetch_add(1, Ordering::Relaxed) >= most;
        Ok(self.driver.progress_handler(i32::try_from(PORTION).unwrap_or(i32::MAX), Some(is_over))?)
    }

    /// Statements without arguments and answers.
    pub(crate) fn set(&self, statements: &str) -> Result<(), DriverError> {
        Ok(self.driver.execute_batch(statements)?)
    }

    /// Says how many rows changed.
    pub(crate) fn execute(&self, query: &Query) -> Result<u64, DriverError> {
        let mut statement = self.prepared(query)?;
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
        drop(rows);
        Ok(self.driver.changes())
    }

    pub(crate) fn fetch_optional(&self, query: &Query) -> Result<Option<SqliteRow>, DriverError> {
        let mut statement = self.prepared(query)?;
        Ok(statement.raw_query().next()?.map(SqliteRow::read).transpose()?)
    }

    pub(crate) fn fetch_all(&self, query: &Query) -> Result<Vec<SqliteRow>, DriverError> {
        let mut statement = self.prepared(query)?;
        Ok(statement.raw_query().and_then(SqliteRow::read).collect::<Result<_, _>>()?)
    }

    /// Closes it; an open transaction is undone.
    pub(crate) fn close(self) -> Result<(), DriverError> {
        self.driver.close().map_err(|(_, error)| error.into())
    }

    /// A statement with its arguments. SQLite takes `$2` for a name, and numbers names as they come.
    fn prepared(&self, query: &Query) -> Result<CachedStatement<'_>, rusqlite::Error> {
        let (text, arguments) = query.sqlite();
        self.done.store(0, Ordering::Relaxed);
        let mut statement = self.driver.prepare_cached(text)?;
        for index in 1..=statement.parameter_count() {
            let name = statement.parameter_name(index).and_then(|name| name.strip_prefix('$'));
            let place = name.and_then(|number| number.parse::<usize>().ok()?.checked_sub(1));
            let argument = place.and_then(|place| arguments.get(place));
            let missing = || rusqlite::Error::InvalidParameterCount(arguments.len(), index);
            statement.raw_bind_parameter(index, argument.ok_or_else(missing)?)?;
        }
        Ok(statement)
    }
}

impl From<rusqlite::Connection> for SqliteConnection {
    fn from(driver: rusqlite::Connection) -> Self {
        Self { driver, done: Arc::default() }
    }
}

impl SqliteRow {
    /// The cell in this column.
    pub(crate) fn cell<T: FromSql>(&self, column: usize) -> Result<T, DriverError> {
        self.read_as(column, T::column_result)
    }

    /// The text in this column, where it is.
    pub(crate) fn text(&self, column: usize) -> Result<&str, DriverError> {
        self.read_as(column, |cell| cell.as_str())
    }

    fn read_as<'r, T>(
        &'r self,
        column: usize,
        read: impl FnOnce(ValueRef<'r>) -> Result<T, FromSqlError>,
    ) -> Result<T, DriverError> {
        let cell = self.0.get(column).ok_or(rusqlite::Error::InvalidColumnIndex(column))?;
        let unfit = |error: FromSqlError| {
            rusqlite::Error::FromSqlConversionFailure(column, cell.data_type(), Box::new(error))
        };
        Ok(read(ValueRef::from(cell)).map_err(unfit)?)
    }

    fn read(row: &rusqlite::Row<'_>) -> Result<Self, rusqlite::Error> {
        (0..row.as_ref().column_count()).map(|column| row.get(column)).collect::<Result<_, _>>().map(Self)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>, rusqlite::Error> {
        match self {
            Self::Integer(integer) => integer.to_sql(),
            Self::Text(text) => text.to_sql(),
            Self::Bytes(bytes) => bytes.to_sql(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Statement;

    const ENDLESS: &str =
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";

    #[test]
    fn a_statement_that_works_for_too_long_ends_and_the_next_one_has_all_its_time() {
        let connection = SqliteConnection::from(rusqlite::Connection::open_in_memory().unwrap());
        connection.bound(10 * PORTION).unwrap();
        let endless = Query::from(Statement::from(ENDLESS));
        for _ in 0..2 {
            let ended = connection.fetch_optional(&endless).err();
            assert!(matches!(ended, Some(DriverError::Late)), "{ended:?}");
        }
        let row = connection.fetch_optional(&Query::from(Statement::from("SELECT 7"))).unwrap().unwrap();
        assert_eq!(row.cell::<i64>(0).unwrap(), 7);
    }
}
