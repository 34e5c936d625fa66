//! What all nodes refused, as far as they answer.

use std::cmp::Reverse;

use futures_util::future::join_all;
use switchhook_protocol::{endpoint::EndpointId, id::TenantId};
use switchhook_storage::StorageError;

use super::RefusedInvite;
use crate::{app::App, limits, nodes::questions::ToNode};

/// Refused invites of the installation.
#[derive(Debug)]
pub(crate) struct RefusedEverywhere {
    /// The newest first.
    pub(crate) invites: Vec<RefusedInvite>,
    /// The addresses of nodes that did not answer: what they refused is not known.
    pub(crate) silent: Vec<String>,
}

/// A tenant's of the last day that an identifier made or that were for it.
pub(crate) async fn about(
    app: &App,
    tenant: &TenantId,
    endpoint: &EndpointId,
) -> Result<RefusedEverywhere, StorageError> {
    let mut invites = app.refused.about(tenant, endpoint, app.now());
    let mut silent = Vec::new();
    if app.storage.is_shared() {
        let mut nodes = app.storage.nodes().all().await?;
        nodes.retain(|node| node.id != app.me.id);
        let question = ToNode::Refused(tenant.clone(), endpoint.clone());
        let others = app.online.others();
        let answers = join_all(nodes.iter().map(|node| others.ask_node(&node.id, &question))).await;
        for (node, answer) in nodes.into_iter().zip(answers) {
            let answer: Option<Vec<RefusedInvite>> = answer;
            match answer {
                Some(theirs) => invites.extend(theirs.into_iter().take(limits::REFUSED_INVITES_OF_TENANT)),
                None => silent.push(node.address),
            }
        }
    }
    invites.sort_by_key(|refused| Reverse(refused.at));
    Ok(RefusedEverywhere { invites, silent })
}
