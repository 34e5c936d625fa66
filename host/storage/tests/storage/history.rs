//! What became of sessions: decisions and forwards.

use switchhook_core::{
    policy::Slot,
    row::{Decision, Write},
};
use switchhook_protocol::endpoint::EndpointId;
use switchhook_storage::TenantStorage;

use crate::{
    fixture::{EARLIER, LATER, NOW, alice, decision, forward, session, session_id},
    ringing::open,
};

on_each_database! {
    async fn decisions_come_back_in_the_order_of_their_commits(fixture) {
        let acme = fixture.acme();
        let verdict = Decision {
            at: EARLIER,
            slot: Slot::NatPolicy,
            plugin: Some("mine".parse().unwrap()),
            version: 3,
            outcome: "relay".to_owned(),
            failure: None,
            micros: u64::from(u32::MAX),
        };
        let made = [decision("ring \" ü"), decision("ring again"), verdict];
        decide(&acme, &made[..2]).await;
        decide(&acme, &made[2..]).await;

        assert_eq!(acme.sessions().decisions(&session_id("call")).await.unwrap(), made);
        assert_eq!(acme.sessions().decisions(&session_id("other")).await.unwrap(), []);
    }

    async fn of_too_many_decisions_the_first_are_kept_and_the_commits_go_on(fixture) {
        let acme = fixture.acme();
        let made: Vec<Decision> = (0..70).map(|number| decision(&number.to_string())).collect();
        for some in made.chunks(30) {
            decide(&acme, some).await;
        }

        let kept = acme.sessions().decisions(&session_id("call")).await.unwrap();

        assert_eq!(kept, made[..64]);
    }

    async fn a_session_is_found_by_whom_it_went_on_to(fixture) {
        let acme = fixture.acme();
        open(&acme).await;
        let carol: EndpointId = "carol".parse().unwrap();
        assert_eq!(acme.sessions().of_endpoint(&carol, 9).await.unwrap(), []);

        let again = switchhook_core::row::Forward { at: LATER, ..forward("call", "carol") };
        for it in [forward("call", "carol"), again] {
            acme.commit("reroute", vec![Write::Forward(it)]).await.unwrap();
        }

        for endpoint in [carol, alice()] {
            assert_eq!(acme.sessions().of_endpoint(&endpoint, 9).await.unwrap(), [session("call")]);
        }
        let call = session_id("call");
        assert_eq!(acme.sessions().forwards(&call).await.unwrap(), [forward("call", "carol")]);
    }

    async fn inv_2_a_user_rings_by_the_identifier_that_it_was_forwarded_to(fixture) {
        let acme = fixture.acme();
        open(&acme).await;
        let ringing_for = async |endpoint: EndpointId, now| {
            let application = session("call").application;
            let found = acme.run("look", async move |tx| tx.ringing_for((&application, &endpoint), now, 9).await);
            found.await.unwrap()
        };
        let carol: EndpointId = "carol".parse().unwrap();
        let own = ringing_for(alice(), EARLIER).await;
        assert_eq!(ringing_for(carol.clone(), EARLIER).await, []);

        acme.commit("reroute", vec![Write::Forward(forward("call", "carol"))]).await.unwrap();

        assert_eq!(ringing_for(carol.clone(), EARLIER).await, [(session_id("call"), 0)]);
        assert_eq!(ringing_for(alice(), EARLIER).await, own, "nobody is there twice");
        assert_eq!(ringing_for(carol, LATER).await, [], "its ring time is over");
    }

    async fn what_became_of_a_session_is_forgotten_with_it(fixture) {
        let acme = fixture.acme();
        open(&acme).await;
        decide(&acme, &[decision("ring")]).await;
        acme.commit("reroute", vec![Write::Forward(forward("call", "carol"))]).await.unwrap();
        let call = session_id("call");
        fixture.storage.sweep(NOW).await.unwrap();
        assert_eq!(acme.sessions().decisions(&call).await.unwrap().len(), 1);

        fixture.storage.sweep(LATER).await.unwrap();

        assert_eq!(acme.sessions().decisions(&call).await.unwrap(), []);
        assert_eq!(acme.sessions().forwards(&call).await.unwrap(), []);
    }
}

async fn decide(storage: &TenantStorage, made: &[Decision]) {
    let write =
        |decision: &Decision| Write::Decide { session: session_id("call"), decision: decision.clone() };
    storage.commit("decide", made.iter().map(write).collect()).await.unwrap();
}
