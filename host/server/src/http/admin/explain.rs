//! "Why did it not ring?": of a session or an identifier, everything that is known, on one line of time.
//!
//! Route, legs, mailboxes, what plugins decided, who took part. All of it is rows, so that any node knows
//! it, and it is kept for a day with its session. Invites that were refused are no rows: all nodes are asked for them.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use switchhook_core::{
    explain::{self, Happened, Moment, Subject, Why, is_silent, line, of_user, why},
    invitation::course::Course,
    row::{Decision, Forward, Invitation, InvitationState, Leg, LegState, Session},
    seal::KeyRing,
};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{DeviceId, SessionId, TenantId},
    time::{Timestamp, millis},
};
use switchhook_storage::{StorageError, TenantStorage};
use utoipa::ToSchema;

use super::OfTenant;
use crate::{
    app::App,
    decisions::DecisionRecord,
    http::{extract::Query, problem::Problem},
    refused::{
        RefusedInvite,
        everywhere::{self, RefusedEverywhere},
    },
};

/// Sessions of an identifier that are explained: the newest.
const SESSIONS: u32 = 10;

/// Messages of a mailbox that are counted.
const WAITING: u32 = 100;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct About {
    /// A session's id, or an identifier.
    about: String,
}

/// What is known.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    /// In sentences, the most telling first.
    findings: Vec<String>,
    /// Devices that the identifier reaches now; empty for a session.
    devices: Vec<Reached>,
    /// The newest first.
    sessions: Vec<Explained>,
    /// Invites by or to the identifier that were refused within a day, the newest first; each node knows its own, of each
    /// tenant the last 64, until it is restarted, and is asked for them. Empty for a session.
    refused: Vec<Refused>,
    /// The addresses of nodes that did not answer within a second: what they refused is not among `refused`.
    silent_nodes: Vec<String>,
}

/// An invite that was refused: nothing rang, and nothing is stored of it.
#[derive(Debug, Serialize, ToSchema)]
struct Refused {
    #[schema(value_type = u64)]
    at: Timestamp,
    /// Which device invited.
    #[schema(value_type = String)]
    device: DeviceId,
    /// As whom, masked.
    from: String,
    /// Whom, masked.
    invited: Vec<String>,
    /// What it was told.
    #[schema(value_type = String)]
    code: ErrorCode,
    message: String,
}

/// A device that an identifier reaches.
#[derive(Debug, Serialize, ToSchema)]
struct Reached {
    #[schema(value_type = String)]
    device: DeviceId,
    kind: String,
    /// Whether it has a connection, here or, as the bus says, at another node.
    online: bool,
    /// Messages that wait in its mailbox, counted up to 100.
    waiting: usize,
}

/// One session.
#[derive(Debug, Serialize, ToSchema)]
struct Explained {
    #[schema(value_type = String)]
    session: SessionId,
    purpose: String,
    #[schema(value_type = u64)]
    created_at: Timestamp,
    /// Whether it has participants.
    runs: bool,
    users: Vec<User>,
    devices: Vec<Rung>,
    /// All that happened, in order: what devices did, what was decided, to whom it went on.
    line: Vec<Event>,
    /// What plugins decided, in order: the first 64; they are in `line` too.
    decisions: Vec<DecisionRecord>,
}

/// One invited user.
#[derive(Debug, Serialize, ToSchema)]
struct User {
    /// Masked.
    endpoint: String,
    #[schema(value_type = String)]
    state: InvitationState,
    devices: usize,
    rang: usize,
    /// Plans that the router made for it, if it may still be asked for another.
    plans: u8,
    /// To whom its ringing was forwarded, masked.
    forwarded: Vec<String>,
}

/// One device of the plan.
#[derive(Debug, Serialize, ToSchema)]
struct Rung {
    #[schema(value_type = String)]
    device: DeviceId,
    wave: u16,
    #[schema(value_type = String)]
    state: LegState,
    /// Whether it rang, and if not, why: a word and a sentence.
    #[schema(value_type = String)]
    why: Why,
    because: &'static str,
    /// Proof of silence: the stop is confirmed, or the lease is over.
    silent: bool,
}

/// A point of the line.
#[derive(Debug, Serialize, ToSchema)]
struct Event {
    #[schema(value_type = u64)]
    at: Timestamp,
    /// Since the invite; less than 0 before it, as its router is asked first.
    after_ms: i64,
    #[schema(value_type = Option<String>)]
    device: Option<DeviceId>,
    #[schema(value_type = String)]
    what: Happened,
    /// What was `decided`.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionRecord>,
    /// To whom it was `forwarded`, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
}

/// Explains a session, or the last sessions of an identifier.
#[utoipa::path(get, path = "/tenants/{tenant}/explain", operation_id = "explain", params(About),
    responses((status = OK, body = Explanation, description = "What is known; identifiers masked.")))]
pub(crate) async fn explain(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
    Query(About { about }): Query<About>,
) -> Result<Json<Explanation>, Problem> {
    let storage = app.storage.of(&tenant);
    if let Ok(id) = about.parse::<SessionId>()
        && let Some(session) = storage.sessions().get(&id).await?
    {
        let explained = explained(&app, &storage, session).await?;
        return Ok(Json(Explanation {
            findings: explained.findings(),
            devices: vec![],
            sessions: vec![explained],
            refused: vec![],
            silent_nodes: vec![],
        }));
    }
    let endpoint: EndpointId = about.parse().or(Err(ErrorCode::NotFound))?;
    let devices = reached(&app, &tenant, &storage, &endpoint).await?;
    let mut sessions = Vec::new();
    for session in storage.sessions().of_endpoint(&endpoint, SESSIONS).await? {
        sessions.push(explained(&app, &storage, session).await?);
    }
    let RefusedEverywhere { invites, silent } = everywhere::about(&app, &tenant, &endpoint).await?;
    let mut findings = findings(&devices, &sessions, last_refused(&invites, &endpoint, &sessions));
    findings.extend(
        silent.iter().map(|node| format!("{node} did not answer: which invites it refused is not known")),
    );
    let refused = invites.into_iter().map(Refused::from).collect();
    Ok(Json(Explanation { findings, devices, sessions, refused, silent_nodes: silent }))
}

async fn reached(
    app: &App,
    tenant: &TenantId,
    storage: &TenantStorage,
    endpoint: &EndpointId,
) -> Result<Vec<Reached>, StorageError> {
    let mut devices = Vec::new();
    let targets = storage.registrations().reached_by(endpoint).await?;
    let whose: Vec<_> = targets.iter().map(|target| (tenant.clone(), target.device.clone())).collect();
    for (target, online) in targets.into_iter().zip(app.online.of(&whose).await) {
        devices.push(Reached {
            online,
            waiting: storage.mailbox(&target.device).after(0, WAITING, app.now()).await?.len(),
            device: target.device,
            kind: target.kind,
        });
    }
    Ok(devices)
}

async fn explained(app: &App, storage: &TenantStorage, session: Session) -> Result<Explained, StorageError> {
    let sessions = storage.sessions();
    let invitations = sessions.invitations(&session.id).await?;
    let legs = sessions.legs(&session.id).await?;
    let participants = sessions.participants(&session.id).await?;
    let forwards = sessions.forwards(&session.id).await?;
    let decisions = sessions.decisions(&session.id).await?;
    let (now, keys) = (app.now(), app.keys.of(storage.tenant()));
    let record = |made: &Decision| DecisionRecord::about(storage.tenant(), session.id.as_str(), made.clone());
    let known = explain::Course {
        session: &session,
        legs: &legs,
        participants: &participants,
        decisions: &decisions,
        forwards: &forwards,
    };
    let event = |moment: Moment<'_>| Event::of(&moment, session.created_at, record);
    Ok(Explained {
        runs: !participants.is_empty(),
        users: invitations.iter().map(|it| user(it, (&legs, &forwards), &keys)).collect(),
        line: line(known).into_iter().map(event).collect(),
        decisions: decisions.iter().map(record).collect(),
        devices: legs.into_iter().map(|leg| rung(leg, now)).collect(),
        created_at: session.created_at,
        purpose: session.purpose,
        session: session.id,
    })
}

fn user(invitation: &Invitation, (legs, forwards): (&[Leg], &[Forward]), keys: &KeyRing) -> User {
    let (rang, devices, state) = of_user(invitation, legs);
    let plans = Course::of(invitation, keys).map_or(0, |course| course.plans);
    let own = forwards.iter().filter(|forward| forward.user == invitation.user);
    let forwarded = own.map(|forward| forward.to.to_string()).collect();
    User { endpoint: invitation.endpoint.to_string(), state, devices, rang, plans, forwarded }
}

fn rung(leg: Leg, now: Timestamp) -> Rung {
    let why = why(&leg, now);
    Rung {
        why,
        because: why.sentence(),
        silent: is_silent(&leg, now),
        device: leg.device,
        wave: leg.wave,
        state: leg.state,
    }
}

impl Event {
    fn of(moment: &Moment<'_>, invited: Timestamp, record: impl Fn(&Decision) -> DecisionRecord) -> Self {
        let (device, decision, to) = match moment.subject {
            Subject::Session => (None, None, None),
            Subject::Device(device) => (Some(device.clone()), None, None),
            Subject::Decision(decision) => (None, Some(record(decision)), None),
            Subject::Forward(forward) => (None, None, Some(forward.to.to_string())),
        };
        let [after, before] = [invited.until(moment.at), moment.at.until(invited)]
            .map(|time| i64::try_from(millis(time)).unwrap_or(i64::MAX));
        Self { at: moment.at, after_ms: after - before, device, what: moment.what, decision, to }
    }
}

impl From<RefusedInvite> for Refused {
    fn from(refused: RefusedInvite) -> Self {
        let RefusedInvite { at, device, from, invited, code, message } = refused;
        let invited = invited.iter().map(ToString::to_string).collect();
        Self { at, device, from: from.to_string(), invited, code, message }
    }
}

impl Explained {
    fn findings(&self) -> Vec<String> {
        let failed = self.decisions.iter().filter_map(|decision| {
            let why = decision.failure.as_deref()?;
            Some(format!("the {} gave no answer, its default counts: {why}", decision.slot))
        });
        let silent = self.devices.iter().filter(|device| device.why != Why::Rang);
        let unconfirmed =
            self.devices.iter().filter(|device| device.state == LegState::Stopped && !device.silent);
        failed
            .chain(silent.map(|device| format!("{}: {}", device.device, device.because)))
            .chain(unconfirmed.map(|device| format!("{}: it has not said that it stopped", device.device)))
            .collect()
    }
}

/// The last invite of the identifier that was refused, if it comes after all that were not.
fn last_refused(refused: &[RefusedInvite], to: &EndpointId, sessions: &[Explained]) -> Option<String> {
    let last = refused.iter().find(|refused| refused.invited.contains(to))?;
    let newest = sessions.first().is_none_or(|session| session.created_at <= last.at);
    newest.then(|| format!("the last invite was refused: {} ({})", last.message, last.code))
}

fn findings(devices: &[Reached], sessions: &[Explained], refused: Option<String>) -> Vec<String> {
    if devices.is_empty() {
        let nobody = "no device is registered for this identifier".to_owned();
        return [nobody].into_iter().chain(refused).collect();
    }
    let away = devices.iter().filter(|device| !device.online);
    let mut findings: Vec<String> =
        away.map(|device| format!("{}: it has no connection now", device.device)).collect();
    match (sessions.first(), refused) {
        (_, Some(refused)) => findings.push(refused),
        (Some(newest), None) => findings.extend(newest.findings()),
        (None, None) => findings.push("nobody has invited it since yesterday".to_owned()),
    }
    findings
}
