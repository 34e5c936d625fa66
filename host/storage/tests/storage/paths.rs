//! How direct paths have fared, by tenant and pair of networks.

use switchhook_core::{policy::nat::Outcomes, row::Write};
use switchhook_protocol::time::Timestamp;

use crate::fixture::{NOW, id, participant, session, session_id};

on_each_database! {
    async fn nat_3_how_direct_paths_fared_is_known_by_tenant_and_networks_for_a_month(fixture) {
        let acme = fixture.acme();
        let sessions = ["one", "two", "three", "four"];
        acme.commit("invite", sessions.map(|name| Write::OpenSession(session(name))).into()).await.unwrap();
        acme.run("path-report", async move |tx| {
            let reports = [("a-b", true), ("a-b", false), ("a-b", false), ("a-c", true)];
            for (name, report) in sessions.into_iter().zip(reports) {
                tx.count_path(&session_id(name), report, NOW).await?;
                tx.count_path(&session_id(name), ("a-b", true), NOW).await?;
            }
            Ok::<_, switchhook_storage::StorageError>(())
        })
        .await
        .unwrap();

        let at = |days: u64| Timestamp::from_millis(NOW.as_millis() + days * 24 * 3_600_000);
        let outcomes = |direct_worked, direct_failed| Outcomes { direct_worked, direct_failed };
        assert_eq!(acme.outcomes("a-b", NOW).await.unwrap(), outcomes(1, 2), "once each");
        assert_eq!(acme.outcomes("a-b", at(30)).await.unwrap(), outcomes(1, 2));
        assert_eq!(acme.outcomes("a-b", at(31)).await.unwrap(), outcomes(0, 0));
        assert_eq!(acme.outcomes("b-c", NOW).await.unwrap(), outcomes(0, 0));
        let other = fixture.storage.of(&"other".parse().unwrap());
        assert_eq!(other.outcomes("a-b", NOW).await.unwrap(), outcomes(0, 0), "another tenant's");
        assert_eq!(fixture.storage.sweep(at(31)).await.unwrap().paths, 2);
    }

    async fn nat_4_who_wants_the_relay_is_remembered_by_device_and_while_it_takes_part(fixture) {
        let acme = fixture.acme();
        let joined = ["phone", "tablet"].map(|device| Write::Join(participant("one", device)));
        let opened = [Write::OpenSession(session("one"))].into_iter().chain(joined).collect();
        acme.commit("invite", opened).await.unwrap();
        let wants = async |device| acme.sessions().relay_wanted(&session_id("one"), &id(device)).await.unwrap();
        assert!(!wants("phone").await);

        acme.run("relay-request", async move |tx| tx.want_relay(&session_id("one"), &id("phone")).await)
            .await
            .unwrap();

        assert!(wants("phone").await);
        assert!(!wants("tablet").await, "another one of the session");
        assert!(!wants("laptop").await, "it takes no part");
    }
}
