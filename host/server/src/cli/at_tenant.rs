//! Options of commands that are about one tenant of a running server.

use anyhow::Result;
use clap::Args;
use switchhook_protocol::id::TenantId;

use super::{
    admin::{Admin, Server},
    print::Form,
};
use crate::DEFAULT_TENANT;

/// A tenant of a server, and whom the command answers.
#[derive(Debug, Clone, Args)]
pub(crate) struct AtTenant {
    #[command(flatten)]
    server: Server,
    /// The tenant.
    #[arg(long, env = "SWITCHHOOK_TENANT", default_value = DEFAULT_TENANT)]
    tenant: TenantId,
    #[command(flatten)]
    pub(crate) form: Form,
}

impl AtTenant {
    /// The API to ask.
    pub(crate) fn admin(&self) -> Result<Admin> {
        self.server.admin()
    }

    /// An address below the tenant's.
    pub(crate) fn path(&self, below: &str) -> String {
        format!("tenants/{}/{below}", self.tenant)
    }
}
