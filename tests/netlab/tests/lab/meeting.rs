//! Hole punching by the book: who meets, and who does not.

use std::collections::BTreeMap;

use anyhow::Result;
use switchhook_netlab::{Lab, MeetingTable, Nat, Site, meet, reported};

const PAGE: &str = include_str!("../../../../docs/NAT.md");

#[test]
fn the_published_table_says_which_ordered_pairs_meet() -> Result<()> {
    let Some(lab) = Lab::or_skip("the_published_table_says_which_ordered_pairs_meet")? else { return Ok(()) };
    let table = MeetingTable::read(PAGE)?;
    let sites: BTreeMap<Nat, [Party; 2]> = Nat::ALL
        .into_iter()
        .map(|nat| Ok((nat, [Party::new(&lab, nat)?, Party::new(&lab, nat)?])))
        .collect::<Result<_>>()?;

    let mut wrong = Vec::new();
    for ((first, second), expected) in table.pairs() {
        let (a, b) = (&sites[&first][0], &sites[&second][1]);
        let met = a.gets_out && b.gets_out && meet(&lab, a.site.host(), b.site.host())?.is_some();
        if met != expected {
            wrong.push(format!("{first} then {second}: measured {met}, published {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// A site of the table. Waiting for an answer that never comes takes its time, so it is done once.
struct Party {
    site: Site,
    gets_out: bool,
}

impl Party {
    fn new(lab: &Lab, nat: Nat) -> Result<Self> {
        let site = lab.site(nat)?;
        let gets_out = reported(lab, site.host())?.is_some();
        assert_eq!(gets_out, nat.behaviour().is_some(), "{nat}");
        Ok(Self { site, gets_out })
    }
}
