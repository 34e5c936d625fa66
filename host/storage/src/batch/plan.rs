//! The changes of a batch, merged, as rows of its statements.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use data_encoding::HEXLOWER;
use switchhook_core::row::{
    Decision, Forward, Invitation, InvitationState, KeptAnswer, Leg, LegState, Message, Milestones,
    OutboxEntry, Participant, Session, StoredMessage, Timer, Write,
};
use switchhook_protocol::{
    id::{DeviceId, GatewayId, MethodName, SessionId},
    time::Timestamp,
};

use super::{Change, Part, mailboxes::Mailboxes};
use crate::{
    cells::{integer, millis},
    limits,
    words::{self, Word as _},
};

type Text<'a> = &'a str;
type Maybe<'a> = Option<&'a str>;

/// Tenant, device, number, message, event, expiry, collapse key.
pub(super) type MessageRow<'a> = (Text<'a>, Text<'a>, i64, Text<'a>, Text<'a>, i64, Maybe<'a>);
/// Tenant, session, application, inviter, its identifier, purpose, creation, expiry, generation, routing, take.
pub(super) type SessionRow<'a> =
    (Text<'a>, Text<'a>, Text<'a>, Text<'a>, Text<'a>, Text<'a>, i64, i64, u32, Maybe<'a>, Text<'a>);
/// Tenant, session, position, identifier, state, taken by, end of ringing, course.
pub(super) type InvitationRow<'a> = (Text<'a>, Text<'a>, u16, Text<'a>, Text<'a>, Maybe<'a>, i64, Maybe<'a>);
/// A milestone.
type At = Option<i64>;
/// Tenant, session, device, position, wave, state, lease, ring, change, milestones.
pub(super) type LegRow<'a> =
    (Text<'a>, Text<'a>, Text<'a>, u16, u16, Text<'a>, i64, Maybe<'a>, i64, At, At, At, At, At);
/// Tenant, session, device, state, change, milestones.
pub(super) type SetLegRow<'a> = (Text<'a>, Text<'a>, Text<'a>, Text<'a>, i64, At, At, At, At, At);
/// Tenant, entry, attempt, gateway, payload in hexadecimal, state, time.
pub(super) type OutboxRow<'a> = (Text<'a>, Text<'a>, Text<'a>, Text<'a>, Maybe<'a>, String, Text<'a>, i64);

/// Tenant, device, key, digest, answer, expiry.
pub(super) type KeptRow<'a> = (Text<'a>, Text<'a>, Text<'a>, Text<'a>, Text<'a>, i64);

/// Tenant, session, position, identifier, time.
pub(super) type ForwardRow<'a> = (Text<'a>, Text<'a>, u16, Text<'a>, i64);

/// Tenant, session, place among the session's of the batch, time, slot, plugin, version, outcome, failure,
/// microseconds, how many of a session are kept.
pub(super) type DecisionRow<'a> =
    (Text<'a>, Text<'a>, usize, i64, Text<'a>, Maybe<'a>, u32, Text<'a>, Maybe<'a>, i64, u32);

/// A participant's key: tenant, session, device.
type Who<'a> = (Text<'a>, Text<'a>, Text<'a>);
/// Tenant, session, device, identifier, kind, position, joined, seen.
pub(super) type ParticipantRow<'a> =
    (Text<'a>, Text<'a>, Text<'a>, Text<'a>, Text<'a>, Option<u16>, i64, i64);

/// The merged changes of a batch.
#[derive(Default)]
pub(super) struct Plan<'a> {
    acknowledged: BTreeMap<(Text<'a>, Text<'a>), u64>,
    delivered: BTreeMap<(Text<'a>, Text<'a>), u64>,
    pushed: Vec<(Text<'a>, Text<'a>, Text<'a>, i64)>,
    messages: Vec<MessageRow<'a>>,
    /// Tenant, device and collapse key, with the place of the message in `messages`.
    collapsing: HashMap<(Text<'a>, Text<'a>, Text<'a>), usize>,
    /// Messages that later ones of the batch took the place of.
    collapsed: Vec<(Text<'a>, Text<'a>, u64)>,
    sessions: Vec<SessionRow<'a>>,
    invitations: Vec<InvitationRow<'a>>,
    legs: Vec<LegRow<'a>>,
    set_invitations: BTreeMap<(Text<'a>, Text<'a>, u16), (Text<'a>, Maybe<'a>)>,
    set_legs: BTreeMap<(Text<'a>, Text<'a>, Text<'a>), (Text<'a>, i64, Milestones)>,
    joined: BTreeMap<Who<'a>, &'a Participant>,
    left: BTreeSet<Who<'a>>,
    seen: BTreeMap<Who<'a>, i64>,
    generations: BTreeMap<(Text<'a>, Text<'a>), u32>,
    courses: BTreeMap<(Text<'a>, Text<'a>, u16), Maybe<'a>>,
    ring_untils: BTreeMap<(Text<'a>, Text<'a>, u16), i64>,
    forwards: Vec<ForwardRow<'a>>,
    decisions: BTreeMap<(Text<'a>, Text<'a>), Vec<&'a Decision>>,
    disarmed: BTreeSet<(Text<'a>, Text<'a>)>,
    armed: BTreeMap<(Text<'a>, Text<'a>, Text<'a>, u16), i64>,
    kept: Vec<KeptRow<'a>>,
    outbox: Vec<OutboxRow<'a>>,
}

impl<'a> Plan<'a> {
    /// Adds the acknowledgements and deliveries of all parts. They come first and are never refused: they
    /// make room, and a leg that they move is one that was opened before its ring was sent.
    pub(super) fn acknowledge(&mut self, parts: &[Part<'a>]) {
        for part in parts {
            for change in part.changes {
                let (highest, device, seq) = match change {
                    Change::Acknowledge { device, seq } => (&mut self.acknowledged, device, seq),
                    Change::Delivered { device, seq } => (&mut self.delivered, device, seq),
                    Change::Pushed { session, device, at } => {
                        self.pushed.push((part.tenant, session.as_str(), device.as_str(), millis(*at)));
                        continue;
                    }
                    Change::Write(_) => continue,
                };
                let known = highest.entry((part.tenant, device.as_str())).or_default();
                *known = (*seq).max(*known);
            }
        }
    }

    /// Adds the writes of an admitted part; what they put into mailboxes.
    pub(super) fn add(
        &mut self,
        part: Part<'a>,
        mailboxes: &mut Mailboxes<'a>,
    ) -> Vec<(DeviceId, StoredMessage)> {
        let mut stored = Vec::new();
        for change in part.changes {
            match change {
                Change::Write(Write::Append(message)) => {
                    let seq = mailboxes.next(part.tenant, &message.device);
                    self.append(part.tenant, message, seq);
                    stored.push((message.device.clone(), message.stored(seq)));
                }
                Change::Write(write) => self.write(part.tenant, write),
                Change::Acknowledge { .. } | Change::Delivered { .. } | Change::Pushed { .. } => {}
            }
        }
        stored
    }

    fn write(&mut self, tenant: Text<'a>, write: &'a Write) {
        match write {
            // It has a number.
            Write::Append(_) => {}
            Write::OpenSession(session) => self.sessions.push(session_row(tenant, session)),
            Write::OpenInvitation(invitation) => self.open_invitation(tenant, invitation),
            Write::OpenLeg(leg) => self.open_leg(tenant, leg),
            Write::SetInvitation { session, user, state, taken_by } => {
                self.set_invitation(tenant, (session, *user), *state, taken_by.as_ref());
            }
            Write::SetLeg { session, device, state, at } => {
                self.set_leg(tenant, (session, device), *state, *at);
            }
            Write::Join(participant) => {
                let who = (tenant, participant.session.as_str(), participant.device.as_str());
                self.joined.entry(who).or_insert(participant);
            }
            Write::Leave { session, device } => self.leave((tenant, session.as_str(), device.as_str())),
            Write::Seen { session, device, at } => {
                let seen = self.seen.entry((tenant, session.as_str(), device.as_str())).or_default();
                *seen = (*seen).max(millis(*at));
            }
            Write::SetGeneration { session, generation } => {
                self.generations.insert((tenant, session.as_str()), *generation);
            }
            Write::SetCourse { session, user, course } => {
                self.courses.insert((tenant, session.as_str(), *user), course.as_deref());
            }
            Write::RingUntil { session, user, until } => {
                self.ring_untils.insert((tenant, session.as_str(), *user), millis(*until));
            }
            Write::Forward(forward) => self.forwards.push(forward_row(tenant, forward)),
            Write::Decide { session, decision } => {
                self.decisions.entry((tenant, session.as_str())).or_default().push(decision);
            }
            Write::Arm(timer) => self.arm(tenant, timer),
            Write::Disarm(session) => self.disarm(tenant, session),
            Write::Keep(kept) => self.kept.push(kept_row(tenant, kept)),
            Write::Enqueue(entry) => self.outbox.push(outbox_row(tenant, entry)),
        }
    }

    fn append(&mut self, tenant: Text<'a>, message: &'a Message, seq: u64) {
        let device = message.device.as_str();
        let row = (
            tenant,
            device,
            integer(seq),
            message.id.as_str(),
            message.event.as_str(),
            millis(message.expires_at),
            message.collapse_key.as_deref(),
        );
        let Some(key) = row.6 else {
            self.messages.push(row);
            return;
        };
        let earlier = self.collapsing.insert((tenant, device, key), self.messages.len());
        match earlier.and_then(|place| self.messages.get_mut(place).map(|message| (place, message))) {
            Some((place, message)) => {
                self.collapsed.push((tenant, device, u64::try_from(message.2).unwrap_or(0)));
                self.collapsing.insert((tenant, device, key), place);
                *message = row;
            }
            None => self.messages.push(row),
        }
    }

    /// A setting before the opening met no row; or the opening fails, and the batch with it.
    fn open_invitation(&mut self, tenant: Text<'a>, invitation: &'a Invitation) {
        self.set_invitations.remove(&(tenant, invitation.session.as_str(), invitation.user));
        self.invitations.push((
            tenant,
            invitation.session.as_str(),
            invitation.user,
            invitation.endpoint.reveal(),
            invitation.state.word(),
            invitation.taken_by.as_ref().map(DeviceId::as_str),
            millis(invitation.rings_until),
            invitation.course.as_deref(),
        ));
    }

    fn open_leg(&mut self, tenant: Text<'a>, leg: &'a Leg) {
        self.set_legs.remove(&(tenant, leg.session.as_str(), leg.device.as_str()));
        self.legs.push((
            tenant,
            leg.session.as_str(),
            leg.device.as_str(),
            leg.user,
            leg.wave,
            leg.state.word(),
            millis(leg.lease_until),
            leg.ring.as_deref(),
            millis(leg.changed_at),
            leg.times.queued.map(millis),
            leg.times.pushed.map(millis),
            leg.times.rang.map(millis),
            leg.times.ended.map(millis),
            leg.times.silent.map(millis),
        ));
    }

    fn set_invitation(
        &mut self,
        tenant: Text<'a>,
        (session, user): (&'a SessionId, u16),
        state: InvitationState,
        taken_by: Option<&'a DeviceId>,
    ) {
        let value = (state.word(), taken_by.map(DeviceId::as_str));
        self.set_invitations.insert((tenant, session.as_str(), user), value);
    }

    fn set_leg(
        &mut self,
        tenant: Text<'a>,
        (session, device): (&'a SessionId, &'a DeviceId),
        state: LegState,
        at: Timestamp,
    ) {
        let leg = self.set_legs.entry((tenant, session.as_str(), device.as_str())).or_default();
        *leg = (state.word(), millis(at), leg.2.and(Milestones::reached(state, at)));
    }

    fn leave(&mut self, who: Who<'a>) {
        self.joined.remove(&who);
        self.left.insert(who);
    }

    fn arm(&mut self, tenant: Text<'a>, timer: &'a Timer) {
        let (kind, number) = words::of_timer(timer.kind);
        self.armed.insert((tenant, timer.session.as_str(), kind, number), millis(timer.due_at));
    }

    fn disarm(&mut self, tenant: Text<'a>, session: &'a SessionId) {
        let session = session.as_str();
        self.armed.retain(|armed, _| (armed.0, armed.1) != (tenant, session));
        self.disarmed.insert((tenant, session));
    }

    pub(super) fn acknowledged(&self) -> Vec<(Text<'a>, Text<'a>, i64)> {
        self.acknowledged.iter().map(|(key, seq)| (key.0, key.1, integer(*seq))).collect()
    }

    pub(super) fn delivered(&self) -> Vec<(Text<'a>, Text<'a>, i64)> {
        self.delivered.iter().map(|(key, seq)| (key.0, key.1, integer(*seq))).collect()
    }

    pub(super) fn pushed(&self) -> &[(Text<'a>, Text<'a>, Text<'a>, i64)] {
        &self.pushed
    }

    pub(super) fn messages(&self) -> &[MessageRow<'a>] {
        &self.messages
    }

    pub(super) fn collapsing(&self) -> Vec<(Text<'a>, Text<'a>, Text<'a>)> {
        self.collapsing.keys().copied().collect()
    }

    pub(super) fn collapsed(&self) -> impl Iterator<Item = (Text<'a>, Text<'a>, u64)> {
        self.collapsed.iter().copied()
    }

    pub(super) fn sessions(&self) -> &[SessionRow<'a>] {
        &self.sessions
    }

    pub(super) fn invitations(&self) -> &[InvitationRow<'a>] {
        &self.invitations
    }

    pub(super) fn legs(&self) -> &[LegRow<'a>] {
        &self.legs
    }

    pub(super) fn set_invitations(&self) -> Vec<(Text<'a>, Text<'a>, u16, Text<'a>, Maybe<'a>)> {
        self.set_invitations.iter().map(|(key, value)| (key.0, key.1, key.2, value.0, value.1)).collect()
    }

    pub(super) fn set_legs(&self) -> Vec<SetLegRow<'a>> {
        let row =
            |((tenant, session, device), (state, at, times)): (&Who<'a>, &(Text<'a>, i64, Milestones))| {
                let [queued, pushed, rang, ended, silent] =
                    [times.queued, times.pushed, times.rang, times.ended, times.silent]
                        .map(|at| at.map(millis));
                (*tenant, *session, *device, *state, *at, queued, pushed, rang, ended, silent)
            };
        self.set_legs.iter().map(row).collect()
    }

    pub(super) fn joined(&self) -> Vec<ParticipantRow<'a>> {
        let row = |((tenant, session, device), it): (&Who<'a>, &&'a Participant)| {
            let (endpoint, kind) = (it.endpoint.reveal(), it.kind.as_str());
            (*tenant, *session, *device, endpoint, kind, it.user, millis(it.joined_at), millis(it.seen_at))
        };
        self.joined.iter().map(row).collect()
    }

    pub(super) fn left(&self) -> Vec<Who<'a>> {
        self.left.iter().copied().collect()
    }

    pub(super) fn seen(&self) -> Vec<(Text<'a>, Text<'a>, Text<'a>, i64)> {
        self.seen.iter().map(|(who, at)| (who.0, who.1, who.2, *at)).collect()
    }

    pub(super) fn generations(&self) -> Vec<(Text<'a>, Text<'a>, u32)> {
        self.generations.iter().map(|(session, generation)| (session.0, session.1, *generation)).collect()
    }

    pub(super) fn courses(&self) -> Vec<(Text<'a>, Text<'a>, u16, Maybe<'a>)> {
        self.courses.iter().map(|(user, course)| (user.0, user.1, user.2, *course)).collect()
    }

    pub(super) fn ring_untils(&self) -> Vec<(Text<'a>, Text<'a>, u16, i64)> {
        self.ring_untils.iter().map(|(user, until)| (user.0, user.1, user.2, *until)).collect()
    }

    pub(super) fn forwards(&self) -> &[ForwardRow<'a>] {
        &self.forwards
    }

    pub(super) fn decisions(&self) -> Vec<DecisionRow<'a>> {
        let of_session = |(key, made): (&(Text<'a>, Text<'a>), &Vec<&'a Decision>)| {
            let (tenant, session) = *key;
            let rows = made.iter().enumerate();
            rows.map(|(place, decision)| decision_row((tenant, session, place), decision)).collect::<Vec<_>>()
        };
        self.decisions.iter().flat_map(of_session).collect()
    }

    pub(super) fn disarmed(&self) -> Vec<(Text<'a>, Text<'a>)> {
        self.disarmed.iter().copied().collect()
    }

    pub(super) fn armed(&self) -> Vec<(Text<'a>, Text<'a>, Text<'a>, u16, i64)> {
        self.armed.iter().map(|(key, due)| (key.0, key.1, key.2, key.3, *due)).collect()
    }

    pub(super) fn kept(&self) -> &[KeptRow<'a>] {
        &self.kept
    }

    pub(super) fn outbox(&self) -> &[OutboxRow<'a>] {
        &self.outbox
    }
}

fn session_row<'a>(tenant: Text<'a>, session: &'a Session) -> SessionRow<'a> {
    (
        tenant,
        session.id.as_str(),
        session.application.as_str(),
        session.inviter.as_str(),
        session.inviter_endpoint.reveal(),
        &session.purpose,
        millis(session.created_at),
        millis(session.expires_at),
        session.generation,
        session.routing.as_deref(),
        session.take.word(),
    )
}

fn forward_row<'a>(tenant: Text<'a>, forward: &'a Forward) -> ForwardRow<'a> {
    (tenant, forward.session.as_str(), forward.user, forward.to.reveal(), millis(forward.at))
}

fn decision_row<'a>(
    (tenant, session, place): (Text<'a>, Text<'a>, usize),
    decision: &'a Decision,
) -> DecisionRow<'a> {
    (
        tenant,
        session,
        place,
        millis(decision.at),
        decision.slot.word(),
        decision.plugin.as_ref().map(MethodName::as_str),
        decision.version,
        &decision.outcome,
        decision.failure.as_deref(),
        integer(decision.micros),
        limits::DECISIONS,
    )
}

fn outbox_row<'a>(tenant: Text<'a>, entry: &'a OutboxEntry) -> OutboxRow<'a> {
    (
        tenant,
        entry.id.as_str(),
        entry.kind.word(),
        entry.attempt.as_str(),
        entry.gateway.as_ref().map(GatewayId::as_str),
        HEXLOWER.encode(&entry.payload),
        entry.state.word(),
        millis(entry.queued_at),
    )
}

fn kept_row<'a>(tenant: Text<'a>, kept: &'a KeptAnswer) -> KeptRow<'a> {
    let (device, key) = (kept.device.as_str(), kept.key.as_str());
    (tenant, device, key, &kept.digest, &kept.answer, millis(kept.expires_at))
}
