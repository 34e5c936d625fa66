//! A device of a person: it enrols, registers, rings, and keeps what it hears until a test asks.

use std::{collections::VecDeque, sync::Arc};

use anyhow::{Context as _, Result, bail};
use switchhook_client::{
    CallError, Client, ClientEvent, Settings,
    call::Prepared,
    identity::{DeviceKey, Identity},
    network::{Network, SystemNetwork},
    registration::{begin_text, keep_text, validate},
    ringer::{Ringer, Rings},
};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::{ErrorBody, ErrorCode},
    event::{Event, Outcome, RegisteredElsewhere, Rung},
    id::{DeviceId, SessionId},
    invitation::{Accept, Accepted, Invite, InviteStatus, StopReason, TakeMode},
};
use switchhook_server::Carrier;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::waiting::in_time;

/// A device that is enrolled and online.
#[derive(Debug)]
pub struct Phone {
    /// Who it is.
    pub identity: Identity,
    /// Its way to the host.
    pub client: Client,
    /// What rings.
    pub rings: Rings<Bell>,
    /// Its number, once it is registered.
    pub number: Option<EndpointId>,
    /// With what it connected.
    pub settings: Settings,
    bell: Bell,
    heard: VecDeque<ClientEvent>,
    events: mpsc::Receiver<ClientEvent>,
    _listening: AbortOnDropHandle<()>,
}

/// A ringer whose silence a test may hold up.
#[derive(Debug, Clone)]
pub struct Bell {
    may_stop: Arc<Semaphore>,
}

impl Ringer for Bell {
    async fn start(&self, _: &Rung) {}

    async fn stop(&self, _: &Rung) {
        // Closed at the end of a test, it holds up nothing.
        drop(self.may_stop.acquire().await);
    }
}

/// Events that wait for a test.
const EVENTS: usize = 256;

impl Phone {
    /// A new device, online.
    pub async fn enrol(settings: Settings) -> Result<Self> {
        let key = DeviceKey::generate(&mut rand::rng());
        let identity = in_time("enrolment", Client::enrol(&settings, key)).await??;
        Self::connect(settings, identity).await
    }

    /// A known device comes online.
    pub async fn connect(settings: Settings, identity: Identity) -> Result<Self> {
        let connected = Client::connect(settings.clone(), identity.clone());
        let (client, mut incoming) = in_time("the connection", connected).await??;
        let bell = Bell { may_stop: Arc::new(Semaphore::new(1)) };
        let rings = Rings::new(client.clone(), bell.clone());
        let (sender, events) = mpsc::channel(EVENTS);
        let handler = rings.clone();
        let listening = TaskTracker::new().spawn(async move {
            while let Some(event) = incoming.next().await {
                handler.handle(&event);
                if sender.send(event).await.is_err() {
                    return;
                }
            }
        });
        let listening = AbortOnDropHandle::new(listening);
        let number = None;
        Ok(Self {
            identity,
            client,
            rings,
            number,
            settings,
            bell,
            heard: VecDeque::new(),
            events,
            _listening: listening,
        })
    }

    /// Registers a number by SMS (REG-2 to REG-4).
    pub async fn register(&mut self, carrier: &Carrier, number: &EndpointId) -> Result<()> {
        let read = carrier.texts(number).len();
        in_time("the text", carrier.text(number, &begin_text(&self.identity))).await??;
        let text = in_time("the SMS", carrier.next_text(number, read)).await?;
        keep_text(&mut self.identity, &text).context("the SMS is no signature")?;
        let confirmed = in_time("the registration", validate(&self.client, &mut self.identity)).await??;
        if !confirmed.contains(number) {
            bail!("the number is not registered");
        }
        self.number = Some(number.clone());
        Ok(())
    }

    /// The device's id.
    pub const fn device(&self) -> &DeviceId {
        &self.identity.device
    }

    /// Goes offline, and leaves what is needed to come back.
    pub async fn leave(self) -> (Settings, Identity) {
        self.client.close().await;
        (self.settings, self.identity)
    }

    /// From now on the ringer does not fall silent until [`Self::let_go`].
    pub fn hold_bell(&self) {
        self.bell.may_stop.forget_permits(1);
    }

    /// The ringer may fall silent.
    pub fn let_go(&self) {
        self.bell.may_stop.add_permits(1);
    }

    /// The first event that a test wants; others stay for later.
    pub async fn expect<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&ClientEvent) -> Option<T>,
    ) -> Result<T> {
        let earlier = self.heard.iter().enumerate().find_map(|(at, event)| Some((at, wanted(event)?)));
        if let Some((at, found)) = earlier {
            self.heard.remove(at);
            return Ok(found);
        }
        let next = async {
            while let Some(event) = self.events.recv().await {
                if let Some(found) = wanted(&event) {
                    return Ok(found);
                }
                self.heard.push_back(event);
            }
            bail!("the events ended before {what}")
        };
        in_time(what, next).await?
    }

    /// The first mailbox event that a test wants.
    pub async fn expect_event<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&Event) -> Option<T>,
    ) -> Result<T> {
        self.expect(what, |event| {
            let ClientEvent::Event(delivered) = event else { return None };
            wanted(&delivered.event)
        })
        .await
    }

    /// The next word that another device has proven an identifier of this one's.
    pub async fn expect_elsewhere(&mut self) -> Result<RegisteredElsewhere> {
        self.expect_event("a word of another device", |event| {
            if let Event::RegisteredElsewhere(word) = event { Some(word.clone()) } else { None }
        })
        .await
    }

    /// The next invite.
    pub async fn expect_invite(&mut self) -> Result<Rung> {
        self.expect_event("an invite", |event| {
            if let Event::Invite(rung) = event { Some(rung.clone()) } else { None }
        })
        .await
    }

    /// The other side's accept.
    pub async fn expect_accept(&mut self, session: &SessionId) -> Result<Accepted> {
        self.expect_event("an accept", |event| {
            let Event::Accept(accepted) = event else { return None };
            (accepted.session == *session).then(|| accepted.clone())
        })
        .await
    }

    /// The order to stop ringing, and why.
    pub async fn expect_cancel(&mut self, session: &SessionId) -> Result<StopReason> {
        self.expect_event("a cancel", |event| {
            let Event::Cancel(cancel) = event else { return None };
            (cancel.session == *session).then_some(cancel.reason)
        })
        .await
    }

    /// What became of an invited user.
    pub async fn expect_outcome(&mut self, session: &SessionId) -> Result<Outcome> {
        self.expect_event("an outcome", |event| {
            let Event::Outcome(outcome) = event else { return None };
            (outcome.session == *session).then(|| outcome.clone())
        })
        .await
    }

    /// What has come so far, in order. Comes after everything that the host wrote before it
    /// answered: the mailbox is written to the same socket.
    pub async fn heard(&mut self) -> Result<Vec<ClientEvent>> {
        in_time("an answer", self.client.sync()).await??;
        while let Ok(event) = self.events.try_recv() {
            self.heard.push_back(event);
        }
        Ok(self.heard.iter().cloned().collect())
    }

    /// How many rings have come so far.
    pub async fn rings_heard(&mut self) -> Result<usize> {
        let ring = |event: &&ClientEvent| matches!(event, ClientEvent::Event(it) if matches!(it.event, Event::Invite(_)));
        Ok(self.heard().await?.iter().filter(ring).count())
    }

    /// Throws away what has come: under load, for whom nobody's answer depends on it.
    pub fn drain(&mut self) {
        while self.events.try_recv().is_ok() {}
    }

    /// Rings somebody from the own number, by a socket on loopback.
    pub async fn invite(&self, number: &str) -> Result<InviteStatus> {
        let invite = self.invite_of(&self.prepare(&open()).await?, &[number])?;
        Ok(in_time("the invite", self.client.invite(&invite)).await??)
    }

    /// Opens a socket and asks CDX.
    pub async fn prepare(&self, network: &Net) -> Result<Prepared> {
        Ok(in_time("CDX", Prepared::new(&self.client, &**network)).await??)
    }

    /// An invite from the own number.
    pub fn invite_of(&self, prepared: &Prepared, invited: &[&str]) -> Result<Invite> {
        let invited = invited.iter().map(|number| number.parse());
        Ok(Invite {
            invited: invited.collect::<Result<_, _>>()?,
            dialled: vec![],
            from: self.number.clone().context("it has no number")?,
            purpose: "audio".to_owned(),
            display_name: "Alice".to_owned(),
            connection_data: prepared.connection_data().clone(),
            session_key: prepared.session_key().clone(),
            take: TakeMode::First,
            idempotency_key: None,
        })
    }

    /// The accept of a ring.
    pub fn accept_of(prepared: &Prepared, rung: &Rung) -> Accept {
        Accept {
            ticket: rung.ticket.clone(),
            inviter_connection_data: rung.inviter_connection_data.clone(),
            connection_data: prepared.connection_data().clone(),
            session_key: prepared.session_key().clone(),
            retry: false,
        }
    }

    /// Accepts a ring, by a socket on loopback.
    pub async fn accept(&self, rung: &Rung) -> Result<Result<Accepted, CallError>> {
        let accept = Self::accept_of(&self.prepare(&open()).await?, rung);
        in_time("the accept", self.rings.accept(rung, &accept)).await
    }

    /// Accepts past the ringer, which goes on.
    pub async fn accept_by_hand(&self, rung: &Rung) -> Result<Result<Accepted, CallError>> {
        let accept = Self::accept_of(&self.prepare(&open()).await?, rung);
        in_time("the accept", self.client.accept(&accept)).await
    }

    /// The identifiers that the host holds for this device.
    pub async fn registrations(&self) -> Result<Vec<EndpointId>> {
        Ok(in_time("sync", self.client.sync()).await??.registrations)
    }
}

/// A network for calls.
pub type Net = Arc<dyn Network>;

/// Sockets on loopback without a NAT.
pub fn open() -> Net {
    Arc::new(SystemNetwork::on(std::net::Ipv4Addr::LOCALHOST.into()))
}

/// The code of a refusal.
pub fn refusal<T: std::fmt::Debug>(answer: Result<T, CallError>) -> Result<ErrorCode> {
    match answer {
        Err(CallError::Refused(body)) => Ok(body.code),
        other => bail!("not refused: {other:?}"),
    }
}

/// What an invite is refused with.
pub async fn refused_invite(phone: &Phone, number: &str) -> Result<ErrorBody> {
    let invite = phone.invite_of(&phone.prepare(&open()).await?, &[number])?;
    match in_time("the refusal", phone.client.invite(&invite)).await? {
        Err(CallError::Refused(body)) => Ok(body),
        other => bail!("not refused: {other:?}"),
    }
}
