//! What a step does to the profile that its attempt speaks for, in the step's own transaction (REG-7 to REG-9, REG-17).

use switchhook_core::{
    policy::registration::{Event, ProfileAddress, WantedCredentials},
    registration::{
        credentials::{self, For},
        notice,
        perform::{ForProfile, Performed},
    },
    row::{Attempt, Deadline, Device, Write},
    seal::KeyRing,
};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    event::AskedFor,
    id::ProfileId,
    registration::{AddressState, Credentials, Scope},
    time::{Timestamp, millis},
};
use switchhook_storage::Transaction;

use super::step::Undone;
use crate::flows::FlowError;

/// Whose step it is.
pub(super) struct Of<'a> {
    pub(super) keys: &'a KeyRing,
    pub(super) attempt: &'a Attempt,
    pub(super) device: &'a Device,
    pub(super) now: Timestamp,
    /// Whether the device itself waits for what comes of it.
    pub(super) own_request: bool,
}

/// Whether a step answers a request of the attempt's device.
pub(super) const fn answers_device(event: &Event) -> bool {
    match event {
        Event::Begun(_)
        | Event::Answered(_)
        | Event::Checked(_)
        | Event::CodeVerified(_)
        | Event::SignatureVerified(_) => true,
        Event::TextReceived(_)
        | Event::TextSent(_)
        | Event::MailSent(_)
        | Event::CodeFailed { .. }
        | Event::LinkOpened(_)
        | Event::Fetched(_)
        | Event::Deadline => false,
    }
}

/// The profile that the attempt speaks for after the step: credentials of scope `profile` name its user.
pub(super) async fn of_attempt(
    tx: &mut Transaction<'_>,
    wanted: &[WantedCredentials],
    former: Option<ProfileId>,
    new: ProfileId,
) -> Result<Option<ProfileId>, Undone> {
    let Some(user) = wanted.iter().find(|wanted| wanted.scope == Scope::Profile) else { return Ok(former) };
    let named = tx.profile_of(&user.identifier, new).await?;
    if former.is_some_and(|former| former != named) {
        return Err(refused("the method speaks for two profiles"));
    }
    Ok(Some(named))
}

/// Commits what a step does to its profile; the credentials are for the answer.
pub(super) async fn commit(
    tx: &mut Transaction<'_>,
    of: &Of<'_>,
    performed: &Performed,
    rng: &mut rand::rngs::StdRng,
) -> Result<(Vec<Credentials>, Vec<Write>), Undone> {
    let ForProfile { addresses, credentials, words } = &performed.profile;
    for address in addresses {
        of.set(tx, address).await?;
    }
    let mut writes = Vec::new();
    for word in words {
        writes.extend(of.tell(tx, addresses, word, rng).await?);
    }
    if !performed.asked.is_empty() && !of.own_request {
        let asked = AskedFor { attempt: of.attempt.id.clone(), fields: performed.asked.clone() };
        writes.push(notice::ask(of.device.id.clone(), asked, of.now, rng));
    }
    if let Some(due_at) = performed.deadline {
        tx.put_deadline(&Deadline { attempt: of.attempt.id.clone(), due_at }).await?;
    }
    if let Some(profile) = &of.attempt.profile {
        for address in &performed.bound {
            tx.register_address((profile, address), (&of.device.id, &of.attempt.id), of.now).await?;
        }
    }
    let mut issued = Vec::new();
    for wanted in credentials {
        issued.push(of.issue(tx, wanted, rng).await?);
    }
    Ok((issued, writes))
}

impl Of<'_> {
    async fn set(&self, tx: &mut Transaction<'_>, wanted: &ProfileAddress) -> Result<(), Undone> {
        let ProfileAddress { address, state } = wanted;
        let about = (self.profile()?, address);
        if !tx.set_address(about.0, address, *state).await? {
            return Err(refused("the profile has too many addresses"));
        }
        match state {
            AddressState::Asked => {
                tx.ask_address(about, (&self.device.id, &self.attempt.id), self.now).await?;
            }
            AddressState::Validated if self.own_request => {
                // The answer tells this device.
                tx.ask_address(about, (&self.device.id, &self.attempt.id), self.now).await?;
                tx.tell_address(about, Some(&self.device.id), self.now).await?;
            }
            AddressState::Validated => {}
            AddressState::Declined => tx.forget_address(about, &self.device.id).await?,
        }
        Ok(())
    }

    /// Each device hears it once: whoever it is told to has asked, and had not heard.
    async fn tell(
        &self,
        tx: &mut Transaction<'_>,
        addresses: &[ProfileAddress],
        word: &str,
        rng: &mut rand::rngs::StdRng,
    ) -> Result<Vec<Write>, Undone> {
        if addresses.is_empty() {
            let (device, attempt) = (self.device.id.clone(), self.attempt.id.clone());
            return Ok(vec![notice::tell(device, attempt, (word, None), self.now, rng)]);
        }
        let mut writes = Vec::new();
        for ProfileAddress { address, .. } in addresses {
            for told in tx.tell_address((self.profile()?, address), None, self.now).await? {
                writes.push(notice::tell(told.device, told.attempt, (word, Some(address)), self.now, rng));
            }
        }
        Ok(writes)
    }

    async fn issue(
        &self,
        tx: &mut Transaction<'_>,
        wanted: &WantedCredentials,
        rng: &mut rand::rngs::StdRng,
    ) -> Result<Credentials, Undone> {
        if !self.own_request {
            return Err(refused("credentials are made for who asks for them"));
        }
        let profile = self.profile()?;
        let endpoint = match wanted.scope {
            Scope::Profile => None,
            Scope::Address | Scope::Login => Some(validated(tx, profile, &wanted.identifier).await?),
        };
        let about = For { scope: wanted.scope, profile: profile.clone(), endpoint: endpoint.clone() };
        let until = self.now.after(wanted.expires_in);
        let (held, row) = credentials::issue(self.keys, about, self.device, until, rng);
        tx.put_credentials(&row).await?;
        Ok(Credentials {
            scope: wanted.scope,
            profile: profile.clone(),
            endpoint,
            credentials: held,
            expires_in_ms: millis(wanted.expires_in),
        })
    }

    fn profile(&self) -> Result<&ProfileId, Undone> {
        self.attempt.profile.as_ref().ok_or_else(|| refused("nobody has signed in to this registration"))
    }
}

/// The address, if the profile knows it as validated.
async fn validated(
    tx: &mut Transaction<'_>,
    profile: &ProfileId,
    address: &EndpointId,
) -> Result<EndpointId, Undone> {
    match tx.address_state(profile, address).await? {
        Some(AddressState::Validated) => Ok(address.clone()),
        Some(AddressState::Asked | AddressState::Declined) | None => {
            Err(Undone::Failed(ErrorCode::AddressNotValidated.into()))
        }
    }
}

fn refused(why: &str) -> Undone {
    Undone::Failed(FlowError::refused(ErrorCode::RegistrationRefused, why))
}
