//! The pages of a link: plain, without script, sealed off by their headers.
//!
//! The address stands on them masked: whoever looks over a shoulder, or opens a link of somebody else's, learns no
//! more than its first and last letters. A page sends nothing elsewhere (no referrer, no cache, nothing loaded), and
//! stands in no frame, so that nobody is led to press its button.

use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use rand::CryptoRng;
use switchhook_core::mint;
use switchhook_protocol::{endpoint::EndpointId, error::ErrorCode};

/// What is shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Page<'a> {
    /// Whether this address is to be confirmed.
    Ask(&'a EndpointId),
    /// It is.
    Confirmed(&'a EndpointId),
    /// It is not, for this reason.
    Failed(ErrorCode),
}

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem;\
     color-scheme:light dark}button{font:inherit;padding:.6rem 1.2rem}";

impl Page<'_> {
    pub(super) fn response(self, rng: &mut impl CryptoRng) -> Response {
        let nonce = mint::nonce(rng);
        let policy = format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        );
        let headers = [
            (header::CONTENT_SECURITY_POLICY, policy.as_str()),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
        ];
        (self.status(), headers, Html(self.html(&nonce))).into_response()
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Ask(_) | Self::Confirmed(_) => StatusCode::OK,
            Self::Failed(code) => {
                StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    fn html(self, nonce: &str) -> String {
        let (title, body) = match self {
            Self::Ask(address) => (
                "Confirm your e-mail address",
                format!(
                    "<p>Is <strong>{}</strong> your address, and do you want to use it?</p>\
                     <form method=\"post\"><button>Yes, confirm it</button></form>\
                     <p>If you did not ask for this, close the page.</p>",
                    escaped(&address.to_string())
                ),
            ),
            Self::Confirmed(address) => (
                "Your address is confirmed",
                format!(
                    "<p><strong>{}</strong> is confirmed. Go on in the application.</p>",
                    escaped(&address.to_string())
                ),
            ),
            Self::Failed(ErrorCode::LinkUsed) => {
                ("Already confirmed", format!("<p>{}</p>", escaped(sentence(ErrorCode::LinkUsed))))
            }
            Self::Failed(code) => ("This did not work", format!("<p>{}</p>", escaped(sentence(code)))),
        };
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
             <title>{title}</title><style nonce=\"{nonce}\">{STYLE}</style></head>\
             <body><h1>{title}</h1>{body}</body></html>\n"
        )
    }
}

/// What a person can do about it.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other code says nothing to a person")]
const fn sentence(code: ErrorCode) -> &'static str {
    match code {
        // Mostly by the application itself, which had read the mail by then.
        ErrorCode::LinkUsed => {
            "This link was used before, by you or by the application that reads your mail. Go on in the application."
        }
        ErrorCode::RegistrationExpired => "This link is too old. Ask for a new one in the application.",
        ErrorCode::RegistrationMismatch | ErrorCode::UnknownTenant => {
            "This link is not valid. Open it as it stands in the mail, or ask for a new one in the application."
        }
        ErrorCode::Overloaded | ErrorCode::RateLimited => "There is too much to do. Try again in a minute.",
        _ => "The address is not confirmed. Try again, or ask for a new link in the application.",
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reg_8_a_page_has_no_script_and_shows_an_address_masked_and_escaped() {
        let address: EndpointId = "b&bobbob@example.com".parse().unwrap();
        let page = Page::Ask(&address).html("nonce");
        assert!(!page.contains("<script") && !page.contains("bob"), "{page}");
        assert_eq!(escaped("<a href=\"'&\">"), "&lt;a href=&quot;&#39;&amp;&quot;&gt;");
        assert!(page.contains("<form method=\"post\">"), "{page}");
    }
}
