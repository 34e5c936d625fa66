//! Two connections that are one: bytes as they are, both ways (RFC 6062 §5.5).

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};

use super::{paced::Paced, pending::PeerConnection};
use crate::{host::Host, limits};

/// Carries bytes between a client and a peer until both have ended, one breaks, or the allocation is over.
///
/// What one side does not take yet, the other waits with; the end of what one says is said to the other, which may go
/// on.
pub(crate) async fn join(
    client: impl AsyncRead + AsyncWrite + Unpin,
    connection: PeerConnection,
    host: &Arc<Host>,
) {
    let PeerConnection { stream, link } = connection;
    // Media does not wait for more to fill a segment.
    drop(stream.set_nodelay(true));
    let (links, metrics) = (link.links(), &host.metrics);
    let mut client = Paced::new(client, links, host, &metrics.to_peer_bytes);
    let mut peer = Paced::new(stream, links, host, &metrics.from_peer_bytes);
    metrics.peer_connections_joined.inc();
    let copied = copy_bidirectional_with_sizes(&mut client, &mut peer, limits::PIECE, limits::PIECE);
    if let Some(Err(error)) = links.ended.run_until_cancelled(copied).await {
        tracing::trace!(%error, "a connection with a peer has broken");
    }
}
