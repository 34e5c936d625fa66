//! Authorities of tenants: whoever takes only devices with a certificate says of whose (INV-16).
//!
//! The handshake has asked for a certificate and proven its key; here, behind the router, the tenant is
//! known and its authority decides. It is read at each check, so that a change counts at once and on
//! every node; sockets that are open stay.

use std::sync::Arc;

use rustls::{
    RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, UnixTime,
        pem::{self, PemObject as _},
    },
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use switchhook_protocol::{error::ErrorCode, id::TenantId, time::Timestamp};

use crate::{app::App, flows::FlowError, limits, listen::peer::Peer};

/// Why certificates are no authority.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAuthority {
    /// Not PEM.
    #[error("they are not PEM")]
    Pem(#[source] pem::Error),
    /// None, or more than there may be.
    #[error("1 to {} certificates are an authority", limits::AUTHORITY_CERTIFICATES)]
    Count,
    /// One cannot be anybody's authority.
    #[error("a certificate cannot be used: {0}")]
    Unusable(#[source] rustls::Error),
}

/// Checks that the peer may speak to a tenant at all; who may not is counted.
pub(crate) async fn check(app: &App, tenant: &TenantId, peer: &Peer) -> Result<(), FlowError> {
    let Some(authority) = app.storage.of(tenant).client_authority().await? else { return Ok(()) };
    judge(&authority, peer, app.now()).inspect_err(|_| app.metrics.refused(ErrorCode::CertificateRequired))
}

fn judge(authority: &str, peer: &Peer, now: Timestamp) -> Result<(), FlowError> {
    let Some([own, between @ ..]) = peer.certificates.as_deref() else {
        return Err(ErrorCode::CertificateRequired.into());
    };
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_millis(now.as_millis()));
    let judged = verifier(authority).map_err(|error| error.to_string()).and_then(|verifier| {
        verifier.verify_client_cert(own, between, now).map_err(|error| error.to_string())
    });
    judged.map(drop).map_err(|why| FlowError::refused(ErrorCode::CertificateRequired, &why))
}

/// How many certificates there are in PEM, each of which can be an authority.
pub(crate) fn count(certificates: &str) -> Result<usize, NoAuthority> {
    Ok(roots(certificates)?.len())
}

fn verifier(certificates: &str) -> Result<Arc<dyn ClientCertVerifier>, NoAuthority> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(certificates)?), provider).build();
    built.or(Err(NoAuthority::Count))
}

fn roots(certificates: &str) -> Result<RootCertStore, NoAuthority> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(certificates.as_bytes()) {
        roots.add(certificate.map_err(NoAuthority::Pem)?).map_err(NoAuthority::Unusable)?;
    }
    let some = (1..=limits::AUTHORITY_CERTIFICATES).contains(&roots.len());
    if some { Ok(roots) } else { Err(NoAuthority::Count) }
}
