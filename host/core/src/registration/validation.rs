//! A mail address that an application has validated on its own, without a device or a method (REG-18).

use core::time::Duration;

use rand_core::CryptoRng;
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{ApplicationId, ValidationId},
    time::Timestamp,
};

use super::perform;
use crate::{
    mint,
    row::{OutboxEntry, Secret, Validation},
    seal::KeyRing,
};

/// How long a token counts: a person reads the mail on the next morning.
pub const LIFE: Duration = Duration::from_hours(24);

/// What is committed together: the mail goes out after that.
#[derive(Debug, PartialEq, Eq)]
pub struct Begun {
    /// For its application to look up.
    pub validation: Validation,
    /// What its token is checked by.
    pub secret: Secret,
    /// The mail, with the tenant's template around the token.
    pub mail: OutboxEntry,
}

/// Begins one. What is no mail address is [`ErrorCode::Malformed`].
pub fn begin(
    keys: &KeyRing,
    (application, id): (ApplicationId, ValidationId),
    address: EndpointId,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<Begun, ErrorCode> {
    if !address.is_mail_address() {
        return Err(ErrorCode::Malformed);
    }
    let attempt = mint::attempt(rng);
    let (mail, secret) = perform::link_by_mail(keys, (&attempt, None, &address), (now, LIFE), rng)?;
    let (asked_at, expires_at) = (now, secret.expires_at);
    let validation =
        Validation { application, id, attempt, address, asked_at, expires_at, validated_at: None };
    Ok(Begun { validation, secret, mail })
}

#[cfg(test)]
mod tests {
    use switchhook_protocol::id::TenantId;

    use super::*;
    use crate::{
        registration::{
            link,
            perform::{MailContent, open_mail},
        },
        row::Progress,
        seal::{RootKeys, Scope},
        testing::TestRng,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn keys() -> KeyRing {
        let tenant: TenantId = "acme".parse().unwrap();
        RootKeys::new([1; 32], []).ring(Scope::Tenant(&tenant))
    }

    fn begun(address: &EndpointId) -> Result<Begun, ErrorCode> {
        let (application, id) = ("crm".parse(), "order-4711".parse());
        let whose = (application.or(Err(ErrorCode::Internal))?, id.or(Err(ErrorCode::Internal))?);
        begin(&keys(), whose, address.clone(), NOW, &mut TestRng(5))
    }

    #[test]
    fn reg_18_the_token_that_is_mailed_proves_the_address_until_it_is_over() {
        let Begun { validation, secret, mail } = begun(&"bob@example.com".parse().unwrap()).unwrap();
        let mailed = open_mail(&keys(), &mail.payload).unwrap();
        assert_eq!(mailed.to, validation.address);
        let MailContent::Link { token } = mailed.content else { panic!("no link") };
        assert_eq!(link::check(&keys(), &secret, &token, NOW), Ok(()));
        assert_eq!((&secret.attempt, &mail.attempt), (&validation.attempt, &validation.attempt));
        assert_eq!(validation.progress(NOW), Progress::Waiting);
        assert_eq!(validation.progress(validation.expires_at), Progress::Expired);
        let validated = Validation { validated_at: Some(NOW), ..validation };
        assert_eq!(validated.progress(validated.expires_at), Progress::Validated);
    }

    #[test]
    fn reg_18_what_is_no_mail_address_is_not_mailed() {
        for other in ["+15550100", "alice"] {
            assert_eq!(begun(&other.parse().unwrap()).err(), Some(ErrorCode::Malformed), "{other}");
        }
    }
}
