//! Password algorithms (RFC 8489 §9.2.4).

use switchhook_core::stun::{Algorithm, Key, Message, attribute};

use crate::{
    by_hand::{ALLOCATE, ByHand, UDP},
    running::{REALM, Running},
};

const SHA_256: (u16, &[u8]) = (attribute::PASSWORD_ALGORITHM, &[0, 2, 0, 0]);

#[tokio::test]
async fn rel_3_a_client_may_choose_sha_256() {
    let running = Running::start().await;
    let (mut client, offered) = greeted(&running).await;
    let offered = (attribute::PASSWORD_ALGORITHMS, offered.as_slice());
    let request =
        client.signed_with(ALLOCATE, &[UDP, offered, SHA_256], &[(key(&client), Algorithm::Sha256)]);
    let said = client.exchange(&request).await;
    assert_eq!(said.outcome(), Ok(()));
    let answer = Message::parse(&said.0).unwrap();
    assert_eq!(answer.algorithm(), Some(Algorithm::Sha256), "answered as it was asked");
    assert!(answer.is_authentic(&key(&client)));
    running.stop().await;
}

#[tokio::test]
async fn rel_3_an_offer_that_somebody_changed_on_the_way_is_noticed() {
    let running = Running::start().await;
    let (mut client, offered) = greeted(&running).await;
    let all = (attribute::PASSWORD_ALGORITHMS, offered.as_slice());
    let only_md5 = (attribute::PASSWORD_ALGORITHMS, &[0, 1, 0, 0][..]);
    let md5 = (attribute::PASSWORD_ALGORITHM, &[0, 1, 0, 0][..]);
    let other = (attribute::PASSWORD_ALGORITHM, &[0, 9, 0, 0][..]);
    for attributes in [[UDP, only_md5, md5], [UDP, all, other], [UDP, md5, (0x8022, b"test")]] {
        assert_eq!(client.ask(ALLOCATE, &attributes).await.outcome(), Err(400), "{attributes:?}");
    }
    assert_eq!(client.ask(ALLOCATE, &[UDP, all, md5]).await.outcome(), Ok(()));
    running.stop().await;
}

/// A client, and the algorithms that it was offered.
async fn greeted(running: &Running) -> (ByHand, Vec<u8>) {
    let mut client = ByHand::new(running, running.credentials("s1", "d1")).await;
    let said = client.ask_unsigned(ALLOCATE, &[UDP]).await;
    client.nonce = said.value(attribute::NONCE);
    assert!(client.nonce.starts_with(b"obMatJos2"), "the nonce says that there are algorithms");
    (client, said.value(attribute::PASSWORD_ALGORITHMS))
}

fn key(client: &ByHand) -> Key {
    Key::long_term_sha256(&client.credentials.username, REALM, &client.credentials.password)
}
