//! Rows to values, and back.
//!
//! [`Cells`] reads a row from left to right; each query names its columns in that order, the row's
//! key first. What does not fit its type makes the row corrupt.

use std::str::FromStr;

use switchhook_protocol::time::Timestamp;

use crate::{
    dialect::{Cell, Row},
    error::StorageError,
    words::Word,
};

/// A row, read from left to right.
pub(crate) struct Cells<'r> {
    row: &'r Row,
    table: &'static str,
    next: usize,
}

impl<'r> Cells<'r> {
    /// Begins to read a row of that table.
    pub(crate) const fn of(table: &'static str, row: &'r Row) -> Self {
        Self { row, table, next: 0 }
    }

    /// Text.
    pub(crate) fn text(&mut self) -> Result<String, StorageError> {
        self.cell()
    }

    /// Text or nothing.
    pub(crate) fn optional_text(&mut self) -> Result<Option<String>, StorageError> {
        self.cell()
    }

    /// The same; none if it is empty.
    pub(crate) fn parsed_if_any<T: FromStr>(&mut self) -> Result<Option<T>, StorageError> {
        let text = self.read()?;
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).or_else(|_| self.corrupt()) }
    }

    /// Text that its type accepts: an id, an identifier.
    pub(crate) fn parsed<T: FromStr>(&mut self) -> Result<T, StorageError> {
        let text = self.read()?;
        text.parse().or_else(|_| self.corrupt())
    }

    /// The same, or nothing.
    pub(crate) fn optional_parsed<T: TryFrom<String>>(&mut self) -> Result<Option<T>, StorageError> {
        let text = self.optional_text()?;
        text.map(|text| T::try_from(text).or_else(|_| self.corrupt())).transpose()
    }

    /// A whole number.
    pub(crate) fn number<T: TryFrom<i64>>(&mut self) -> Result<T, StorageError> {
        let number: i64 = self.cell()?;
        T::try_from(number).or_else(|_| self.corrupt())
    }

    /// A whole number or nothing.
    pub(crate) fn optional_number<T: TryFrom<i64>>(&mut self) -> Result<Option<T>, StorageError> {
        let number: Option<i64> = self.cell()?;
        number.map(|number| T::try_from(number).or_else(|_| self.corrupt())).transpose()
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self) -> Result<bool, StorageError> {
        Ok(self.number::<i64>()? != 0)
    }

    /// A time.
    pub(crate) fn timestamp(&mut self) -> Result<Timestamp, StorageError> {
        self.number().map(Timestamp::from_millis)
    }

    /// A time or nothing.
    pub(crate) fn optional_timestamp(&mut self) -> Result<Option<Timestamp>, StorageError> {
        let millis: Option<i64> = self.cell()?;
        let millis = millis.map(|millis| u64::try_from(millis).or_else(|_| self.corrupt())).transpose()?;
        Ok(millis.map(Timestamp::from_millis))
    }

    /// Bytes.
    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, StorageError> {
        self.cell()
    }

    /// Bytes or nothing.
    pub(crate) fn optional_bytes(&mut self) -> Result<Option<Vec<u8>>, StorageError> {
        self.cell()
    }

    /// Exactly so many bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], StorageError> {
        let bytes = self.bytes()?;
        <[u8; N]>::try_from(bytes.as_slice()).or_else(|_| self.corrupt())
    }

    /// One of our words.
    pub(crate) fn word<T: Word>(&mut self) -> Result<T, StorageError> {
        let word = self.read()?;
        T::from_word(word).map_or_else(|| self.corrupt(), Ok)
    }

    /// Says that this row breaks an invariant.
    pub(crate) fn corrupt<T>(&self) -> Result<T, StorageError> {
        let key = self.row.cell::<String>(0);
        Err(StorageError::Corrupt { table: self.table, row: key.unwrap_or_else(|_| "?".to_owned()) })
    }

    /// Text where it is.
    fn read(&mut self) -> Result<&'r str, StorageError> {
        let text = self.row.text(self.next);
        self.next += 1;
        text.or_else(|_| self.corrupt())
    }

    fn cell<T: Cell>(&mut self) -> Result<T, StorageError> {
        let cell = self.row.cell(self.next);
        self.next += 1;
        cell.or_else(|_| self.corrupt())
    }
}

/// A time as its column: the end of time is the column's greatest.
pub(crate) fn millis(at: Timestamp) -> i64 {
    integer(at.as_millis())
}

/// A number as its column.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
