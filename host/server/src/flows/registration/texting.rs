//! Whether a step may text whom it wants to, and by which gateways.
//!
//! What is stored (policy, wishes) is read for each try of a step. The rates give once for each text of a request,
//! however often the step gives way to others ([`Taken`]).

use std::time::Duration;

use switchhook_core::{
    subscriber::Subscriber,
    transit::{
        choice::{Candidate, Gateways},
        policy::TextPolicy,
    },
};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{DeviceId, GatewayId, TenantId},
    time::{Timestamp, millis},
};
use switchhook_storage::Transaction;

use crate::{
    app::App,
    flows::{Caller, FlowError},
    limits,
    rates::Rates,
};

/// How often texts may be asked for.
#[derive(Debug)]
pub(crate) struct TextRates {
    of_device: Rates,
    of_address: Rates,
    of_tenant: Rates,
    to_block: Rates,
    to_number: Rates,
    to_number_by_day: Rates,
    newcomers: Rates,
    newcomers_to_number: Rates,
}

impl Default for TextRates {
    fn default() -> Self {
        Self {
            of_device: Rates::new(),
            of_address: Rates::new(),
            of_tenant: Rates::new(),
            to_block: Rates::new(),
            to_number: Rates::new(),
            to_number_by_day: Rates::with_slots(limits::BUCKETS_OF_A_DAY),
            newcomers: Rates::with_slots(limits::BUCKETS_OF_A_DAY),
            newcomers_to_number: Rates::with_slots(limits::BUCKETS_OF_A_DAY),
        }
    }
}

/// The texts and mails for which a request has taken of the rates; of two to one number or address, each.
#[derive(Debug, Default)]
pub(crate) struct Taken(Vec<EndpointId>);

impl TextRates {
    /// Takes for the texts for which nothing has been taken yet; an error says how long to wait.
    ///
    /// What answers a text is asked for by the number itself, at its own cost: it is bounded by number, apart from
    /// what strangers type, so that they lock out nobody. What somebody typed is bounded by device, by address, by block of
    /// numbers, by number and by tenant, in this order: a device over its bound takes nothing from others. By number there are two
    /// bounds, one for a person's minutes and one for a victim's day. The first text of a day that somebody behind an
    /// address asks for to a number has two of its own, beside those: strangers who type a number on and on use up
    /// theirs, and its owner, who is elsewhere, gets a code all the same.
    pub(super) fn take(
        &self,
        Asker { tenant, device, from }: Asker<'_>,
        answers: bool,
        numbers: &[&EndpointId],
        taken: &mut Taken,
        now: Timestamp,
    ) -> Result<(), Duration> {
        for to in taken.lacks(numbers) {
            if answers {
                self.to_number.take(limits::TEXTS_TO_NUMBER, (tenant, To::Answered, to), now)?;
            } else {
                self.of_device.take(limits::TEXTS_OF_DEVICE, (tenant, device), now)?;
                if let Some(from) = from {
                    self.of_address.take(limits::TEXTS_OF_ADDRESS, (tenant, from), now)?;
                }
                self.take_typed(tenant, from, to, now)?;
                self.of_tenant.take(limits::TEXTS_OF_TENANT, tenant, now)?;
            }
            taken.add(to);
        }
        Ok(())
    }

    /// The bounds of a number that somebody typed.
    fn take_typed(
        &self,
        tenant: &TenantId,
        from: Option<Subscriber>,
        to: &EndpointId,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let is_first = |from| self.newcomers.take(limits::NEWCOMER, (tenant, from, to), now).is_ok();
        let first = from.is_some_and(is_first);
        if first && self.newcomers_to_number.take(limits::NEWCOMERS_TO_NUMBER, (tenant, to), now).is_ok() {
            return self.to_block.take(limits::TEXTS_TO_BLOCK, (tenant, first, block(to)), now);
        }
        self.to_block.take(limits::TEXTS_TO_BLOCK, (tenant, false, block(to)), now)?;
        self.to_number.take(limits::TEXTS_TO_NUMBER, (tenant, To::Typed, to), now)?;
        self.to_number_by_day.take(limits::TEXTS_TO_NUMBER_BY_DAY, (tenant, to), now)
    }
}

/// Why a number is texted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum To {
    /// It texted itself.
    Answered,
    /// Somebody typed it.
    Typed,
}

/// Who asks for texts, or tries passwords.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) tenant: &'a TenantId,
    pub(super) device: &'a DeviceId,
    /// Behind which address; none where the host goes on by itself.
    pub(super) from: Option<Subscriber>,
}

impl<'a> From<&'a Caller> for Asker<'a> {
    fn from(caller: &'a Caller) -> Self {
        Self { tenant: &caller.tenant, device: &caller.device.id, from: caller.from }
    }
}

impl Taken {
    /// It has taken for one more to this one.
    pub(super) fn add(&mut self, to: &EndpointId) {
        self.0.push(to.clone());
    }

    /// Of these texts or mails, those that nothing was taken for.
    pub(super) fn lacks<'a>(&self, numbers: &[&'a EndpointId]) -> Vec<&'a EndpointId> {
        let mut had = self.0.clone();
        let mut lacks = Vec::new();
        for to in numbers {
            match had.iter().position(|other| other == *to) {
                Some(place) => drop(had.swap_remove(place)),
                None => lacks.push(*to),
            }
        }
        lacks
    }
}

/// Whether these numbers may be texted at all: texts cost money and wake people. What was typed has to be written as its
/// country writes numbers. The tenant says to which countries it texts, and whether numbers must be such as there are,
/// unless they have just texted. Who wants no texts is told so where they text themselves; whoever types their number is
/// answered as for any other, since else everybody could find out, and the text is not sent (see [`crate::outbox`]).
pub(super) async fn check(
    app: &App,
    tenant: &TenantId,
    answers: bool,
    numbers: &[&EndpointId],
) -> Result<TextPolicy, FlowError> {
    if numbers.is_empty() {
        return Ok(TextPolicy::default());
    }
    let storage = app.storage.of(tenant);
    let policy = storage.text_policy().await?;
    for to in numbers {
        if !(answers || switchhook_numbering::is_possible(to)) {
            return Err(ErrorCode::InvalidNumber.into());
        }
        let exists = answers || !policy.only_valid || switchhook_numbering::is_valid(to);
        if !(exists && policy.allows(to)) {
            return Err(ErrorCode::NotTexted.into());
        }
        if answers && storage.has_opted_out(to).await? {
            return Err(ErrorCode::OptedOut.into());
        }
    }
    Ok(policy)
}

/// Adds what a step's texts cost to the tenant's day; refuses what is above its cap.
pub(super) async fn spend(
    tx: &mut Transaction<'_>,
    parts: u32,
    policy: &TextPolicy,
    now: Timestamp,
) -> Result<(), FlowError> {
    let (Some(per_day), 1..) = (policy.per_day, parts) else { return Ok(()) };
    let day = millis(Duration::from_hours(24));
    let spent = tx.spend_texts(parts, now.as_millis() / day).await?;
    let tomorrow = Duration::from_millis(day - now.as_millis() % day);
    if spent > u64::from(per_day) { Err(FlowError::too_often(tomorrow)) } else { Ok(()) }
}

/// A thousand numbers that are mostly one carrier's.
fn block(to: &EndpointId) -> &str {
    let number = to.reveal();
    number.get(..number.len().saturating_sub(3)).unwrap_or(number)
}

/// What is known of the tenant's gateways, as far as the numbers need it.
pub(super) async fn gateways(
    app: &App,
    tenant: &TenantId,
    answers: Option<&GatewayId>,
    numbers: &[&EndpointId],
) -> Result<Gateways, FlowError> {
    if numbers.is_empty() || answers.is_some() {
        return Ok(Gateways { answers: answers.cloned(), all: vec![] });
    }
    let storage = app.storage.of(tenant);
    let fared = storage.gateways().conversions(app.now()).await?;
    let lately = |of: &GatewayId| {
        let own = fared.iter().filter(|(gateway, ..)| gateway == of);
        own.map(|(_, code, conversion)| (code.clone(), *conversion)).collect()
    };
    let all = storage.gateways().list().await?.into_iter();
    let all = all.map(|row| Candidate { lately: lately(&row.id), gateway: row.id, serves: row.serves });
    Ok(Gateways { answers: None, all: all.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[expect(clippy::unwrap_in_result, reason = "the names are this test's own")]
    fn take(rates: &TextRates, to: &[&str], taken: &mut Taken) -> Result<(), Duration> {
        let (tenant, device) = ("acme".parse().unwrap(), "device-a".parse().unwrap());
        let numbers: Vec<EndpointId> = to.iter().map(|number| number.parse().unwrap()).collect();
        let numbers: Vec<&EndpointId> = numbers.iter().collect();
        let asker = Asker { tenant: &tenant, device: &device, from: None };
        rates.take(asker, false, &numbers, taken, NOW)
    }

    #[test]
    fn a_step_that_gives_way_to_others_takes_of_the_rates_once() {
        let (rates, mut taken) = (TextRates::default(), Taken::default());
        for _ in 0..limits::STEP_TRIES {
            assert_eq!(take(&rates, &["+15550100"], &mut taken), Ok(()));
        }
        // As if it had been one try.
        for _ in 1..limits::TEXTS_TO_NUMBER.burst {
            assert_eq!(take(&rates, &["+15550100"], &mut Taken::default()), Ok(()));
        }
        take(&rates, &["+15550100"], &mut Taken::default()).unwrap_err();
    }

    #[test]
    fn reg_5_a_number_that_strangers_type_on_and_on_gets_some_texts_a_day_and_what_it_texts_itself_is_answered()
     {
        let rates = TextRates::default();
        let tenant = "acme".parse().unwrap();
        let number: EndpointId = "+15550100".parse().unwrap();
        let texts = |answers: bool| {
            let (each, day) = (Duration::from_secs(30), Duration::from_hours(24));
            let tries =
                (0..day.as_secs() / each.as_secs()).map(|n| NOW.after(each * u32::try_from(n).unwrap()));
            let taken = tries.enumerate().filter(|(n, now)| {
                let device = format!("device-{n}").parse().unwrap();
                let asker = Asker { tenant: &tenant, device: &device, from: None };
                rates.take(asker, answers, &[&number], &mut Taken::default(), *now).is_ok()
            });
            taken.count()
        };
        assert!((20..=48).contains(&texts(false)), "by strangers");
        assert_eq!(texts(true), 2_880, "by its own");
    }

    #[test]
    fn reg_5_strangers_who_use_up_a_number_do_not_keep_out_its_owner_and_texts_stay_bounded() {
        let rates = TextRates::default();
        let tenant = "acme".parse().unwrap();
        let number: EndpointId = "+15550100".parse().unwrap();
        let ask = |device: usize, from: &str, now: Timestamp| {
            let device = format!("device-{device}").parse().unwrap();
            let from: std::net::IpAddr = from.parse().unwrap();
            let asker = Asker { tenant: &tenant, device: &device, from: Some(from.into()) };
            rates.take(asker, false, &[&number], &mut Taken::default(), now)
        };
        // Strangers behind a few addresses, with a device for each try.
        let by_strangers =
            (0..1_000).filter(|n| ask(*n, ["192.0.2.1", "192.0.2.2"][n % 2], NOW).is_ok()).count();
        assert_eq!(by_strangers, 2 + usize::try_from(limits::TEXTS_TO_NUMBER.burst).unwrap());

        assert_eq!(ask(1_001, "198.51.100.7", NOW), Ok(()), "the owner");
        ask(1_001, "198.51.100.7", NOW).unwrap_err();

        // However many addresses somebody has: what THREATS.md says.
        let minutes = |n: u32| NOW.after(Duration::from_mins(1) * n);
        let by_a_botnet = (0..1_440)
            .filter(|n| ask(2_000, &format!("10.1.{}.{}", n / 250, n % 250), minutes(*n)).is_ok())
            .count();
        assert!((60..=96).contains(&by_a_botnet), "{by_a_botnet} in a day");
    }

    #[test]
    fn reg_5_who_has_many_devices_texts_no_more_numbers_than_its_address_may_nor_a_block_more_than_it_bears()
    {
        let tenant = "acme".parse().unwrap();
        let texts = |number: fn(u32) -> String, from: fn(u32) -> Option<Subscriber>| {
            let rates = TextRates::default();
            let given = (0..2_000).filter(|n| {
                let (device, to) = (format!("device-{n}").parse().unwrap(), number(*n).parse().unwrap());
                let asker = Asker { tenant: &tenant, device: &device, from: from(*n) };
                rates.take(asker, false, &[&to], &mut Taken::default(), NOW).is_ok()
            });
            u32::try_from(given.count()).unwrap()
        };
        let one: fn(u32) -> Option<Subscriber> = |_| Some(std::net::IpAddr::from([10, 0, 0, 1]).into());
        // Each to a block of its own, from one address.
        assert_eq!(texts(|n| format!("+49{n:04}30000"), one), limits::TEXTS_OF_ADDRESS.burst);
        // All to one block, from anywhere.
        assert_eq!(texts(|n| format!("+4930123{:03}", n % 1_000), |_| None), limits::TEXTS_TO_BLOCK.burst);
    }

    #[test]
    fn reg_5_a_tenants_texts_are_bounded_however_many_drive_them() {
        let (rates, tenant) = (TextRates::default(), "acme".parse().unwrap());
        let ask = |n: u32| {
            let (device, to) =
                (format!("device-{n}").parse().unwrap(), format!("+49{n:06}30000").parse().unwrap());
            let asker = Asker { tenant: &tenant, device: &device, from: None };
            rates.take(asker, false, &[&to], &mut Taken::default(), NOW).is_ok()
        };
        let burst = limits::TEXTS_OF_TENANT.burst;
        assert!((0..burst + burst / 10).filter(|n| ask(*n)).count() <= usize::try_from(burst).unwrap());
        assert!(!ask(burst * 2));
        let (other, device, to) =
            ("other".parse().unwrap(), "device".parse().unwrap(), "+4930123456".parse().unwrap());
        let asker = Asker { tenant: &other, device: &device, from: None };
        assert_eq!(rates.take(asker, false, &[&to], &mut Taken::default(), NOW), Ok(()), "another tenant's");
    }

    #[test]
    fn each_text_is_taken_for_and_those_that_another_try_adds() {
        let (rates, mut taken) = (TextRates::default(), Taken::default());
        assert_eq!(take(&rates, &["+15550100"; 2], &mut taken), Ok(()));
        assert_eq!(take(&rates, &["+15550100", "+15550101", "+15550100"], &mut taken), Ok(()));
        let numbers: Vec<&str> = taken.0.iter().map(EndpointId::reveal).collect();
        assert_eq!(numbers, ["+15550100", "+15550100", "+15550101"]);
        take(&rates, &["+15550100"; 9], &mut taken).unwrap_err();
    }
}
