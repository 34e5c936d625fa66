//! The compatibility table, and which of its rows a device belongs to.

use switchhook_plugin::nat::{Filtering, Mapping, Origin, Party};

/// A row and column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Open,
    FullCone,
    RestrictedCone,
    PortRestrictedCone,
    /// One address for all destinations, filtering not known.
    Cone,
    Symmetric,
    Unknown,
}

/// Whether two kinds meet directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meets {
    Yes,
    Maybe,
    No,
}

use Meets::{Maybe as M, No as N, Yes as Y};

/// The table of the module docs: rows and columns in the order of [`Kind`].
const TABLE: [[Meets; 7]; 7] = [
    [Y, Y, Y, Y, Y, Y, Y],
    [Y, Y, Y, Y, Y, Y, Y],
    [Y, Y, Y, Y, Y, Y, Y],
    [Y, Y, Y, Y, Y, N, M],
    [Y, Y, Y, Y, Y, M, M],
    [Y, Y, Y, N, M, N, M],
    [Y, Y, Y, M, M, M, M],
];

pub(crate) fn meets(a: Kind, b: Kind) -> Meets {
    TABLE.get(a.row()).and_then(|row| row.get(b.row())).copied().unwrap_or(Meets::Maybe)
}

/// Whether a "meets" would be less without what the clients only claim.
pub(crate) fn rests_on_claims(a: &Party, b: &Party) -> bool {
    meets(Kind::observed(a), Kind::observed(b)) != Meets::Yes
}

impl Kind {
    pub(crate) fn of(party: &Party) -> Self {
        Self::from_facts(party.mapping, party.filtering)
    }

    fn observed(party: &Party) -> Self {
        let mapping = match party.mapping_origin {
            Origin::Observed => party.mapping,
            Origin::Claimed => Mapping::Unknown,
        };
        let filtering = match party.filtering_origin {
            Origin::Observed => party.filtering,
            Origin::Claimed => Filtering::Unknown,
        };
        Self::from_facts(mapping, filtering)
    }

    fn from_facts(mapping: Mapping, filtering: Filtering) -> Self {
        match (mapping, filtering) {
            (Mapping::Unknown, _) => Self::Unknown,
            // A symmetric gateway is met at a port that nobody was told, whatever it lets in.
            (Mapping::AddressDependent | Mapping::AddressAndPortDependent, _) => Self::Symmetric,
            (Mapping::None, Filtering::None | Filtering::EndpointIndependent) => Self::Open,
            (_, Filtering::None | Filtering::EndpointIndependent) => Self::FullCone,
            (_, Filtering::AddressDependent) => Self::RestrictedCone,
            (_, Filtering::AddressAndPortDependent) => Self::PortRestrictedCone,
            (Mapping::None | Mapping::EndpointIndependent, Filtering::Unknown) => Self::Cone,
        }
    }

    const fn row(self) -> usize {
        match self {
            Self::Open => 0,
            Self::FullCone => 1,
            Self::RestrictedCone => 2,
            Self::PortRestrictedCone => 3,
            Self::Cone => 4,
            Self::Symmetric => 5,
            Self::Unknown => 6,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const KINDS: [Kind; 7] = [
        Kind::Open,
        Kind::FullCone,
        Kind::RestrictedCone,
        Kind::PortRestrictedCone,
        Kind::Cone,
        Kind::Symmetric,
        Kind::Unknown,
    ];

    #[test]
    fn nat_3_the_table_is_what_one_probe_each_way_achieves() {
        for a in KINDS {
            for b in KINDS {
                assert_eq!(meets(a, b), expected(a, b), "{a:?} × {b:?}");
            }
        }
    }

    #[test]
    fn nat_3_the_published_table_is_the_one_that_decides() {
        let source = include_str!("lib.rs");
        let rows: Vec<&str> = source
            .lines()
            .filter_map(|line| line.strip_prefix("//! | "))
            .filter(|line| line.contains(['●', '○']))
            .collect();
        assert_eq!(rows.len(), KINDS.len());
        for (row, a) in rows.iter().zip(KINDS) {
            let cells: Vec<Meets> = row
                .chars()
                .filter_map(|c| match c {
                    '●' => Some(Meets::Yes),
                    '◐' => Some(Meets::Maybe),
                    '○' => Some(Meets::No),
                    _ => None,
                })
                .collect();
            let decided: Vec<Meets> = KINDS.iter().map(|&b| meets(a, b)).collect();
            assert_eq!(cells, decided, "{row}");
        }
    }

    /// What the page of measured pairs says of each, in both orders; the lab measures every cell of it.
    #[test]
    fn nat_3_the_table_promises_what_the_lab_measures_and_gives_up_nothing_else() {
        let published = published();
        for ((first, second), meets_in_the_lab) in &published {
            let (Some(a), Some(b)) = (kind(first), kind(second)) else { continue };
            let meets_either_way = *meets_in_the_lab || published[&(second.clone(), first.clone())];
            match (first.as_str(), second.as_str()) {
                // It takes who moves first for a stranger: a client that moves at once with it meets (rule 4).
                ("open-masquerade", _) | (_, "open-masquerade") => {}
                // An open filter behind many ports lets a question in, and its answer goes to whoever asked (rule 3): no
                // client sees that filter in what CDX observes, so that the table says no.
                ("symmetric-open", "address-dependent") | ("address-dependent", "symmetric-open") => {
                    assert_eq!((meets(a, b), meets_either_way), (Meets::No, true));
                }
                _ => assert_eq!(meets(a, b) == Meets::Yes, *meets_in_the_lab, "{first} × {second}"),
            }
        }
    }

    /// The row of a NAT of the lab; none where no datagram gets out.
    fn kind(name: &str) -> Option<Kind> {
        match name {
            "none" => Some(Kind::Open),
            "full-cone" => Some(Kind::FullCone),
            "restricted-cone" => Some(Kind::RestrictedCone),
            "port-restricted" | "masquerade" | "open-masquerade" => Some(Kind::PortRestrictedCone),
            "address-dependent"
            | "symmetric"
            | "symmetric-sequential"
            | "symmetric-open"
            | "random-masquerade" => Some(Kind::Symmetric),
            "no-udp" | "https-only" => None,
            other => panic!("{other} has no row"),
        }
    }

    /// Ordered pairs of `docs/NAT.md`.
    fn published() -> BTreeMap<(String, String), bool> {
        let page = include_str!("../../../docs/NAT.md");
        let cells = |line: &str| -> Vec<String> {
            line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
        };
        let mut rows = page.lines().skip_while(|line| !line.starts_with("| first"));
        let columns = cells(rows.next().unwrap());
        let mut pairs = BTreeMap::new();
        for row in rows.skip(1).take_while(|line| line.starts_with('|')) {
            let row = cells(row);
            for (second, cell) in columns.iter().zip(&row).skip(2).filter(|(second, _)| !second.is_empty()) {
                pairs.insert((row[1].clone(), second.clone()), cell == "yes");
            }
        }
        assert_eq!(pairs.len(), 13 * 13);
        pairs
    }

    /// Derived from RFC 4787's terms: a kind that hides something is each of its possibilities.
    fn expected(a: Kind, b: Kind) -> Meets {
        let pairs = || possibilities(a).iter().flat_map(|&a| possibilities(b).iter().map(move |&b| (a, b)));
        let arrives = |(a, b)| reaches(a, b) || reaches(b, a);
        match (pairs().all(arrives), pairs().any(arrives)) {
            (true, _) => Meets::Yes,
            (false, true) => Meets::Maybe,
            (false, false) => Meets::No,
        }
    }

    /// A probe from `a` arrives at the address that `b` told, and is answered to where it came from.
    fn reaches(a: Kind, b: Kind) -> bool {
        match b {
            Kind::Open | Kind::FullCone | Kind::RestrictedCone => true,
            // The port that `a` uses towards `b` is the one `b` opened its gateway for.
            Kind::PortRestrictedCone => a != Kind::Symmetric,
            Kind::Symmetric => false,
            Kind::Cone | Kind::Unknown => unreachable!("replaced by their possibilities"),
        }
    }

    fn possibilities(kind: Kind) -> &'static [Kind] {
        match kind {
            Kind::Open => &[Kind::Open],
            Kind::FullCone => &[Kind::FullCone],
            Kind::RestrictedCone => &[Kind::RestrictedCone],
            Kind::PortRestrictedCone => &[Kind::PortRestrictedCone],
            Kind::Cone => &[Kind::FullCone, Kind::RestrictedCone, Kind::PortRestrictedCone],
            Kind::Symmetric => &[Kind::Symmetric],
            Kind::Unknown => {
                &[Kind::FullCone, Kind::RestrictedCone, Kind::PortRestrictedCone, Kind::Symmetric]
            }
        }
    }
}
