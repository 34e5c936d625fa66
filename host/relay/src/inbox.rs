//! What a shard is told: by streams, by the relay, and by other shards.

use std::{io, sync::Arc};

use mio::Waker;
use tokio::sync::{
    mpsc::{Permit, Receiver, Sender, channel},
    oneshot,
};

use crate::{allocation::Allocation, clients::Stream, limits, mobility::Errand, quotas::Participant};

/// What a shard is told.
pub(crate) enum Order {
    /// A message came out of a stream.
    Message(Vec<u8>, Arc<Stream>),
    /// A stream has ended; what its client held goes with it, or waits for it with its ticket.
    Left(Arc<Stream>),
    /// A participant takes part no more; it is told when that is done.
    SendAway(Participant, oneshot::Sender<()>),
    /// Another shard needs an allocation that is here.
    Fetch(Box<Errand>),
    /// What was fetched, if it was still there.
    HandedOver(Box<Errand>, Option<Box<Allocation>>),
}

/// The way to a shard. Dropped by the last who has it, the shard goes on: `Stop` ends it.
#[derive(Clone)]
pub(crate) struct Inbox {
    orders: Sender<Order>,
    waker: Arc<Waker>,
}

/// Room for one order.
pub(crate) struct Room<'a> {
    permit: Permit<'a, Order>,
    waker: &'a Waker,
}

/// The shard has ended.
#[derive(Debug)]
pub(crate) struct Ended;

impl Inbox {
    /// An inbox, whose shard is woken by this.
    pub(crate) fn new(waker: Arc<Waker>) -> (Self, Receiver<Order>) {
        let (orders, receiver) = channel(limits::ARRIVALS);
        (Self { orders, waker }, receiver)
    }

    /// Waits where the shard has much to do.
    pub(crate) async fn give(&self, order: Order) -> Result<(), Ended> {
        self.orders.send(order).await.or(Err(Ended))?;
        // It fails only where there is no shard to wake.
        self.waker.wake().or(Err(Ended))
    }

    /// For shards, which do not wait for each other; nothing where the inbox is full, or its shard has ended.
    pub(crate) fn room(&self) -> Option<Room<'_>> {
        let permit = self.orders.try_reserve().ok()?;
        Some(Room { permit, waker: &self.waker })
    }
}

impl Room<'_> {
    pub(crate) fn give(self, order: Order) {
        self.permit.send(order);
        if let Err(error) = self.waker.wake() {
            told_late(&error);
        }
    }
}

fn told_late(error: &io::Error) {
    tracing::debug!(%error, "a shard is told later");
}
