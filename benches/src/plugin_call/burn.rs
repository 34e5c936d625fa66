//! How fast the tightest loop burns the fuel of a decision: what the numbers in the runtime's
//! `limits.rs` rest on.

use std::{sync::Arc, time::Duration};

use switchhook_built_guests::LOOPS_IN_ROUTE;
use switchhook_core::policy::{Context, Facts, Slot, route::Question};
use switchhook_plugin_runtime::{ActivePlugin, Deadlines, Failure, Metrics, Runtime, RuntimeSettings, Slots};

/// A guest that never answers, with deadlines so far that its fuel decides.
pub(super) struct Burner {
    slots: Slots,
    context: Context,
}

impl Burner {
    pub(super) async fn new() -> anyhow::Result<Self> {
        const FAR: Duration = Duration::from_secs(20);
        let deadlines = Deadlines { decision: FAR, step: FAR, ..Deadlines::default() };
        let runtime = Runtime::new(RuntimeSettings { deadlines, ..RuntimeSettings::default() })?;
        let slots = Slots::new(runtime.clone(), Metrics::default());
        let plugin = runtime.compile(LOOPS_IN_ROUTE, Slot::InviteRouter).await?;
        let context = super::context()?;
        let configuration = "{}".to_owned();
        let active = ActivePlugin { name: "loops".parse()?, version: 1, plugin, configuration };
        slots.activate(&context.tenant, active)?;
        Ok(Self { slots, context })
    }

    /// Milliseconds until all is burned.
    pub(super) async fn burn(&self, question: &Question) -> anyhow::Result<f64> {
        let decision = self.slots.route(&self.context, question, &Arc::new(Facts::default())).await;
        let failure = decision.failure;
        anyhow::ensure!(matches!(failure, Some(Failure::OutOfFuel)), "it ended otherwise: {failure:?}");
        Ok(decision.took.as_secs_f64() * 1e3)
    }
}
