//! Accept: the NAT policy judges, the first commit takes, both sides learn how to connect (INV-4 to INV-6, NAT-3, NAT-4).

use switchhook_core::{
    exchange,
    invitation::accept::{self, Accepting, Paths, RelayPair},
    network::{InviterSide, NetworkFacts, name_of_pair},
    policy::nat::{self, Verdict},
    row::{Decision, Device, Participant, Session, Write},
    ticket::SessionTicket,
};
use switchhook_protocol::{
    error::ErrorCode,
    invitation::{Accept, Accepted},
    time::Timestamp,
};

use super::{Caller, FlowError, invite::check_session_key, relay};
use crate::app::App;

pub(crate) async fn accept(app: &App, caller: &Caller, request: Accept) -> Result<Accepted, FlowError> {
    let keys = app.keys.of(&caller.tenant);
    let ticket = SessionTicket::open(&keys, &request.ticket, &caller.device.id, app.now())?;
    let user = ticket.user()?;
    check_session_key(caller, &request.session_key)?;
    let inviter_side = InviterSide::open(&keys, &request.inviter_connection_data, &ticket.session)?;
    let network = NetworkFacts::read(&request.connection_data, app.keys.cdx(), app.now())?;

    let storage = app.storage.of(&caller.tenant);
    let inviter = storage.devices().get(&ticket.peer()?.device).await?.ok_or(ErrorCode::NoLongerRinging)?;
    let (paths, decision) =
        paths(app, caller, &ticket, request.retry, (&inviter_side.network, &network)).await?;

    let accepting =
        Owned { keys, ticket, request, device: caller.device.clone(), inviter, inviter_side, paths };
    let (now, mut rng) = (app.now(), app.rng());
    let taken = storage
        .run("accept", async move |tx| {
            let session = &accepting.ticket.session;
            let invitation = tx.invitation(session, user).await?.ok_or(ErrorCode::NoLongerRinging)?;
            let legs = tx.legs_of(session, user).await?;
            let row = tx.session(session).await?.ok_or(ErrorCode::NoLongerRinging)?;
            let participants = tx.participants(session).await?;
            let facts = accepting.facts((&row, &participants), now);
            let taken = accept::accept(facts, &invitation, &legs, &mut rng)?;
            let decided = Write::Decide { session: session.clone(), decision };
            let committed = tx.apply(taken.writes.into_iter().chain([decided]).collect()).await?;
            Ok::<_, FlowError>((committed, taken.accepted))
        })
        .await?;
    let (committed, accepted) = taken;
    app.wake(&caller.tenant, committed);
    app.metrics.accepted.inc();
    Ok(accepted)
}

async fn paths(
    app: &App,
    caller: &Caller,
    ticket: &SessionTicket,
    retry: bool,
    (inviter, invited): (&NetworkFacts, &NetworkFacts),
) -> Result<(Paths, Decision), FlowError> {
    let keys = app.keys.of(&caller.tenant);
    let (a, b) = (inviter.party(&keys), invited.party(&keys));
    let networks = name_of_pair(&a, &b);
    let storage = app.storage.of(&caller.tenant);
    // Nobody asks for the relay before the first accept.
    let relay_requested =
        retry && storage.sessions().relay_wanted(&ticket.session, &ticket.own.device).await?;
    let question = nat::Question {
        a,
        b,
        attempt: nat::Attempt {
            direct_failures: ticket.direct_failures.saturating_add(u8::from(retry)),
            relay_requested,
        },
        history: history(app, caller, networks.as_deref()).await?,
        answers: Vec::new(),
    };
    let (verdict, decision) = app.plugins.nat(app, caller, &ticket.session, question).await?;
    app.metrics.verdict(&verdict);
    let effort = match &verdict {
        Verdict::Relay { region, until_accepted } => {
            let places = [invited, inviter].map(|side| side.place().led_to(region.as_deref()));
            let [own, peers] = relay::credentials(app, caller, ticket, (&places[0], &places[1])).await?;
            let pair = RelayPair { inviter: peers, invited: own };
            return Ok((Paths::relay((inviter, invited), pair, *until_accepted, networks), decision));
        }
        Verdict::DirectThenRelay { patience, guessing } => (Some(*patience), *guessing),
        Verdict::Direct => (None, nat::Guessing::default()),
    };
    let sides = [(&ticket.peer()?.device, inviter), (&ticket.own.device, invited)];
    let session = (&ticket.session, ticket.generation);
    let exchanges = exchange::between(session, sides, (app.keys.cdx(), app.now()), &mut app.rng());
    Ok((Paths::direct((inviter, invited), exchanges, effort, networks), decision))
}

/// How earlier sessions between these two networks went.
async fn history(app: &App, caller: &Caller, networks: Option<&str>) -> Result<nat::Outcomes, FlowError> {
    let Some(networks) = networks else { return Ok(nat::Outcomes::default()) };
    Ok(app.storage.of(&caller.tenant).outcomes(networks, app.now()).await?)
}

/// What the transaction decides from; it runs on the writer's thread.
struct Owned {
    keys: switchhook_core::seal::KeyRing,
    ticket: SessionTicket,
    request: Accept,
    device: Device,
    inviter: Device,
    inviter_side: InviterSide,
    paths: Paths,
}

impl Owned {
    const fn facts<'a>(
        &'a self,
        (session, participants): (&'a Session, &'a [Participant]),
        now: Timestamp,
    ) -> Accepting<'a> {
        Accepting {
            keys: &self.keys,
            ticket: &self.ticket,
            request: &self.request,
            device: &self.device,
            inviter: &self.inviter,
            inviter_side: &self.inviter_side,
            paths: &self.paths,
            session,
            participants,
            now,
        }
    }
}
