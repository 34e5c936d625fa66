//! The first rows: who administers, whose keys these are, the tenant that a laptop begins with.

use std::{path::Path, sync::Arc};

use data_encoding::HEXLOWER;
use switchhook_protocol::error::ErrorCode;
use switchhook_storage::{AdminToken, AuditEntry, KeysProof};
use tracing::info;

use super::StartError;
use crate::{
    app::App,
    flows::FlowError,
    nodes,
    plugins::reconcile::reconcile,
    relay_hosts,
    sandbox::{self, SandboxFile},
    secrets, tenants,
};

/// What the keys of an installation prove.
const INSTALLATION: &str = "installation";

/// Label of the token that the first start makes.
const FIRST_ADMINISTRATOR: &str = "operator";

/// The token of the file, which is the truth: whoever deletes it and restarts has taken the former one back.
async fn first_administrator(app: &App, admin_token: &str) -> Result<(), FlowError> {
    let (hash, tokens) = (secrets::hash(admin_token), app.storage.admin_tokens());
    let noted = |action: &str| AuditEntry {
        at: app.now(),
        actor: "start".to_owned(),
        action: action.to_owned(),
        subject: FIRST_ADMINISTRATOR.to_owned(),
        detail: String::new(),
    };
    let all = tokens.list().await?;
    for former in &all {
        // Those that an operator has made beside it have their end.
        let of_file = former.tenant.is_none() && former.expires_at.is_none();
        if of_file && former.hash != hash && former.revoked_at.is_none() {
            tokens.revoke(&former.hash, noted("token.revoke")).await?;
        }
    }
    if all.iter().any(|token| token.hash == hash) {
        return Ok(());
    }
    let token = AdminToken {
        application: None,
        relay_host: None,
        hash,
        tenant: None,
        label: FIRST_ADMINISTRATOR.to_owned(),
        created_at: app.now(),
        expires_at: None,
        revoked_at: None,
    };
    Ok(tokens.put(&token, noted("token.create")).await?)
}

/// The keys are those of whoever was here before; kept up with their rotation.
pub(super) async fn check_keys(app: &App) -> Result<(), StartError> {
    let keys = app.keys.host();
    let ids: Vec<_> = keys.ids().map(|id| HEXLOWER.encode(&id)).collect();
    // For the operator to see at which step of a rotation each node is.
    info!(seals = ids.first(), opens = ids.join(" "), "root keys, by their ids");
    let (key_id, proof) = keys.mac(INSTALLATION, &[]);
    let is_ours = move |known: KeysProof| keys.mac_of(known.key_id, INSTALLATION, &[]) == Some(known.proof);
    let proven = app.storage.prove_keys(KeysProof { key_id, proof }, is_ours).await;
    if proven.map_err(|error| StartError::Setup(error.to_string()))? {
        Ok(())
    } else {
        Err(StartError::ForeignKeys)
    }
}

/// First rows, or settings and plugins; then it enters, where what the process before left in doubt is reported.
pub(super) async fn set_up(app: &Arc<App>, data: &Path, admin_token: &str) -> Result<(), FlowError> {
    first_administrator(app, admin_token).await?;
    if app.storage.tenants().list().await?.is_empty() {
        first_tenant(app, data).await?;
    } else {
        tenants::read_settings(app).await?;
        reconcile(app).await?;
    }
    relay_hosts::enter(app).await?;
    Ok(nodes::enter(app).await?)
}

async fn first_tenant(app: &App, data: &Path) -> Result<(), FlowError> {
    let tenant = sandbox::default_tenant();
    // Of nodes that start at once one makes it, and gives it the sandbox: a second would replace the secret.
    if !tenants::create(app, &tenant, None).await? {
        return Ok(());
    }
    let secret = sandbox::tenant::give(app, &tenant).await?;
    let written = SandboxFile { secret }.write(data);
    written.map_err(|error| FlowError::refused(ErrorCode::Internal, &error.to_string()))
}
