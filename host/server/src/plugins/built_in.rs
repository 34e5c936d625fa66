//! Built-in plugins for tenants that are older than they are.
//!
//! A new tenant has all of this host's active. One made by an earlier version keeps what it has: an upgrade switches no
//! policy. Whoever administers it asks for what it lacks, which is stored like any upload, inactive, with the
//! configuration of the version before if this one accepts it; activating one is the tenant's own step.

use switchhook_core::{policy::Slot, row::VersionState};
use switchhook_plugin_runtime::{
    Digest,
    builtin::{self, Builtin},
};
use switchhook_protocol::{error::ErrorCode, id::MethodName};

use super::changes::{self, Changing, Refused, Upload};
use crate::{app::App, flows::FlowError, http::admin::OfTenant};

/// A built-in plugin, as a tenant has it.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) slot: Slot,
    pub(crate) name: &'static str,
    /// The version that has this host's component.
    pub(crate) version: u32,
    pub(crate) state: VersionState,
    /// Whether it was stored just now.
    pub(crate) new: bool,
}

/// Gives a tenant those of this host's built-in plugins that it does not have. One that is refused leaves those before
/// it; asking again goes on.
pub(crate) async fn offer(app: &App, of: &OfTenant) -> Result<Vec<Offered>, Refused> {
    let mut offered = Vec::new();
    for built_in in builtin::all() {
        offered.push(one(app, of, built_in).await?);
    }
    Ok(offered)
}

async fn one(app: &App, of: &OfTenant, built_in: &'static Builtin) -> Result<Offered, Refused> {
    let Builtin { slot, name, bytes, .. } = *built_in;
    let digest = Digest::of(bytes).0;
    let known = app.storage.of(&of.tenant).plugins().of(slot, name).await?;
    let offered = |version, state, new| Offered { slot, name, version, state, new };
    // Of two versions with the same component, the one that is asked, or else the newest.
    let same = known.iter().rev().filter(|row| row.digest == digest);
    if let Some(row) = same.max_by_key(|row| row.state == VersionState::Active) {
        return Ok(offered(row.version, row.state, false));
    }
    let name: MethodName = name.parse().or(Err(FlowError::from(ErrorCode::Internal)))?;
    let what = Changing { who: of.who.clone(), tenant: of.tenant.clone(), slot, name };
    let row = changes::upload(app, &what, Upload::Component(bytes.to_vec())).await?;
    Ok(offered(row.version, row.state, true))
}
