//! What one invite costs, counted: its rows, what is read for it, its delivery and its acknowledgement.

use switchhook_programs::valgrind::{Cost, repetitions};
use switchhook_protocol::time::Timestamp;
use switchhook_storage::yardstick;

use crate::fixture::{Fixture, NOW};

const INVITE: [Cost; 2] = [Cost::Instructions(1_474_000), Cost::Allocations(500)];

#[test]
fn an_invite_costs_no_more_instructions_and_allocations_than_it_did() {
    let test = "an_invite_costs_no_more_instructions_and_allocations_than_it_did";
    for cost in INVITE {
        cost.guard(test, "costs::invites", [10, 60]);
    }
}

/// Not a test of its own: what the one above counts. One after the other, so that each is a group of its own.
#[tokio::test]
#[ignore = "run under valgrind by the test above"]
async fn invites() {
    let fixture = Fixture::sqlite().await;
    let acme = fixture.acme();
    let devices = yardstick::enrol(&acme, 1).await.unwrap();
    let (device, application, nobody) = (&devices[0], "phone".parse().unwrap(), "+15550100".parse().unwrap());
    let mut seq = 0;
    for number in 0..repetitions() {
        let registrations = acme.registrations();
        let rung = registrations.rung_from(device, &nobody, &application, std::slice::from_ref(&nobody));
        assert_eq!(rung.await.unwrap(), None);
        acme.commit("invite", yardstick::invite(device, &number.to_string()).unwrap()).await.unwrap();
        let mailbox = acme.mailbox(device);
        let delivered = mailbox.after(seq, 32, Timestamp::from_millis(1)).await.unwrap();
        seq = delivered.last().unwrap().seq;
        let session = format!("session-{number}").parse().unwrap();
        mailbox.mark_pushed(seq, [session], NOW).await.unwrap();
        mailbox.acknowledge(seq).await.unwrap();
    }
    fixture.storage.close().await;
}
