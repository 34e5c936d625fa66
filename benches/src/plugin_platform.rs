//! What plugins of many tenants cost beside each other, and what loading them takes.

mod languages;
mod loading;
mod neighbour;
mod tenants;

use anyhow::Context as _;
pub(crate) use neighbour::burn;
use switchhook_core::policy::Slot;
use switchhook_plugin_runtime::builtin::{self, Builtin};

use crate::{Options, report::Report};

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Report>> {
    let router = router()?;
    Ok(vec![
        tenants::run(options, router)?,
        neighbour::run(options, router)?,
        loading::run(options, router)?,
        languages::run(options)?,
    ])
}

fn router() -> anyhow::Result<&'static Builtin> {
    let router = builtin::all().iter().find(|plugin| plugin.slot == Slot::InviteRouter);
    router.context("a router ships")
}
