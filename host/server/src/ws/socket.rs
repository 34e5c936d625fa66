//! A WebSocket with our rules: text frames, a deadline on each write, a reason at the close.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use futures_util::StreamExt as _;
use serde::Serialize;
use switchhook_protocol::close::CloseCode;
use tokio::time;
use tungstenite::{Error, error::ProtocolError};

use crate::limits;

/// The rule that a client broke; none if the connection is lost.
fn broken(error: axum::Error) -> Option<CloseCode> {
    match *error.into_inner().downcast().ok()? {
        // Of connections that are over, of handshakes that are done, and of what we send.
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
        | Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => None,
        Error::Protocol(_) => Some(CloseCode::BrokenFrame),
        Error::Utf8(_) => Some(CloseCode::NotUtf8),
        Error::Capacity(_) => Some(CloseCode::TooLarge),
    }
}

/// A client's socket. What it needs besides is in a place of its own: it is handed on several times, each
/// of which would have room for it in the connection's future.
pub(crate) struct Socket(Box<WebSocket>);

/// What a client sent.
pub(crate) enum Heard {
    Text(Utf8Bytes),
    /// A ping or pong: it is there.
    Alive,
    /// It left, or sent what this protocol has not.
    Gone(Option<CloseCode>),
}

impl Socket {
    pub(crate) fn new(socket: WebSocket) -> Self {
        Self(Box::new(socket))
    }

    pub(crate) async fn hear(&mut self) -> Heard {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => Heard::Text(text),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Heard::Alive,
            Some(Ok(Message::Binary(_))) => Heard::Gone(Some(CloseCode::Malformed)),
            Some(Ok(Message::Close(_))) => {
                Box::pin(self.drain()).await;
                Heard::Gone(None)
            }
            Some(Err(error)) => Heard::Gone(broken(error)),
            None => Heard::Gone(None),
        }
    }

    pub(crate) async fn say(&mut self, message: &(impl Serialize + Sync)) -> Result<(), CloseCode> {
        let text = serde_json::to_string(message).unwrap_or_default();
        self.say_text(text).await
    }

    pub(crate) async fn say_text(&mut self, text: String) -> Result<(), CloseCode> {
        self.write(Message::Text(text.into())).await
    }

    pub(crate) async fn ping(&mut self) -> Result<(), CloseCode> {
        self.write(Message::Ping(axum::body::Bytes::new())).await
    }

    /// Says why, as far as the client still listens.
    pub(crate) async fn close(mut self, code: CloseCode) {
        let row = code.row();
        let frame = CloseFrame { code: row.code, reason: row.reason.into() };
        if self.write(Message::Close(Some(frame))).await.is_ok() {
            self.drain().await;
        }
    }

    /// Reads to the end, by which also the answer to a goodbye is sent (RFC 6455 §5.5.1).
    async fn drain(&mut self) {
        let drained = async { while let Some(Ok(_)) = self.0.next().await {} };
        time::timeout(limits::WRITE, drained).await.unwrap_or_default();
    }

    async fn write(&mut self, message: Message) -> Result<(), CloseCode> {
        match time::timeout(limits::WRITE, self.0.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(CloseCode::Silent),
            Err(_) => Err(CloseCode::SlowReader),
        }
    }
}
