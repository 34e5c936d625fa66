//! The connection with the host: one WebSocket at a time, kept up by a task of its own.
//!
//! [`machine`] decides what each frame means, [`mailbox`] which events are new, [`backoff`] when to
//! try again; [`driver`] does what they say. Requests belong to one connection: when it ends, those
//! without an answer fail with [`CallError::ConnectionLost`](crate::CallError::ConnectionLost), since nobody knows whether the host
//! has carried them out. Events belong to the mailbox: what was not acknowledged comes again, and the
//! application sees it once.

pub(crate) mod backoff;
pub(crate) mod dial;
pub(crate) mod driver;
pub(crate) mod machine;
pub(crate) mod mailbox;
