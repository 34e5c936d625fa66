//! Error codes: the only place that knows their words, published in `docs/ERRORS.md`.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[doc = $meaning:literal])* $name:ident = $word:literal, $status:literal, $remedy:literal;)*) => {
        /// What went wrong, as a word that programs compare.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[doc = $meaning])* #[serde(rename = $word)] $name,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the published table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word on the wire.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// What it means, for the published table.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($meaning),*)),* }
            }

            /// What the client can do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy),* }
            }
        }
    };
}

codes! {
    /// The message is not JSON of a known form, or a field is missing or of the wrong kind.
    Malformed = "malformed", 400, "Mend the message; the connection goes on.";
    /// The type or operation is unknown to this server.
    Unsupported = "unsupported", 404, "Use what the server's version offers.";
    /// The message is larger than the published limit.
    TooLarge = "too-large", 413, "Send less; limits are in PROTOCOL.md.";
    /// There is no such tenant.
    UnknownTenant = "unknown-tenant", 404, "Check the address.";
    /// There is no such thing, or it is not the caller's.
    NotFound = "not-found", 404, "Check the id.";
    /// The proof of the device key, the push token or the bearer token does not hold.
    Unauthorized = "unauthorized", 401, "Enrol anew, or take the right key.";
    /// A signature is not that of this request, or (of a transit) its time is too far off.
    BadSignature = "bad-signature", 401, "Sign what is sent, with the device's key or the gateway's present secret.";
    /// The signature of a request lacks a part that it must cover, or a parameter.
    SignatureIncomplete = "signature-incomplete", 401, "Cover and say what the message names; PROTOCOL.md has the list.";
    /// The signature of a request is over, or not of this time.
    SignatureExpired = "signature-expired", 401, "Sign anew, by the time in the answer's `Date`.";
    /// The request came before: its nonce is used.
    Replayed = "replayed", 409, "Sign anew with another nonce.";
    /// The same message id or idempotency key came before with another body.
    Conflict = "conflict", 409, "Use a new id or key for a new message.";
    /// What is to be replaced is no longer what the request names: somebody else has changed it.
    Changed = "changed", 412, "Read it again, and change what is there.";
    /// The tenant takes only clients with a certificate of its authority.
    CertificateRequired = "certificate-required", 403, "Connect with a certificate of the tenant's authority.";
    /// The caller may not do this.
    Forbidden = "forbidden", 403, "Nothing, with these credentials.";
    /// Too many of these in too short a time.
    RateLimited = "rate-limited", 429, "Wait for the time told, then try again.";
    /// There are too many connections of this address or this tenant.
    TooManyConnections = "too-many-connections", 429, "Close those that are not needed; try again after the time told.";
    /// The component is no plugin of this slot; the report says what does not fit.
    PluginRefused = "plugin-refused", 422, "Mend what the report names; `switchhook plugin check` makes the same report.";
    /// The plugin does not accept this configuration; the detail has its words.
    ConfigurationRefused = "configuration-refused", 422, "Mend the configuration as the plugin says.";
    /// The plugin's versions do not allow this change.
    PluginState = "plugin-state", 409, "Look at the plugin's versions, then choose another.";
    /// The text is for no registration method of the tenant.
    NotClaimed = "not-claimed", 422, "Send the text in the form that a method publishes.";
    /// The tenant has no active registration method of that name.
    UnknownMethod = "unknown-method", 404, "Ask for one of the active methods.";
    /// The registration method said no.
    RegistrationRefused = "registration-refused", 422, "See the message; begin anew.";
    /// The device's push token is over.
    PushTokenExpired = "push-token-expired", 401, "Renew it by `push-token.renew`, then begin anew.";
    /// Number, push token, device id and signature do not belong together, or the signature is unknown; or address and
    /// token of a link do not, or that is unknown.
    RegistrationMismatch = "registration-mismatch", 422, "Begin the registration anew.";
    /// The signature, code or link was not used in time.
    RegistrationExpired = "registration-expired", 410, "Begin the registration anew.";
    /// The link was used before; what it proved is proven.
    LinkUsed = "link-used", 410, "Nothing; begin anew if the address is not validated.";
    /// The code is wrong; tries are left.
    WrongCode = "wrong-code", 422, "Type the code again.";
    /// No tries are left for this code.
    TriesExhausted = "tries-exhausted", 429, "Begin the registration anew.";
    /// The credentials are none of this host's, of another kind, or of another device.
    CredentialsRefused = "credentials-refused", 403, "Sign in again.";
    /// The credentials are over.
    CredentialsExpired = "credentials-expired", 410, "Sign in again, or activate the address again.";
    /// The credentials were taken back, or newer ones took their place.
    CredentialsRevoked = "credentials-revoked", 403, "Use the newest, or sign in again.";
    /// The address is not validated for this profile.
    AddressNotValidated = "address-not-validated", 403, "Have the address validated first.";
    /// No gateway of the tenant serves this number.
    NoGateway = "no-gateway", 422, "Register in another way, or ask the tenant for a gateway.";
    /// The tenant has no mail server.
    NoMailServer = "no-mail-server", 422, "Register in another way, or ask the tenant for a mail server.";
    /// The tenant does not text numbers of this country.
    NotTexted = "not-texted", 422, "Register in another way.";
    /// The owner of the number has asked for no texts.
    OptedOut = "opted-out", 403, "Text START to the tenant's number first.";
    /// The country is none that numbers are known of, or the device has named none and the number neither.
    UnknownCountry = "unknown-country", 422, "Say in `hello` in which country the user is, or dial with `+` and the country's code.";
    /// What was dialled or typed is no number of the country that it leads to.
    InvalidNumber = "invalid-number", 422, "Let the user dial again.";
    /// The identifier that the device speaks for is not registered to it.
    NotYourIdentifier = "not-your-identifier", 403, "Register the identifier first.";
    /// No device is registered for any of the invited, or the inviter may not ring them: which of both is not told.
    NoneRegistered = "none-registered", 404, "Reach the person in another way.";
    /// The plugin of the tenant gave the invite up.
    RouteRefused = "route-refused", 422, "See the message.";
    /// The ticket does not open: changed, of another tenant, or under a forgotten key.
    BadTicket = "bad-ticket", 401, "Use the ticket that came with the session.";
    /// The ticket is over.
    TicketExpired = "ticket-expired", 410, "Start a new session.";
    /// The session does not run: nobody has accepted yet, or it is over.
    NotRunning = "not-running", 410, "Wait for the accept, or start a new session.";
    /// Who takes part has changed since this ticket was made.
    OldTicket = "old-ticket", 409, "Use the ticket of the newest session-update, or of taken.";
    /// An observation was not sealed by this host's CDX.
    BadObservation = "bad-observation", 422, "Ask CDX again, and send its answer unchanged.";
    /// Another device of the same user accepted first.
    AnsweredElsewhere = "answered-elsewhere", 409, "Stop ringing.";
    /// The inviter took the invite back, or the ring time is over.
    NoLongerRinging = "no-longer-ringing", 410, "Stop ringing.";
    /// The participant's place in the session does not allow this.
    WrongRole = "wrong-role", 403, "Nothing.";
    /// No relay host can take the session.
    NoRelay = "no-relay", 503, "Try again later.";
    /// The server is at a limit of its own.
    Overloaded = "overloaded", 503, "Wait for the time told, then try again.";
    /// Something failed in the server; it is in its log.
    Internal = "internal", 500, "Try again later.";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// An error as it crosses the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub code: ErrorCode,
    /// One sentence for a person.
    pub message: String,
    /// How long to wait before the next try, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl From<ErrorCode> for ErrorBody {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: code.meaning().trim().into(), retry_after_ms: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_in_json_is_the_published_word() {
        for code in ErrorCode::ALL {
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(json.trim_matches('"'), code.word());
        }
    }
}
