//! The tables of `docs/NAT.md`: which two kinds of NAT can meet, and what the client was measured to get.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};

use crate::nat::Nat;

/// Something about each ordered pair of kinds of NAT; who moves first stands first.
pub(crate) type Pairs<T> = BTreeMap<(Nat, Nat), T>;

/// Whether two hosts can meet, by their NATs; the one that moves first stands first.
#[derive(Debug, PartialEq, Eq)]
pub struct MeetingTable(Pairs<bool>);

/// The corner of the table.
const CORNER: &str = "first ＼ second";

impl MeetingTable {
    /// Reads it from the page; every ordered pair must be there.
    pub fn read(page: &str) -> Result<Self> {
        Ok(Self(pairs(page, CORNER, verdict_of)?))
    }

    /// All ordered pairs, and whether they can meet.
    pub fn pairs(&self) -> impl Iterator<Item = ((Nat, Nat), bool)> + '_ {
        self.0.iter().map(|(pair, meets)| (*pair, *meets))
    }
}

/// The cells of the page's table with this corner; every ordered pair must be there.
pub(crate) fn pairs<T>(page: &str, corner: &str, read: impl Fn(&str) -> Result<T>) -> Result<Pairs<T>> {
    let mut rows = page.lines().map(cells).skip_while(|row| row.first() != Some(&corner));
    let header = rows.next().context("the page has no such table")?;
    let columns: Vec<Nat> = header.iter().skip(1).map(|name| name.parse()).collect::<Result<_>>()?;
    let mut table = BTreeMap::new();
    for row in rows.skip(1).take_while(|row| !row.is_empty()) {
        let (first, said) = row.split_first().context("an empty row")?;
        let first: Nat = first.parse()?;
        for (second, cell) in columns.iter().zip(said) {
            table.insert((first, *second), read(cell)?);
        }
    }
    ensure!(table.len() == Nat::ALL.len().pow(2), "{} pairs of {}", table.len(), Nat::ALL.len().pow(2));
    Ok(table)
}

fn cells(line: &str) -> Vec<&str> {
    let Some(inner) = line.trim().strip_prefix('|').and_then(|line| line.strip_suffix('|')) else {
        return Vec::new();
    };
    inner.split('|').map(|cell| cell.trim().trim_matches('`')).collect()
}

fn verdict_of(cell: &str) -> Result<bool> {
    match cell {
        "yes" => Ok(true),
        "–" => Ok(false),
        other => bail!("`{other}` is neither yes nor –"),
    }
}
