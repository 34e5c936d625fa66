//! One thread that relays: it waits for its sockets, and handles what comes to its end before it waits again.
//!
//! There is a shard for each core. Each has a socket of its own at the TURN port (the system spreads
//! clients over them, each client always to the same), and all sockets of its clients' allocations. Shards
//! share nothing that a packet needs. What comes from streams, and what the relay itself wants, comes
//! through an inbox.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use mio::{Events, Poll, Token, Waker};
use tokio::{
    runtime::Handle,
    sync::{
        mpsc::{Receiver, Sender, channel},
        oneshot,
    },
    time::Instant,
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    awaited::Awaited,
    clients::{Caller, Client, Room, Stream},
    datagrams::{Datagrams, Intake, MOST},
    family::{Family, PerFamily},
    host::Host,
    limits,
    outgoing::Via,
    quotas::Participant,
    relaying::Relaying,
};

/// What a shard is told.
pub(crate) enum Order {
    /// A message came out of a stream, and the answer to it has room.
    Message(Vec<u8>, Arc<Stream>, Option<Room>),
    /// A stream has ended, and what its client held with it.
    Left(Arc<Stream>),
    /// A participant takes part no more; it is told when that is done.
    SendAway(Participant, oneshot::Sender<()>),
}

/// The way to a shard. Dropped by the last who has it, the shard goes on: [`Stop`] ends it.
#[derive(Clone)]
pub(crate) struct Inbox {
    orders: Sender<Order>,
    waker: Arc<Waker>,
}

/// The shard has ended.
#[derive(Debug)]
pub(crate) struct Ended;

/// Dropped, it ends its shard.
pub(crate) struct Stop {
    told: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

struct Shard {
    poll: Poll,
    relaying: Relaying,
    intake: Intake,
    orders: Receiver<Order>,
    stop: Arc<AtomicBool>,
    /// Sockets that had more than their turn took.
    again: Vec<Via>,
    sweep_at: Instant,
}

/// Starts a thread that relays what comes to these sockets.
pub(crate) fn start(
    number: usize,
    host: Arc<Host>,
    mut doors: PerFamily<Datagrams>,
    until_ended: TaskTrackerToken,
) -> io::Result<(Inbox, Stop)> {
    let poll = Poll::new()?;
    for family in Family::BOTH {
        if let Some(door) = doors.slot_mut(family) {
            door.register(poll.registry(), Awaited::Socket(Via::Door(family)).token())?;
        }
    }
    let waker = Arc::new(Waker::new(poll.registry(), Awaited::Inbox.token())?);
    let (sender, orders) = channel(limits::ARRIVALS);
    let told = Arc::new(AtomicBool::new(false));
    let registry = poll.registry().try_clone()?;
    let mut shard = Shard {
        poll,
        relaying: Relaying::new(host, doors, registry),
        intake: Intake::new(),
        orders,
        stop: Arc::clone(&told),
        again: Vec::new(),
        sweep_at: Instant::now() + limits::SWEEP,
    };
    // The time is that of whoever starts it, which a test may move.
    let runtime = Handle::current();
    thread::Builder::new().name(format!("relay-{number}")).spawn(move || {
        let _runtime = runtime.enter();
        if let Err(error) = shard.run() {
            tracing::error!(%error, "a shard of the relay has ended");
        }
        drop(shard);
        drop(until_ended);
    })?;
    Ok((Inbox { orders: sender, waker: Arc::clone(&waker) }, Stop { told, waker }))
}

impl Inbox {
    /// Waits where the shard has much to do.
    pub(crate) async fn give(&self, order: Order) -> Result<(), Ended> {
        self.orders.send(order).await.or(Err(Ended))?;
        // It fails only where there is no shard to wake.
        self.waker.wake().or(Err(Ended))
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.told.store(true, Ordering::Relaxed);
        if let Err(error) = self.waker.wake() {
            tracing::debug!(%error, "a shard ends later");
        }
    }
}

impl Shard {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(limits::EVENTS);
        while !self.stop.load(Ordering::Relaxed) {
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                waited => waited?,
            }
            self.relaying.now = Instant::now();
            for via in std::mem::take(&mut self.again) {
                self.serve(via);
            }
            for event in &events {
                self.handle(event.token(), event.is_error());
            }
            if self.relaying.now >= self.sweep_at {
                self.relaying.sweep();
                self.sweep_at = self.relaying.now + limits::SWEEP;
            }
        }
        Ok(())
    }

    fn patience(&self) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        (!self.relaying.is_idle()).then_some(limits::SWEEP)
    }

    fn handle(&mut self, token: Token, is_error: bool) {
        match Awaited::of(token) {
            Awaited::Inbox => self.obey(),
            Awaited::Socket(via) => {
                if is_error {
                    self.relaying.tell_of_losses(via);
                    self.relaying.flush();
                }
                self.serve(via);
            }
        }
    }

    /// Relays what stands in a socket's queue, for some rounds.
    fn serve(&mut self, via: Via) {
        let most = match via {
            Via::Door(_) => MOST,
            Via::Relayed(..) => limits::GROUPS_OF_PEERS,
        };
        for _ in 0..limits::ROUNDS {
            let Some(socket) = self.relaying.socket(via) else { return };
            let groups = match self.intake.receive(socket, most) {
                Ok(groups) => groups,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // What an earlier datagram met on its way; it says nothing about the next.
                Err(_) => continue,
            };
            let was_full = groups.len() == most;
            for group in groups {
                match via {
                    Via::Door(_) => self.relaying.take(&group),
                    Via::Relayed(key, _) => self.relaying.relay_to_client(key, &group),
                }
            }
            self.relaying.flush();
            if !was_full {
                return;
            }
        }
        // New datagrams wake it too: it stands here once.
        if !self.again.contains(&via) {
            self.again.push(via);
        }
    }

    /// Does what the inbox holds: at most a full one, so that sockets have their turn.
    fn obey(&mut self) {
        for _ in 0..limits::ARRIVALS {
            let Ok(order) = self.orders.try_recv() else { return };
            match order {
                Order::Message(message, stream, room) => {
                    self.relaying.room = room;
                    self.relaying.take_message(&Caller::by_stream(stream), &message);
                    self.relaying.room = None;
                    self.relaying.flush();
                }
                Order::Left(stream) => self.relaying.forget_client(Client::Stream(stream.number)),
                Order::SendAway(participant, done) => {
                    self.relaying.send_away(&participant);
                    // Whoever asked may have gone.
                    done.send(()).unwrap_or_default();
                }
            }
        }
    }
}
