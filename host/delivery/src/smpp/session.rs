//! One bound connection to an SMSC, from the bind to its end.
//!
//! The loop takes, in this order: the word to stop, deadlines, answers to what the SMSC handed in, texts to submit
//! while the window has room, and then what the SMSC says, which bounds all the rest: an SMSC that says more than
//! is listened to waits, and nothing else does. An SMSC that says what is no SMPP, nothing for too long, or
//! reads too slowly is left; whoever has submitted something unanswered then hears that it is in doubt.
//!
//! Told to stop, it takes nothing new, waits for the answers that are still due to both sides, at most
//! [`limits::ANSWER`], and unbinds.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{SinkExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use rusmpp::{
    Command, CommandId, CommandStatus, Pdu,
    pdus::{BindTransceiver, DeliverSm, DeliverSmResp, SubmitSm},
    types::COctetString,
    values::InterfaceVersion,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    Account, Answer, Heard, Received,
    heard::{Said, said},
    wire::{self, Wire},
};
use crate::{limits, peers::GatewayPeers};

/// A part of a text for an SMSC.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) part: Box<SubmitSm>,
    /// Set by whoever comes first: the connection that writes it, or who submitted it and waits no more.
    pub(super) claimed: Arc<AtomicBool>,
    pub(super) answer: oneshot::Sender<Submitted>,
}

/// What became of a submission.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Submitted {
    /// The SMSC took it, and calls it so.
    Taken(String),
    /// It refused it, with this status.
    Refused(u16),
    /// It has no room now.
    NoRoom,
    /// It has not seen it.
    NotReached,
    /// Nobody can say.
    InDoubt,
}

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("told to stop")]
    Told,
    #[error("not reached: {0}")]
    NotReached(#[source] io::Error),
    #[error("no answer to the connection or the bind in time")]
    NoAnswer,
    #[error("the bind is refused with status {0:#x}")]
    NotBound(u32),
    #[error("the account does not fit SMPP 3.4")]
    Account,
    #[error("what it says is no SMPP: {0}")]
    Garbage(String),
    #[error("silent for too long")]
    Silent,
    #[error("reads too slowly")]
    Slow,
    #[error("closed")]
    Closed,
}

/// Texts that wait for a connection.
#[derive(Debug)]
pub(super) struct Queue(mpsc::Receiver<Submission>);

impl Queue {
    pub(super) const fn new(waiting: mpsc::Receiver<Submission>) -> Self {
        Self(waiting)
    }

    /// Tells those who wait that the SMSC is away.
    pub(super) fn nobody_there(&mut self) {
        while let Ok(submission) = self.0.try_recv() {
            submission.tell(Submitted::NotReached);
        }
    }

    /// The same to everybody who comes, until told otherwise.
    pub(super) async fn nobody_comes(&mut self) {
        while let Some(submission) = self.0.recv().await {
            submission.tell(Submitted::NotReached);
        }
    }
}

impl Submission {
    /// Whoever does not listen any more has been told enough.
    fn tell(self, submitted: Submitted) {
        drop(self.answer.send(submitted));
    }
}

/// A connection that is bound.
pub(super) struct Bound {
    wire: Wire,
}

/// Connects and binds.
pub(super) async fn bind(account: &Account, peers: &GatewayPeers) -> Result<Bound, Ended> {
    let request = transceiver(account).ok_or(Ended::Account)?;
    let connecting = wire::connect(account, peers);
    let connected = timeout(limits::SMPP_STEP, connecting).await.or(Err(Ended::NoAnswer))?;
    let mut wire = connected.map_err(Ended::NotReached)?;
    write(&mut wire, Command::new(CommandStatus::EsmeRok, 1, request)).await?;
    let answer = timeout(limits::SMPP_STEP, wire.next()).await.or(Err(Ended::NoAnswer))?;
    let answer = read(answer)?;
    match (answer.id(), answer.status()) {
        (CommandId::BindTransceiverResp, CommandStatus::EsmeRok) => Ok(Bound { wire }),
        (CommandId::BindTransceiverResp | CommandId::GenericNack, status) => {
            Err(Ended::NotBound(status.into()))
        }
        (other, _) => Err(Ended::Garbage(format!("{other:?} before it is bound"))),
    }
}

fn transceiver(account: &Account) -> Option<BindTransceiver> {
    Some(BindTransceiver {
        system_id: COctetString::from_string(account.system_id.clone()).ok()?,
        password: COctetString::from_string(account.password.clone()).ok()?,
        system_type: COctetString::from_string(account.system_type.clone()).ok()?,
        interface_version: InterfaceVersion::Smpp3_4,
        ..BindTransceiver::default()
    })
}

impl Bound {
    /// Serves the connection until it ends.
    pub(super) async fn serve(
        self,
        queue: &mut Queue,
        received: &mpsc::Sender<Received>,
        (stop, account): (&CancellationToken, &Account),
    ) -> Ended {
        let mut serving = Serving {
            wire: self.wire,
            sequence: 1,
            unanswered: Unanswered::default(),
            answers: FuturesUnordered::new(),
            heard_at: Instant::now(),
            asked: false,
            leaving: None,
            received,
            account,
        };
        let mut tick = interval(limits::SMPP_TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let takes = serving.leaving.is_none();
            let room = takes && serving.unanswered.0.len() < account.window.max(1);
            let done = tokio::select! {
                biased;
                () = stop.cancelled(), if takes => {
                    serving.leaving = Some(Instant::now());
                    Ok(())
                }
                _ = tick.tick() => serving.look().await,
                Some((sequence, answer)) = serving.answers.next() => serving.answer(sequence, answer).await,
                Some(submission) = queue.0.recv(), if room => serving.submit(submission).await,
                said = serving.wire.next() => serving.handle(said).await,
            };
            if let Err(ended) = done {
                return ended;
            }
            if serving.is_finished() {
                return serving.unbind().await;
            }
        }
    }
}

/// What is known of a connection while it is served.
struct Serving<'a> {
    wire: Wire,
    /// Of the last request.
    sequence: u32,
    unanswered: Unanswered,
    /// What the SMSC handed in and has not been told of.
    answers: FuturesUnordered<BoxFuture<'static, (u32, Answer)>>,
    /// When the SMSC last said something.
    heard_at: Instant,
    /// Whether it was asked since if it is there.
    asked: bool,
    /// Since when nothing new is taken.
    leaving: Option<Instant>,
    received: &'a mpsc::Sender<Received>,
    account: &'a Account,
}

/// Submissions that were written and not answered, by sequence number; in doubt when they are left so.
#[derive(Default)]
struct Unanswered(HashMap<u32, (Instant, Submission)>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        for (_, (_, submission)) in self.0.drain() {
            submission.tell(Submitted::InDoubt);
        }
    }
}

impl Serving<'_> {
    async fn handle(
        &mut self,
        said: Option<Result<Command, rusmpp::tokio_codec::DecodeError>>,
    ) -> Result<(), Ended> {
        let command = read(said)?;
        (self.heard_at, self.asked) = (Instant::now(), false);
        let sequence = command.sequence_number();
        match (command.id(), command.pdu()) {
            (CommandId::SubmitSmResp | CommandId::GenericNack, _) => self.submitted(&command),
            (CommandId::DeliverSm, Some(Pdu::DeliverSm(message))) => {
                return self.deliver(sequence, message).await;
            }
            (CommandId::EnquireLink, _) => return self.write(sequence, Pdu::EnquireLinkResp).await,
            (CommandId::EnquireLinkResp, _) => {}
            (CommandId::Unbind, _) => {
                self.write(sequence, Pdu::UnbindResp).await?;
                return Err(Ended::Closed);
            }
            (other, _) => {
                debug!(command = ?other, "an SMSC asks for what is not offered");
                let nack = Command::new(CommandStatus::EsmeRinvcmdid, sequence, Pdu::GenericNack);
                return write(&mut self.wire, nack).await;
            }
        }
        Ok(())
    }

    /// Whether it is leaving and nobody waits for an answer, or has waited long enough.
    fn is_finished(&self) -> bool {
        let Some(since) = self.leaving else { return false };
        (self.unanswered.0.is_empty() && self.answers.is_empty()) || since.elapsed() >= limits::ANSWER
    }

    /// Writes a part and remembers who waits for the answer.
    async fn submit(&mut self, submission: Submission) -> Result<(), Ended> {
        if submission.answer.is_closed() || submission.claimed.swap(true, Ordering::AcqRel) {
            // Whoever submitted it has given it up, and says so.
            return Ok(());
        }
        let part = submission.part.as_ref().clone();
        let sequence = self.next_sequence();
        self.unanswered.0.insert(sequence, (Instant::now(), submission));
        self.write(sequence, part).await
    }

    /// The SMSC says what became of a submission.
    fn submitted(&mut self, answer: &Command) {
        let Some((_, submission)) = self.unanswered.0.remove(&answer.sequence_number()) else { return };
        submission.tell(match (answer.status(), answer.pdu()) {
            (CommandStatus::EsmeRok, Some(Pdu::SubmitSmResp(answer))) => {
                Submitted::Taken(answer.message_id().as_str().to_owned())
            }
            // It says yes, and not how it calls it.
            (CommandStatus::EsmeRok, _) => Submitted::Taken(String::new()),
            (CommandStatus::EsmeRthrottled | CommandStatus::EsmeRmsgqful, _) => Submitted::NoRoom,
            (status, _) => Submitted::Refused(u16::try_from(u32::from(status)).unwrap_or(u16::MAX)),
        });
    }

    /// The SMSC hands something in.
    async fn deliver(&mut self, sequence: u32, message: &DeliverSm) -> Result<(), Ended> {
        let heard = match said(message, self.account.unknown_is_international) {
            Said::Something(heard) => heard,
            Said::Nothing => return self.answer(sequence, Answer::Taken).await,
            Said::Nonsense => return self.answer(sequence, Answer::Refused).await,
        };
        match self.hand(heard) {
            Some(answered) => {
                self.answers
                    .push(Box::pin(async move { (sequence, answered.await.unwrap_or(Answer::Later)) }));
                Ok(())
            }
            None => self.answer(sequence, Answer::Later).await,
        }
    }

    /// Hands it on; none if there is no room for it now.
    fn hand(&self, heard: Heard) -> Option<oneshot::Receiver<Answer>> {
        let (answer, answered) = oneshot::channel();
        let room = self.leaving.is_none() && self.answers.len() < limits::SMPP_HEARD;
        (room && self.received.try_send(Received { heard, answer }).is_ok()).then_some(answered)
    }

    /// Tells the SMSC what became of what it handed in.
    async fn answer(&mut self, sequence: u32, answer: Answer) -> Result<(), Ended> {
        let status = match answer {
            Answer::Taken => CommandStatus::EsmeRok,
            Answer::Refused => CommandStatus::EsmeRxRAppn,
            Answer::Later => CommandStatus::EsmeRxTAppn,
        };
        write(&mut self.wire, Command::new(status, sequence, DeliverSmResp::default())).await
    }

    /// Looks at the deadlines: of submissions, and of the SMSC itself.
    async fn look(&mut self) -> Result<(), Ended> {
        let late = |(_, (since, _)): &(&u32, &(Instant, Submission))| since.elapsed() >= limits::ANSWER;
        let late: Vec<u32> = self.unanswered.0.iter().filter(late).map(|(sequence, _)| *sequence).collect();
        for sequence in late {
            if let Some((_, submission)) = self.unanswered.0.remove(&sequence) {
                submission.tell(Submitted::InDoubt);
            }
        }
        let silence = self.heard_at.elapsed();
        if silence >= limits::SMPP_SILENCE {
            return Err(Ended::Silent);
        }
        if silence >= limits::SMPP_ENQUIRE && !self.asked {
            self.asked = true;
            let sequence = self.next_sequence();
            return self.write(sequence, Pdu::EnquireLink).await;
        }
        Ok(())
    }

    /// Says goodbye; an SMSC that does not hear it notices the end of the connection.
    async fn unbind(&mut self) -> Ended {
        let sequence = self.next_sequence();
        match self.write(sequence, Pdu::Unbind).await {
            Ok(()) => Ended::Told,
            Err(ended) => ended,
        }
    }

    async fn write(&mut self, sequence: u32, pdu: impl Into<Pdu>) -> Result<(), Ended> {
        write(&mut self.wire, Command::new(CommandStatus::EsmeRok, sequence, pdu)).await
    }

    /// 1 to 0x7FFFFFFF (SMPP 3.4, 3.2).
    const fn next_sequence(&mut self) -> u32 {
        self.sequence = if self.sequence >= 0x7FFF_FFFF { 1 } else { self.sequence + 1 };
        self.sequence
    }
}

async fn write(wire: &mut Wire, command: Command) -> Result<(), Ended> {
    match timeout(limits::SMPP_STEP, wire.send(command)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Ended::Closed),
        Err(_) => Err(Ended::Slow),
    }
}

fn read(said: Option<Result<Command, rusmpp::tokio_codec::DecodeError>>) -> Result<Command, Ended> {
    match said {
        Some(Ok(command)) => Ok(command),
        Some(Err(rusmpp::tokio_codec::DecodeError::Io(_))) | None => Err(Ended::Closed),
        Some(Err(garbage)) => Err(Ended::Garbage(garbage.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use rusmpp::{
        pdus::SubmitSmResp,
        tokio_codec::CommandCodec,
        types::OctetString,
        values::{EsmClass, Ton},
    };
    use tokio::io::{DuplexStream, duplex};
    use tokio_util::codec::Framed;

    use super::*;

    fn account() -> Account {
        Account {
            address: String::new(),
            tls: false,
            system_id: "switchhook".to_owned(),
            password: String::new(),
            system_type: String::new(),
            unknown_is_international: false,
            window: 1,
            number: "70470".to_owned(),
        }
    }

    fn text() -> DeliverSm {
        DeliverSm::builder()
            .source_addr_ton(Ton::International)
            .source_addr(COctetString::from_static_slice(b"15550100\0").unwrap())
            .esm_class(EsmClass::from(0))
            .short_message(OctetString::from_slice(b"hello").unwrap())
            .build()
    }

    #[tokio::test]
    async fn told_to_stop_it_takes_nothing_new_waits_for_answers_and_unbinds() {
        let (here, there) = duplex(64 * 1024);
        let (sending, waiting) = mpsc::channel(4);
        let (received, _hearing) = mpsc::channel(4);
        let (mut queue, stop, account) = (Queue::new(waiting), CancellationToken::new(), account());
        let bound = Bound { wire: Framed::new(Box::new(here), CommandCodec::new()) };

        let smsc = async {
            let mut smsc = Framed::new(there, CommandCodec::new());
            let (answer, answered) = oneshot::channel();
            let claimed = Arc::new(AtomicBool::new(false));
            sending.send(Submission { part: Box::default(), claimed, answer }).await.unwrap();
            let submitted = smsc.next().await.unwrap().unwrap();
            stop.cancel();
            smsc.send(Command::new(CommandStatus::EsmeRok, 7, text())).await.unwrap();
            let refused = smsc.next().await.unwrap().unwrap();
            assert!(matches!(refused.status(), CommandStatus::EsmeRxTAppn), "{refused:?}");
            let taken = SubmitSmResp::default();
            let sequence = submitted.sequence_number();
            smsc.send(Command::new(CommandStatus::EsmeRok, sequence, taken)).await.unwrap();
            assert_eq!(answered.await, Ok(Submitted::Taken(String::new())));
            let last = smsc.next().await.unwrap().unwrap();
            assert!(matches!(last.id(), CommandId::Unbind), "{last:?}");
        };
        let (ended, ()) = tokio::join!(bound.serve(&mut queue, &received, (&stop, &account)), smsc);

        assert!(matches!(ended, Ended::Told), "{ended}");
    }

    #[tokio::test(start_paused = true)]
    async fn reg_2_a_silent_smsc_is_asked_stays_bound_as_long_as_it_answers_and_is_left_when_it_does_not() {
        let (here, there) = duplex(64 * 1024);
        let (_sending, waiting) = mpsc::channel(4);
        let (received, _hearing) = mpsc::channel(4);
        let (mut queue, stop, account) = (Queue::new(waiting), CancellationToken::new(), account());
        let bound = Bound { wire: Framed::new(Box::new(here), CommandCodec::new()) };
        let began = Instant::now();

        let smsc = async {
            let mut smsc = Framed::new(there, CommandCodec::new());
            for _ in 0..2 {
                let sequence = enquired(&mut smsc).await;
                let alive = Command::new(CommandStatus::EsmeRok, sequence, Pdu::EnquireLinkResp);
                smsc.send(alive).await.unwrap();
            }
            enquired(&mut smsc).await;
            smsc
        };
        let (ended, _smsc) = tokio::join!(bound.serve(&mut queue, &received, (&stop, &account)), smsc);

        assert!(matches!(ended, Ended::Silent), "{ended}");
        assert!(began.elapsed() >= 2 * limits::SMPP_ENQUIRE + limits::SMPP_SILENCE);
    }

    /// Waits until the SMSC is asked whether it lives; by which number.
    async fn enquired(smsc: &mut Framed<DuplexStream, CommandCodec>) -> u32 {
        let asked = smsc.next().await.unwrap().unwrap();
        assert!(matches!(asked.id(), CommandId::EnquireLink), "{asked:?}");
        asked.sequence_number()
    }
}
