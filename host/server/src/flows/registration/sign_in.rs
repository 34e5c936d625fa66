//! Sign-in: a method has a password compared with the user directory, and hears the outcome at once (REG-6).
//!
//! Guesses are bounded before they cost anything, whether the host compares a password or the tenant's own directory is
//! asked. A device that holds credentials of the user has a bound of its own, and so have the first guesses of a day from
//! behind an address: whoever guesses elsewhere locks out neither the user's devices nor a new one.

use std::time::Duration;

use switchhook_core::{
    policy::registration::{Effect, Event, Transition},
    registration::password,
    row::{User, UserState},
};
use switchhook_protocol::{endpoint::EndpointId, error::ErrorCode, id::AttemptId, time::Timestamp};

use super::{
    own_attempt,
    step::{self, Beside, Step, Stepped},
    texting::{Asker, Taken},
};
use crate::{
    app::App,
    flows::{Caller, FlowError},
    limits,
    passwords::NotComputed,
    rates::Rates,
};

/// How often passwords may be tried.
#[derive(Debug)]
pub(crate) struct Guesses {
    of_known: Rates,
    of_device: Rates,
    at_user: Rates,
    newcomers: Rates,
    newcomers_at_user: Rates,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            of_known: Rates::new(),
            of_device: Rates::new(),
            at_user: Rates::new(),
            newcomers: Rates::with_slots(limits::BUCKETS_OF_A_DAY),
            newcomers_at_user: Rates::new(),
        }
    }
}

impl Guesses {
    /// Takes one guess at a user, whose credentials the device holds or does not; an error says how long to wait.
    fn take(
        &self,
        Asker { tenant, device, from }: Asker<'_>,
        (user, is_known): (Option<&EndpointId>, bool),
        now: Timestamp,
    ) -> Result<(), Duration> {
        if is_known {
            return self.of_known.take(limits::GUESSES_OF_KNOWN_DEVICE, (tenant, device, user), now);
        }
        self.of_device.take(limits::GUESSES_OF_DEVICE, (tenant, device), now)?;
        let is_first =
            |from| self.newcomers.take(limits::GUESSES_OF_NEWCOMER, (tenant, from, user), now).is_ok();
        let at_user = (tenant, user);
        if from.is_some_and(is_first)
            && self.newcomers_at_user.take(limits::GUESSES_AT_USER, at_user, now).is_ok()
        {
            return Ok(());
        }
        self.at_user.take(limits::GUESSES_AT_USER, at_user, now)
    }
}

/// Goes on with an attempt for as long as its method has passwords compared.
pub(super) async fn follow(app: &App, caller: &Caller, mut stepped: Stepped) -> Result<Stepped, FlowError> {
    for _ in 0..limits::PASSWORDS_OF_REQUEST {
        let Some(handle) = stepped.performed.check.take().filter(|_| !stepped.performed.finished) else {
            return Ok(stepped);
        };
        let attempt = own_attempt(app, caller, &stepped.attempt).await?;
        let keys = app.keys.of(&caller.tenant);
        let typed = password::open(&keys, &attempt.id, &handle);
        let typed =
            typed.map_err(|why| FlowError::refused(ErrorCode::RegistrationRefused, &why.to_string()))?;
        let event = Event::Checked(is_right(app, caller, typed).await?);
        let step = Step { attempt, gateway: None, event, beside: Beside::Nothing };
        stepped = step::step(app, caller, step).await?;
    }
    Ok(stepped)
}

async fn is_right(app: &App, caller: &Caller, password: password::Password) -> Result<bool, FlowError> {
    let storage = app.storage.of(&caller.tenant);
    let user = password.user.parse::<EndpointId>().ok();
    bound(app, caller, user.as_ref()).await?;
    let known = match &user {
        Some(user) => storage.users().get(user).await?,
        None => None,
    };
    let active = known.filter(|user: &User| user.state == UserState::Active);
    match app.passwords.is_right(password.typed, active.map(|user| user.password)).await {
        Ok(right) => Ok(right),
        Err(NotComputed::Busy) => Err(FlowError::overloaded()),
        Err(NotComputed::Failed) => Err(ErrorCode::Internal.into()),
    }
}

/// A step that has the tenant's own directory asked guesses, too: once, however often it gives way to others.
pub(super) async fn check(
    app: &App,
    caller: &Caller,
    (attempt, transition): (&AttemptId, &Transition),
    taken: &mut Taken,
) -> Result<(), FlowError> {
    let keys = app.keys.of(&caller.tenant);
    let bodies = transition.effects.iter().filter_map(Effect::fetches);
    let bodies = bodies.filter_map(|fetch| str::from_utf8(&fetch.body).ok());
    // What names no password of this attempt is not asked.
    let named = bodies.filter_map(|body| password::users(&keys, attempt, body).ok()).flatten();
    let named: Vec<_> = named.map(|user| user.parse::<EndpointId>().ok()).collect();
    for _ in named.iter().filter(|user| user.is_none()) {
        bound(app, caller, None).await?;
    }
    let users: Vec<&EndpointId> = named.iter().flatten().collect();
    for user in taken.lacks(&users) {
        bound(app, caller, Some(user)).await?;
        taken.add(user);
    }
    Ok(())
}

/// Takes one guess; an error says how long to wait for it.
async fn bound(app: &App, caller: &Caller, user: Option<&EndpointId>) -> Result<(), FlowError> {
    let is_known = match user {
        Some(user) => app.storage.of(&caller.tenant).profiles().is_known(&caller.device.id, user).await?,
        None => false,
    };
    app.guesses.take(caller.into(), (user, is_known), app.now()).map_err(FlowError::too_often)
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn guess(guesses: &Guesses, device: usize, from: &str, is_known: bool) -> bool {
        let (tenant, device) = ("acme".parse().unwrap(), format!("device-{device}").parse().unwrap());
        let from = Some(from.parse::<IpAddr>().unwrap().into());
        let asker = Asker { tenant: &tenant, device: &device, from };
        guesses.take(asker, (Some(&"bob".parse().unwrap()), is_known), NOW).is_ok()
    }

    #[test]
    fn reg_6_strangers_who_guess_on_and_on_lock_out_neither_the_owners_devices_nor_a_new_one() {
        let guesses = Guesses::default();
        let burst = usize::try_from(limits::GUESSES_AT_USER.burst).unwrap();
        let first = usize::try_from(limits::GUESSES_OF_NEWCOMER.burst).unwrap();

        let by_strangers =
            (0..2_000).filter(|n| guess(&guesses, *n, ["192.0.2.1", "192.0.2.2"][n % 2], false)).count();

        assert_eq!(by_strangers, 2 * first + burst);
        assert!(guess(&guesses, 3_000, "192.0.2.1", true), "one that has signed in before");
        assert!(guess(&guesses, 3_001, "198.51.100.7", false), "a new one, elsewhere");

        // However many addresses somebody has.
        let by_a_botnet = (0..2_000)
            .filter(|n| guess(&guesses, 4_000 + n, &format!("10.1.{}.{}", n / 250, n % 250), false));
        assert!(by_a_botnet.count() < burst);
    }
}
