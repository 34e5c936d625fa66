//! The outbox worker: performs what was committed, after it was committed (DESIGN §2.8).
//!
//! An entry is claimed (committed as *performing*) and performed: [`texts`] and [`mails`] at most once,
//! [`fetches`] at least once. The method whose effect it was hears what came of it, and the entry goes on in that step's own
//! transaction: a process that dies before leaves the entry *performing*. Where no method hears it, the entry goes on
//! by itself.

mod fetches;
mod mails;
mod onward;
mod texts;

use std::{error::Error, sync::Arc};

use switchhook_core::{
    policy::registration::{Delivery, Event},
    row::{OutboxEntry, OutboxKind, OutboxState},
};
use switchhook_protocol::id::TenantId;
use switchhook_storage::StorageError;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time,
};
use tracing::{error, info, warn};

pub(crate) use self::onward::Onward;
use crate::{
    app::App,
    causes::Causes,
    fail_point,
    flows::{
        Caller, FlowError,
        registration::step::{self, Beside, Step},
    },
    limits,
};

/// Hints at what was committed, a worker each.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    texts: Notify,
    mails: Notify,
    fetches: Notify,
}

impl Hints {
    /// Something was committed.
    pub(crate) fn hint(&self) {
        self.texts.notify_one();
        self.mails.notify_one();
        self.fetches.notify_one();
    }

    const fn of(&self, kind: OutboxKind) -> &Notify {
        match kind {
            OutboxKind::Text => &self.texts,
            OutboxKind::Mail => &self.mails,
            OutboxKind::Fetch => &self.fetches,
        }
    }
}

/// Works until told to stop. Each kind has a worker with places of its own: a service that is slow to
/// answer holds up nobody's text.
pub(crate) async fn work(app: Arc<App>, kind: OutboxKind) {
    let places = match kind {
        OutboxKind::Text => limits::TEXTS_IN_FLIGHT,
        OutboxKind::Mail | OutboxKind::Fetch => limits::EFFECTS_IN_FLIGHT,
    };
    let places = Arc::new(Semaphore::new(places));
    // What is claimed is performed at once, so that places come first.
    while let Some(free) = free(&app, &places).await {
        match begin(&app, kind, free).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(trouble) => error!(error = %Causes(&trouble), "the outbox cannot be read"),
        }
        tokio::select! {
            biased;
            () = app.stop.cancelled() => return,
            () = app.outbox.of(kind).notified() => {}
            () = time::sleep(limits::LOOK_AGAIN) => {}
        }
    }
}

/// Claims as much as there are places for, and begins it; says whether there was anything.
async fn begin(
    app: &Arc<App>,
    kind: OutboxKind,
    mut places: OwnedSemaphorePermit,
) -> Result<bool, StorageError> {
    let most = u32::try_from(places.num_permits()).unwrap_or(u32::MAX);
    let claimed = app.storage.outbox().claim(&app.me.id, kind, most).await?;
    let any = !claimed.is_empty();
    for (tenant, entry) in claimed {
        let place = places.split(1);
        let performing = Arc::clone(app);
        app.tasks.spawn(async move {
            perform(&performing, tenant, entry).await;
            drop(place);
            performing.outbox.of(kind).notify_one();
        });
    }
    Ok(any)
}

/// All places that are free, once there is one; none when told to stop.
async fn free(app: &App, places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    let mut free = tokio::select! {
        biased;
        () = app.stop.cancelled() => return None,
        place = Arc::clone(places).acquire_owned() => place.ok()?,
    };
    let more = u32::try_from(places.available_permits()).unwrap_or(u32::MAX);
    if let Ok(more) = Arc::clone(places).try_acquire_many_owned(more) {
        free.merge(more);
    }
    Some(free)
}

/// Reports what a node that is no more left in doubt. Methods that cannot be told at once are told in the background.
pub(crate) async fn report_doubt(app: &Arc<App>, doubtful: Vec<(TenantId, OutboxEntry)>) {
    let doubts = doubtful.into_iter().filter_map(|(tenant, entry)| {
        let event = doubt(app, &tenant, &entry)?;
        Some((tenant, entry, event))
    });
    let mut untold = tell_doubts(app, doubts.collect()).await;
    if untold.is_empty() {
        return;
    }
    let telling = Arc::clone(app);
    app.tasks.spawn(async move {
        while !untold.is_empty() && pause(&telling).await {
            untold = tell_doubts(&telling, untold).await;
        }
    });
}

/// What a method hears of an entry that is in doubt; requests are made again, with their keys.
fn doubt(app: &App, tenant: &TenantId, entry: &OutboxEntry) -> Option<Event> {
    match entry.kind {
        OutboxKind::Text => {
            warn!(tenant.id = %tenant, text.id = %entry.id, "whether a text was sent is in doubt; it is not sent again");
            app.metrics.text(OutboxState::InDoubt);
            Some(Event::TextSent(Delivery::InDoubt))
        }
        OutboxKind::Mail => {
            warn!(tenant.id = %tenant, mail.id = %entry.id, "whether a mail was sent is in doubt; it is not sent again");
            app.metrics.mail(OutboxState::InDoubt);
            Some(Event::MailSent(Delivery::InDoubt))
        }
        OutboxKind::Fetch => None,
    }
}

/// Tells methods of their doubts; those that could not be told.
async fn tell_doubts(
    app: &App,
    doubts: Vec<(TenantId, OutboxEntry, Event)>,
) -> Vec<(TenantId, OutboxEntry, Event)> {
    let mut untold = Vec::new();
    for (tenant, entry, event) in doubts {
        let onward = Onward::to(OutboxState::InDoubt, IN_DOUBT);
        if let Err(trouble) = tell(app, &tenant, &entry, event.clone(), onward).await {
            not_stored(&tenant, &entry, &trouble);
            untold.push((tenant, entry, event));
        }
    }
    untold
}

async fn perform(app: &Arc<App>, tenant: TenantId, entry: OutboxEntry) {
    match entry.kind {
        OutboxKind::Text => texts::perform(app, &tenant, &entry).await,
        OutboxKind::Mail => mails::perform(app, &tenant, &entry).await,
        OutboxKind::Fetch => fetches::perform(app, &tenant, &entry).await,
    }
}

/// What an effect needs cannot be read: nothing has failed, and its method need not hear that something has. Waits, and
/// says whether to read it again: not when told to stop, nor where another node took this one for dead meanwhile, since
/// what that has put in doubt is not sent.
async fn read_later(app: &App, tenant: &TenantId, entry: &OutboxEntry, trouble: &StorageError) -> bool {
    not_read(tenant, entry, trouble);
    fail_point("effect.read.failed");
    let storage = app.storage.of(tenant);
    while pause(app).await {
        if let Ok(found) = storage.outbox_entry(&entry.id).await {
            return found.is_some_and(|own| own.state == OutboxState::Performing);
        }
    }
    false
}

/// An effect that this node performed is over: its method hears what came of it, if there is something to hear.
///
/// What cannot be stored is stored later: an entry that stayed *performing* would take a place of its gateway's for
/// as long as this node lives.
async fn conclude(
    app: &App,
    tenant: &TenantId,
    entry: &OutboxEntry,
    event: Option<Event>,
    state: OutboxState,
) {
    while let Err(trouble) = end(app, tenant, entry, event.clone(), state).await {
        not_stored(tenant, entry, &trouble);
        if !pause(app).await {
            return;
        }
    }
}

/// Waits until trouble may have passed; false when told to stop.
async fn pause(app: &App) -> bool {
    tokio::select! {
        biased;
        () = app.stop.cancelled() => false,
        () = time::sleep(limits::LOOK_AGAIN) => true,
    }
}

/// The entry goes on with its method, or without one that does not hear it: what was performed is not performed
/// again for that.
async fn end(
    app: &App,
    tenant: &TenantId,
    entry: &OutboxEntry,
    event: Option<Event>,
    state: OutboxState,
) -> Result<(), FlowError> {
    let onward = Onward::to(state, PERFORMING);
    if let Some(event) = event
        && tell(app, tenant, entry, event, onward.clone()).await? == Told::Method
    {
        return Ok(());
    }
    Ok(go_on(app, tenant, entry, onward).await.map(drop)?)
}

/// The method hears what came of its effect, if its attempt still runs: with that step, and only then, the entry goes
/// on. A method that refuses what it hears hears it no more; an error passes, and it is to be told again.
pub(crate) async fn tell(
    app: &App,
    tenant: &TenantId,
    entry: &OutboxEntry,
    event: Event,
    onward: Onward,
) -> Result<Told, FlowError> {
    match step_with(app, tenant, entry, event, onward).await {
        Err(refused) if !refused.passes() => {
            info!(tenant.id = %tenant, entry.id = %entry.id, %refused, "a method took no note of what came of its effect");
            Ok(Told::Nobody)
        }
        told => told,
    }
}

async fn step_with(
    app: &App,
    tenant: &TenantId,
    entry: &OutboxEntry,
    event: Event,
    onward: Onward,
) -> Result<Told, FlowError> {
    let storage = app.storage.of(tenant);
    let attempt = storage.attempts().get(&entry.attempt).await?;
    let Some(attempt) = attempt.filter(|attempt| !attempt.finished) else { return Ok(Told::Nobody) };
    let Some(device) = storage.devices().get(&attempt.device).await? else { return Ok(Told::Nobody) };
    let caller = Caller { tenant: tenant.clone(), device, from: None };
    // What follows an answer to a text answers it too; what follows one that failed may go by another gateway.
    let answers = attempt.is_texted() && event != Event::TextSent(Delivery::Failed);
    let gateway = entry.gateway.clone().filter(|_| answers);
    let beside = Beside::Settle { entry: entry.id.clone(), onward };
    let step = Step { attempt, gateway, event, beside };
    step::step(app, &caller, step).await?;
    Ok(Told::Method)
}

/// Who heard what came of an effect.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Method,
    /// The attempt is over, or the method took no note.
    Nobody,
}

/// Moves an entry on without its method; false if it is in none of the states that it goes on from.
pub(crate) async fn go_on(
    app: &App,
    tenant: &TenantId,
    entry: &OutboxEntry,
    onward: Onward,
) -> Result<bool, StorageError> {
    let (storage, id, now) = (app.storage.of(tenant), entry.id.clone(), app.now());
    storage.run("outbox-sent", async move |tx| onward.go(tx, &id, now).await).await
}

fn not_stored(tenant: &TenantId, entry: &OutboxEntry, trouble: &dyn Error) {
    let error = Causes(trouble);
    error!(tenant.id = %tenant, entry.id = %entry.id, %error, "what became of an effect is not stored");
}

fn not_read(tenant: &TenantId, entry: &OutboxEntry, trouble: &StorageError) {
    let error = Causes(trouble);
    error!(tenant.id = %tenant, entry.id = %entry.id, %error, "what an effect needs cannot be read");
}

const PERFORMING: &[OutboxState] = &[OutboxState::Performing];

const IN_DOUBT: &[OutboxState] = &[OutboxState::InDoubt];
