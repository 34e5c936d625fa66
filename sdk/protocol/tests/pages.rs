//! `docs/PROTOCOL.md` shows what the types read and write.
//!
//! A block that begins with `json client` or `json server` is a frame; `json server <operation>` is
//! the answer of that operation. Each is decoded, and written again: a field that the types do not
//! know, or one that the page forgot, is found. The proofs on the page are those of the key that it
//! names, so that whoever writes a client can compare.
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::Value;
use switchhook_protocol::{
    call::Operation,
    client::{ClientMessage, Enrol, Hello, Said},
    device_key::{Algorithm, DeviceKey, KeyBytes, Statement},
    id::{RequestId, TenantId},
    peer::{Peer, SessionKey},
    server::{Answer, ServerMessage},
};

const PAGE: &str = include_str!("../../../docs/PROTOCOL.md");

/// The seed of the page's device key; its peer's is the next.
const SEED: [u8; 32] = [7; 32];
const PEER_SEED: [u8; 32] = [8; 32];

#[test]
fn the_pages_client_frames_are_read_and_written_alike() {
    for block in blocks("json client") {
        assert_eq!(json(&written(&client(block))), json(block));
    }
}

#[test]
fn the_pages_server_frames_are_read_and_written_alike() {
    for block in blocks("json server") {
        let read = server(block);
        assert_eq!(serde_json::to_value(&read).unwrap(), json(block));
    }
}

#[test]
fn the_page_shows_every_operation_and_its_answer() {
    let asked: BTreeSet<String> = blocks("json client")
        .filter_map(|block| {
            let ClientMessage::Request(_, operation) = client(block) else { return None };
            Some(operation.op().to_owned())
        })
        .collect();
    let all: BTreeSet<String> = Operation::OPS.iter().map(|&op| op.to_owned()).collect();
    assert_eq!(asked, all);

    for op in Operation::OPS {
        let mut answers = blocks(&format!("json server {op}")).peekable();
        assert!(answers.peek().is_some(), "no answer to {op}");
        for block in answers {
            let ServerMessage::Answer(Answer { ok: Some(ok), .. }) = server(block) else {
                panic!("no answer: {block}")
            };
            assert_eq!(answer_again(op, ok.get()), json(ok.get()), "{op}");
        }
    }
}

#[test]
fn the_page_shows_every_kind_of_event() {
    let kinds: BTreeSet<&str> = blocks("json server")
        .filter_map(|block| {
            let ServerMessage::Event(delivered) = server(block) else { return None };
            Some(delivered.event.kind())
        })
        .collect();
    let all = [
        "invite",
        "accept",
        "decline",
        "ringing",
        "cancel",
        "outcome",
        "taken",
        "rerouted",
        "connection-data",
        "relay-response",
        "relay-update",
        "invite-update",
        "session-update",
        "session-asked",
        "session-refused",
        "notice",
        "asked",
        "registered-elsewhere",
    ];
    assert_eq!(kinds, all.into());
}

#[test]
fn the_proofs_on_the_page_hold() {
    let tenant: TenantId = "default".parse().unwrap();
    let nonce = blocks("json server").find_map(|block| {
        let ServerMessage::Challenge(challenge) = server(block) else { return None };
        Some(challenge.nonce)
    });
    let nonce = nonce.unwrap();
    for message in blocks("json client").map(client) {
        if let ClientMessage::Enrol(Enrol { application, device_key, proof, .. }) = message {
            assert_eq!(device_key, public(SEED));
            let statement = Statement::Enrol { nonce: &nonce, tenant: &tenant, application: &application };
            assert_eq!(text(proof), proof_of(SEED, &statement), "enrol");
        } else if let ClientMessage::Hello(Hello { device, push_token, proof, .. }) = message {
            let (device, push_token) = (&device, &push_token);
            let statement = Statement::Hello { nonce: &nonce, tenant: &tenant, device, push_token };
            assert_eq!(text(proof), proof_of(SEED, &statement), "hello");
        } else if let ClientMessage::Request(_, Operation::Invite(invite)) = message {
            assert_signed(SEED, &tenant, invite.session_key);
        } else if let ClientMessage::Request(_, Operation::Accept(accept)) = message {
            assert_signed(PEER_SEED, &tenant, accept.session_key);
        }
    }
    let peers = blocks("json server").flat_map(|block| peers(&json(block)));
    for Peer { device_key, session_key, .. } in peers {
        let seed = if device_key == public(SEED) { SEED } else { PEER_SEED };
        assert_eq!(device_key, public(seed));
        assert_signed(seed, &tenant, session_key);
    }
}

/// RFC 9421; what is signed stands on the page as it is.
#[test]
fn inv_16_the_signed_request_on_the_page_is_by_the_pages_key() {
    let base = PAGE.split("\n```text\n").find(|block| block.starts_with("\"@method\"")).unwrap();
    let base = base.split("\n```").next().unwrap();
    let signature = PAGE.lines().find_map(|line| line.strip_prefix("Signature: sig=:")).unwrap();
    let signature = data_encoding::BASE64.decode(signature.trim_end_matches(':').as_bytes()).unwrap();
    assert_eq!(public(SEED).verify_bytes(base.as_bytes(), &KeyBytes(signature)), Ok(()));
    let said = base.lines().find_map(|line| line.strip_prefix("\"@signature-params\": ")).unwrap();
    assert!(PAGE.contains(&format!("\nSignature-Input: sig={said}\n")));
}

#[test]
fn the_statement_that_the_page_spells_out_is_the_one_that_is_signed() {
    let statement = Statement::Enrol {
        nonce: "n",
        tenant: &"default".parse().unwrap(),
        application: &"phone".parse().unwrap(),
    };
    let spelt: String = blocks("hex").flat_map(str::split_whitespace).collect();
    assert_eq!(spelt, data_encoding::HEXLOWER.encode(&statement.to_bytes()));
}

/// The blocks whose first line begins with these words.
fn blocks(words: &str) -> impl Iterator<Item = &'static str> + use<> {
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    // What stands between two fences is a block, then text, then a block.
    PAGE.split("\n```").skip(1).step_by(2).filter_map(move |block| {
        let (info, body) = block.split_once('\n').unwrap_or_default();
        let mut named = info.split_whitespace();
        words.iter().all(|word| named.next() == Some(word)).then_some(body)
    })
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn client(block: &str) -> ClientMessage {
    ClientMessage::decode(block).unwrap_or_else(|rejected| panic!("{rejected:?}: {block}"))
}

fn server(block: &str) -> ServerMessage {
    let read = ServerMessage::decode(block).unwrap_or_else(|error| panic!("{error}: {block}"));
    read.unwrap_or_else(|| panic!("of no known type: {block}"))
}

fn written(message: &ClientMessage) -> String {
    let said = match message {
        ClientMessage::Request(id, operation) => return written_request(id, operation),
        ClientMessage::Enrol(enrol) => Said::Enrol(enrol),
        ClientMessage::Hello(hello) => Said::Hello(hello),
        ClientMessage::Ack(ack) => Said::Ack(ack),
        ClientMessage::Signal(signal) => Said::Signal(signal),
        ClientMessage::Presence(presence) => Said::Presence(presence),
        ClientMessage::Ping => Said::Ping,
    };
    ClientMessage::say(&said).unwrap()
}

macro_rules! each_operation {
    ($($name:ident)*) => {
        fn written_request(id: &RequestId, operation: &Operation) -> String {
            match operation {
                $(Operation::$name(call) => ClientMessage::request(id, &**call).unwrap(),)*
            }
        }

        fn answer_again(op: &str, ok: &str) -> Value {
            use switchhook_protocol::{block::*, call::*, carrier::*, exchange::*, invitation::*, number::*, push_token::*, registration::*, relay::*, session::*};
            $(if op == $name::OP {
                let read: <$name as Call>::Answer =
                    serde_json::from_str(ok).unwrap_or_else(|error| panic!("{op}: {error}: {ok}"));
                return serde_json::to_value(read).unwrap();
            })*
            panic!("{op} is no operation")
        }
    };
}

each_operation! {
    RegisterBegin RegisterAnswer RegisterCode RegisterValidate RegisterLink RegisterList RegisterRevoke Invite Ringing Accept Take Decline Cancel Stopped
    InviteUpdate SessionUpdate End ConnectionDataChanged RelayRequest RelayUpdate PathReport Block
    Unblock Blocked SessionAsk SessionRefuse SessionRenew PushTokenRenew CompleteNumber Carriers Sync
}

/// Every participant that a frame shows.
fn peers(frame: &Value) -> Vec<Peer> {
    let shown = ["/body/inviter", "/body/peer", "/ok/peer"].map(|place| frame.pointer(place));
    shown.into_iter().flatten().map(|peer| serde_json::from_value(peer.clone()).unwrap()).collect()
}

fn public(seed: [u8; 32]) -> DeviceKey {
    let public = SigningKey::from_bytes(&seed).verifying_key().to_bytes().to_vec();
    DeviceKey { algorithm: Algorithm::Ed25519, public: KeyBytes(public) }
}

fn assert_signed(seed: [u8; 32], tenant: &TenantId, key: SessionKey) {
    let statement = Statement::SessionKey { tenant, public: &key.public.0 };
    assert_eq!(text(key.signature), proof_of(seed, &statement), "session key");
}

fn proof_of(seed: [u8; 32], statement: &Statement<'_>) -> String {
    let signature = SigningKey::from_bytes(&seed).sign(&statement.to_bytes());
    text(KeyBytes(signature.to_bytes().to_vec()))
}

fn text(bytes: KeyBytes) -> String {
    bytes.into()
}
