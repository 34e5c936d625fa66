//! What is really built for a workspace, on any platform: which crate brings which.
//!
//! Taken from `cargo tree`, which knows the features that are on. `cargo metadata` and `Cargo.lock`
//! also show what some feature could bring.

use std::{collections::BTreeSet, process::Command};

use anyhow::Result;

use crate::command;

/// Pairs of crates by name: who uses, and what is used.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Built(pub(crate) BTreeSet<(String, String)>);

impl Built {
    /// Fails where `Cargo.lock` is not up to date.
    pub(crate) fn in_workspace(mut cargo: Command) -> Result<Self> {
        cargo.args(["tree", "--workspace", "--locked", "--target", "all", "--edges", "normal,build,dev"]);
        cargo.args(["--prefix", "depth", "--format", "{p}"]);
        Ok(Self::of_tree(&command::output(&mut cargo)?))
    }

    /// A line is a depth and a crate right behind it, `2serde v1.0.0`; crates below one that was
    /// shown before are not shown again.
    fn of_tree(tree: &str) -> Self {
        let mut pairs = BTreeSet::new();
        let mut path: Vec<&str> = Vec::new();
        for line in tree.lines() {
            let name_at = line.find(|c: char| !c.is_ascii_digit()).unwrap_or_default();
            let (depth, rest) = line.split_at(name_at);
            let (Ok(depth), Some(name)) = (depth.parse(), rest.split(' ').next()) else { continue };
            path.truncate(depth);
            if let Some(user) = path.last() {
                pairs.insert(((*user).to_owned(), name.to_owned()));
            }
            path.push(name);
        }
        Self(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_as_who_uses_what() {
        let tree = "0relay v0.1.0 (/checkout/host/relay)\n1turn v0.17.2\n2ring v0.17.14\n2stun v0.17.2\n3ring v0.17.14 (*)\n\
            1bytes v1.0.0\n\n0core v0.1.0\n1bytes v1.0.0 (*)\n";

        let Built(pairs) = Built::of_tree(tree);

        let expected = [
            ("core", "bytes"),
            ("relay", "bytes"),
            ("relay", "turn"),
            ("stun", "ring"),
            ("turn", "ring"),
            ("turn", "stun"),
        ];
        assert_eq!(
            pairs.iter().map(|(user, used)| (user.as_str(), used.as_str())).collect::<Vec<_>>(),
            expected
        );
    }
}
