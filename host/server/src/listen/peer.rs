//! Who is at the other end of a connection, as a request's handler may ask.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::FromRequestParts,
    http::{Request, request::Parts},
};
use hyper::{body::Incoming, service::Service};
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::CertificateDer;
use switchhook_protocol::error::ErrorCode;

use crate::http::problem::Problem;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Its address, as this machine sees it.
    pub(crate) ip: IpAddr,
    /// The certificate whose key it has, and those that it sent beside; none without.
    pub(crate) certificates: Option<Arc<[CertificateDer<'static>]>>,
}

/// What answers the requests of one connection: each knows its peer.
#[derive(Debug, Clone)]
pub(super) struct Answering {
    router: TowerToHyperService<Router>,
    peer: Peer,
}

impl Answering {
    pub(super) fn new(router: Router, peer: Peer) -> Self {
        Self { router: TowerToHyperService::new(router), peer }
    }
}

impl Service<Request<Incoming>> for Answering {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer.clone());
        self.router.call(request)
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Whatever comes by a port has one.
        parts.extensions.get().cloned().ok_or_else(|| ErrorCode::Internal.into())
    }
}
