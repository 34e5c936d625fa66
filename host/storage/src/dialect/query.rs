//! A statement with its arguments, before it is known which driver takes it.

use sqlx::{Postgres, postgres::PgArguments};

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

/// Statements of one argument each, done one after the other; nothing is asked of them but that they
/// succeed.
#[derive(Debug, Default)]
pub(crate) struct Script(Vec<Query>);

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

    /// Its words for SQLite, and its arguments.
    pub(super) fn sqlite(&self) -> (&'static str, &[Value]) {
        (self.statement.sqlite, &self.arguments)
    }

    pub(super) fn postgres(self) -> sqlx::query::Query<'static, Postgres, PgArguments> {
        self.arguments.into_iter().fold(sqlx::query(self.statement.postgres), |query, value| match value {
            Value::Integer(integer) => query.bind(integer),
            Value::Text(text) => query.bind(text),
            Value::Bytes(bytes) => query.bind(bytes),
        })
    }
}

impl Script {
    /// Adds a statement with its argument.
    pub(crate) fn push(&mut self, statement: Statement, argument: String) {
        self.0.push(Query::from(statement).bind(argument));
    }
}

/// One after the other.
impl IntoIterator for Script {
    type Item = Query;
    type IntoIter = std::vec::IntoIter<Query>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
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
