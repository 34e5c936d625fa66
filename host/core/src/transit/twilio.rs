//! How Twilio says that a webhook is its own, and what its webhooks say.
//!
//! The header [`SIGNATURE_HEADER`] is the Base64 of HMAC-SHA1 under the account's auth token, over the
//! address that Twilio asked — as it stands in Twilio's console, so not as a proxy passes it on — and
//! then each parameter of the form, its name and its value, sorted by name, repeats once. There is no
//! time in it, nor in any parameter of these webhooks: that a request counts once is up to the message's id, for the
//! seven days for which the answer is kept under it. Whoever has seen a request can make it count again after
//! that; TLS is to keep requests from being seen, and a new auth token ends all that were.

use alloc::{borrow::ToOwned as _, collections::BTreeSet, string::String};

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use switchhook_protocol::endpoint::EndpointId;

use super::InvalidSignature;

/// Name of the HTTP header.
pub const SIGNATURE_HEADER: &str = "x-twilio-signature";

/// Parameters of a webhook: name and value, as a form has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form(BTreeSet<(String, String)>);

/// A text that Twilio received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Twilio's id of the message.
    pub id: String,
    /// The sender's number.
    pub from: EndpointId,
    /// The number that it was sent to.
    pub to: String,
    /// What it says.
    pub text: String,
}

/// What became of a text that Twilio sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is on its way.
    Underway,
    /// It has arrived.
    Delivered,
    /// It has not, and will not.
    Failed,
}

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    pub fn parse(body: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(body);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// Whether Twilio sent this form to this address.
    pub fn verify(&self, auth_token: &[u8], url: &str, header: &str) -> Result<(), InvalidSignature> {
        let signature = BASE64.decode(header.trim().as_bytes()).or(Err(InvalidSignature::Format))?;
        self.mac(auth_token, url).verify_slice(&signature).or(Err(InvalidSignature::Mismatch))
    }

    /// The text that it reports; none if it is no report of a text from a phone.
    pub fn received(&self) -> Option<Received> {
        let from: EndpointId = self.value("From")?.parse().ok()?;
        from.is_phone_number().then_some(())?;
        Some(Received {
            id: self.value("MessageSid")?.to_owned(),
            from,
            to: self.value("To")?.to_owned(),
            text: self.value("Body")?.to_owned(),
        })
    }

    /// What it says about a text of the host's; none if it says nothing about one.
    pub fn status(&self) -> Option<Status> {
        Some(match self.value("MessageStatus")? {
            "delivered" | "read" => Status::Delivered,
            "undelivered" | "failed" | "canceled" => Status::Failed,
            _ => Status::Underway,
        })
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
    fn mac(&self, auth_token: &[u8], url: &str) -> Hmac<Sha1> {
        let mut mac = Hmac::<Sha1>::new_from_slice(auth_token).expect("any length");
        mac.update(url.as_bytes());
        for (name, value) in &self.0 {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signed by Twilio's own library (npm `twilio` 5, `getExpectedTwilioSignature`).
    const URL: &str = "https://calls.example/v1/acme/transits/main/messages";
    const BODY: &[u8] =
        b"ToCountry=US&MessageSid=SM1&From=%2B15550100&To=%2B15550199&Body=SWH+a%26b+%C3%A9&NumMedia=0";
    const TOKEN: &[u8] = b"12345678901234567890123456789012";
    const SIGNATURE: &str = "JJ72o0/VYOZBN89E8L9VTAHW6pM=";

    #[test]
    fn reg_2_a_webhook_is_twilios_if_address_and_every_parameter_are_as_signed() {
        let form = Form::parse(BODY);
        assert_eq!(form.verify(TOKEN, URL, SIGNATURE), Ok(()));
        let mismatch = Err(InvalidSignature::Mismatch);
        assert_eq!(form.verify(b"another token", URL, SIGNATURE), mismatch);
        assert_eq!(form.verify(TOKEN, &URL.replace("https", "http"), SIGNATURE), mismatch);
        for (what, with) in [("5550100", "5550101"), ("SM1", "SM2"), ("SWH", "SWI"), ("&NumMedia=0", "")] {
            let changed = core::str::from_utf8(BODY).unwrap().replace(what, with);
            assert_eq!(Form::parse(changed.as_bytes()).verify(TOKEN, URL, SIGNATURE), mismatch, "{what}");
        }
        assert_eq!(form.verify(TOKEN, URL, "no base64"), Err(InvalidSignature::Format));
        assert_eq!(form.verify(TOKEN, URL, ""), mismatch);
    }

    #[test]
    fn reg_2_a_report_has_id_number_and_text() {
        let received = Form::parse(BODY).received().unwrap();
        assert_eq!((received.id.as_str(), received.to.as_str()), ("SM1", "+15550199"));
        assert_eq!((received.from.reveal(), received.text.as_str()), ("+15550100", "SWH a&b é"));
        for wrong in ["", "MessageSid=SM1&To=1&Body=b", "MessageSid=SM1&From=client%3Abob&To=1&Body=b"] {
            assert_eq!(Form::parse(wrong.as_bytes()).received(), None, "{wrong}");
        }
    }

    #[test]
    fn a_status_tells_whether_a_text_arrived() {
        let status = |word: &str| Form::parse(alloc::format!("MessageStatus={word}").as_bytes()).status();
        assert_eq!(status("delivered"), Some(Status::Delivered));
        assert_eq!(status("undelivered"), Some(Status::Failed));
        assert_eq!(status("sending"), Some(Status::Underway));
        assert_eq!(Form::parse(b"Body=b").status(), None);
    }
}
