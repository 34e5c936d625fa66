//! Texts by SMPP 3.4: the host binds to an SMSC as transceiver, and keeps bound.
//!
//! One task a gateway: it connects, binds, and serves the connection ([`session`]) until that ends, then
//! tries again with longer and longer pauses. Texts go out as parts one after the other, each `submit_sm`
//! within the window that the account allows; only the last part asks for a receipt, whose id is the text's.
//! What was submitted and not answered when the connection ends is in doubt, and so is a text of which only some
//! parts were taken; what was not yet submitted was never seen. Texts and receipts that come in are handed to whoever started the gateway, and answered to
//! the SMSC when they have been taken: what is not taken comes again.

#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod heard;
mod parts;
mod pauses;
mod session;
mod submit;
mod wire;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use switchhook_core::{registration::perform::OutgoingText, transit::is_message_id};
use switchhook_protocol::endpoint::EndpointId;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

pub use self::parts::Part;
use self::{
    pauses::Pauses,
    session::{Queue, Submission, Submitted},
};
use crate::{limits, peers::GatewayPeers, sms::Sent};

/// An account at an SMSC.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Host and port.
    pub address: String,
    /// Whether the connection is TLS, by the public certificate authorities and the operator's.
    pub tls: bool,
    /// Who binds; at most 15 bytes.
    pub system_id: String,
    /// At most 8 bytes.
    pub password: String,
    /// What kind of system binds; at most 12 bytes, mostly empty.
    pub system_type: String,
    /// Whether a sender whose type of number is unknown is an international number without its plus.
    pub unknown_is_international: bool,
    /// Submissions that may be unanswered at once.
    pub window: usize,
    /// The number or short code that texts come from.
    pub number: String,
}

/// Masked: it holds a password.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What an SMSC hands in.
#[derive(Debug)]
pub enum Heard {
    /// A text of a phone.
    Text {
        /// The sender's number.
        from: EndpointId,
        /// The number or short code it was sent to.
        to: String,
        /// What it says.
        text: String,
    },
    /// A part of a longer one.
    Part(Part),
    /// What became of a text of the host's.
    Receipt {
        /// What the SMSC calls it.
        reference: String,
        /// Whether it arrived.
        delivered: bool,
    },
}

/// What an SMSC hands in, with the place for the answer.
#[derive(Debug)]
pub struct Received {
    /// What it is.
    pub heard: Heard,
    /// What the SMSC is told; dropped, it is told to come again.
    pub answer: oneshot::Sender<Answer>,
}

/// What an SMSC is told about something that it handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is stored, or was before.
    Taken,
    /// It never will be.
    Refused,
    /// Not yet; come again.
    Later,
}

/// A gateway that is spoken to by SMPP; its task ends when it is told to stop, or all of these are gone, and what
/// was begun has been answered.
#[derive(Debug, Clone)]
pub struct Smpp {
    account: Arc<Account>,
    submissions: mpsc::Sender<Submission>,
    bound: watch::Receiver<bool>,
    _alive: Arc<tokio_util::sync::DropGuard>,
}

impl Smpp {
    /// Begins to bind, if the SMSC is where gateways may be. What comes in goes to `received`.
    pub fn start(
        account: Account,
        peers: GatewayPeers,
        received: mpsc::Sender<Received>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let account = Arc::new(account);
        let (submissions, queue) = mpsc::channel(limits::SMPP_WAITING);
        let (binding, bound) = watch::channel(false);
        let stop = stop.child_token();
        let keep = Keep { account: Arc::clone(&account), peers, received, binding, stop: stop.clone() };
        tasks.spawn(keep.bound(queue));
        Self { account, submissions, bound, _alive: Arc::new(stop.drop_guard()) }
    }

    /// Whether it is bound now.
    pub fn is_bound(&self) -> bool {
        *self.bound.borrow()
    }

    /// Hands a text to the SMSC.
    pub async fn send(&self, text: &OutgoingText) -> Sent {
        let mut sent = Sent::NotReached;
        for part in submit::parts(&self.account.number, text) {
            let submitted = self.offer(&part).await;
            let went_on = matches!(submitted, Submitted::Taken(_));
            sent = so_far(&sent, submitted);
            if !went_on {
                return sent;
            }
        }
        sent
    }

    /// Offers a part, again while there is no room for it.
    async fn offer(&self, part: &rusmpp::pdus::SubmitSm) -> Submitted {
        let (times, pause) = limits::SMPP_THROTTLED;
        for _ in 1..times {
            let submitted = self.submit(part.clone()).await;
            if submitted != Submitted::NoRoom {
                return submitted;
            }
            sleep(pause).await;
        }
        self.submit(part.clone()).await
    }

    async fn submit(&self, part: rusmpp::pdus::SubmitSm) -> Submitted {
        let mut bound = self.bound.clone();
        let Ok(Ok(_)) = timeout(limits::SMPP_BOUND, bound.wait_for(|bound| *bound)).await else {
            return Submitted::NotReached;
        };
        let (answer, answered) = oneshot::channel();
        let claimed = Arc::new(AtomicBool::new(false));
        let submission = Submission { part: Box::new(part), claimed: Arc::clone(&claimed), answer };
        let answering = async {
            self.submissions.send(submission).await.ok()?;
            answered.await.ok()
        };
        match timeout(limits::SMPP_SUBMIT, answering).await {
            // The session answers each that it has written, whatever happens; the rest it has not written.
            Ok(submitted) => submitted.unwrap_or(Submitted::NotReached),
            Err(_) if claimed.swap(true, Ordering::AcqRel) => Submitted::InDoubt,
            Err(_) => Submitted::NotReached,
        }
    }
}

/// What is known of a text after one more of its parts: of what some parts were taken, nobody can say what a phone
/// makes of it.
fn so_far(before: &Sent, submitted: Submitted) -> Sent {
    let begun = matches!(before, Sent::Taken { .. });
    match submitted {
        Submitted::Taken(id) => Sent::Taken { reference: Some(id).filter(|id| is_message_id(id)) },
        Submitted::InDoubt => Sent::InDoubt,
        Submitted::Refused(_) | Submitted::NoRoom | Submitted::NotReached if begun => Sent::InDoubt,
        Submitted::Refused(status) => Sent::Refused(status),
        Submitted::NoRoom => Sent::Refused(NO_ROOM),
        Submitted::NotReached => Sent::NotReached,
    }
}

/// SMPP's `ESME_RTHROTTLED`.
const NO_ROOM: u16 = 0x58;

/// Who keeps a gateway bound.
struct Keep {
    account: Arc<Account>,
    peers: GatewayPeers,
    received: mpsc::Sender<Received>,
    binding: watch::Sender<bool>,
    stop: CancellationToken,
}

impl Keep {
    async fn bound(self, queue: mpsc::Receiver<Submission>) {
        let mut queue = Queue::new(queue);
        let mut pauses = Pauses::new();
        while !self.stop.is_cancelled() {
            let began = Instant::now();
            let ended = self.session(&mut queue).await;
            self.binding.send_replace(false);
            queue.nobody_there();
            if self.stop.is_cancelled() {
                return;
            }
            let pause = pauses.after(began.elapsed(), &mut rand::rng());
            warn!(smsc = %self.account.address, %ended, pause_ms = %pause.as_millis(), "an SMSC is not bound");
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = queue.nobody_comes() => return,
                () = sleep(pause) => {}
            }
        }
    }

    async fn session(&self, queue: &mut Queue) -> session::Ended {
        let connected = tokio::select! {
            biased;
            () = self.stop.cancelled() => return session::Ended::Told,
            connected = session::bind(&self.account, &self.peers) => connected,
        };
        match connected {
            Ok(bound) => {
                info!(smsc = %self.account.address, "an SMSC is bound");
                self.binding.send_replace(true);
                bound.serve(queue, &self.received, (&self.stop, &self.account)).await
            }
            Err(ended) => ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reg_3_a_text_of_which_some_parts_were_taken_is_in_doubt() {
        let taken = so_far(&Sent::NotReached, Submitted::Taken("m-1".to_owned()));
        assert_eq!(taken, Sent::Taken { reference: Some("m-1".to_owned()) });
        for rest in [Submitted::Refused(8), Submitted::NoRoom, Submitted::NotReached, Submitted::InDoubt] {
            assert_eq!(so_far(&taken, rest), Sent::InDoubt);
        }
        assert_eq!(so_far(&Sent::NotReached, Submitted::Refused(8)), Sent::Refused(8));
        assert_eq!(so_far(&Sent::NotReached, Submitted::NotReached), Sent::NotReached);
    }
}
