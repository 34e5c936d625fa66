//! Where the host is, and for what the client is used.

use core::fmt;
use std::sync::Arc;

use switchhook_protocol::{
    client::Cursor,
    id::{ApplicationId, TenantId},
    number::DialsFrom,
};

/// What a client must be told. [`Settings::new`] fills in what has a default.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The host: `ws://` or `wss://`, name and port, without path.
    pub url: String,
    /// Whose devices these are.
    pub tenant: TenantId,
    /// What the device registers for.
    pub application: ApplicationId,
    /// What the device is: `phone`, `tablet`, `browser` or a word of the application's.
    pub device_kind: String,
    /// The last event that the application has handled, from its store (`Events::cursor`).
    pub cursor: Option<Cursor>,
    /// Where the user is: by it the host completes numbers that are dialled without country or area code.
    pub dials_from: Option<DialsFrom>,
    /// TLS for `wss://`; without it, whom browsers trust.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

impl Settings {
    /// The least: which host, whose devices, what for.
    pub fn new(url: impl Into<String>, tenant: TenantId, application: ApplicationId) -> Self {
        Self {
            url: url.into(),
            tenant,
            application,
            device_kind: "phone".to_owned(),
            cursor: None,
            dials_from: None,
            tls: None,
        }
    }

    /// Says what the device is.
    #[must_use]
    pub fn device_kind(mut self, kind: impl Into<String>) -> Self {
        self.device_kind = kind.into();
        self
    }

    /// Goes on after the last event that the application has handled.
    #[must_use]
    pub fn cursor(mut self, cursor: Option<Cursor>) -> Self {
        self.cursor = cursor;
        self
    }

    /// Says where the user is.
    #[must_use]
    pub fn dials_from(mut self, from: DialsFrom) -> Self {
        self.dials_from = Some(from);
        self
    }

    /// Trusts whom this says.
    #[must_use]
    pub fn tls(mut self, tls: Arc<rustls::ClientConfig>) -> Self {
        self.tls = Some(tls);
        self
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut form = f.debug_struct("Settings");
        form.field("url", &self.url).field("tenant", &self.tenant).field("application", &self.application);
        form.finish_non_exhaustive()
    }
}
