//! How much the devices of a tenant may do: the operator's bounds, and the tenant's own below them.
//!
//! This one table makes both: [`Limits`], where every bound has a value, and [`OwnLimits`], where one that is
//! missing is the operator's.

use alloc::string::String;
use core::cmp::min;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A bound of relays that nobody has set: relay hosts have settings of their own.
pub const UNSET: u32 = u32::MAX;

macro_rules! limits {
    ($($(#[doc = $meaning:literal])* $name:ident = $value:expr;)*) => {
        /// Every bound; the default is the operator's until the settings say otherwise.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Limits {
            $($(#[doc = $meaning])* pub $name: u32,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $value),* }
            }
        }

        /// The bounds that a tenant has set for itself.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct OwnLimits {
            $(
                $(#[doc = $meaning])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<u32>,
            )*
            /// What this version does not know: kept, since a node of a later version may have stored it.
            #[serde(flatten)]
            pub unknown: Map<String, Value>,
        }

        impl OwnLimits {
            /// Names the first bound that a tenant cannot set.
            pub fn check(&self, most: &Limits) -> Result<(), RefusedLimit> {
                if let Some(name) = self.unknown.keys().next() {
                    return Err(RefusedLimit::Unknown(name.clone()));
                }
                $(
                    if self.$name.is_some_and(|own| own > most.$name) {
                        return Err(RefusedLimit::AboveOperators { name: stringify!($name), most: most.$name });
                    }
                )*
                Ok(())
            }

            /// What counts. The operator may have lowered its own since.
            pub fn below(&self, most: &Limits) -> Limits {
                Limits { $($name: self.$name.map_or(most.$name, |own| min(own, most.$name))),* }
            }
        }
    };
}

limits! {
    /// Invites that one device sends in a minute: a person who redials has room, a program that dials through has not.
    invites_of_device = 120;
    /// Invites from one identifier in a minute, by all its devices together.
    invites_of_identifier = 240;
    /// Invites from one identifier to another in a minute: ringing on and on is a nuisance. Only who rings is
    /// held back, so that nobody makes another unreachable for third parties.
    invites_of_pair = 30;
    /// Invites of the whole tenant in a minute: its share of a node.
    invites_of_tenant = 60_000;
    /// Devices that one invite reaches; 64 at most.
    fan_out = 64;
    /// Messages `session-update`, `connection-data`, `relay.request` and `relay.update` that one device sends in a minute:
    /// each goes to the mailboxes of others.
    updates_of_device = 600;
    /// Requests in a minute with an application's tokens, all of them together: a program that moves its users over has
    /// done 100 000 of them in a quarter of an hour, and one that runs wild leaves room for others.
    requests_of_application = 6_000;
    /// Requests in a minute with the tokens of all applications of the tenant: its share of a node.
    requests_of_applications = 30_000;
    /// Devices that enrol from one address (of IPv6, one network of 64 bits) in a minute: an office, or what a carrier
    /// puts behind one address, has room; a program that makes up devices is worth two a second.
    enrolments_of_address = 120;
    /// Devices of the tenant that enrol in a minute: a launch's evening has room, and no rush fills a node's disk.
    enrolments_of_tenant = 6_000;
    /// Allocations that the tenant holds at a time on one relay host; [`UNSET`]: as many as the host's own settings give.
    relay_allocations = UNSET;
    /// Kilobytes that one relay host relays for the tenant in a second, both ways together, in steps of 1 000 bytes;
    /// [`UNSET`]: as many as the host's own settings give.
    relay_kilobytes = UNSET;
}

/// Why a tenant cannot have the bounds that it wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedLimit {
    /// There is no such bound.
    #[error("{0} is no bound")]
    Unknown(String),
    /// It is above the operator's.
    #[error("{name} is at most {most}, by the operator's settings")]
    AboveOperators {
        /// Of the bound.
        name: &'static str,
        /// The operator's.
        most: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenants_own_bound_counts_below_the_operators_and_never_above_it() {
        let most = Limits { fan_out: 20, ..Limits::default() };
        let own = OwnLimits { fan_out: Some(10), invites_of_pair: Some(0), ..OwnLimits::default() };
        assert_eq!(own.check(&most), Ok(()));
        assert_eq!(own.below(&most), Limits { fan_out: 10, invites_of_pair: 0, ..most });

        let wide = OwnLimits { fan_out: Some(21), ..own };
        assert_eq!(wide.check(&most), Err(RefusedLimit::AboveOperators { name: "fan_out", most: 20 }));
        assert_eq!(wide.below(&most).fan_out, 20, "the operator lowered its own");
    }

    #[test]
    fn a_bound_of_a_later_version_is_kept_where_it_is_stored_and_refused_where_it_is_asked_for() {
        let stored = r#"{"fan_out":3,"songs_of_device":7}"#;
        let own: OwnLimits = serde_json::from_str(stored).unwrap();
        assert_eq!(own.fan_out, Some(3));
        assert_eq!(serde_json::to_string(&own).unwrap(), stored);
        let refused = RefusedLimit::Unknown(String::from("songs_of_device"));
        assert_eq!(own.check(&Limits::default()), Err(refused));
    }
}
