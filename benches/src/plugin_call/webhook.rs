//! The same decision by a webhook: JSON over a kept HTTP/1.1 connection on loopback, to a process of
//! its own. Both sides are bare hyper, which is as quick as it gets; a client of everyday use costs more.

use std::{borrow::Cow, convert::Infallible, net::SocketAddr};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, body::Incoming, client::conn::http1 as client, header, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use switchhook_core::policy::route::Question;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::WEBHOOK_DECISIONS;
use crate::{clock::now, one_thread, process::Running, series::Latencies};

/// How long a device rings.
const RING_TIME_MS: u64 = 30_000;

#[derive(Serialize, Deserialize)]
struct Asked<'a> {
    tenant: Cow<'a, str>,
    inviter: Cow<'a, str>,
    invited: Vec<Cow<'a, str>>,
    purpose: Cow<'a, str>,
    targets: Vec<Target<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Target<'a> {
    index: u16,
    user: u16,
    kind: Cow<'a, str>,
    region: Cow<'a, str>,
    online: bool,
}

#[derive(Serialize, Deserialize)]
struct Answered {
    waves: Vec<Vec<Ring>>,
}

#[derive(Serialize, Deserialize)]
struct Ring {
    target: u16,
    ring_time_ms: u64,
}

/// A webhook that runs, and the connection to it.
pub(super) struct Webhook {
    connection: client::SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
    _server: Running,
}

impl Webhook {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let (server, addr) = Running::yardstick(&["serve-webhook"])?;
        let stream = TcpStream::connect(addr.parse::<SocketAddr>()?).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = client::handshake(TokioIo::new(stream)).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async { driver.await.unwrap_or_default() });
        Ok(Self { connection, _driver: tasks, _server: server })
    }

    pub(super) async fn decide(&mut self, question: &Question) -> anyhow::Result<Latencies> {
        let mut latencies = Latencies::with_capacity(WEBHOOK_DECISIONS);
        for _ in 0..WEBHOOK_DECISIONS {
            let started = now();
            let answered = ask(&mut self.connection, question).await?;
            latencies.push(started.elapsed());
            anyhow::ensure!(answered.waves.len() == 1, "the webhook answered something else");
        }
        Ok(latencies)
    }
}

async fn ask(
    connection: &mut client::SendRequest<Full<Bytes>>,
    question: &Question,
) -> anyhow::Result<Answered> {
    let targets = (0..).zip(&question.targets).map(|(index, target)| Target {
        index,
        user: target.user,
        kind: (&target.kind).into(),
        region: (&target.region).into(),
        online: target.online,
    });
    let asked = Asked {
        tenant: "acme".into(),
        inviter: question.invite.inviter.reveal().into(),
        invited: question.invite.invited.iter().map(|id| id.reveal().into()).collect(),
        purpose: (&question.invite.purpose).into(),
        targets: targets.collect(),
    };
    let request = Request::post("/route")
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::from(serde_json::to_vec(&asked)?))?;
    connection.ready().await?;
    let body = connection.send_request(request).await?.into_body().collect().await?.to_bytes();
    Ok(serde_json::from_slice(&body)?)
}

/// The webhook's side, until it is ended.
#[expect(clippy::print_stdout, reason = "says where it listens")]
pub(crate) fn serve() -> anyhow::Result<()> {
    one_thread()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            connections.spawn(async {
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
                served.await.unwrap_or_default();
            });
        }
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let answered = decide(request).await.unwrap_or_default();
    let json = Response::builder().header(header::CONTENT_TYPE, "application/json");
    Ok(json.body(Full::from(answered)).unwrap_or_default())
}

async fn decide(request: Request<Incoming>) -> anyhow::Result<Vec<u8>> {
    let body = request.into_body().collect().await?.to_bytes();
    let asked: Asked<'_> = serde_json::from_slice(&body).context("not a question")?;
    let ring = |target: &Target<'_>| Ring { target: target.index, ring_time_ms: RING_TIME_MS };
    Ok(serde_json::to_vec(&Answered { waves: vec![asked.targets.iter().map(ring).collect()] })?)
}
