//! What the writer can do alone: the yardstick for flows that write (DESIGN §11).

mod registrations;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use switchhook_core::row::{
    Device, Invitation, InvitationState, Leg, LegState, Message, Milestones, Session, Timer, TimerKind, Write,
};
use switchhook_protocol::{
    device_key::{Algorithm, DeviceKey, KeyBytes},
    endpoint::InvalidEndpoint,
    id::{DeviceId, InvalidId},
    invitation::TakeMode,
    time::Timestamp,
};
use tokio::{task::JoinSet, time::Instant};

pub use self::registrations::registrations;
use crate::{error::StorageError, lifecycle::TenantStorage};

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// What was committed: invites, or registrations.
    pub count: u32,
    /// In so many seconds.
    pub seconds: f64,
}

impl Rate {
    /// So many a second.
    pub fn per_second(&self) -> f64 {
        f64::from(self.count) / self.seconds
    }
}

/// Why a measurement did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Unmeasured {
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A made-up id is none.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// A made-up number is none.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
}

/// Stores devices that can be invited.
pub async fn enrol(storage: &TenantStorage, devices: u32) -> Result<Vec<DeviceId>, Unmeasured> {
    let mut ids = Vec::new();
    for number in 0..devices {
        let device = Device {
            id: format!("device-{number}").parse()?,
            application: "phone".parse()?,
            kind: "phone".to_owned(),
            key: DeviceKey { algorithm: Algorithm::Ed25519, public: KeyBytes(vec![7; 32]) },
            enrolled_at: Timestamp::from_millis(1),
            push_token_until: Timestamp::from_millis(u64::MAX / 4),
            dials_from: None,
        };
        let mut push_token = [0; 32];
        push_token[..4].copy_from_slice(&number.to_be_bytes());
        storage.devices().insert(&device, push_token, &"epoch".parse()?).await?;
        ids.push(device.id);
    }
    Ok(ids)
}

/// Commits invites to these devices in turn, one transaction each, so many at a time. The name of the
/// run tells its sessions from those of others.
pub async fn invites(
    storage: &TenantStorage,
    devices: &[DeviceId],
    (run, count): (&str, u32),
    at_once: NonZeroU32,
) -> Result<Rate, Unmeasured> {
    let (storage, devices, run) = (storage.clone(), Arc::<[DeviceId]>::from(devices), Arc::<str>::from(run));
    repeat(count, at_once, move |call| {
        let (storage, devices, run) = (storage.clone(), Arc::clone(&devices), Arc::clone(&run));
        async move {
            let Some(device) = in_turn(&devices, call) else { return Ok(()) };
            storage.commit("invite", invite(device, &format!("{run}-{call}"))?).await?;
            Ok(())
        }
    })
    .await
}

/// Does something so often, so many at a time.
async fn repeat<Doing: Future<Output = Result<(), Unmeasured>> + Send + 'static>(
    count: u32,
    at_once: NonZeroU32,
    what: impl Fn(u32) -> Doing + Clone + Send + 'static,
) -> Result<Rate, Unmeasured> {
    let started = Instant::now();
    let next = Arc::new(AtomicU32::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..at_once.get() {
        let (next, what) = (Arc::clone(&next), what.clone());
        callers.spawn(async move {
            loop {
                let call = next.fetch_add(1, Ordering::Relaxed);
                if call >= count {
                    return Ok::<(), Unmeasured>(());
                }
                what(call).await?;
            }
        });
    }
    for caller in callers.join_all().await {
        caller?;
    }
    Ok(Rate { count, seconds: started.elapsed().as_secs_f64() })
}

/// The device whose turn it is.
fn in_turn(devices: &[DeviceId], call: u32) -> Option<&DeviceId> {
    devices.iter().cycle().nth(usize::try_from(call).ok()?.checked_rem(devices.len())?)
}

/// One invite to one device as rows: session, invitation, leg, message, timer.
pub fn invite(device: &DeviceId, name: &str) -> Result<Vec<Write>, InvalidId> {
    let session: switchhook_protocol::id::SessionId = format!("session-{name}").parse()?;
    let (now, later) = (Timestamp::from_millis(1), Timestamp::from_millis(60_000));
    let Ok(endpoint) = "+15550100".parse::<switchhook_protocol::endpoint::EndpointId>() else {
        return Ok(Vec::new());
    };
    Ok(vec![
        Write::OpenSession(Session {
            id: session.clone(),
            application: "phone".parse()?,
            inviter: device.clone(),
            inviter_endpoint: endpoint.clone(),
            purpose: "call".to_owned(),
            created_at: now,
            expires_at: later,
            generation: 1,
            routing: None,
            take: TakeMode::First,
        }),
        Write::OpenInvitation(Invitation {
            session: session.clone(),
            user: 0,
            endpoint,
            state: InvitationState::Ringing,
            taken_by: None,
            rings_until: later,
            course: None,
        }),
        Write::OpenLeg(Leg {
            session: session.clone(),
            user: 0,
            device: device.clone(),
            wave: 0,
            state: LegState::Queued,
            lease_until: later,
            ring: None,
            changed_at: now,
            times: Milestones::default(),
        }),
        Write::Append(Message {
            device: device.clone(),
            id: format!("message-{name}").parse()?,
            event: "x".repeat(600),
            expires_at: later,
            collapse_key: None,
        }),
        Write::Arm(Timer { session, kind: TimerKind::RingEnd(0), due_at: later }),
    ])
}
