//! A statement with its arguments, before it is known which driver takes it.

use sqlx::{Encode, Postgres, Sqlite, Type, postgres::PgArguments, sqlite::SqliteArguments};

/// A statement in the words of either database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// A statement with its arguments.
#[derive(Debug)]
pub(crate) struct Query {
    statement: Statement,
    arguments: Vec<Value>,
}

/// An argument.
#[derive(Debug)]
pub(crate) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

impl Query {
    /// Adds the next argument.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.arguments.push(value.into());
        self
    }

    pub(super) fn sqlite(self) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
        bound(self.statement.sqlite, self.arguments)
    }

    pub(super) fn postgres(self) -> sqlx::query::Query<'static, Postgres, PgArguments> {
        bound(self.statement.postgres, self.arguments)
    }
}

fn bound<D: sqlx::Database>(
    statement: &'static str,
    arguments: Vec<Value>,
) -> sqlx::query::Query<'static, D, D::Arguments>
where
    Option<i64>: Encode<'static, D> + Type<D>,
    Option<String>: Encode<'static, D> + Type<D>,
    Option<Vec<u8>>: Encode<'static, D> + Type<D>,
{
    arguments.into_iter().fold(sqlx::query(statement), |query, value| match value {
        Value::Integer(integer) => query.bind(integer),
        Value::Text(text) => query.bind(text),
        Value::Bytes(bytes) => query.bind(bytes),
    })
}

/// A statement that both databases understand.
impl From<&'static str> for Query {
    fn from(both: &'static str) -> Self {
        Self::from(Statement::from(both))
    }
}

impl From<Statement> for Query {
    fn from(statement: Statement) -> Self {
        Self { statement, arguments: Vec::new() }
    }
}

impl From<&'static str> for Statement {
    fn from(both: &'static str) -> Self {
        Self { sqlite: both, postgres: both }
    }
}

macro_rules! values {
    ($($variant:ident: $($from:ty),+;)*) => {$($(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(Some(value.into()))
            }
        }

        impl From<Option<$from>> for Value {
            fn from(value: Option<$from>) -> Self {
                Self::$variant(value.map(Into::into))
            }
        }
    )+)*};
}

values! {
    Integer: i64, u32;
    Text: &str, String;
    Bytes: Vec<u8>;
}
