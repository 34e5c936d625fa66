//! From a stranger's socket to a known device: challenge, perhaps enrol, hello, welcome.

use switchhook_core::{connection_key::ConnectionKey, mint, subscriber::Subscriber};
use switchhook_protocol::{
    client::{ClientMessage, Rejected},
    close::CloseCode,
    error::{ErrorBody, ErrorCode},
    id::TenantId,
    server::{Answer, Challenge, ServerMessage, Welcome},
    time::millis,
};
use tokio::time;

use super::socket::{Heard, Socket};
use crate::{
    app::App,
    flows::{
        Caller,
        enrol::enrol,
        hello::{Entered, hello},
    },
    limits,
};

/// Malformed frames that a stranger may send.
const PATIENCE: u8 = 8;

/// Leads a stranger, who is behind this address, through; an error is why the socket is closed.
pub(crate) async fn handshake(
    app: &App,
    whose: (&TenantId, Subscriber),
    socket: &mut Socket,
) -> Result<Entered, Option<CloseCode>> {
    let asked = time::timeout(limits::HELLO, ask(app, whose, socket));
    tokio::select! {
        biased;
        () = app.stop.cancelled() => Err(Some(CloseCode::GoingAway)),
        entered = asked => entered.unwrap_or(Err(Some(CloseCode::HelloTimeout))),
    }
}

async fn ask(
    app: &App,
    whose: (&TenantId, Subscriber),
    socket: &mut Socket,
) -> Result<Entered, Option<CloseCode>> {
    let nonce = mint::nonce(&mut app.rng());
    socket.say(&ServerMessage::Challenge(Challenge { nonce: nonce.clone() })).await?;
    for _ in 0..PATIENCE {
        let text = match socket.hear().await {
            Heard::Text(text) => text,
            Heard::Alive => continue,
            Heard::Gone(why) => return Err(why),
        };
        match ClientMessage::decode(&text) {
            Ok(ClientMessage::Enrol(request)) => match enrol(app, whose, &nonce, request).await {
                Ok(enrolled) => socket.say(&ServerMessage::Enrolled(enrolled)).await?,
                Err(refused) => socket.say(&ServerMessage::Error(refused.into_body("enrol"))).await?,
            },
            Ok(ClientMessage::Hello(request)) => match hello(app, whose, &nonce, request).await {
                Ok(entered) => return welcome(app, socket, entered).await,
                Err(refused) => {
                    let body = refused.into_body("hello");
                    let why = close_code(body.code);
                    socket.say(&ServerMessage::Error(body)).await?;
                    return Err(Some(why));
                }
            },
            Ok(ClientMessage::Request(id, _)) => {
                let error = Some(ErrorBody::from(ErrorCode::Unauthorized));
                socket.say(&ServerMessage::Answer(Answer { id, ok: None, error })).await?;
            }
            Ok(ClientMessage::Ping) => socket.say(&ServerMessage::Pong).await?,
            Ok(ClientMessage::Ack(_) | ClientMessage::Signal(_) | ClientMessage::Presence(_)) => {
                socket.say(&ServerMessage::Error(ErrorCode::Unauthorized.into())).await?;
            }
            Err(rejected) => reject(socket, rejected).await?,
        }
    }
    Err(Some(CloseCode::Malformed))
}

/// Whether the same `hello` may do better at another time.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other code is of the moment")]
const fn close_code(refused: ErrorCode) -> CloseCode {
    match refused {
        ErrorCode::Unauthorized => CloseCode::Unauthorized,
        ErrorCode::Malformed | ErrorCode::UnknownCountry => CloseCode::Malformed,
        _ => CloseCode::GoingAway,
    }
}

async fn welcome(app: &App, socket: &mut Socket, entered: Entered) -> Result<Entered, Option<CloseCode>> {
    let Caller { tenant, device, .. } = &entered.caller;
    let sealed_by = (app.keys.cdx(), app.now());
    let cdx_key = ConnectionKey::give((tenant, &device.id), sealed_by, &mut app.rng());
    let welcome = Welcome {
        resumed: entered.resumed,
        epoch: entered.epoch.clone(),
        ping_ms: millis(limits::PING),
        cdx: app.cdx,
        cdx_key: Some(cdx_key),
        push_token_expires_in_ms: millis(app.now().until(entered.caller.device.push_token_until)),
        register_again: app.bounds.of(&entered.caller.tenant).settings.register_again,
    };
    socket.say(&ServerMessage::Welcome(welcome)).await?;
    Ok(entered)
}

/// Answers what is wrong, by its id where it has one.
pub(crate) async fn reject(socket: &mut Socket, rejected: Rejected) -> Result<(), CloseCode> {
    match rejected {
        Rejected::NotOurs => socket.say(&ServerMessage::Error(ErrorCode::Malformed.into())).await,
        Rejected::Invalid(None, error) => socket.say(&ServerMessage::Error(error)).await,
        Rejected::Invalid(Some(id), error) => {
            socket.say(&ServerMessage::Answer(Answer { id, ok: None, error: Some(error) })).await
        }
    }
}
