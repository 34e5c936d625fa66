//! Who may connect: so many of an address, of a tenant, and of strangers.
//!
//! A connection has a place of its address from its first byte to its end, or to its upgrade; beyond that it is closed,
//! since nothing has been said yet. A TLS handshake has one of its address besides, until it is finished. A socket has
//! one of its address, one of its tenant, and until it has said `hello` one of the strangers; beyond that the upgrade
//! is refused with a code and the time to wait.

use std::{net::IpAddr, sync::Arc};

use axum::http::HeaderMap;
use switchhook_core::subscriber::Subscriber;
use switchhook_protocol::{
    error::{ErrorBody, ErrorCode},
    id::TenantId,
    time::millis,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::forwarded::Proxies;
use crate::{limits, places, settings};

type Place = places::Place<Holder>;

/// Who holds places, and for what. An address is that of one subscriber: an IPv4 address, or the 64 bits of an IPv6 one
/// that a provider gives out as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// Connections of an address that are no WebSocket, or not yet.
    Connections(Subscriber),
    /// TLS handshakes of an address that are not finished.
    Handshakes(Subscriber),
    /// Sockets of an address that have not said who they are.
    Strangers(Subscriber),
    /// Sockets of an address.
    Sockets(Subscriber),
    /// Sockets of a tenant.
    Tenant(TenantId),
}

/// The places of one server, and who believes whom.
#[derive(Debug)]
pub(crate) struct Doors {
    places: Arc<places::Places<Holder>>,
    strangers: Arc<Semaphore>,
    proxies: Proxies,
    sockets_of_address: u32,
    sockets_of_tenant: u32,
}

/// The places of a socket, to its end.
#[derive(Debug)]
pub(crate) struct Admitted {
    stranger: Option<(OwnedSemaphorePermit, Place)>,
    from: Subscriber,
    _address: Place,
    _tenant: Place,
}

/// There are too many already.
#[derive(Debug)]
pub(crate) struct Full;

impl Doors {
    pub(crate) fn new(settings: &settings::Http) -> Self {
        Self {
            places: Arc::default(),
            strangers: Arc::new(Semaphore::new(limits::UNKNOWN_SOCKETS)),
            proxies: Proxies::new(settings),
            sockets_of_address: settings.sockets_of_address,
            sockets_of_tenant: settings.sockets_of_tenant,
        }
    }

    /// A place for a connection from this address; none is needed for a proxy's, who brings many.
    pub(crate) fn connection(&self, ip: IpAddr) -> Result<Option<Place>, Full> {
        let most = self.sockets_of_address.saturating_mul(limits::CONNECTIONS_PER_SOCKET);
        self.unless_proxy(ip, Holder::Connections(ip.into()), most)
    }

    /// A place for a TLS handshake with this address; none is needed for a proxy's.
    pub(crate) fn handshake(&self, ip: IpAddr) -> Result<Option<Place>, Full> {
        self.unless_proxy(ip, Holder::Handshakes(ip.into()), limits::UNFINISHED_HANDSHAKES_OF_ADDRESS)
    }

    /// Places for a socket at a tenant, asked for from this address with these headers.
    pub(crate) fn socket(
        &self,
        tenant: &TenantId,
        ip: IpAddr,
        headers: &HeaderMap,
    ) -> Result<Admitted, ErrorBody> {
        let from = self.subscriber(ip, headers);
        let take = |holder, most| self.places.take(holder, most).ok_or_else(refused);
        let address = take(Holder::Sockets(from), self.sockets_of_address)?;
        let tenant = take(Holder::Tenant(tenant.clone()), self.sockets_of_tenant)?;
        let stranger = take(Holder::Strangers(from), limits::UNKNOWN_SOCKETS_OF_ADDRESS)?;
        let permit = Arc::clone(&self.strangers).try_acquire_owned().or(Err(ErrorCode::Overloaded))?;
        Ok(Admitted { stranger: Some((permit, stranger)), from, _address: address, _tenant: tenant })
    }

    /// Who asks from this address with these headers.
    pub(crate) fn subscriber(&self, ip: IpAddr, headers: &HeaderMap) -> Subscriber {
        self.proxies.client(ip, headers).into()
    }

    fn unless_proxy(&self, ip: IpAddr, holder: Holder, most: u32) -> Result<Option<Place>, Full> {
        if self.proxies.has(ip) {
            return Ok(None);
        }
        self.places.take(holder, most).map(Some).ok_or(Full)
    }
}

impl Admitted {
    /// Behind which address it is.
    pub(crate) const fn from(&self) -> Subscriber {
        self.from
    }

    /// The socket has said who it is.
    pub(crate) fn known(&mut self) {
        self.stranger = None;
    }
}

fn refused() -> ErrorBody {
    let retry_after_ms = Some(millis(limits::CONNECTION_WAIT));
    ErrorBody { retry_after_ms, ..ErrorCode::TooManyConnections.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "192.0.2.1";

    #[test]
    fn an_address_has_so_many_sockets_and_another_its_own() {
        let doors = doors(|http| http.sockets_of_address = 2);
        let held = [doors.at(HERE, "acme"), doors.at(HERE, "other")];
        assert!(held.iter().all(Result::is_ok));
        let refused = doors.at(HERE, "third").unwrap_err();
        assert_eq!((refused.code, refused.retry_after_ms), (ErrorCode::TooManyConnections, Some(10_000)));
        assert!(doors.at("192.0.2.2", "acme").is_ok());
        drop(held);
        assert!(doors.at(HERE, "acme").is_ok());
    }

    #[test]
    fn a_tenant_has_so_many_sockets_and_another_its_own() {
        let doors = doors(|http| http.sockets_of_tenant = 1);
        let held = doors.at(HERE, "acme").unwrap();
        assert_eq!(doors.at("192.0.2.2", "acme").unwrap_err().code, ErrorCode::TooManyConnections);
        assert!(doors.at(HERE, "other").is_ok());
        drop(held);
        assert!(doors.at("192.0.2.2", "acme").is_ok());
    }

    #[test]
    fn strangers_of_one_address_leave_places_to_those_of_others_and_who_is_known_is_none() {
        let doors = doors(|http| http.sockets_of_address = u32::MAX);
        let mut held: Vec<Admitted> =
            (0..limits::UNKNOWN_SOCKETS_OF_ADDRESS).map(|_| doors.at(HERE, "acme").unwrap()).collect();
        assert_eq!(doors.at(HERE, "acme").unwrap_err().code, ErrorCode::TooManyConnections);
        assert!(doors.at("192.0.2.2", "acme").is_ok());
        held[0].known();
        assert!(doors.at(HERE, "acme").is_ok());
    }

    #[test]
    fn an_address_has_more_connections_than_sockets_and_a_proxy_any_number() {
        let proxy: settings::Proxy = "198.51.100.0/24".to_owned().try_into().unwrap();
        let doors = doors(|http| (http.sockets_of_address, http.proxies) = (1, vec![proxy]));
        let connect = |ip: &str| doors.connection(from(ip));
        let held = [connect("2001:db8::1"), connect("2001:db8::2")];
        assert!(held.iter().all(Result::is_ok));
        assert!(connect("2001:db8::3").is_err());
        assert!(connect("2001:db8:0:1::1").is_ok());
        let held: Vec<_> = (0..8).map(|_| connect("198.51.100.7")).collect();
        assert!(held.iter().all(Result::is_ok));
    }

    #[test]
    fn handshakes_of_one_address_leave_places_to_those_of_others_and_a_proxy_has_any_number() {
        let proxy: settings::Proxy = "198.51.100.7".to_owned().try_into().unwrap();
        let doors = doors(|http| http.proxies = vec![proxy]);
        let shake = |ip: &str| doors.handshake(from(ip));
        let mut held: Vec<_> = (0..limits::UNFINISHED_HANDSHAKES_OF_ADDRESS).map(|_| shake(HERE)).collect();
        assert!(held.iter().all(Result::is_ok));
        assert!(shake(HERE).is_err());
        assert!(shake("192.0.2.2").is_ok());
        held.pop();
        assert!(shake(HERE).is_ok());
        let proxied: Vec<_> =
            (0..=limits::UNFINISHED_HANDSHAKES_OF_ADDRESS).map(|_| shake("198.51.100.7")).collect();
        assert!(proxied.iter().all(Result::is_ok));
    }

    impl Doors {
        fn at(&self, ip: &str, tenant: &str) -> Result<Admitted, ErrorBody> {
            self.socket(&named(tenant), from(ip), &HeaderMap::new())
        }
    }

    fn named(tenant: &str) -> TenantId {
        tenant.parse().unwrap()
    }

    fn from(ip: &str) -> IpAddr {
        ip.parse().unwrap()
    }

    fn doors(change: impl FnOnce(&mut settings::Http)) -> Doors {
        let mut http = settings::Http::default();
        change(&mut http);
        Doors::new(&http)
    }
}
