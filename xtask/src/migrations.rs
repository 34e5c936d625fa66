//! Each migration has a twin: the same number and name for either database. PostgreSQL's text is
//! compared by its bytes, as SQLite's is, whatever the collation of the database.

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
    let loose = names(&postgres)?.into_iter().map(|name| {
        let path = postgres.join(&name);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(without_collation(&text).map(|line| format!("{name}: {}", line.trim())).collect::<Vec<_>>())
    });
    let loose = loose.collect::<Result<Vec<_>>>()?.concat();
    ensure!(loose.is_empty(), "text is `TEXT COLLATE \"C\"` on PostgreSQL:\n{}", loose.join("\n"));
    let lonely = without_twin(&names(&sqlite)?, &names(&postgres)?);
    ensure!(lonely.is_empty(), "these migrations have no twin for the other database: {}", lonely.join(", "));
    Ok(())
}

fn without_twin(sqlite: &BTreeSet<String>, postgres: &BTreeSet<String>) -> Vec<String> {
    sqlite.symmetric_difference(postgres).cloned().collect()
}

fn without_collation(migration: &str) -> impl Iterator<Item = &str> {
    let statements = migration.lines().filter(|line| !line.trim_start().starts_with("--"));
    statements.filter(|line| {
        line.split(" TEXT")
            .skip(1)
            .any(|rest| !rest.starts_with(" COLLATE \"C\"") && !rest.starts_with(char::is_alphanumeric))
    })
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
        assert!(without_collation(migration).eq(["name TEXT NOT NULL"]));
    }
}
