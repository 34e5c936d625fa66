//! One of several nodes: it says that it lives, buries who does not, and looks for what it was not told.
//!
//! Nodes share a database, which is the truth, and a bus, which hints at it ([`others`]). What a lost hint would
//! have said, each finds by looking, once a second: messages stored lately for devices that are connected here,
//! changes of tenants, nodes that are dead. With a database of its own a server is alone, and nothing of this
//! runs.
//!
//! A node beats until it has drained: what it performs is its own as long. So long it looks for messages too, as
//! devices are connected; the dead and what has changed are left to those that stay.

mod letters;
pub(crate) mod neighbours;
pub(crate) mod others;
pub(crate) mod questions;

use std::{sync::Arc, time::Duration};

use switchhook_core::{
    row::{Node, OutboxEntry},
    watch::{BEAT, Watch},
};
use switchhook_protocol::{id::TenantId, time::Timestamp};
use switchhook_storage::StorageError;
use tokio::time::{self, Instant, MissedTickBehavior};
use tracing::{error, info, warn};

use self::{
    neighbours::Neighbours,
    others::{AllHeard, ToAll},
    questions::ToNode,
};
use crate::{app::App, causes::Causes, limits, outbox, plugins::reconcile::reconcile, relay_hosts, tenants};

/// This node among the others.
#[derive(Debug)]
pub(crate) struct Me {
    /// Its id.
    pub(crate) id: switchhook_protocol::id::NodeId,
    /// What it is called in its row and in the others' logs.
    pub(crate) address: String,
    /// When it started.
    pub(crate) started_at: Timestamp,
    /// Where its clients go when it leaves.
    pub(crate) neighbours: Neighbours,
}

/// Leaves, when everything that was begun is done.
pub(crate) async fn leave(app: &App) {
    let left = async { app.storage.nodes().leave(&app.me.id).await.and(relay_hosts::leave(app).await) };
    if app.storage.is_shared()
        && let Err(trouble) = left.await
    {
        warn!(error = %Causes(&trouble), "the other nodes find out by themselves that this one has ended");
    }
}

/// Enters: among others it says that it is here; alone it takes up what the process before left.
pub(crate) async fn enter(app: &Arc<App>) -> Result<(), StorageError> {
    let nodes = app.storage.nodes();
    if app.storage.is_shared() {
        return nodes.beat(&row(app)).await;
    }
    outbox::report_doubt(app, nodes.take_up().await?).await;
    Ok(())
}

/// Sets going what keeps a node among others.
pub(crate) fn run(app: &Arc<App>) {
    if app.storage.is_shared() {
        app.living.spawn(beat(Arc::clone(app)));
        app.living.spawn(look(Arc::clone(app)));
        app.living.spawn(answer(Arc::clone(app)));
        app.tasks.spawn(follow(Arc::clone(app)));
    }
}

/// Beats until it has ended. Nothing but the beat: whoever is slow to look is alive.
async fn beat(app: Arc<App>) {
    let mut pace = time::interval(BEAT);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drains = false;
    loop {
        tokio::select! {
            biased;
            () = app.ended.cancelled() => return,
            // That it takes nothing new is told at once.
            () = app.stop.cancelled(), if !drains => drains = true,
            _ = pace.tick() => {}
        }
        if let Err(trouble) = app.storage.nodes().beat(&row(&app)).await {
            warn!(error = %Causes(&trouble), "the other nodes are not told that this one lives");
        }
    }
}

/// Looks each second until it has ended: for messages that nobody told of, and who is dead.
async fn look(app: Arc<App>) {
    let (mut watch, started) = (Watch::default(), Instant::now());
    let mut looked = started;
    let mut pace = time::interval(limits::LOOK_AMONG_NODES);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = app.ended.cancelled() => return,
            _ = pace.tick() => {}
        }
        let now = Instant::now();
        match rouse(&app, now.duration_since(looked)).await {
            Ok(()) => looked = now,
            Err(trouble) => {
                error!(error = %Causes(&trouble), "messages of which nobody told are not looked for");
            }
        }
        if !app.stop.is_cancelled()
            && let Err(trouble) = bury_dead(&app, &mut watch, started).await
        {
            error!(error = %Causes(&trouble), "this node does not see the others");
        }
    }
}

/// Answers what the others ask, until it has ended.
async fn answer(app: Arc<App>) {
    let Some(mut questions) = app.online.others().hear_questions().await else { return };
    loop {
        let (question, asked) = tokio::select! {
            biased;
            () = app.ended.cancelled() => return,
            next = questions.next() => next,
        };
        match question {
            ToNode::Refused(tenant, endpoint) => {
                asked.answer(&app.refused.about(&tenant, &endpoint, app.now()));
            }
        }
    }
}

/// Follows what the others change of tenants until told to stop: each second and when told of it.
async fn follow(app: Arc<App>) {
    let mut heard = app.online.others().hear_all().await;
    let mut pace = time::interval(limits::LOOK_AMONG_NODES);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = app.stop.cancelled() => return,
            ToAll::Changed = changed(&mut heard) => {}
            _ = pace.tick() => {}
        }
        if let Err(trouble) = catch_up(&app).await {
            error!(error = %Causes(&trouble), "what other nodes changed does not count here");
        }
    }
}

async fn changed(heard: &mut Option<AllHeard>) -> ToAll {
    match heard {
        Some(heard) => heard.next().await,
        None => std::future::pending().await,
    }
}

/// Settings first: plugins may take long to load.
async fn catch_up(app: &App) -> Result<(), StorageError> {
    tenants::read_settings(app).await?;
    reconcile(app).await
}

/// Wakes whoever has got something since the last look, of which perhaps nobody has told.
async fn rouse(app: &App, since: Duration) -> Result<(), StorageError> {
    app.online.rouse(&app.storage.stored_lately(limits::LATELY + since).await?);
    Ok(())
}

/// Buries who is dead; who lives is where this node's clients can go.
async fn bury_dead(app: &Arc<App>, watch: &mut Watch, started: Instant) -> Result<(), StorageError> {
    let mut others = app.storage.nodes().all().await?;
    others.retain(|node| node.id != app.me.id);
    let dead = watch.look(&others, started.elapsed());
    app.me.neighbours.see(others.iter().filter(|node| !dead.contains(node)));
    for dead in dead {
        let buried: Option<Vec<(TenantId, OutboxEntry)>> = app.storage.nodes().bury(&dead).await?;
        if let Some(doubtful) = buried {
            info!(node.id = %dead.id, address = dead.address, "a node is dead: what it performed is taken up");
            outbox::report_doubt(app, doubtful).await;
            app.outbox.hint();
        }
    }
    Ok(())
}

fn row(app: &App) -> Node {
    Node {
        id: app.me.id.clone(),
        address: app.me.address.clone(),
        region: app.region.clone(),
        sockets: u32::try_from(app.online.count()).unwrap_or(u32::MAX),
        draining: app.stop.is_cancelled(),
        started_at: app.me.started_at,
        seen_at: app.now(),
    }
}
