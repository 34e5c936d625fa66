//! IPv4 and IPv6, and what there is one of for each.

use std::net::IpAddr;

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(crate) const fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// As attributes name it (RFC 8656 §18.6): the first of four bytes.
    pub(crate) const fn read(value: &[u8]) -> Option<Self> {
        match value {
            [1, _, _, _] => Some(Self::V4),
            [2, _, _, _] => Some(Self::V6),
            _ => None,
        }
    }

    pub(crate) const fn wire(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
        }
    }
}

/// At most one of each family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PerFamily<T> {
    v4: Option<T>,
    v6: Option<T>,
}

impl<T> PerFamily<T> {
    pub(crate) const NONE: Self = Self { v4: None, v6: None };

    pub(crate) const fn get(&self, family: Family) -> Option<&T> {
        match family {
            Family::V4 => self.v4.as_ref(),
            Family::V6 => self.v6.as_ref(),
        }
    }

    pub(crate) const fn slot_mut(&mut self, family: Family) -> &mut Option<T> {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    /// Those that are there.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.v4.iter_mut().chain(&mut self.v6)
    }

    /// Those that are there, with their families.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Family, &T)> {
        Family::BOTH.into_iter().filter_map(|family| Some((family, self.get(family)?)))
    }
}
