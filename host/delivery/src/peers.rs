//! Where gateways may be: a tenant says their addresses, the operator the rules.
//!
//! As with requests of plugins ([`crate::Outbound`]) names are resolved here, what they resolve to is judged, and
//! the address judged is the one connected to. Two addresses are the host's own program's, the sandbox: exactly
//! these may be asked whatever the rules are.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use reqwest::Url;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use switchhook_core::{
    relay_peers::{PeerPolicy, RefusedPeer},
    row::{MailServer, Provider, Security},
};
use tokio::net::lookup_host;

use crate::{
    mail::NotCertificates,
    outbound::resolver::{allowed, judge_literal},
};

/// The operator's rules about gateways.
#[derive(Debug, Clone, Default)]
pub struct GatewayPeers {
    peers: PeerPolicy,
    sandbox: Option<Sandbox>,
    authorities: Arc<[CertificateDer<'static>]>,
}

/// Where the host's own program for laptops takes texts and mails.
#[derive(Debug, Clone, Copy)]
pub struct Sandbox {
    /// Its send URL.
    pub send_url: &'static str,
    /// Its mail server, in clear.
    pub mail: SocketAddr,
}

/// Why a gateway may not be where it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedGateway {
    /// No address of the web.
    #[error("not an http or https address")]
    Url,
    /// It leads where gateways may not be.
    #[error("its address is {0}: the operator has not allowed gateways there")]
    Address(#[from] RefusedPeer),
    /// It would be spoken to in clear outside of the operator's networks.
    #[error("mail goes in clear only inside networks where the operator has allowed gateways: use TLS")]
    InClear,
}

impl GatewayPeers {
    /// These rules, but for addresses of the host's own.
    pub fn new(peers: PeerPolicy, sandbox: Option<Sandbox>) -> Self {
        Self { peers, sandbox, authorities: Arc::default() }
    }

    /// The same, where these authorities (PEM) vouch for SMSCs besides the public ones.
    pub fn vouched_for(self, authorities: &[u8]) -> Result<Self, NotCertificates> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(authorities).collect();
        let authorities = read.or(Err(NotCertificates))?;
        let mut trusted = RootCertStore::empty();
        let all = authorities.iter().all(|authority| trusted.add(authority.clone()).is_ok());
        if !all || trusted.is_empty() {
            return Err(NotCertificates);
        }
        Ok(Self { authorities: authorities.into(), ..self })
    }

    /// Who vouches for SMSCs.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(self.authorities.iter().cloned());
        roots
    }

    /// Whether a gateway may be where it says, as far as it says addresses: names are judged when they are
    /// resolved.
    pub fn judge(&self, provider: &Provider) -> Result<(), RefusedGateway> {
        match provider {
            Provider::Webhook { send_url } => self.judge_url(send_url),
            Provider::Twilio(account) => self.judge_url(&account.api_url),
            Provider::Smpp(account) => {
                let host = account.address.rsplit_once(':').map_or("", |(host, _)| host);
                Ok(judge_literal(&self.peers, host)?)
            }
        }
    }

    /// Whether a mail server may be where it says, as far as it says an address.
    pub fn judge_mail_server(&self, server: &MailServer) -> Result<(), RefusedGateway> {
        if self.sandbox_mail(server).is_some() {
            return Ok(());
        }
        judge_literal(&self.peers, &server.host)?;
        match server.host.trim_matches(['[', ']']).parse() {
            Ok(ip) if server.security == Security::Plain && !self.is_inside(ip) => {
                Err(RefusedGateway::InClear)
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The addresses of a mail server that may be connected to.
    pub(crate) async fn resolve_mail_server(&self, server: &MailServer) -> io::Result<Vec<SocketAddr>> {
        if let Some(own) = self.sandbox_mail(server) {
            return Ok(vec![own]);
        }
        let host = server.host.trim_matches(['[', ']']);
        let found = lookup_host((host, server.port)).await?.collect();
        let mut found = allowed(&self.peers, found).map_err(io::Error::other)?;
        if server.security == Security::Plain {
            found.retain(|addr| self.is_inside(addr.ip()));
        }
        if found.is_empty() { Err(io::Error::other(RefusedGateway::InClear)) } else { Ok(found) }
    }

    /// Where the sandbox's mail server is, if it is this one.
    fn sandbox_mail(&self, server: &MailServer) -> Option<SocketAddr> {
        let own = self.sandbox?.mail;
        let is_own = server.security == Security::Plain
            && server.port == own.port()
            && server.host.parse() == Ok(own.ip());
        is_own.then_some(own)
    }

    /// Whether the operator has named this network.
    fn is_inside(&self, ip: IpAddr) -> bool {
        let named = self.peers.allowed.iter().any(|range| range.contains(ip));
        named || self.peers.allow_loopback && ip.is_loopback()
    }

    pub(crate) fn judge_url(&self, url: &str) -> Result<(), RefusedGateway> {
        if self.sandbox.is_some_and(|sandbox| sandbox.send_url == url) {
            return Ok(());
        }
        let url = Url::parse(url).or(Err(RefusedGateway::Url))?;
        let (Some(host), "http" | "https") = (url.host_str(), url.scheme()) else {
            return Err(RefusedGateway::Url);
        };
        Ok(judge_literal(&self.peers, host)?)
    }

    /// The addresses of a host and port that may be connected to.
    pub(crate) async fn resolve(&self, address: &str) -> io::Result<Vec<SocketAddr>> {
        let found = lookup_host(address).await?.collect();
        allowed(&self.peers, found).map_err(io::Error::other)
    }

    pub(crate) const fn policy(&self) -> &PeerPolicy {
        &self.peers
    }
}

#[cfg(test)]
mod tests {
    use switchhook_core::row::SmppAccount;

    use super::*;

    const SEND_URL: &str = "http://127.0.0.1:7471/texts";

    fn with_sandbox() -> GatewayPeers {
        let sandbox = Sandbox { send_url: SEND_URL, mail: "127.0.0.1:7472".parse().unwrap() };
        GatewayPeers::new(PeerPolicy::default(), Some(sandbox))
    }

    fn smsc(address: &str) -> Provider {
        let address = address.to_owned();
        Provider::Smpp(SmppAccount {
            address,
            tls: false,
            system_id: "switchhook".to_owned(),
            system_type: String::new(),
            unknown_is_international: false,
            window: 1,
        })
    }

    fn webhook(url: &str) -> Provider {
        Provider::Webhook { send_url: url.to_owned() }
    }

    #[test]
    fn a_tenants_gateway_is_not_inside_the_operators_network() {
        let rules = with_sandbox();
        for fine in [webhook("https://sms.example/texts"), webhook(SEND_URL), smsc("smsc.example:2775")] {
            assert_eq!(rules.judge(&fine), Ok(()), "{fine:?}");
        }
        for (wrong, reason) in [
            (webhook("http://127.0.0.1:7471/text"), RefusedPeer::Loopback),
            (webhook("http://127.0.0.1:7471/texts#"), RefusedPeer::Loopback),
            (webhook("http://2130706433/"), RefusedPeer::Loopback),
            (webhook("https://[::ffff:10.1.2.3]/"), RefusedPeer::Private),
            (webhook("http://169.254.169.254/latest"), RefusedPeer::LinkLocal),
            (smsc("10.1.2.3:2775"), RefusedPeer::Private),
            (smsc("[::1]:2775"), RefusedPeer::Loopback),
        ] {
            assert_eq!(rules.judge(&wrong), Err(RefusedGateway::Address(reason)), "{wrong:?}");
        }
        assert_eq!(rules.judge(&webhook("http://")), Err(RefusedGateway::Url));
    }

    #[test]
    fn an_operator_allows_networks_of_smscs() {
        let allowed = vec!["10.1.0.0/16".parse().unwrap()];
        let rules = GatewayPeers::new(PeerPolicy { allowed, ..PeerPolicy::default() }, None);
        assert_eq!(rules.judge(&smsc("10.1.2.3:2775")), Ok(()));
        assert_eq!(rules.judge(&smsc("10.2.2.3:2775")), Err(RefusedGateway::Address(RefusedPeer::Private)));
    }

    fn mail_server(host: &str, security: Security) -> MailServer {
        MailServer {
            host: host.to_owned(),
            port: 25,
            security,
            user: None,
            sender: "no-reply@acme.example".parse().unwrap(),
            sender_name: String::new(),
            template: switchhook_core::mail::Template::default(),
        }
    }

    #[tokio::test]
    async fn reg_7_mail_goes_in_clear_only_where_the_operator_has_allowed_it() {
        let allowed = vec!["10.1.0.0/16".parse().unwrap()];
        let rules =
            GatewayPeers::new(PeerPolicy { allowed, allow_loopback: true, ..PeerPolicy::default() }, None);
        for (host, security, judged) in [
            ("10.1.2.3", Security::Plain, Ok(())),
            ("127.0.0.1", Security::Plain, Ok(())),
            ("smtp.example", Security::Plain, Ok(())),
            ("9.9.9.9", Security::Plain, Err(RefusedGateway::InClear)),
            ("9.9.9.9", Security::StartTls, Ok(())),
            ("10.2.2.3", Security::Tls, Err(RefusedGateway::Address(RefusedPeer::Private))),
        ] {
            assert_eq!(rules.judge_mail_server(&mail_server(host, security)), judged, "{host}");
        }
        let outside = mail_server("9.9.9.9", Security::Plain);
        assert!(rules.resolve_mail_server(&outside).await.is_err());
        let inside = rules.resolve_mail_server(&mail_server("127.0.0.1", Security::Plain)).await.unwrap();
        assert_eq!(inside, ["127.0.0.1:25".parse().unwrap()]);
    }

    #[tokio::test]
    async fn reg_7_the_sandboxs_mail_server_alone_is_asked_on_this_machine() {
        let rules = with_sandbox();
        let own = MailServer { port: 7472, ..mail_server("127.0.0.1", Security::Plain) };
        assert_eq!(rules.judge_mail_server(&own), Ok(()));
        assert_eq!(rules.resolve_mail_server(&own).await.unwrap(), ["127.0.0.1:7472".parse().unwrap()]);
        for other in [
            MailServer { port: 25, ..own.clone() },
            MailServer { host: "localhost".to_owned(), ..own.clone() },
            MailServer { host: "[::1]".to_owned(), ..own.clone() },
            MailServer { security: Security::StartTls, ..own },
        ] {
            assert!(rules.resolve_mail_server(&other).await.is_err(), "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_when_it_is_resolved() {
        let rules =
            |allow_loopback| GatewayPeers::new(PeerPolicy { allow_loopback, ..PeerPolicy::default() }, None);
        let refused = rules(false).resolve("localhost:2775").await.unwrap_err();
        assert_eq!(refused.to_string(), "its address is on loopback");
        assert!(!rules(true).resolve("localhost:2775").await.unwrap().is_empty());
    }

    #[test]
    fn reg_2_what_vouches_for_smscs_is_certificates() {
        for nothing in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(GatewayPeers::default().vouched_for(nothing.as_bytes()).is_err(), "{nothing}");
        }
    }
}
