//! A user of the built-in directory, and the devices that register e-mail addresses.

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use serde_json::json;
use switchhook_client::profile::{EmailRegistration, Validation};
use switchhook_protocol::{
    endpoint::EndpointId,
    event::{Event, Notice},
    registration::{AddressState, Credentials},
};

use crate::{admin::Admin, phone::Phone, waiting::in_time};

/// The password of every user.
pub const PASSWORD: &str = "correct horse";

/// Makes a user, whose addresses the directory knows.
pub async fn user(admin: &Admin, name: &str, addresses: &[&str]) -> Result<()> {
    let user = json!({ "user": name, "password": PASSWORD, "addresses": addresses });
    let (status, body) = admin.ask_tenant(Method::POST, "users", Some(&user)).await?;
    if !status.is_success() {
        bail!("the user is not made: {status} {body}");
    }
    Ok(())
}

/// The e-mail registration of a device.
pub fn email(phone: &Phone) -> Result<EmailRegistration> {
    Ok(EmailRegistration::new(phone.client.clone())?)
}

/// Signs a device in.
pub async fn sign_in(phone: &Phone, name: &str) -> Result<Credentials> {
    Ok(in_time("the sign-in", email(phone)?.sign_in(name, PASSWORD)).await??)
}

/// Asks for addresses to be validated, which is not refused.
pub async fn validate(phone: &Phone, profile: &Credentials, addresses: &[&str]) -> Result<Validation> {
    let addresses = addresses.iter().map(|address| address.parse()).collect::<Result<Vec<_>, _>>()?;
    Ok(in_time("the answer", email(phone)?.validate(profile, &addresses)).await??)
}

/// The states of a validation, in the order of the addresses.
pub fn states(validation: &Validation) -> Vec<(&str, AddressState)> {
    validation.addresses.iter().map(|far| (far.address.reveal(), far.state)).collect()
}

/// Says yes, and registers the address: login credentials. An error says how far it came.
pub async fn register(
    phone: &Phone,
    profile: &Credentials,
    validation: &Validation,
    address: &EndpointId,
) -> Result<Credentials> {
    let email = email(phone)?;
    let held = email.answer(&validation.attempt, address, true).await?.context("no credentials")?;
    Ok(email.register(profile, &held).await?)
}

impl Phone {
    /// The next word of a registration under way.
    pub async fn expect_notice(&mut self) -> Result<Notice> {
        self.expect_event("a notice", |event| {
            if let Event::Notice(notice) = event { Some(notice.clone()) } else { None }
        })
        .await
    }
}
