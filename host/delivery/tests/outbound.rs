//! Requests of plugins over real sockets.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests: also in the helpers below them")]

use std::{net::Ipv4Addr, time::Duration};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    response::Redirect,
    routing::{any, get},
};
use switchhook_core::{policy::Grants, relay_peers::PeerPolicy};
use switchhook_delivery::{Outbound, OutboundError, OutboundRequest};
use tokio::net::{TcpListener, TcpSocket};

/// A service on loopback; its port.
async fn service() -> u16 {
    let router = Router::new()
        .route("/echo", any(|headers: HeaderMap, body: Bytes| async move { echo(&headers, &body) }))
        .route("/large", get(|| async { vec![0_u8; 64 * 1024 + 1] }))
        .route("/broken", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route("/never", get(std::future::pending::<()>))
        .route("/here", any(|| async { Redirect::temporary("/echo") }))
        .route("/round", any(|| async { Redirect::temporary("/round") }))
        .route("/away", any(|| async { Redirect::temporary("http://elsewhere.test/") }));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    port
}

fn echo(headers: &HeaderMap, body: &[u8]) -> String {
    let key = headers.get("idempotency-key").map_or("", |value| value.to_str().unwrap());
    format!("{key} {}", String::from_utf8_lossy(body))
}

fn outbound(allow_loopback: bool) -> Outbound {
    Outbound::new(PeerPolicy { allow_loopback, ..PeerPolicy::default() }).unwrap()
}

fn to(hosts: &[String]) -> Grants {
    Grants { outbound: hosts.to_vec(), fetches_per_minute: 1, ..Grants::default() }
}

fn request(url: &str) -> OutboundRequest {
    OutboundRequest {
        url: url.to_owned(),
        body: b"{}".to_vec(),
        headers: vec![("idempotency-key", "m-1".to_owned())],
        deadline: Duration::from_secs(20),
    }
}

async fn ask(port: u16, path: &str) -> Result<Vec<u8>, OutboundError> {
    let asked = OutboundRequest { body: vec![], ..request(&format!("http://localhost:{port}{path}")) };
    outbound(true).ask(asked, &to(&[format!("localhost:{port}")])).await
}

#[tokio::test]
async fn a_granted_service_gets_body_and_headers_and_its_answer_comes_back() {
    let port = service().await;
    let grants = to(&[format!("localhost:{port}")]);
    let answer = outbound(true).ask(request(&format!("http://localhost:{port}/echo")), &grants).await;
    assert_eq!(answer.as_deref(), Ok(&b"m-1 {}"[..]));
}

#[tokio::test]
async fn plug_4_a_host_or_port_that_is_not_granted_is_not_asked() {
    let port = service().await;
    let url = format!("http://localhost:{port}/echo");
    let asked = outbound(true).ask(request(&url), &to(&["localhost".to_owned()])).await;
    assert_eq!(asked, Err(OutboundError::NotGranted("localhost".to_owned())));
    let asked = outbound(true).ask(request("ftp://localhost/"), &to(&["localhost".to_owned()])).await;
    assert_eq!(asked, Err(OutboundError::Url));
}

#[tokio::test]
async fn plug_4_a_granted_name_that_leads_inside_is_refused_before_anything_connects() {
    let port = service().await;
    for host in ["localhost", "127.0.0.1", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"] {
        let plain = host.trim_matches(['[', ']']);
        let granted = ["localhost", "127.0.0.1", plain, host].map(|host| format!("{host}:{port}"));
        let asked = outbound(false).ask(request(&format!("http://{host}:{port}/echo")), &to(&granted)).await;
        let refused = asked.unwrap_err();
        // A pattern has no form for an IPv6 address, so that none can be granted.
        let expected = matches!(refused, OutboundError::Address(_))
            || host.contains(':') && matches!(refused, OutboundError::NotGranted(_));
        assert!(expected, "{host}: {refused}");
    }
}

#[tokio::test]
async fn a_redirect_is_followed_to_granted_hosts_alone_and_not_for_ever() {
    let port = service().await;
    assert_eq!(ask(port, "/here").await.as_deref(), Ok(&b"m-1 "[..]));
    assert_eq!(ask(port, "/away").await, Err(OutboundError::NotGranted("elsewhere.test".to_owned())));
    assert_eq!(ask(port, "/round").await, Err(OutboundError::Redirects));
}

#[tokio::test]
async fn what_goes_wrong_is_told_apart() {
    let port = service().await;
    assert_eq!(ask(port, "/large").await, Err(OutboundError::TooLarge));
    assert_eq!(ask(port, "/broken").await, Err(OutboundError::Status(503)));
    // Bound, so that nobody else takes it, and not listened on.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let port = deaf.local_addr().unwrap().port();
    assert_eq!(ask(port, "/echo").await, Err(OutboundError::NotReached));
}

#[tokio::test]
async fn a_service_that_never_answers_is_given_up() {
    let port = service().await;
    let asked = OutboundRequest {
        body: vec![],
        deadline: Duration::from_millis(50),
        ..request(&format!("http://localhost:{port}/never"))
    };
    let answer = outbound(true).ask(asked, &to(&[format!("localhost:{port}")])).await;
    assert_eq!(answer, Err(OutboundError::TimedOut));
}
