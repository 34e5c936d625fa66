//! A port and the next one (RFC 8656 §7.2, EVEN-PORT and RESERVATION-TOKEN).

use crate::{
    by_hand::{ALLOCATE, ByHand, EVEN_PORT, RELAYED, UDP},
    running::Running,
};

const RESERVATION_TOKEN: u16 = 0x0022;
/// EVEN-PORT, and the next one for later.
const PAIR: (u16, &[u8]) = (EVEN_PORT, &[0x80]);

#[tokio::test]
async fn rel_3_the_next_port_is_kept_for_the_same_participant() {
    let running = Running::start().await;
    let mut first = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    let said = first.ask(ALLOCATE, &[UDP, PAIR]).await;
    let (port, token) = (said.address(RELAYED).port(), said.value(RESERVATION_TOKEN));
    assert!(port.is_multiple_of(2));

    let mut other = ByHand::greeted(&running, running.credentials("s1", "d2")).await;
    let reserved = (RESERVATION_TOKEN, token.as_slice());
    assert_eq!(other.ask(ALLOCATE, &[UDP, reserved]).await.outcome(), Err(508), "another's");

    let mut second = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    assert_eq!(second.ask(ALLOCATE, &[UDP, reserved]).await.address(RELAYED).port(), port + 1);
    let mut third = ByHand::greeted(&running, running.credentials("s1", "d3")).await;
    assert_eq!(third.ask(ALLOCATE, &[UDP, reserved, PAIR]).await.outcome(), Err(400));
    running.stop().await;
}
