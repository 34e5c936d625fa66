//! The real thing, as the model drives it and looks at it: in this process, or over sockets.

pub(crate) mod known;
pub(crate) mod words;

use anyhow::Result;
use switchhook_protocol::error::ErrorCode;

use crate::{
    Heard,
    people::Device,
    reference::{Stored, Time},
    router::Router,
    step::Does,
};

/// Between two runs: every ticket is over.
pub(crate) const DAY: u64 = 25 * 60 * 60 * 1000;

/// A node, its devices, and the time in their world.
pub(crate) trait System {
    /// Now, in milliseconds.
    fn now(&self) -> Time;

    /// From now on it is that late.
    async fn set_clock(&mut self, now: Time) -> Result<()>;

    /// Alice invites; where the node dies before it answers she asks again, by the same key.
    async fn invite(
        &mut self,
        invited: &[&str],
        routed: (Router, bool),
        dies_after: Option<u32>,
    ) -> Result<()>;

    /// A device does something, and perhaps the node dies meanwhile. None: it died before it answered.
    async fn act(
        &mut self,
        session: usize,
        device: Device,
        does: Does,
        dies_after: Option<u32>,
    ) -> Result<Option<Result<(), ErrorCode>>>;

    /// Everything that is due is done, or under way; the node perhaps dies once meanwhile.
    async fn settle(&mut self, dies_after: Option<u32>) -> Result<()>;

    /// The node looks for vanished participants; says whom it has to take out.
    async fn look(&mut self, vanished: Option<Device>) -> Result<Vec<(usize, Device)>>;

    /// What devices have heard about sessions of this run since they were asked last.
    async fn hear(&mut self, acting: Option<Device>) -> Result<Vec<Heard>>;

    /// What is stored of a session.
    async fn stored(&self, session: usize) -> Result<Stored>;

    /// Waits for what is under way; false if there is nothing to wait for, or no more after so many times.
    async fn waits(&mut self, times: u32) -> Result<bool>;

    /// A device loses its connection.
    async fn vanish(&mut self, device: Device) -> Result<()>;

    /// A device has a connection again.
    async fn comes_back(&mut self, device: Device) -> Result<()>;

    /// The node dies, and another starts on what it left.
    async fn die(&mut self) -> Result<()>;

    /// What is left of this run comes to its end.
    async fn next_run(&mut self) -> Result<()>;

    /// Lets go of everything.
    async fn end(self) -> Result<()>;
}
