//! The table of `docs/NAT.md` that the lab writes: how the client's calls got through, for each ordered pair of NATs.
//!
//! Most pairs come out the same each time. Where ports are guessed at random they do not, nor where it depends on which
//! of two datagrams is first; the table says which pairs these are.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context as _, Result, bail};

use crate::{
    nat::Nat,
    table::{Pairs, pairs},
};

/// How a call got through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Through {
    /// Directly, with nothing guessed.
    Direct,
    /// Directly, by guessing the next ports.
    NextPorts,
    /// Directly, by guessing ports at random.
    RandomPorts,
    /// Through the relay.
    Relay,
}

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub struct Matrix(Pairs<Cell>);

/// What the table says of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// The same each time; random ports are not always hit, and then the relay is what is left.
    By(Through),
    /// Directly or not, by which datagram is first.
    Either,
}

/// The corner of the table.
const CORNER: &str = "caller ＼ callee";

const EITHER: &str = "either";

impl Matrix {
    /// Reads it from the page; every ordered pair must be there.
    pub fn read(page: &str) -> Result<Self> {
        Ok(Self(pairs(page, CORNER, Cell::read)?))
    }

    /// What was measured, but for pairs that may come out `either` way, and for those that were seen before to be won by
    /// random ports and were not this time.
    pub fn of(
        measured: &BTreeMap<(Nat, Nat), Through>,
        either: impl Fn((Nat, Nat)) -> bool,
        before: Option<&Self>,
    ) -> Self {
        let cell = |(pair, through): (&(Nat, Nat), &Through)| {
            let stays = before.and_then(|before| before.0.get(pair)).filter(|cell| cell.allows(*through));
            let cell = stays.copied().filter(|cell| *cell != Cell::Either).unwrap_or(Cell::By(*through));
            (*pair, if either(*pair) { Cell::Either } else { cell })
        };
        Self(measured.iter().map(cell).collect())
    }

    /// What was measured otherwise than the table says, a line for each pair.
    pub fn differences(&self, measured: &BTreeMap<(Nat, Nat), Through>) -> BTreeMap<(Nat, Nat), String> {
        let differs = |(pair, cell): (&(Nat, Nat), &Cell)| {
            let through = measured.get(pair).copied();
            let ((caller, callee), said) = (*pair, cell.word());
            (!through.is_some_and(|through| cell.allows(through)))
                .then(|| (*pair, format!("{caller} calls {callee}: measured {through:?}, published {said}")))
        };
        self.0.iter().filter_map(differs).collect()
    }

    /// The pairs that random ports win.
    pub fn by_random_ports(&self) -> impl Iterator<Item = (Nat, Nat)> + '_ {
        let won =
            |(pair, cell): (&(Nat, Nat), &Cell)| (*cell == Cell::By(Through::RandomPorts)).then_some(*pair);
        self.0.iter().filter_map(won)
    }

    /// The page, with this table in the place of its own.
    pub fn written_into(&self, page: &str) -> Result<String> {
        let begin = page.find(&format!("| {CORNER} |")).context("the page has no such table")?;
        let (before, rest) = page.split_at(begin);
        let after = rest.find("\n\n").map_or("", |end| rest.get(end + 1..).unwrap_or_default());
        Ok(format!("{before}{}{after}", self.printed()?))
    }

    fn printed(&self) -> Result<String> {
        let names = Nat::ALL.map(|nat| format!(" `{nat}` |")).concat();
        let mut table = format!("| {CORNER} |{names}\n|{}\n", " --- |".repeat(Nat::ALL.len() + 1));
        for caller in Nat::ALL {
            write!(table, "| `{caller}` |")?;
            for callee in Nat::ALL {
                let cell = self.0.get(&(caller, callee)).context("a pair that was not measured")?;
                write!(table, " {} |", cell.word())?;
            }
            table.push('\n');
        }
        Ok(table)
    }
}

impl Cell {
    fn read(word: &str) -> Result<Self> {
        let through = [Through::Direct, Through::NextPorts, Through::RandomPorts, Through::Relay];
        let cells = through.into_iter().map(Self::By).chain([Self::Either]);
        let Some(cell) = cells.into_iter().find(|cell| cell.word() == word) else {
            bail!("`{word}` is no way in which a call gets through");
        };
        Ok(cell)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::By(Through::Direct) => "direct",
            Self::By(Through::NextPorts) => "next ports",
            Self::By(Through::RandomPorts) => "random ports",
            Self::By(Through::Relay) => "relay",
            Self::Either => EITHER,
        }
    }

    /// Whether a call may get through so.
    fn allows(self, through: Through) -> bool {
        match self {
            Self::By(Through::RandomPorts) => matches!(through, Through::RandomPorts | Through::Relay),
            Self::By(said) => said == through,
            Self::Either => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(through: Through) -> BTreeMap<(Nat, Nat), Through> {
        Nat::ALL.into_iter().flat_map(|one| Nat::ALL.map(|other| ((one, other), through))).collect()
    }

    #[test]
    fn what_is_written_is_read_again_and_the_rest_of_the_page_stays() -> Result<()> {
        let page = format!("# Before\n\n| {CORNER} | old |\n| --- | --- |\n| `none` | relay |\n\nafter\n");
        let matrix = Matrix::of(&all(Through::Direct), |(caller, _)| caller == Nat::OpenMasquerade, None);
        let written = matrix.written_into(&page)?;
        assert_eq!(Matrix::read(&written)?, matrix);
        assert!(
            written.starts_with("# Before\n\n| ") && written.ends_with(" direct |\n\nafter\n"),
            "{written}"
        );
        assert_eq!(matrix.written_into(&written)?, written);
        Ok(())
    }

    #[test]
    fn only_random_ports_and_races_may_come_out_otherwise() {
        let lucky = Matrix::of(&all(Through::RandomPorts), |pair| pair == (Nat::None, Nat::None), None);
        assert_eq!(lucky.differences(&all(Through::Relay)), BTreeMap::new());
        assert_eq!(lucky.differences(&all(Through::Direct)).len(), Nat::ALL.len().pow(2) - 1);
        assert_eq!(lucky.by_random_ports().count(), Nat::ALL.len().pow(2) - 1);
        assert_eq!(
            Matrix::of(&all(Through::Relay), |pair| pair == (Nat::None, Nat::None), Some(&lucky)),
            lucky
        );
        let sure = Matrix::of(&all(Through::NextPorts), |_| false, None);
        assert_eq!(sure.differences(&all(Through::Relay)).len(), Nat::ALL.len().pow(2));
        assert_eq!(sure.differences(&BTreeMap::new()).len(), Nat::ALL.len().pow(2), "nobody called");
    }
}
