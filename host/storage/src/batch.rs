//! Typed changes of many jobs, applied with one statement a kind.
//!
//! The order of kinds is fixed: acknowledgements, deliveries, sequence numbers, messages, then sessions,
//! invitations, legs, participants, forwards, decisions, timers, answers, outbox. [`plan`] merges the changes so that this comes to the same as
//! making each in its turn: of two settings of one row the later counts, an `Arm` before a `Disarm`
//! of its session is dropped, a `Join` before a `Leave` too, a message collapses earlier ones of its key.
//!
//! A mailbox's row is changed first: it holds back whoever else would append to the device. Messages
//! get its next numbers in the order of the jobs. A job that asks for a device without mailbox is refused before
//! anything of it is written, and its numbers are given back. A mailbox that is full loses its oldest messages.

mod mailboxes;
mod plan;

use mailboxes::Mailboxes;
pub(crate) use mailboxes::{lose, lost};
use plan::Plan;
use serde::Serialize;
use switchhook_core::row::{StoredMessage, Write};
use switchhook_protocol::{
    id::{DeviceId, SessionId},
    time::Timestamp,
};

use crate::{
    dialect::{self, Connection, Query, Script, Statement},
    error::{DriverError, StorageError},
};

/// One change that depends on nothing stored.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A decision's.
    Write(Write),
    /// A device has this message and all before.
    Acknowledge {
        /// Whose mailbox.
        device: DeviceId,
        /// Up to here.
        seq: u64,
    },
    /// This message and all before were sent to the device.
    Delivered {
        /// Whose mailbox.
        device: DeviceId,
        /// Up to here.
        seq: u64,
    },
    /// A ring was sent to the device: its leg is pushed, if it still waits.
    Pushed {
        /// Of this session.
        session: SessionId,
        /// Whose leg.
        device: DeviceId,
        /// When.
        at: Timestamp,
    },
}

/// What a transaction of typed writes did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// What was put into mailboxes.
    pub stored: Vec<(DeviceId, StoredMessage)>,
}

/// One job's changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    /// Whose.
    pub(crate) tenant: &'a str,
    /// In this order.
    pub(crate) changes: &'a [Change],
}

/// Applies the parts together; answers for each.
///
/// An error of the whole means that a statement failed: all is to be undone. An error of one part
/// means that this part was refused and is not written, the others are.
pub(crate) async fn apply(
    connection: &mut Connection,
    parts: &[Part<'_>],
    now: impl Fn() -> Timestamp,
) -> Result<Vec<Result<Committed, StorageError>>, StorageError> {
    let mut plan = Plan::default();
    plan.acknowledge(parts);
    let mut script = Script::default();
    many(&mut script, dialect::ACKNOWLEDGE, &plan.acknowledged())?;
    many(&mut script, dialect::DELIVERED, &plan.delivered())?;
    many(&mut script, dialect::PUSHED, plan.pushed())?;
    connection.execute_all(script).await?;

    let mut mailboxes = Mailboxes::reserve(connection, parts).await?;
    let mut answers = Vec::with_capacity(parts.len());
    for part in parts {
        let admitted = mailboxes.admit(*part);
        answers.push(admitted.map(|()| Committed { stored: plan.add(*part, &mut mailboxes) }));
    }
    mailboxes.give_back(connection).await?;
    write(connection, &plan).await?;
    mailboxes.make_room(connection, now).await?;
    Ok(answers)
}

async fn write(connection: &mut Connection, plan: &Plan<'_>) -> Result<(), StorageError> {
    mailboxes::collapse(connection, plan).await?;
    let mut script = Script::default();
    many(&mut script, dialect::APPEND, plan.messages())?;
    many(&mut script, dialect::OPEN_SESSION, plan.sessions())?;
    many(&mut script, dialect::OPEN_INVITATION, plan.invitations())?;
    many(&mut script, dialect::OPEN_LEG, plan.legs())?;
    many(&mut script, dialect::SET_INVITATION, &plan.set_invitations())?;
    many(&mut script, dialect::SET_LEG, &plan.set_legs())?;
    many(&mut script, dialect::LEAVE, &plan.left())?;
    many(&mut script, dialect::JOIN, &plan.joined())?;
    many(&mut script, dialect::SEEN, &plan.seen())?;
    many(&mut script, dialect::SET_GENERATION, &plan.generations())?;
    many(&mut script, dialect::SET_COURSE, &plan.courses())?;
    many(&mut script, dialect::RING_UNTIL, &plan.ring_untils())?;
    many(&mut script, dialect::FORWARD, plan.forwards())?;
    many(&mut script, dialect::DECIDE, &plan.decisions())?;
    many(&mut script, dialect::DISARM, &plan.disarmed())?;
    many(&mut script, dialect::ARM, &plan.armed())?;
    many(&mut script, dialect::KEEP, plan.kept())?;
    many(&mut script, dialect::ENQUEUE, plan.outbox())?;
    Ok(connection.execute_all(script).await?)
}

/// Adds a statement for many rows; nothing, if there are none.
fn many<R: Serialize>(script: &mut Script, statement: Statement, rows: &[R]) -> Result<(), StorageError> {
    if let Some(rows) = json(rows)? {
        script.push(statement, rows);
    }
    Ok(())
}

/// Runs a statement for many rows; nothing, if there are none.
pub(crate) async fn run_many<R: Serialize + Sync>(
    connection: &mut Connection,
    statement: Statement,
    rows: &[R],
) -> Result<(), StorageError> {
    if let Some(rows) = json(rows)? {
        connection.execute(Query::from(statement).bind(rows)).await?;
    }
    Ok(())
}

/// The argument for so many rows; none if there are none.
pub(crate) fn json<R: Serialize>(rows: &[R]) -> Result<Option<String>, StorageError> {
    if rows.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::to_string(rows).map_err(DriverError::from)?))
}

impl Change {
    /// The device that it puts a message into the mailbox of.
    fn rouses(&self) -> Option<&DeviceId> {
        match self {
            Self::Write(Write::Append(message)) => Some(&message.device),
            Self::Write(
                Write::OpenSession(_)
                | Write::OpenInvitation(_)
                | Write::OpenLeg(_)
                | Write::SetInvitation { .. }
                | Write::SetLeg { .. }
                | Write::Join(_)
                | Write::Leave { .. }
                | Write::Seen { .. }
                | Write::SetGeneration { .. }
                | Write::SetCourse { .. }
                | Write::RingUntil { .. }
                | Write::Forward(_)
                | Write::Decide { .. }
                | Write::Arm(_)
                | Write::Disarm(_)
                | Write::Keep(_)
                | Write::Enqueue(_),
            )
            | Self::Acknowledge { .. }
            | Self::Delivered { .. }
            | Self::Pushed { .. } => None,
        }
    }
}
