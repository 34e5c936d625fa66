//! Each migration has a twin: the same number and name for either database. PostgreSQL's text is
//! compared by its bytes, as SQLite's is, whatever the collation of the database; where a migration has forgotten
//! it, a later one says so, as a migration that was run is not changed.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use crate::repository::Repository;

/// Passes while only one database has migrations.
pub(crate) fn migrations(repository: &Repository) -> Result<()> {
    let [sqlite, postgres] =
        ["sqlite", "postgres"].map(|database| repository.path("migrations").join(database));
    if !postgres.exists() {
        return Ok(());
    }
    let texts = names(&postgres)?.into_iter().map(|name| {
        let path = postgres.join(&name);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok((name, text))
    });
    let loose = loose(&texts.collect::<Result<Vec<_>>>()?);
    ensure!(loose.is_empty(), "text is `TEXT COLLATE \"C\"` on PostgreSQL:\n{}", loose.join("\n"));
    let lonely = without_twin(&names(&sqlite)?, &names(&postgres)?);
    ensure!(lonely.is_empty(), "these migrations have no twin for the other database: {}", lonely.join(", "));
    Ok(())
}

fn without_twin(sqlite: &BTreeSet<String>, postgres: &BTreeSet<String>) -> Vec<String> {
    sqlite.symmetric_difference(postgres).cloned().collect()
}

/// Columns of these migrations, in order, that none gives a collation.
fn loose(migrations: &[(String, String)]) -> Vec<String> {
    let mut loose = Vec::new();
    for (index, (name, text)) in migrations.iter().enumerate() {
        let later = migrations.iter().skip(index + 1);
        let stays = |column: &Column<'_>| !later.clone().any(|(_, text)| column.is_collated_by(text));
        let columns = without_collation(text).filter(stays);
        loose.extend(columns.map(|column| format!("{name}: {}", column.line.trim())));
    }
    loose
}

/// A column of text that its own migration gives no collation.
struct Column<'a> {
    /// The table that the migration speaks of there.
    table: &'a str,
    /// The line that makes the column.
    line: &'a str,
}

impl Column<'_> {
    /// Whether a migration gives it its collation.
    fn is_collated_by(&self, migration: &str) -> bool {
        let name = self.line.split(" TEXT").next().and_then(|before| before.split_whitespace().last());
        let said =
            |name: &str| format!("ALTER TABLE {} ALTER COLUMN {name} TYPE TEXT COLLATE \"C\"", self.table);
        name.is_some_and(|name| migration.contains(&said(name)))
    }
}

fn without_collation(migration: &str) -> impl Iterator<Item = Column<'_>> {
    let mut table = "";
    let statements = migration.lines().filter(|line| !line.trim_start().starts_with("--"));
    statements.filter_map(move |line| {
        table = table_of(line).unwrap_or(table);
        let loose = line
            .split(" TEXT")
            .skip(1)
            .any(|rest| !rest.starts_with(" COLLATE \"C\"") && !rest.starts_with(char::is_alphanumeric));
        loose.then_some(Column { table, line })
    })
}

/// The table that a migration speaks of from this line on.
fn table_of(line: &str) -> Option<&str> {
    let (_, named) = ["CREATE TABLE ", "ALTER TABLE "].iter().find_map(|verb| line.split_once(verb))?;
    named.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()
}

fn names(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_of_one_database_alone_is_found_on_either_side() {
        let [both, sqlite, postgres] =
            ["0001_start.sql", "0002_relay.sql", "0002_relays.sql"].map(String::from);

        let lonely =
            without_twin(&[both.clone(), sqlite.clone()].into(), &[both.clone(), postgres.clone()].into());

        assert_eq!(lonely, [sqlite, postgres]);
        assert!(without_twin(&[both.clone()].into(), &[both].into()).is_empty());
    }

    #[test]
    fn text_without_a_collation_is_found() {
        let migration = "-- TEXT of a comment\nid TEXT COLLATE \"C\" NOT NULL,\nname TEXT NOT NULL\n";
        assert!(without_collation(migration).map(|column| column.line).eq(["name TEXT NOT NULL"]));
    }

    #[test]
    fn a_later_migration_gives_a_column_its_collation() {
        let first = "ALTER TABLE legs ADD COLUMN one TEXT;\nALTER TABLE legs\n    ADD COLUMN two TEXT;";
        let later = "ALTER TABLE legs ALTER COLUMN one TYPE TEXT COLLATE \"C\";";
        let [first, later] =
            [("1", first), ("2", later)].map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(loose(&[first.clone(), later.clone()]), ["1: ADD COLUMN two TEXT;"]);
        assert_eq!(loose(&[later, first]).len(), 2);
    }

    #[test]
    fn the_collation_of_one_tables_column_is_not_that_of_anothers() {
        let first =
            "CREATE TABLE legs (\n    state TEXT NOT NULL\n);\nCREATE TABLE nodes (\n    state TEXT\n);";
        let later = "ALTER TABLE legs ALTER COLUMN state TYPE TEXT COLLATE \"C\";";
        let migrations = [("1", first), ("2", later)].map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(loose(&migrations), ["1: state TEXT"]);
    }
}
