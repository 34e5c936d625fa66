//! One person's data: handed out to whom it is about, or erased (REG-11).
#![expect(unused_qualifications, reason = "what the macro writes for parameters")]

mod outgoing;

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use switchhook_core::row::{Attempt, Device, OutboxEntry, Session};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{ApplicationId, DeviceId, MethodName, ProfileId, SessionId},
    registration::AddressState,
    time::Timestamp,
};
use switchhook_storage::{Erased, Person, StorageError, Transaction};
use utoipa::{IntoParams, ToSchema};

use self::outgoing::OutgoingShown;
use super::{OfTenant, schemas, users::UserShown};
use crate::{
    app::App,
    http::{
        extract::Query,
        open::{registrations, validations},
        problem::Problem,
    },
};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Who {
    /// The identifier of the person.
    #[param(value_type = String)]
    endpoint: EndpointId,
}

/// Everything that the host has of an identifier.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Person)]
pub(crate) struct Exported {
    #[schema(value_type = String)]
    endpoint: EndpointId,
    registrations: Vec<registrations::Shown>,
    devices: Vec<DeviceShown>,
    /// Whom the person has blocked.
    #[schema(value_type = Vec<String>)]
    blocked: Vec<EndpointId>,
    /// Since when the person wants no texts.
    #[schema(value_type = Option<u64>)]
    opted_out_since: Option<Timestamp>,
    sessions: Vec<SessionShown>,
    /// Registrations under way.
    attempts: Vec<AttemptShown>,
    /// The user of the directory that the identifier is.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserShown>,
    /// Validations of it as a mail address.
    validations: Vec<validations::Shown>,
    /// Profiles of the user, and those that have it as an address.
    profiles: Vec<ProfileShown>,
    /// Events that wait for the person's devices.
    waiting: Vec<WaitingShown>,
    /// Texts and mails to the person, and requests of methods that name them, as long as they are kept.
    outgoing: Vec<OutgoingShown>,
}

/// A device of the person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PersonDevice)]
struct DeviceShown {
    #[schema(value_type = String)]
    device: DeviceId,
    #[schema(value_type = String)]
    application: ApplicationId,
    kind: String,
    #[schema(value_type = u64)]
    enrolled_at: Timestamp,
    /// Where it said that its user is: the country, and the area code.
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    area: Option<String>,
}

/// A session that the person began, was invited to or took part in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PersonSession)]
struct SessionShown {
    #[schema(value_type = String)]
    session: SessionId,
    /// Whether the person began it.
    began: bool,
    purpose: String,
    #[schema(value_type = u64)]
    created_at: Timestamp,
}

/// A registration under way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PersonAttempt)]
struct AttemptShown {
    #[schema(value_type = String)]
    method: MethodName,
    #[schema(value_type = String)]
    device: DeviceId,
    #[schema(value_type = u64)]
    expires_at: Timestamp,
    finished: bool,
}

/// A profile.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PersonProfile)]
struct ProfileShown {
    #[schema(value_type = String)]
    profile: ProfileId,
    /// The state of the identifier in it, if it is an address of it.
    #[schema(value_type = Option<schemas::AddressState>)]
    state: Option<AddressState>,
}

/// An event that waits for a device.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PersonEvent)]
struct WaitingShown {
    #[schema(value_type = String)]
    device: DeviceId,
    event: Value,
}

/// What was erased.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Erased)]
pub(crate) struct ErasedShown {
    /// Devices that nothing else reached.
    #[schema(value_type = Vec<String>)]
    devices: Vec<DeviceId>,
    /// Devices that stay, for other identifiers.
    shared_devices: u64,
    sessions: u64,
    /// Events for others that named the person.
    events: u64,
}

/// Hands out everything of one identifier.
#[utoipa::path(get, path = "/tenants/{tenant}/person", operation_id = "export_person", params(Who),
    responses((status = OK, body = Exported, description = "All of it; of a stranger, nothing.")))]
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    OfTenant { tenant, who }: OfTenant,
    Query(Who { endpoint }): Query<Who>,
) -> Result<Json<Exported>, Problem> {
    let storage = app.storage.of(&tenant);
    let person = storage.person(&endpoint).await?;
    let outgoing = outgoing::naming(&app, &tenant, &endpoint).await?;
    let (masked, now) = (endpoint.to_string(), app.now());
    let note = async move |tx: &mut Transaction<'_>| who.note(tx, ("person.export", &masked), now).await;
    storage.run("export-person", note).await?;
    Ok(Json(exported(endpoint, (person, outgoing), now)))
}

/// Erases everything of one identifier; devices that nothing else reaches go with it.
#[utoipa::path(delete, path = "/tenants/{tenant}/person", operation_id = "erase_person", params(Who),
    responses((status = OK, body = ErasedShown, description = "It is erased.")))]
pub(crate) async fn erase(
    State(app): State<Arc<App>>,
    OfTenant { tenant, who }: OfTenant,
    Query(Who { endpoint }): Query<Who>,
) -> Result<Json<ErasedShown>, Problem> {
    let now = app.now();
    let outgoing = outgoing::naming(&app, &tenant, &endpoint).await?;
    let erase = async move |tx: &mut Transaction<'_>| {
        let erased = tx.erase_person(&endpoint).await?;
        for entry in &outgoing {
            tx.forget_outbox(&entry.id).await?;
        }
        let detail = json!({ "devices": erased.devices, "sessions": erased.sessions }).to_string();
        who.note_detail(tx, ("person.erase", &endpoint.to_string()), detail, now).await?;
        Ok::<_, StorageError>(erased)
    };
    let erased = app.storage.of(&tenant).run("erase-person", erase).await?;
    for device in &erased.devices {
        app.online.end((tenant.clone(), device.clone()), now).await;
    }
    let Erased { devices, shared, sessions, messages } = erased;
    Ok(Json(ErasedShown { devices, shared_devices: shared, sessions, events: messages }))
}

fn exported(
    endpoint: EndpointId,
    (person, outgoing): (Person, Vec<OutboxEntry>),
    now: Timestamp,
) -> Exported {
    let began = |session: &Session| session.inviter_endpoint == endpoint;
    let sessions = person.sessions.into_iter().map(|session| SessionShown {
        began: began(&session),
        session: session.id,
        purpose: session.purpose,
        created_at: session.created_at,
    });
    let event = |event: String| serde_json::from_str(&event).unwrap_or_default();
    Exported {
        registrations: person.registrations.into_iter().map(registrations::Shown::from).collect(),
        devices: person.devices.into_iter().map(DeviceShown::from).collect(),
        blocked: person.blocked,
        opted_out_since: person.opted_out_since,
        sessions: sessions.collect(),
        attempts: person.attempts.into_iter().map(AttemptShown::from).collect(),
        user: person.user.map(UserShown::from),
        validations: person
            .validations
            .into_iter()
            .map(|validation| validations::Shown::of(validation, now))
            .collect(),
        profiles: person
            .profiles
            .into_iter()
            .map(|(profile, state)| ProfileShown { profile, state })
            .collect(),
        waiting: person
            .waiting
            .into_iter()
            .map(|(device, text)| WaitingShown { device, event: event(text) })
            .collect(),
        outgoing: outgoing.into_iter().map(OutgoingShown::from).collect(),
        endpoint,
    }
}

impl From<Device> for DeviceShown {
    fn from(device: Device) -> Self {
        let Device { id, application, kind, enrolled_at, dials_from, .. } = device;
        let (country, area) = dials_from.map(|from| (from.country, from.area)).unzip();
        Self { device: id, application, kind, enrolled_at, country, area: area.flatten() }
    }
}

impl From<Attempt> for AttemptShown {
    fn from(attempt: Attempt) -> Self {
        let Attempt { method, device, expires_at, finished, .. } = attempt;
        Self { method, device, expires_at, finished }
    }
}
