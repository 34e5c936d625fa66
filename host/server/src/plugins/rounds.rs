//! A decision in rounds: the plugin is asked, asks its tenant's services, and is asked again with
//! their answers, all before its flow commits. A plugin that never decides gets the declared default.

use std::sync::Arc;

use switchhook_core::policy::{Answer, Context, Grants, Request, Slot};
use switchhook_plugin_runtime::{By, Decision, Failure};
use switchhook_protocol::id::MethodName;
use tokio::time::Instant;

use crate::{
    app::App,
    limits,
    outbound::{self, Asking},
};

/// One decision about to be made.
pub(super) struct Rounds<'a> {
    app: &'a App,
    context: &'a Context,
    /// What the plugin may do meanwhile.
    pub(super) grants: Arc<Grants>,
    plugin: Option<(Slot, MethodName)>,
    round: u8,
    /// When the services' time is over: it begins with the first question.
    until: Option<Instant>,
}

impl<'a> Rounds<'a> {
    pub(super) fn of(app: &'a App, context: &'a Context, slot: Slot, by: Option<&By>) -> Self {
        let grants = by.map(|by| app.granted.of(&context.tenant, slot, &by.name)).unwrap_or_default();
        let plugin = by.map(|by| (slot, by.name.clone()));
        Self { app, context, grants, plugin, round: 0, until: None }
    }

    /// The answers for the next round; none after the last one.
    pub(super) async fn ask(&mut self, requests: Vec<Request>) -> Option<Vec<Answer>> {
        if self.round == limits::ASK_ROUNDS {
            return None;
        }
        let (slot, name) = self.plugin.as_ref()?;
        let key = format!("{}-{}", self.context.subject, self.round);
        self.round += 1;
        let until = *self.until.get_or_insert_with(|| Instant::now() + limits::ASK);
        let asking =
            Asking { tenant: &self.context.tenant, plugin: (*slot, name), grants: &self.grants, key: &key };
        Some(
            outbound::round(self.app, asking, requests, until.saturating_duration_since(Instant::now()))
                .await,
        )
    }
}

/// The declared default, for a plugin that asked and never decided.
pub(super) fn undecided<T>(last: Decision<()>, default: T) -> Decision<T> {
    Decision { failure: Some(Failure::AskedTooOften), ..last.with(default) }
}
