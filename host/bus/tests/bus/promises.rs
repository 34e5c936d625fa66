//! What holds while every server is there.

use std::time::Duration;

use bytes::Bytes;
use switchhook_bus::{Bus, Subject, Unanswered};
use switchhook_programs::{nats::Cluster, skipped};
use tokio::time::timeout;

/// What takes longer than this does not happen.
pub(crate) const GUARD: Duration = Duration::from_secs(20);

/// Runs each body on two ends, at two servers of a cluster.
macro_rules! on_two_ends {
    ($(async fn $name:ident($here:ident, $there:ident) $body:block)*) => {$(
        #[tokio::test]
        async fn $name() {
            let Some(cluster) = cluster(stringify!($name)) else { return };
            let $here = Bus::connect(&cluster.server(0).url()).await.unwrap();
            let $there = Bus::connect(&cluster.server(1).url()).await.unwrap();
            $body
        }
    )*};
}

on_two_ends! {
    async fn what_is_published_is_heard_by_who_subscribes_to_it_and_by_nobody_else(here, there) {
        let mut heard = there.subscribe(&subject("device.a")).await;
        let mut other = there.subscribe(&subject("device.b")).await;
        meet(&here, &there).await;

        here.publish(&subject("device.a"), Bytes::from_static(b"for a"));
        here.publish(&subject("device.b"), Bytes::from_static(b"for b"));

        assert_eq!(in_time(heard.next()).await.payload, "for a");
        assert_eq!(in_time(other.next()).await.payload, "for b");
    }

    async fn who_is_asked_answers_and_nobody_is_an_answer_too(here, there) {
        let question = Bytes::from_static(b"who?");
        let asked = here.ask(&subject("node.x"), question.clone(), GUARD).await;
        assert_eq!(asked, Err(Unanswered::Nobody));

        let mut heard = there.subscribe(&subject("node.x")).await;
        meet(&here, &there).await;
        let answering = async {
            let message = in_time(heard.next()).await;
            assert_eq!(message.payload, "who?");
            message.asker.unwrap().answer(Bytes::from_static(b"I"));
        };
        let subject = subject("node.x");
        let (asked, ()) = tokio::join!(here.ask(&subject, question, GUARD), answering);
        assert_eq!(asked, Ok(Bytes::from_static(b"I")));
    }

    async fn who_does_not_answer_is_not_waited_for(here, there) {
        let _heard = there.subscribe(&subject("node.x")).await;
        meet(&here, &there).await;
        let asked = here.ask(&subject("node.x"), Bytes::new(), Duration::from_millis(1)).await;
        assert_eq!(asked, Err(Unanswered::Late));
    }

    async fn a_subscription_ends_with_its_holder(here, there) {
        let heard = there.subscribe(&subject("node.x")).await;
        meet(&here, &there).await;
        drop(heard);
        // The bus hears of the end a little later.
        let nobody = async {
            while here.ask(&subject("node.x"), Bytes::new(), Duration::from_millis(10)).await
                != Err(Unanswered::Nobody) {}
        };
        in_time(nobody).await;
    }
}

/// Three servers; none, and the test says so, where NATS is not installed.
pub(crate) fn cluster(test: &str) -> Option<Cluster> {
    let started = Cluster::start();
    started.inspect_err(|why| skipped::say(test, why)).ok()
}

pub(crate) fn subject(text: &str) -> Subject {
    text.to_owned().try_into().unwrap()
}

pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(GUARD, future).await.unwrap()
}

/// Waits until what one end says reaches the other: then the other's earlier subscriptions are known too.
pub(crate) async fn meet(here: &Bus, there: &Bus) {
    let place = subject("meet");
    let mut heard = there.subscribe(&place).await;
    let saying = async {
        loop {
            here.publish(&place, Bytes::new());
            if timeout(Duration::from_millis(20), heard.next()).await.is_ok() {
                return;
            }
        }
    };
    in_time(saying).await;
}
