//! Close codes of the WebSocket, published in `docs/ERRORS.md`.
//!
//! A client of 4500 to 4999 does not connect again by itself; of 4000 to 4499 it does.

/// Why the server closed the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// The server shuts down; connect again.
    GoingAway,
    /// What came breaks the rules of WebSocket (RFC 6455 §7.4.1).
    BrokenFrame,
    /// A text is not UTF-8 (RFC 6455 §7.4.1).
    NotUtf8,
    /// The frame is not one of this protocol.
    Malformed,
    /// A message is larger than [`MAX_FRAME`](crate::MAX_FRAME) (RFC 6455 §7.4.1).
    TooLarge,
    /// No `hello` came in time.
    HelloTimeout,
    /// Nothing was heard from the client for too long.
    Silent,
    /// The client reads too slowly; what waits is in its mailbox.
    SlowReader,
    /// The proof in `hello` does not hold.
    Unauthorized,
    /// Another connection of the same device took over.
    Replaced,
}

/// One row of the published table.
#[derive(Debug, Clone, Copy)]
pub struct CloseRow {
    /// The number on the wire.
    pub code: u16,
    /// The reason on the wire.
    pub reason: &'static str,
    /// Whether the client connects again by itself.
    pub reconnect: bool,
    /// How long it waits first, in milliseconds.
    pub after_ms: u32,
    /// What it means.
    pub meaning: &'static str,
}

impl CloseCode {
    /// Every code, in the order of the published table.
    pub const ALL: &'static [Self] = &[
        Self::GoingAway,
        Self::BrokenFrame,
        Self::NotUtf8,
        Self::Malformed,
        Self::TooLarge,
        Self::HelloTimeout,
        Self::Silent,
        Self::SlowReader,
        Self::Unauthorized,
        Self::Replaced,
    ];

    /// Its row of the published table.
    pub const fn row(self) -> CloseRow {
        let (code, reason, reconnect, after_ms, meaning) = match self {
            Self::GoingAway => (1012, "going-away", true, 500, "The server restarts or drains."),
            Self::BrokenFrame => {
                (1002, "broken-frame", true, 5_000, "What came breaks the rules of WebSocket (RFC 6455).")
            }
            Self::NotUtf8 => (1007, "not-utf-8", true, 5_000, "A text is not UTF-8."),
            Self::Malformed => {
                (1008, "malformed", true, 5_000, "Frames of no known form, before `hello`, or binary frames.")
            }
            Self::TooLarge => (1009, "too-large", true, 5_000, "A message is above the limit of 32 KiB."),
            Self::HelloTimeout => (4408, "hello-timeout", true, 1_000, "No `hello` came in time."),
            Self::Silent => (4410, "silent", true, 0, "Nothing was heard for too long."),
            Self::SlowReader => (
                4429,
                "slow-reader",
                true,
                1_000,
                "The client reads too slowly; its mailbox keeps what waits.",
            ),
            Self::Unauthorized => (4501, "unauthorized", false, 0, "The proof in `hello` does not hold."),
            Self::Replaced => {
                (4509, "replaced", false, 0, "Another connection of the same device took over.")
            }
        };
        CloseRow { code, reason, reconnect, after_ms, meaning }
    }

    /// The code with this number.
    pub fn of(code: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.row().code == code)
    }
}
