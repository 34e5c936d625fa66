//! A statement with its arguments, before it is known which driver takes it.

use sqlx::{AssertSqlSafe, Encode, Postgres, Sqlite, Type, postgres::PgArguments, sqlite::SqliteArguments};

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
pub(crate) struct Script(Vec<(Statement, String)>);

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

impl Script {
    /// Adds a statement with its argument.
    pub(crate) fn push(&mut self, statement: Statement, argument: String) {
        self.0.push((statement, argument));
    }

    /// As one text, where the argument of the n-th statement is `$n`: SQLite's thread is asked once. The
    /// text is prepared once for each set of statements, of which few occur.
    pub(super) fn sqlite(self) -> Option<sqlx::query::Query<'static, Sqlite, SqliteArguments>> {
        let numbered = self.0.iter().zip(1..).map(|((it, _), n)| it.sqlite.replace("$1", &format!("${n}")));
        let text = numbered.collect::<Vec<_>>().join("; ");
        let query = (!text.is_empty()).then(|| sqlx::query(AssertSqlSafe(text)))?;
        Some(self.0.into_iter().fold(query, |query, (_, argument)| query.bind(argument)))
    }

    /// One by one: PostgreSQL prepares single statements only.
    pub(super) fn postgres(self) -> impl Iterator<Item = sqlx::query::Query<'static, Postgres, PgArguments>> {
        self.0.into_iter().map(|(statement, argument)| sqlx::query(statement.postgres).bind(argument))
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
