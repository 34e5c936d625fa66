//! Whether a step may mail whom it wants to: how often mails may be asked for, and whether there is a mail server.
//!
//! By device, by address and by tenant; not by domain, since most people's domains are shared with most others.

use std::time::Duration;

use switchhook_core::policy::registration::{Effect, Transition};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{DeviceId, TenantId},
    time::Timestamp,
};

use super::texting::Taken;
use crate::{app::App, flows::FlowError, limits, rates::Rates};

/// How often mails may be asked for.
#[derive(Debug)]
pub(crate) struct MailRates {
    of_device: Rates,
    to_address: Rates,
    of_tenant: Rates,
}

impl Default for MailRates {
    fn default() -> Self {
        Self { of_device: Rates::new(), to_address: Rates::new(), of_tenant: Rates::new() }
    }
}

impl MailRates {
    /// Takes for the mails for which nothing has been taken yet; an error says how long to wait. A device over its
    /// bound takes nothing from others.
    fn take(
        &self,
        (tenant, device): (&TenantId, &DeviceId),
        addresses: &[&EndpointId],
        taken: &mut Taken,
        now: Timestamp,
    ) -> Result<(), Duration> {
        for to in taken.lacks(addresses) {
            self.of_device.take(limits::MAILS_OF_DEVICE, (tenant, device), now)?;
            self.to_address.take(limits::MAILS_TO_ADDRESS, (tenant, to), now)?;
            self.of_tenant.take(limits::MAILS_OF_TENANT, tenant, now)?;
            taken.add(to);
        }
        Ok(())
    }
}

impl MailRates {
    /// Takes for a mail that an application asks for, whose requests are bounded; an error says how long to wait.
    pub(super) fn take_for_application(
        &self,
        tenant: &TenantId,
        to: &EndpointId,
        now: Timestamp,
    ) -> Result<(), Duration> {
        self.to_address.take(limits::MAILS_TO_ADDRESS, (tenant, to), now)?;
        self.of_tenant.take(limits::MAILS_OF_TENANT, tenant, now)
    }
}

/// Whether the tenant has a mail server, if the step wants one; refused if mails are asked for too often.
pub(super) async fn check(
    app: &App,
    whose: (&TenantId, &DeviceId),
    transition: &Transition,
    taken: &mut Taken,
) -> Result<bool, FlowError> {
    let addresses: Vec<&EndpointId> = transition.effects.iter().filter_map(Effect::mails).collect();
    if addresses.is_empty() {
        return Ok(false);
    }
    if app.storage.of(whose.0).mail_server().await?.is_none() {
        return Ok(false);
    }
    app.mail_rates.take(whose, &addresses, taken, app.now()).map_err(FlowError::too_often)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn take(rates: &MailRates, device: &str, to: &str) -> Option<Duration> {
        let (tenant, device) = ("acme".parse().unwrap(), device.parse().unwrap());
        rates.take((&tenant, &device), &[&to.parse().unwrap()], &mut Taken::default(), NOW).err()
    }

    #[test]
    fn reg_7_an_address_gets_few_mails_whoever_asks_for_them_and_a_device_asks_for_few() {
        let rates = MailRates::default();
        for device in 0..limits::MAILS_TO_ADDRESS.burst {
            assert_eq!(take(&rates, &format!("device-{device}"), "bob@example.com"), None);
        }
        take(&rates, "another", "bob@example.com").unwrap();
        assert_eq!(take(&rates, "another", "anne@example.com"), None);
        let mails = 0..limits::MAILS_OF_DEVICE.burst;
        let given = mails.filter(|mail| take(&rates, "list", &format!("p{mail}@example.com")).is_none());
        assert_eq!(given.count(), usize::try_from(limits::MAILS_OF_DEVICE.burst).unwrap());
        take(&rates, "list", "last@example.com").unwrap();
    }

    #[test]
    fn reg_7_a_step_that_is_tried_again_takes_once() {
        let (rates, mut taken) = (MailRates::default(), Taken::default());
        let (tenant, device) = ("acme".parse().unwrap(), "device".parse().unwrap());
        let to: EndpointId = "bob@example.com".parse().unwrap();
        for _ in 0..100 {
            assert_eq!(rates.take((&tenant, &device), &[&to], &mut taken, NOW), Ok(()));
        }
    }
}
