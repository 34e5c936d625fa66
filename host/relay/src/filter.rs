//! Which peers datagrams and connections go to and come from.
//!
//! TURN's permissions are by address, and the operator's rules judge an address when a permission is
//! asked for. On the relay's own addresses rules and ports count, datagram by datagram: addresses that
//! this relay gave out pass by their port, both ways (REL-4), by UDP or TCP, whichever they are of. Those of other relay hosts are permitted as soon as
//! they are known.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, PoisonError, RwLock},
};

use switchhook_core::relay_peers::{PeerPolicy, RefusedPeer, meant};

use crate::{
    Ip,
    family::{Family, PerFamily},
    ports::Ports,
    transport::Transport,
};

#[derive(Debug)]
pub(crate) struct PeerFilter {
    policy: PeerPolicy,
    /// Addresses that other relay hosts relay from; asked for with a permission, never with a packet.
    relay_hosts: RwLock<Vec<IpAddr>>,
    own: PerFamily<Own>,
}

/// An address of the relay's.
#[derive(Debug)]
struct Own {
    inside: IpAddr,
    public: IpAddr,
    udp: Arc<Ports>,
    tcp: Arc<Ports>,
}

impl Own {
    const fn ports(&self, transport: Transport) -> &Arc<Ports> {
        match transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
        }
    }

    fn is_at(&self, ip: IpAddr) -> bool {
        self.public == ip || self.inside == ip
    }
}

impl PeerFilter {
    pub(crate) fn new(policy: PeerPolicy, ips: impl Iterator<Item = Ip>) -> Self {
        let mut own = PerFamily::NONE;
        for ip in ips {
            let (inside, public) = (ip.bind, ip.public());
            let [udp, tcp] = [(), ()].map(|()| Arc::new(Ports::new()));
            *own.slot_mut(Family::of(inside)) = Some(Own { inside, public, udp, tcp });
        }
        Self { policy, relay_hosts: RwLock::default(), own }
    }

    /// These, and no others, are addresses of other relay hosts.
    pub(crate) fn know(&self, relay_hosts: Vec<IpAddr>) {
        *self.relay_hosts.write().unwrap_or_else(PoisonError::into_inner) = relay_hosts;
    }

    /// The ports of the relay's address of a family.
    pub(crate) fn ports(&self, family: Family, transport: Transport) -> Option<&Arc<Ports>> {
        self.own.get(family).map(|own| own.ports(transport))
    }

    /// The address of a family under which peers reach the relay.
    pub(crate) fn public_ip(&self, family: Family) -> Option<IpAddr> {
        self.own.get(family).map(|own| own.public)
    }

    /// Where the relay's sockets of a family are bound.
    pub(crate) fn inside_ip(&self, family: Family) -> Option<IpAddr> {
        self.own.get(family).map(|own| own.inside)
    }

    /// Whether a client may have a permission for this address.
    pub(crate) fn may_permit(&self, peer: IpAddr) -> bool {
        if self.own_of(peer).is_some_and(|own| own.public == peer) {
            return true;
        }
        // A mapped address would leave by another family than it is looked up by.
        let is_plain = peer.to_canonical() == peer;
        is_plain
            && !self.is_own_in_disguise(peer)
            && (self.policy.judge(peer).is_ok() || self.is_relay_host(peer))
    }

    /// Where a datagram or a connection to a permitted peer goes, if it may.
    pub(crate) fn towards(&self, peer: SocketAddr, by: Transport) -> Option<SocketAddr> {
        let Some(own) = self.own_of(peer.ip()).filter(|own| own.is_at(peer.ip())) else {
            return (peer.port() != 0 && !self.is_own_in_disguise(peer.ip())).then_some(peer);
        };
        if own.ports(by).has(peer.port()) {
            return Some(SocketAddr::new(own.inside, peer.port()));
        }
        self.is_allowed_loopback(peer.ip()).then_some(peer)
    }

    /// Whom a datagram or a connection from this address is from, if it may come in where that one is permitted.
    pub(crate) fn from(&self, source: SocketAddr, by: Transport) -> Option<SocketAddr> {
        let Some(own) = self.own_of(source.ip()).filter(|own| own.inside == source.ip()) else {
            return Some(source);
        };
        if own.ports(by).has(source.port()) {
            return Some(SocketAddr::new(own.public, source.port()));
        }
        self.is_allowed_loopback(source.ip()).then_some(source)
    }

    /// Other ports of the relay's own address are behind its firewall, unless all of it is for peers beside it.
    fn is_allowed_loopback(&self, ip: IpAddr) -> bool {
        ip.is_loopback() && self.policy.judge(ip).is_ok()
    }

    /// Whether this is an IPv6 form of the relay's own IPv4 address: by a translator all ports there are reached.
    fn is_own_in_disguise(&self, ip: IpAddr) -> bool {
        let meant = meant(ip);
        meant != ip && self.own_of(meant).is_some_and(|own| own.is_at(meant))
    }

    fn is_relay_host(&self, ip: IpAddr) -> bool {
        let may_be_there = match self.policy.judge_relay_host(ip) {
            // On loopback are all or none.
            Err(RefusedPeer::Loopback) => self.own_of(ip).is_some_and(|own| own.inside.is_loopback()),
            judged => judged.is_ok(),
        };
        may_be_there && self.relay_hosts.read().unwrap_or_else(PoisonError::into_inner).contains(&ip)
    }

    const fn own_of(&self, ip: IpAddr) -> Option<&Own> {
        self.own.get(Family::of(ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: Transport = Transport::Udp;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// REL-4.two-hosts
    #[test]
    fn rel_4_what_another_relay_host_gave_out_is_permitted_while_it_is_known() {
        let own = Ip { bind: "10.0.0.1".parse().unwrap(), public: None };
        let filter = PeerFilter::new(PeerPolicy::default(), [own].into_iter());
        let other = addr("10.0.0.2:50000");
        assert!(!filter.may_permit(other.ip()));

        filter.know(vec![other.ip()]);
        assert!(filter.may_permit(other.ip()));
        assert!(!filter.may_permit("10.0.0.3".parse().unwrap()));
        assert_eq!((filter.towards(other, UDP), filter.from(other, UDP)), (Some(other), Some(other)));

        filter.know(Vec::new());
        assert!(!filter.may_permit(other.ip()));
    }

    #[test]
    fn rel_4_on_the_relays_own_address_ports_that_it_gave_out_are_peers_and_no_others() {
        let own = Ip { bind: "10.0.0.1".parse().unwrap(), public: Some("198.18.0.1".parse().unwrap()) };
        let filter = PeerFilter::new(PeerPolicy::default(), [own].into_iter());
        let _given = filter.ports(Family::V4, UDP).unwrap().give_out(50_000);
        assert!(filter.may_permit("198.18.0.1".parse().unwrap()));
        assert!(!filter.may_permit("198.18.0.2".parse().unwrap()));

        assert_eq!(filter.towards(addr("198.18.0.1:50000"), UDP), Some(addr("10.0.0.1:50000")));
        assert_eq!(filter.towards(addr("198.18.0.1:50001"), UDP), None);
        assert_eq!(filter.from(addr("10.0.0.1:50000"), UDP), Some(addr("198.18.0.1:50000")));
        assert_eq!(filter.from(addr("10.0.0.1:50001"), UDP), None);
        assert_eq!(filter.from(addr("8.8.8.8:9"), UDP), Some(addr("8.8.8.8:9")));
        assert_eq!(filter.towards(addr("10.0.0.1:50001"), UDP), None);

        let given = addr("198.18.0.1:50000");
        assert_eq!(filter.towards(given, Transport::Tcp), None, "what listens there is no allocation's");
        assert_eq!(filter.from(addr("10.0.0.1:50000"), Transport::Tcp), None);
    }

    #[test]
    fn rel_4_services_beside_the_relay_are_no_peers_though_its_address_is_public() {
        let own = Ip { bind: "8.8.4.4".parse().unwrap(), public: None };
        let filter = PeerFilter::new(PeerPolicy::default(), [own].into_iter());

        assert_eq!(filter.towards(addr("8.8.4.4:3478"), UDP), None);
        assert_eq!(filter.from(addr("8.8.4.4:3478"), UDP), None);
        assert_eq!(filter.towards(addr("8.8.8.8:0"), UDP), None, "no port");
        assert!(!filter.may_permit("::ffff:8.8.4.4".parse().unwrap()), "the same in another form");
    }

    #[test]
    fn rel_4_by_a_translator_the_relays_own_ports_are_not_reached_either() {
        let own = Ip { bind: "10.0.0.1".parse().unwrap(), public: Some("8.8.4.4".parse().unwrap()) };
        let policy = PeerPolicy { allowed: vec!["10.0.0.0/8".parse().unwrap()], ..PeerPolicy::default() };
        let filter = PeerFilter::new(policy, [own].into_iter());
        let _given = filter.ports(Family::V4, UDP).unwrap().give_out(50_000);
        for written in ["64:ff9b::8.8.4.4", "2002:808:404::1", "64:ff9b::10.0.0.1", "2002:a00:1::"] {
            let ip: IpAddr = written.parse().unwrap();
            assert!(!filter.may_permit(ip), "{written}");
            for port in [22, 50_000] {
                assert_eq!(filter.towards(SocketAddr::new(ip, port), UDP), None, "{written}");
            }
        }
    }

    /// REL-4.two-hosts
    #[test]
    fn rel_4_another_relay_host_is_not_permitted_where_the_operator_refuses() {
        let policy = PeerPolicy { refused: vec!["10.9.0.0/16".parse().unwrap()], ..PeerPolicy::default() };
        let filter = PeerFilter::new(policy, std::iter::empty());
        let hosts = ["10.8.0.1", "10.9.0.1", "127.0.0.1", "169.254.169.254"].map(|ip| ip.parse().unwrap());
        filter.know(hosts.to_vec());
        assert_eq!(hosts.map(|ip| filter.may_permit(ip)), [true, false, false, false]);

        let own = Ip { bind: "127.0.0.2".parse().unwrap(), public: None };
        let filter = PeerFilter::new(PeerPolicy::default(), [own].into_iter());
        filter.know(hosts.to_vec());
        let last = hosts.map(|ip| filter.may_permit(ip))[2..].to_vec();
        assert_eq!(last, [true, false], "on one machine");
    }

    #[test]
    fn rel_4_a_forbidden_peer_is_forbidden_however_it_is_written() {
        let filter = PeerFilter::new(PeerPolicy::default(), std::iter::empty());
        for written in
            ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::1", "::ffff:127.0.0.1"]
        {
            assert!(!filter.may_permit(written.parse().unwrap()), "{written}");
        }
        assert!(filter.may_permit("64:ff9b::8.8.8.8".parse().unwrap()));
    }
}
