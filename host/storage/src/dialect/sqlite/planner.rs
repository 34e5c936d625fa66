//! What SQLite's planner is told about our tables.
//!
//! Without statistics it takes `tenant = ?` for ten rows, so that it goes through all rows of a tenant, by the primary key,
//! rather than look a device up in an index that begins with the tenant. With `ANALYZE` it would learn what was stored
//! when that ran, a plan for each database. So it is told the same everywhere: all of a table's million rows may be one
//! tenant's, and every further column of an index leaves few of them.
//! (<https://sqlite.org/fileformat2.html#the_sqlite_stat1_table>)

/// Written anew whenever a database is opened; those who connect afterwards plan by it.
pub(super) const STATISTICS: &str = r#"
ANALYZE sqlite_schema;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat)
SELECT t.name, iif(i.origin = 'pk' AND t.wr, t.name, i.name), '1000000' || (
    SELECT group_concat(CASE
        WHEN c.seqno = n.last AND i."unique" THEN ' 1'
        WHEN c.seqno = 0 THEN ' 1000000'
        WHEN c.seqno = 1 THEN ' 20'
        ELSE ' 5' END, '')
    FROM pragma_index_info(i.name) AS c, (SELECT max(seqno) AS last FROM pragma_index_info(i.name)) AS n)
FROM pragma_table_list AS t JOIN pragma_index_list(t.name) AS i
WHERE t.schema = 'main' AND (SELECT name FROM pragma_index_info(i.name) WHERE seqno = 0) = 'tenant';
"#;

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::super::{Place, Synchronous};
    use crate::dialect::{Query, Statement};

    /// Tables that may be gone through: what they hold is few for each installation.
    const FEW: [&str; 7] =
        ["admin_tokens", "gateways", "installation", "nodes", "plugin_versions", "relay_hosts", "tenants"];

    /// Tables of which a tenant has few rows.
    const FEW_OF_TENANT: [&str; 11] = [
        "carrier_bundles",
        "client_authorities",
        "conversions",
        "gateways",
        "mail_servers",
        "pairs",
        "plugin_grants",
        "plugin_versions",
        "tenants",
        "text_policies",
        "text_spending",
    ];

    /// Files of those who have to look everywhere: for what is kept of one person, and into a backup.
    const EVERYWHERE: [&str; 4] = ["person.rs", "erase.rs", "backup.rs", "power_loss.rs"];

    /// A scan of what a tenant has stored would make each request as slow as the tenant is large.
    #[tokio::test]
    async fn every_statement_reaches_its_rows_by_more_than_their_tenant() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("switchhook.db"), Synchronous::Off);
        place.migrate().await.unwrap();
        let connection = place.writer().unwrap();
        let mut looked_at = 0;
        for (file, statement) in statements(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
            let arguments = (1..=20).filter(|n| statement.contains(&format!("${n}")));
            let explain: &'static str = format!("EXPLAIN QUERY PLAN {statement}").leak();
            let query = arguments.fold(Query::from(Statement::from(explain)), |query, _| query.bind("[]"));
            let Ok(plan) = connection.fetch_all(&query) else { continue };
            looked_at += 1;
            for step in plan {
                let step: String = step.cell(3).unwrap();
                assert!(is_by_key(&step), "{file}: {step}\n{statement}");
            }
        }
        assert!(looked_at > 150, "only {looked_at} statements were found");
    }

    /// Without the statistics this test fails: it is they that it tests.
    #[tokio::test]
    async fn a_device_is_looked_up_by_its_index() {
        const OF_DEVICE: &str = "SELECT state FROM legs WHERE tenant = $1 AND device = $2";
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("switchhook.db"), Synchronous::Off);
        place.migrate().await.unwrap();
        let plan = |connection: &super::super::SqliteConnection| {
            let explain: &'static str = format!("EXPLAIN QUERY PLAN {OF_DEVICE}").leak();
            let query = Query::from(Statement::from(explain)).bind("acme").bind("device");
            connection.fetch_all(&query).unwrap().first().unwrap().cell::<String>(3).unwrap()
        };

        let told = plan(&place.writer().unwrap());
        place.writer().unwrap().set("DELETE FROM sqlite_stat1").unwrap();
        let untold = plan(&place.writer().unwrap());

        assert!(told.contains("legs_by_device"), "{told}");
        assert!(!untold.contains("legs_by_device"), "{untold}");
    }

    /// Whether a step of a plan reaches few rows.
    fn is_by_key(step: &str) -> bool {
        let words: Vec<&str> = step.split(' ').collect();
        match words.as_slice() {
            // Of the batch, or by time from the oldest.
            ["SCAN", _, "VIRTUAL", "TABLE", ..] | ["SCAN", "CONSTANT", "ROW"] | ["SCAN", "r"] => true,
            ["SCAN", _, "USING", .., index] if index.ends_with("_by_time") => true,
            ["SCAN", table, ..] => FEW.contains(table),
            ["SEARCH", table, .., "(tenant=?)"] => FEW_OF_TENANT.contains(table),
            _ => true,
        }
    }

    /// Every statement that is written in these files as one literal, with its file.
    fn statements(folder: &Path) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                found.extend(statements(&path));
            } else if !EVERYWHERE.contains(&name.as_str()) {
                let source = fs::read_to_string(&path).unwrap();
                let literals = source.split('"').skip(1).step_by(2).map(joined);
                let of_sql = literals.filter(|it| VERBS.iter().any(|verb| it.starts_with(verb)));
                found.extend(of_sql.map(|statement| (name.clone(), statement)));
            }
        }
        found
    }

    const VERBS: [&str; 4] = ["SELECT ", "INSERT ", "UPDATE ", "DELETE "];

    /// A literal as the compiler reads it: a backslash at the end of a line takes the white space behind it along.
    fn joined(literal: &str) -> String {
        let mut parts = literal.split("\\\n");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |joined, part| joined + part.trim_start())
    }
}
