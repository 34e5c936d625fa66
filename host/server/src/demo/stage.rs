//! The stage: a real server, the sandbox transit beside it, and the operator's view through the API.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, ensure};
use reqwest::Client as Http;
use serde_json::{Value, json};
use switchhook_protocol::id::SessionId;
use tokio::{net::TcpListener, time};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::timeline::Timeline;
use crate::{
    ADMIN_TOKEN, Carrier, DEFAULT_TENANT, DecisionRecord, Mailboxes, SANDBOX, SANDBOX_NUMBER, SandboxFile,
    Server, Settings, sandbox::default_tenant,
};

/// What the demo plays on.
pub(super) struct Stage {
    pub(super) timeline: Timeline,
    pub(super) server: Server,
    pub(super) carrier: Carrier,
    pub(super) mailboxes: Mailboxes,
    http: Http,
    token: String,
    seen: Mutex<usize>,
    tasks: TaskTracker,
    stop: CancellationToken,
    folder: tempfile::TempDir,
}

impl Stage {
    /// Starts everything.
    pub(super) async fn set(timeline: &Timeline) -> anyhow::Result<Self> {
        timeline.act("The stage");
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let mut settings = Settings::on_free_ports(folder.path().join("data"));
        settings.relay.allow_loopback = true;
        settings.gateways.allow_loopback = true;
        let server = Server::start(&settings).await?;
        let addresses = server.addresses();
        timeline.step("server", &format!("is ready on http://{}, its data folder is new", addresses.http));
        timeline.step(
            "relay",
            &format!("listens on udp and tcp {}; may relay to loopback in this demo", addresses.relay),
        );

        let token = std::fs::read_to_string(settings.data.join(ADMIN_TOKEN))?.trim().to_owned();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let http = Http::builder().build()?;
        let carrier = start_carrier(&server, &settings.data, &tasks, &stop).await?;
        let (mailboxes, mail) = (Mailboxes::default(), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        let mail_server = mail.local_addr()?;
        mailboxes.serve(mail, &tasks, stop.clone());
        let stage = Self {
            timeline: timeline.clone(),
            server,
            carrier: carrier.0,
            mailboxes,
            http,
            token,
            seen: Mutex::new(0),
            tasks,
            stop,
            folder,
        };
        stage.point_gateway(&carrier.1).await?;
        timeline.step(
            "sms transit",
            &format!("takes texts for {SANDBOX_NUMBER}; knows the gateway's secret alone"),
        );
        stage.point_mail(mail_server).await?;
        timeline.step("mail server", "takes the tenant's mails by SMTP");
        Ok(stage)
    }

    /// Ends everything; the data folder goes with it.
    pub(super) async fn strike(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.server.shutdown(std::future::pending()).await;
        drop(self.folder);
    }

    /// Prints what plugins decided since the last time.
    pub(super) async fn tell_decisions(&self) -> anyhow::Result<()> {
        let all = self.admin("decisions").await?;
        let all: Vec<DecisionRecord> = serde_json::from_value(all)?;
        let before = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *seen, all.len())
        };
        all.iter().skip(before).for_each(|decision| self.timeline.decided(decision));
        Ok(())
    }

    /// What the NAT policy decided about a session, in its last word.
    pub(super) async fn verdict(&self, session: &SessionId) -> anyhow::Result<String> {
        let all = self.admin(&format!("decisions?subject={session}")).await?;
        let all: Vec<DecisionRecord> = serde_json::from_value(all)?;
        let verdict = all.into_iter().rfind(|decision| decision.slot == "nat-policy");
        let verdict = verdict.context("the NAT policy was not asked")?;
        ensure!(verdict.failure.is_none(), "the NAT policy failed: {:?}", verdict.failure);
        Ok(verdict.outcome)
    }

    /// Waits until every leg of a session but the taken one has confirmed its stop.
    pub(super) async fn silence(&self, session: &SessionId) -> anyhow::Result<()> {
        loop {
            let shown = self.admin(&format!("sessions/{session}")).await?;
            let legs = shown.get("legs").and_then(Value::as_array).cloned().unwrap_or_default();
            let state = |leg: &Value| leg.get("state").and_then(Value::as_str).map(str::to_owned);
            let done = |leg: &Value| matches!(state(leg).as_deref(), Some("taken" | "stop-confirmed"));
            if !legs.is_empty() && legs.iter().all(done) {
                return Ok(());
            }
            time::sleep(time::Duration::from_millis(5)).await;
        }
    }

    /// Gives the router another configuration; the next invite is routed by it.
    pub(super) async fn configure_router(&self, configuration: &Value) -> anyhow::Result<()> {
        let url = self.admin_url("plugins/invite-router/route-ring-all/configuration");
        let answer = self.http.put(url).bearer_auth(&self.token).json(configuration).send().await?;
        answer.error_for_status().context("the router is not configured")?;
        Ok(())
    }

    /// What became of a session, as `switchhook explain` shows it.
    pub(super) async fn tell_explanation(&self, session: &SessionId) -> anyhow::Result<()> {
        self.timeline.explained(&self.admin(&format!("explain?about={session}")).await?);
        Ok(())
    }

    /// Makes something of the tenant's.
    pub(super) async fn make(&self, what: &str, made: &Value) -> anyhow::Result<()> {
        let answer = self.http.post(self.admin_url(what)).bearer_auth(&self.token).json(made).send().await?;
        answer.error_for_status().with_context(|| format!("{what}: not made"))?;
        Ok(())
    }

    async fn admin(&self, what: &str) -> anyhow::Result<Value> {
        let answer = self.http.get(self.admin_url(what)).bearer_auth(&self.token).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn point_gateway(&self, send_url: &str) -> anyhow::Result<()> {
        let secret = self.gateway_secret()?;
        let provider = json!({ "kind": "webhook", "send_url": send_url });
        let gateway = json!({ "number": SANDBOX_NUMBER, "provider": provider, "secret": secret });
        let url = self.admin_url(&format!("gateways/{SANDBOX}"));
        let answer = self.http.put(url).bearer_auth(&self.token).json(&gateway).send().await?;
        answer.error_for_status().context("the gateway is not configured")?;
        Ok(())
    }

    async fn point_mail(&self, addr: SocketAddr) -> anyhow::Result<()> {
        let template =
            json!({ "subject": "Your address", "text": "{address} is yours by this token: {token}\n" });
        let server = json!({
            "host": addr.ip().to_string(), "port": addr.port(), "security": "plain",
            "sender": "no-reply@calls.example", "template": template,
        });
        let url = self.admin_url("mail-server");
        let answer = self.http.put(url).bearer_auth(&self.token).json(&server).send().await?;
        answer.error_for_status().context("the mail server is not configured")?;
        Ok(())
    }

    fn gateway_secret(&self) -> anyhow::Result<String> {
        Ok(SandboxFile::read(&self.folder.path().join("data"))?.secret)
    }

    fn admin_url(&self, what: &str) -> String {
        format!("http://{}/admin/v1/tenants/{DEFAULT_TENANT}/{what}", self.server.addresses().http)
    }
}

async fn start_carrier(
    server: &Server,
    data: &Path,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<(Carrier, String)> {
    let secret = SandboxFile::read(data)?.secret;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let send_url = format!("http://{}/texts", listener.local_addr()?);
    let carrier = Carrier::new(server.addresses().http, &default_tenant(), secret)?;
    carrier.serve(listener, tasks, stop.clone());
    Ok((carrier, send_url))
}
