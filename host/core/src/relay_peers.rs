//! Whom a relay host sends to on behalf of its clients (REL-4).
//!
//! A relay stands inside the operator's network: without a rule its clients reach whatever it
//! reaches. So peers on loopback, in private, link-local and reserved ranges, and in ranges that
//! the operator names are refused, unless the operator allows a range. Addresses that relay hosts
//! themselves give out are always permitted, whatever their range: the relay knows those that it
//! gave out itself, and is told of the other relay hosts.

use alloc::{format, string::String, vec::Vec};
use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// The operator's rules about peers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerPolicy {
    /// Allows peers on loopback: for a laptop and for tests.
    pub allow_loopback: bool,
    /// Allowed although they would be refused.
    pub allowed: Vec<AddressRange>,
    /// The operator's own ranges: refused although they look public.
    pub refused: Vec<AddressRange>,
}

/// Why a peer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RefusedPeer {
    /// It names no one host: unspecified, multicast, broadcast. No rule allows it.
    #[error("not an address of one host")]
    NotOneHost,
    /// It is in one of the operator's ranges.
    #[error("in a range of the operator's")]
    Operator,
    /// It is on loopback.
    #[error("on loopback")]
    Loopback,
    /// It is in a private range (RFC 1918, RFC 4193, RFC 6598).
    #[error("in a private range")]
    Private,
    /// It is link-local.
    #[error("link-local")]
    LinkLocal,
    /// It is reserved for protocols, documentation or tests.
    #[error("in a reserved range")]
    Reserved,
}

impl PeerPolicy {
    /// Whether clients may have datagrams sent to this peer.
    pub fn judge(&self, peer: IpAddr) -> Result<(), RefusedPeer> {
        let meant = meant(peer);
        if names_no_one_host(meant) {
            return Err(RefusedPeer::NotOneHost);
        }
        if self.allowed.iter().any(|range| range.contains(meant)) {
            return Ok(());
        }
        // As it is written, too: an operator may want nobody to use a translator.
        if self.refused.iter().any(|range| range.contains(meant) || range.contains(peer)) {
            return Err(RefusedPeer::Operator);
        }
        match special(meant) {
            Some(RefusedPeer::Loopback) if self.allow_loopback => Ok(()),
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }

    /// Whether another relay host may be at this address: it may be in a private range, and in no other that is refused.
    pub fn judge_relay_host(&self, addr: IpAddr) -> Result<(), RefusedPeer> {
        match self.judge(addr) {
            Err(RefusedPeer::Private | RefusedPeer::Reserved) => Ok(()),
            judged => judged,
        }
    }

    /// Refuses a rule that would allow nothing.
    pub fn check(&self) -> Result<(), AllowsNothing> {
        match self.allowed.iter().find(|range| range.is_ipv4_in_ipv6()) {
            Some(range) => Err(AllowsNothing(*range)),
            None => Ok(()),
        }
    }
}

/// A rule allows a range of IPv4 addresses in a form of IPv6. Peers there are judged as IPv4, so it never matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} holds IPv4 addresses in a form of IPv6, which are judged as IPv4: allow a range of IPv4 instead"
)]
pub struct AllowsNothing(AddressRange);

/// The address that is reached in the end: of IPv4 in an IPv6 form the IPv4 address. Such are mapped addresses
/// (RFC 4291), those of NAT64 (RFC 6052) and of 6to4 (RFC 3056).
pub fn meant(addr: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = addr.to_canonical() else {
        return addr.to_canonical();
    };
    let embedded = match v6.segments() {
        [0x64, 0xFF9B, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some([high, low]),
        _ => None,
    };
    embedded.map_or(IpAddr::V6(v6), |[high, low]| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    })
}

const fn names_no_one_host(addr: IpAddr) -> bool {
    let broadcast = matches!(addr, IpAddr::V4(v4) if v4.is_broadcast());
    addr.is_unspecified() || addr.is_multicast() || broadcast
}

const fn special(addr: IpAddr) -> Option<RefusedPeer> {
    match addr {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) => special_v6(v6),
    }
}

const fn special_v4(addr: Ipv4Addr) -> Option<RefusedPeer> {
    if addr.is_loopback() {
        return Some(RefusedPeer::Loopback);
    }
    if addr.is_private() {
        return Some(RefusedPeer::Private);
    }
    if addr.is_link_local() {
        return Some(RefusedPeer::LinkLocal);
    }
    match addr.octets() {
        // Shared by carriers behind their NAT (RFC 6598).
        [100, 64..=127, ..] => Some(RefusedPeer::Private),
        // "This network", protocol assignments, documentation, benchmarks, future use (RFC 6890).
        [0 | 240..=255, ..]
        | [192, 0, 0 | 2, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Some(RefusedPeer::Reserved),
        _ => None,
    }
}

const fn special_v6(addr: Ipv6Addr) -> Option<RefusedPeer> {
    if addr.is_loopback() {
        return Some(RefusedPeer::Loopback);
    }
    if addr.is_unicast_link_local() {
        return Some(RefusedPeer::LinkLocal);
    }
    match addr.segments() {
        // Unique local, and site-local before it (RFC 4193, RFC 3879).
        [0xFC00..=0xFDFF | 0xFEC0..=0xFEFF, ..] => Some(RefusedPeer::Private),
        // IPv4-compatible, discard-only, NAT64 for local use, Teredo and its kin, documentation.
        [0, 0, 0, 0, 0, 0, ..]
        | [0x100, 0, 0, 0, ..]
        | [0x64, 0xFF9B, 1, ..]
        | [0x2001, 0..=0x1FF | 0xDB8, ..]
        | [0x3FFF, 0..=0xFFF, ..] => Some(RefusedPeer::Reserved),
        // Global addresses are of 2000::/3 (RFC 4291 §2.4); others may be IPv4 in one more form (RFC 2765).
        [first, ..] if first & 0xE000 != 0x2000 => Some(RefusedPeer::Reserved),
        _ => None,
    }
}

/// Bits of an IPv6 address before the IPv4 address that it maps.
const MAPPED: u8 = 96;

/// A range of addresses, written `10.0.0.0/8` or as one address. One of mapped IPv4 addresses is the range of those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    base: IpAddr,
    prefix: u8,
}

/// Why a text is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a range of addresses is an address, or an address, '/' and the length of its prefix")]
pub struct InvalidRange;

impl AddressRange {
    /// Whether all its addresses are IPv4 in the form of NAT64 or 6to4.
    fn is_ipv4_in_ipv6(&self) -> bool {
        let IpAddr::V6(base) = self.base else { return false };
        match base.segments() {
            [0x64, 0xFF9B, 0, 0, 0, 0, ..] => self.prefix >= 96,
            [0x2002, ..] => self.prefix >= 16,
            _ => false,
        }
    }

    /// Whether the address is in the range.
    pub fn contains(&self, addr: IpAddr) -> bool {
        match (self.base, addr) {
            (IpAddr::V4(base), IpAddr::V4(addr)) => {
                let shift = 32_u32.saturating_sub(self.prefix.into());
                (base.to_bits() ^ addr.to_bits()).checked_shr(shift).unwrap_or_default() == 0
            }
            (IpAddr::V6(base), IpAddr::V6(addr)) => {
                let shift = 128_u32.saturating_sub(self.prefix.into());
                (base.to_bits() ^ addr.to_bits()).checked_shr(shift).unwrap_or_default() == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for AddressRange {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let (base, prefix) = text.split_once('/').map_or((text, None), |(base, prefix)| (base, Some(prefix)));
        let base: IpAddr = base.parse().or(Err(InvalidRange))?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = prefix.map_or(Ok(longest), str::parse).or(Err(InvalidRange))?;
        if prefix > longest {
            return Err(InvalidRange);
        }
        match (base.to_canonical(), prefix.checked_sub(MAPPED)) {
            (mapped @ IpAddr::V4(_), Some(prefix)) if base.is_ipv6() => Ok(Self { base: mapped, prefix }),
            (IpAddr::V4(_) | IpAddr::V6(_), _) => Ok(Self { base, prefix }),
        }
    }
}

impl TryFrom<String> for AddressRange {
    type Error = InvalidRange;

    fn try_from(text: String) -> Result<Self, InvalidRange> {
        text.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        format!("{range}")
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn addr(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn rel_4_what_only_the_operators_network_reaches_is_refused() {
        let policy = PeerPolicy::default();
        for (peer, reason) in [
            ("127.0.0.1", RefusedPeer::Loopback),
            ("::1", RefusedPeer::Loopback),
            ("::ffff:127.0.0.1", RefusedPeer::Loopback),
            ("64:ff9b::7f00:1", RefusedPeer::Loopback),
            ("2002:7f00:1::", RefusedPeer::Loopback),
            ("10.1.2.3", RefusedPeer::Private),
            ("172.16.0.1", RefusedPeer::Private),
            ("192.168.1.1", RefusedPeer::Private),
            ("100.64.0.1", RefusedPeer::Private),
            ("fd00::1", RefusedPeer::Private),
            ("169.254.169.254", RefusedPeer::LinkLocal),
            ("fe80::1", RefusedPeer::LinkLocal),
            ("0.1.2.3", RefusedPeer::Reserved),
            ("192.0.2.1", RefusedPeer::Reserved),
            ("240.0.0.1", RefusedPeer::Reserved),
            ("2001:db8::1", RefusedPeer::Reserved),
            ("0.0.0.0", RefusedPeer::NotOneHost),
            ("::", RefusedPeer::NotOneHost),
            ("224.0.0.1", RefusedPeer::NotOneHost),
            ("255.255.255.255", RefusedPeer::NotOneHost),
            ("ff02::1", RefusedPeer::NotOneHost),
        ] {
            assert_eq!(policy.judge(addr(peer)), Err(reason), "{peer}");
        }
        for peer in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808"] {
            assert_eq!(policy.judge(addr(peer)), Ok(()), "{peer}");
        }
    }

    #[test]
    fn rel_4_the_operator_allows_and_refuses_ranges() {
        let policy = PeerPolicy {
            allow_loopback: true,
            allowed: vec!["10.9.0.0/16".parse().unwrap(), "224.0.0.0/4".parse().unwrap()],
            refused: vec!["8.8.0.0/16".parse().unwrap(), "::/0".parse().unwrap()],
        };
        assert_eq!(policy.judge(addr("127.0.0.1")), Ok(()));
        assert_eq!(policy.judge(addr("10.9.1.2")), Ok(()));
        assert_eq!(policy.judge(addr("10.8.1.2")), Err(RefusedPeer::Private));
        assert_eq!(policy.judge(addr("8.8.8.8")), Err(RefusedPeer::Operator));
        assert_eq!(policy.judge(addr("2606:4700::1111")), Err(RefusedPeer::Operator));
        assert_eq!(policy.judge(addr("224.0.0.1")), Err(RefusedPeer::NotOneHost), "no rule allows it");
    }

    #[test]
    fn rel_4_ranges_of_ipv4_in_a_form_of_ipv6_count_or_are_no_rule() {
        let range = |text: &str| text.parse::<AddressRange>().unwrap();
        let refusing = |text| PeerPolicy { refused: vec![range(text)], ..PeerPolicy::default() };
        for (refused, peer) in [
            ("64:ff9b::/96", "64:ff9b::808:808"),
            ("2002::/16", "2002:808:808::1"),
            ("::ffff:8.8.0.0/112", "8.8.8.8"),
            ("8.8.8.8", "64:ff9b::808:808"),
        ] {
            assert_eq!(refusing(refused).judge(addr(peer)), Err(RefusedPeer::Operator), "{refused}");
        }
        assert_eq!(refusing("64:ff9b::/96").judge(addr("8.8.8.8")), Ok(()));

        let allowing = |text| PeerPolicy { allowed: vec![range(text)], ..PeerPolicy::default() };
        for text in ["64:ff9b::/96", "64:ff9b::a00:1", "2002::/16", "2002:a00::/24"] {
            assert_eq!(allowing(text).check(), Err(AllowsNothing(range(text))), "{text}");
        }
        for text in ["10.0.0.0/8", "fd00::/8", "::/0", "::ffff:10.0.0.0/104"] {
            assert_eq!(allowing(text).check(), Ok(()), "{text}");
        }
        assert_eq!(allowing("::ffff:10.0.0.0/104").judge(addr("10.1.1.1")), Ok(()));
    }

    #[test]
    fn rel_4_another_relay_host_may_be_in_a_private_range_and_not_where_the_operator_refuses() {
        let policy = PeerPolicy { refused: vec!["10.9.0.0/16".parse().unwrap()], ..PeerPolicy::default() };
        for fine in ["10.0.0.1", "192.0.2.1", "fd00::1", "8.8.8.8"] {
            assert_eq!(policy.judge_relay_host(addr(fine)), Ok(()), "{fine}");
        }
        for (wrong, reason) in [
            ("10.9.0.1", RefusedPeer::Operator),
            ("127.0.0.1", RefusedPeer::Loopback),
            ("169.254.169.254", RefusedPeer::LinkLocal),
            ("224.0.0.1", RefusedPeer::NotOneHost),
        ] {
            assert_eq!(policy.judge_relay_host(addr(wrong)), Err(reason), "{wrong}");
        }
    }

    #[test]
    fn a_range_is_an_address_with_or_without_a_prefix() {
        let range = |text: &str| text.parse::<AddressRange>();
        assert!(range("192.0.2.1").unwrap().contains("192.0.2.1".parse().unwrap()));
        assert!(!range("192.0.2.1").unwrap().contains("192.0.2.2".parse().unwrap()));
        assert!(range("0.0.0.0/0").unwrap().contains("203.0.113.9".parse().unwrap()));
        assert!(!range("0.0.0.0/0").unwrap().contains("::1".parse().unwrap()));
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "ten/8"] {
            assert_eq!(range(wrong), Err(InvalidRange), "{wrong}");
        }
    }
}
