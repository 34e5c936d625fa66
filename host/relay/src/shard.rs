//! One thread that relays: it waits for its sockets, and handles what comes to its end before it waits again.
//!
//! There is a shard for each core. Each has a socket of its own at the TURN port (the system spreads
//! clients over them, each client always to the same), and all sockets of its clients' allocations. Shards
//! share nothing that a packet needs. What comes from streams, and what the relay itself and other shards want, comes
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
use tokio::{runtime::Handle, sync::mpsc::Receiver, time::Instant};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    awaited::Awaited,
    clients::Client,
    datagrams::{Datagrams, Intake, MOST},
    family::{Family, PerFamily},
    host::Host,
    inbox::{Inbox, Order},
    limits,
    outgoing::Via,
    relaying::Relaying,
};

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

/// A shard that waits for its sockets, and is not running yet.
pub(crate) struct Prepared {
    poll: Poll,
    doors: PerFamily<Datagrams>,
    waker: Arc<Waker>,
    inbox: Inbox,
    orders: Receiver<Order>,
}

impl Prepared {
    pub(crate) fn new(mut doors: PerFamily<Datagrams>) -> io::Result<Self> {
        let poll = Poll::new()?;
        for family in Family::BOTH {
            if let Some(door) = doors.slot_mut(family) {
                door.register(poll.registry(), Awaited::Socket(Via::Door(family)).token())?;
            }
        }
        let waker = Arc::new(Waker::new(poll.registry(), Awaited::Inbox.token())?);
        let (inbox, orders) = Inbox::new(Arc::clone(&waker));
        Ok(Self { poll, doors, waker, inbox, orders })
    }

    /// The way to it.
    pub(crate) fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// Starts the thread: that of so many among these.
    pub(crate) fn start(
        self,
        (number, inboxes): (usize, Arc<[Inbox]>),
        host: Arc<Host>,
        until_ended: TaskTrackerToken,
    ) -> io::Result<Stop> {
        let Self { poll, doors, waker, orders, .. } = self;
        let told = Arc::new(AtomicBool::new(false));
        let registry = poll.registry().try_clone()?;
        let mut shard = Shard {
            poll,
            relaying: Relaying::new(host, (number, inboxes), doors, registry),
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
        Ok(Stop { told, waker })
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
            let Some(socket) = self.relaying.socket(via) else { return self.let_in(via) };
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
        self.serve_again(via);
    }

    /// Lets peers in that wait at a relayed address, if it is one of TCP.
    fn let_in(&mut self, via: Via) {
        let Via::Relayed(key, family) = via else { return };
        if self.relaying.let_in(key, family) {
            self.serve_again(via);
        }
    }

    /// What comes anew wakes it too: it stands there once.
    fn serve_again(&mut self, via: Via) {
        if !self.again.contains(&via) {
            self.again.push(via);
        }
    }

    /// Does what the inbox holds: at most a full one, so that sockets have their turn.
    fn obey(&mut self) {
        for _ in 0..limits::ARRIVALS {
            let Ok(order) = self.orders.try_recv() else { return };
            match order {
                Order::Message(message, stream) => {
                    self.relaying.take_from(stream, &message);
                    self.relaying.flush();
                }
                Order::Left(stream) => self.relaying.forget_client(Client::Stream(stream.number)),
                Order::SendAway(participant, done) => {
                    self.relaying.send_away(&participant);
                    // Whoever asked may have gone.
                    done.send(()).unwrap_or_default();
                }
                Order::Fetch(errand) => self.relaying.hand_over(errand),
                Order::HandedOver(errand, allocation) => {
                    self.relaying.take_in(&errand, allocation);
                    self.relaying.flush();
                }
            }
        }
    }
}
