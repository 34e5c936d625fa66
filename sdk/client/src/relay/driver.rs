//! What moves the client of TURN: a carrier of its messages, a timer, and whoever receives.
//!
//! All of it goes on when somebody receives. Who sends meanwhile sends at once, and wakes the one who receives where there is
//! something new to wait for.

use core::{
    future::Future as _,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};
use std::{io, time::Instant};

use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_protocol::relay::RelayCredentials;
use tokio::{
    io::ReadBuf,
    sync::oneshot,
    time::{Sleep, sleep_until},
};

use super::{
    RelayError,
    carrier::Carrier,
    login::Login,
    peers::Sending,
    turn::{Event, Turn, Why},
};

/// See the module.
pub(super) struct Driver {
    turn: Turn,
    carrier: Carrier,
    timer: Pin<Box<Sleep>>,
    /// Who receives.
    receiver: Option<Waker>,
    /// Where messages come in.
    buffer: Box<[u8]>,
    /// Where data goes out.
    out: Vec<u8>,
    observed: Option<SocketAddr>,
    /// Who waits for the relay's word that it keeps the address.
    kept: Option<oneshot::Sender<()>>,
    /// Why the carrier is gone.
    trouble: Option<io::Error>,
}

/// What is to be told of a turn of the driver.
pub(super) enum Heard {
    /// A datagram of this peer's is in the buffer.
    Data(SocketAddr),
    /// Something of the allocation.
    Event(Event),
}

/// The largest message of TURN: header, and what 16 bits count.
const MESSAGE: usize = 65_536 + 20;

impl Driver {
    /// Asks for an address.
    pub(super) fn new(carrier: Carrier, credentials: &RelayCredentials) -> Self {
        let login = Login::new(credentials.username.clone(), credentials.password.clone());
        let rng = StdRng::from_rng(&mut rand::rng());
        let now = now();
        Self {
            turn: Turn::allocate(login, credentials.family, carrier.loses(), (rng, now)),
            carrier,
            timer: Box::pin(sleep_until(now.into())),
            receiver: None,
            buffer: vec![0; MESSAGE].into_boxed_slice(),
            out: Vec::new(),
            observed: None,
            kept: None,
            trouble: None,
        }
    }

    /// Waits for the address.
    pub(super) fn poll_allocated(&mut self, cx: &mut Context<'_>) -> Poll<Result<SocketAddr, RelayError>> {
        loop {
            // Nobody sends yet; there is no data.
            let Heard::Event(event) = ready!(self.poll(cx, &mut ReadBuf::new(&mut []))) else { continue };
            match event {
                Event::Allocated { relayed, observed } => {
                    self.observed = observed;
                    return Poll::Ready(Ok(relayed));
                }
                Event::Over(why) => {
                    let trouble = self.trouble.take();
                    return Poll::Ready(Err(trouble.map_or_else(|| why.into(), RelayError::Socket)));
                }
                Event::Kept => {}
            }
        }
    }

    /// From now on this one receives.
    pub(super) fn is_received_by(&mut self, cx: &Context<'_>) {
        match &mut self.receiver {
            Some(receiver) => receiver.clone_from(cx.waker()),
            None => self.receiver = Some(cx.waker().clone()),
        }
    }

    /// Goes on until there is something to tell; data of a peer is put into this buffer.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<Heard> {
        loop {
            self.transmit(cx);
            if let Some(event) = self.turn.poll_event() {
                return Poll::Ready(Heard::Event(event));
            }
            match self.carrier.poll_recv(cx, &mut self.buffer) {
                Poll::Ready(Ok(length)) => {
                    let message = self.buffer.get(..length).unwrap_or_default();
                    if let Some((peer, data)) = self.turn.handle_message(message, now()) {
                        let data = message.get(data).unwrap_or_default();
                        out.put_slice(data.get(..out.remaining()).unwrap_or(data));
                        return Poll::Ready(Heard::Data(peer));
                    }
                }
                Poll::Ready(Err(error)) => self.fail(error),
                Poll::Pending => {
                    ready!(self.poll_timer(cx));
                    self.turn.handle_timeout(now());
                }
            }
        }
    }

    /// Sends a datagram to a peer, at once or as soon as the relay takes it.
    pub(super) fn send_to(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        if self.turn.is_over() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // What has no room waits for the one who receives.
        let receiver = self.receiver.clone();
        let mut cx = Context::from_waker(receiver.as_ref().unwrap_or(Waker::noop()));
        match self.turn.send(datagram, to, &mut self.out, now()) {
            Sending::Now => self.carrier.send(&self.out, &mut cx),
            Sending::First => {
                self.transmit(&mut cx);
                self.wake();
                Ok(())
            }
            Sending::Later | Sending::Lost => Ok(()),
        }
    }

    /// Asks whether the relay keeps the address for this device, where it is now; the answer, if it is yes.
    pub(super) fn ask(&mut self) -> oneshot::Receiver<()> {
        self.turn.refresh(now());
        self.wait()
    }

    /// Goes on over another carrier; the answer, if the relay lets it.
    pub(super) fn follow(&mut self, carrier: Carrier) -> oneshot::Receiver<()> {
        let repeats = carrier.loses();
        self.carrier = carrier;
        if !self.turn.follow(repeats, now()) {
            self.turn.end(Why::Ended);
        }
        self.wait()
    }

    fn wait(&mut self) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        self.kept = Some(tell).filter(|_| !self.turn.is_over());
        self.wake();
        told
    }

    /// Takes note of what became known.
    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::Kept => {
                if let Some(tell) = self.kept.take() {
                    // Who does not wait any more does not want to know.
                    _ = tell.send(());
                }
            }
            Event::Over(why) => {
                tracing::debug!(?why, trouble = ?self.trouble, "an address at the relay is over");
                self.kept = None;
            }
            Event::Allocated { .. } => {}
        }
    }

    /// Waits until nothing is left to be sent.
    pub(super) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let told = self.poll(cx, &mut ReadBuf::new(&mut []));
            let is_sent = !self.turn.has_waiting() && self.carrier.poll_flush(cx, now()).is_ready();
            if is_sent || self.turn.is_over() {
                return Poll::Ready(());
            }
            ready!(told);
        }
    }

    /// Gives the address back.
    pub(super) fn give_back(&mut self) {
        self.turn.give_back(now());
    }

    /// Waits until it is given back.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.turn.is_over() {
            ready!(self.poll(cx, &mut ReadBuf::new(&mut [])));
        }
        Poll::Ready(())
    }

    /// Where the relay has seen this device.
    pub(super) const fn observed(&self) -> Option<SocketAddr> {
        self.observed
    }

    fn transmit(&mut self, cx: &mut Context<'_>) {
        while let Some(message) = self.turn.poll_transmit() {
            if let Err(error) = self.carrier.send(&message, cx) {
                self.fail_to_send(error);
            }
        }
        if let Poll::Ready(Err(error)) = self.carrier.poll_flush(cx, now()) {
            self.fail(error);
        }
    }

    /// A way that takes no datagram may take the next; the first one is not waited for where there are other ways.
    fn fail_to_send(&mut self, error: io::Error) {
        if self.carrier.loses() && !self.turn.is_asking() {
            tracing::debug!(%error, "the relay cannot be asked");
        } else {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: io::Error) {
        self.carrier = Carrier::Gone;
        self.trouble = Some(error);
        self.turn.end(Why::Silence);
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadlines = [self.turn.poll_timeout(), self.carrier.poll_timeout()];
        let Some(next) = deadlines.into_iter().flatten().min() else { return Poll::Pending };
        if self.timer.deadline() != next.into() {
            self.timer.as_mut().reset(next.into());
        }
        self.timer.as_mut().poll(cx)
    }

    fn wake(&self) {
        if let Some(receiver) = &self.receiver {
            receiver.wake_by_ref();
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
