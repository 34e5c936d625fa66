//! What a gateway may be configured to be.

use alloc::string::String;

use switchhook_protocol::endpoint::is_number;

use crate::{
    policy::is_web_address,
    row::{Provider, SmppAccount, TwilioAccount},
};

/// A rule of a gateway's configuration that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGateway {
    /// No number.
    #[error("a number is a phone number or a short code: '+' if it is one, and 3 to 15 digits")]
    Number,
    /// An address that is none.
    #[error("an address is http:// or https:// and at most 2048 bytes")]
    Address,
    /// An account, service or name of wrong characters.
    #[error("an account and a messaging service are 1 to 64 letters and digits")]
    Account,
    /// A secret that is too short or too long.
    #[error("a secret of this kind has {0} to {1} bytes")]
    Secret(usize, usize),
    /// An SMSC's address that is none.
    #[error("an SMSC's address is host:port")]
    Smsc,
    /// A name for the bind that SMPP has no room for.
    #[error("system_id has 1 to 15 bytes and system_type at most 12, of ASCII")]
    System,
    /// A beginning of numbers that is none, or too many of them.
    #[error("beginnings of numbers are at most 1000: '+' and 1 to 15 digits each")]
    Serves,
    /// A window of none or too many.
    #[error("a window is 1 to 100")]
    Window,
}

/// Shortest secret that the generic gateway signs under: what nobody guesses.
const SIGNING: usize = 32;

/// Longest secret, in bytes.
const MAX_SECRET: usize = 512;

/// Longest password of SMPP 3.4, in bytes (5.2.2).
const MAX_PASSWORD: usize = 8;

/// Most beginnings of numbers of one gateway: every carrier's block of a country.
const MAX_SERVES: usize = 1_000;

/// Largest window: what one outbox worker has in flight, with room.
const MAX_WINDOW: u16 = 100;

impl Provider {
    /// Names the first rule that a gateway breaks.
    pub fn check(&self, number: &str, secret: &str) -> Result<(), InvalidGateway> {
        is_number(number).then_some(()).ok_or(InvalidGateway::Number)?;
        let (least, most) = match self {
            Self::Webhook { send_url } => {
                is_web_address(send_url).then_some(()).ok_or(InvalidGateway::Address)?;
                (SIGNING, MAX_SECRET)
            }
            Self::Twilio(account) => {
                account.check()?;
                (SIGNING, MAX_SECRET)
            }
            Self::Smpp(account) => {
                account.check()?;
                (1, MAX_PASSWORD)
            }
        };
        let fits = (least..=most).contains(&secret.len());
        if fits { Ok(()) } else { Err(InvalidGateway::Secret(least, most)) }
    }

    /// Whether the host can make the secret, since both sides only have to know the same one.
    pub const fn takes_any_secret(&self) -> bool {
        match self {
            Self::Webhook { .. } => true,
            Self::Twilio(_) | Self::Smpp(_) => false,
        }
    }
}

/// Checks the beginnings of numbers that a gateway serves.
pub fn check_serves(serves: &[String]) -> Result<(), InvalidGateway> {
    let begins =
        |digits: &str| (1..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    let are = |prefix: &String| prefix.strip_prefix('+').is_some_and(begins);
    let fine = serves.len() <= MAX_SERVES && serves.iter().all(are);
    if fine { Ok(()) } else { Err(InvalidGateway::Serves) }
}

impl TwilioAccount {
    fn check(&self) -> Result<(), InvalidGateway> {
        // What comes after it is added to its end: it has to be the path's beginning.
        let plain = !self.api_url.contains(['?', '#', '@', '\\']);
        let clean = plain && is_web_address(&self.api_url) && !self.api_url.ends_with('/');
        clean.then_some(()).ok_or(InvalidGateway::Address)?;
        let sid = |sid: &str| {
            (1..=64).contains(&sid.len()) && sid.bytes().all(|letter| letter.is_ascii_alphanumeric())
        };
        let named = sid(&self.account) && self.messaging_service.as_deref().is_none_or(sid);
        named.then_some(()).ok_or(InvalidGateway::Account)
    }
}

impl SmppAccount {
    fn check(&self) -> Result<(), InvalidGateway> {
        let port =
            |(host, port): (&str, &str)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0);
        let addressed = self.address.len() <= 255 && self.address.rsplit_once(':').is_some_and(port);
        addressed.then_some(()).ok_or(InvalidGateway::Smsc)?;
        let plain =
            |name: &str, most| name.len() <= most && name.bytes().all(|letter| letter.is_ascii_graphic());
        let named = plain(&self.system_id, 15) && !self.system_id.is_empty() && plain(&self.system_type, 12);
        named.then_some(()).ok_or(InvalidGateway::System)?;
        (1..=MAX_WINDOW).contains(&self.window).then_some(()).ok_or(InvalidGateway::Window)
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_gateway_has_a_number_an_address_and_a_secret_of_its_kind() {
        let webhook = |url: &str| Provider::Webhook { send_url: url.to_owned() };
        let here = webhook("https://sms.example/texts");
        for number in ["70470", "+15550199", "112"] {
            assert_eq!(here.check(number, SECRET), Ok(()), "{number}");
        }
        for number in ["", "7", "+1 555", "SWITCHHOOK", "1234567890123456"] {
            assert_eq!(here.check(number, SECRET), Err(InvalidGateway::Number), "{number}");
        }
        assert_eq!(webhook("sms.example").check("70470", SECRET), Err(InvalidGateway::Address));
        assert_eq!(here.check("70470", "short"), Err(InvalidGateway::Secret(32, 512)));
    }

    #[test]
    fn an_smsc_has_an_address_and_names_that_smpp_has_room_for() {
        let account = |address: &str, system_id: &str, window| {
            let (address, system_id) = (address.to_owned(), system_id.to_owned());
            let account = SmppAccount {
                address,
                tls: false,
                system_id,
                system_type: String::new(),
                unknown_is_international: false,
                window,
            };
            move |password: &str| Provider::Smpp(account.clone()).check("70470", password)
        };
        assert_eq!(account("smsc.example:2775", "switchhook", 10)("secret08"), Ok(()));
        assert_eq!(account("smsc.example", "switchhook", 10)("secret08"), Err(InvalidGateway::Smsc));
        assert_eq!(account("smsc.example:0", "switchhook", 10)("secret08"), Err(InvalidGateway::Smsc));
        assert_eq!(account("[::1]:2775", "sixteen-bytes-id", 10)("secret08"), Err(InvalidGateway::System));
        assert_eq!(account("[::1]:2775", "switchhook", 0)("secret08"), Err(InvalidGateway::Window));
        assert_eq!(account("[::1]:2775", "switchhook", 1)("nine-long"), Err(InvalidGateway::Secret(1, 8)));
    }

    #[test]
    fn a_gateway_serves_beginnings_of_numbers() {
        let serves = |prefixes: &[&str]| {
            check_serves(&prefixes.iter().map(|prefix| (*prefix).to_owned()).collect::<alloc::vec::Vec<_>>())
        };
        assert_eq!(serves(&[]), Ok(()));
        assert_eq!(serves(&["+1", "+49151"]), Ok(()));
        for wrong in ["", "+", "49", "+4x", "+1234567890123456"] {
            assert_eq!(serves(&[wrong]), Err(InvalidGateway::Serves), "{wrong}");
        }
    }

    #[test]
    fn an_account_cannot_lead_elsewhere_in_the_providers_api() {
        let twilio = |account: &str, api_url: &str, service: Option<&str>| {
            let messaging_service = service.map(String::from);
            let (account, api_url) = (account.to_owned(), api_url.to_owned());
            Provider::Twilio(TwilioAccount { account, api_url, messaging_service }).check("+15550199", SECRET)
        };
        assert_eq!(twilio("AC0a", "https://api.twilio.com", Some("MG1")), Ok(()));
        assert_eq!(twilio("AC0/../x", "https://api.twilio.com", None), Err(InvalidGateway::Account));
        assert_eq!(twilio("AC0a", "https://api.twilio.com", Some("M G")), Err(InvalidGateway::Account));
        let wrong = ["https://api.twilio.com/", "https://a?b=", "https://a/#", "https://api.twilio.com@a"];
        for api_url in wrong {
            assert_eq!(twilio("AC0a", api_url, None), Err(InvalidGateway::Address), "{api_url}");
        }
    }
}
