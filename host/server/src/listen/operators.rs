//! A port for operators: health and metrics of a process that has no other HTTP.
//!
//! It is plain, and belongs into a network of theirs; where it stands open all the same, whoever comes has few places
//! and little time.

use std::sync::Arc;

use axum::Router;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    next,
    peer::{Answering, Peer},
    speak,
};
use crate::limits;

/// Answers until told to stop, in tasks of the tracker.
pub(crate) async fn run(tcp: TcpListener, router: Router, (stop, tasks): (CancellationToken, TaskTracker)) {
    let places = Arc::new(Semaphore::new(limits::WATCHERS));
    while let Some((stream, addr)) = next(&tcp, &stop).await {
        // Who finds no place is closed at once.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let answering = Answering::new(router.clone(), Peer { ip: addr.ip(), certificates: None });
        let stop = stop.clone();
        tasks.spawn(async move {
            speak(&stop, stream, answering).await;
            drop(place);
        });
    }
}
