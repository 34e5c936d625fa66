//! What a plugin may look up, loaded before it is asked.

use std::collections::{BTreeMap, BTreeSet};

use switchhook_core::{
    policy::{
        Context, Facts, Grants, Standing,
        registration::Event,
        route::{Question, Target},
    },
    row::Attempt,
    transit::conversion::{Conversion, prefix},
};
use switchhook_protocol::{endpoint::EndpointId, id::ProfileId, registration::AddressState};
use switchhook_storage::StorageError;

use crate::app::App;

/// Devices of those invited, and what is granted.
pub(super) async fn of_invite(
    app: &App,
    context: &Context,
    question: &Question,
    grants: &Grants,
) -> Result<Facts, StorageError> {
    let devices_of = |user: usize| {
        let reaches = |target: &&Target| usize::from(target.user) == user;
        u8::try_from(question.targets.iter().filter(reaches).count()).unwrap_or(u8::MAX)
    };
    let invited = question.invite.invited.iter().enumerate();
    let devices = invited.map(|(user, endpoint)| (endpoint.clone(), devices_of(user))).collect();
    Ok(Facts { devices, ..granted(app, context, grants).await? })
}

/// Devices of the identifiers that an event speaks of, how texts to its numbers fare, addresses of the profile that its
/// attempt speaks for, and what is granted.
pub(super) async fn of_event(
    app: &App,
    context: &Context,
    (attempt, event): (&Attempt, &Event),
    grants: &Grants,
) -> Result<Facts, StorageError> {
    let mut facts = granted(app, context, grants).await?;
    if let Some(profile) = &attempt.profile {
        facts.addresses = standings(app, context, profile).await?;
    }
    let named = named_in(event);
    if named.is_empty() {
        return Ok(facts);
    }
    let storage = app.storage.of(&context.tenant);
    let found = storage.registrations().of_endpoints(&context.application, &named).await?;
    for target in found {
        let devices = facts.devices.entry(target.endpoint).or_default();
        *devices = devices.saturating_add(1);
    }
    facts.conversions = conversions(app, context, &named).await?;
    Ok(facts)
}

/// How texts to these numbers have fared, by their beginnings.
async fn conversions(
    app: &App,
    context: &Context,
    named: &[EndpointId],
) -> Result<BTreeMap<String, Conversion>, StorageError> {
    let storage = app.storage.of(&context.tenant);
    let mut known = BTreeMap::new();
    for beginning in named.iter().filter_map(prefix).collect::<BTreeSet<&str>>() {
        let fared = storage.gateways().conversion_of_prefix(beginning, context.now).await?;
        known.insert(beginning.to_owned(), fared);
    }
    Ok(known)
}

/// What is known of addresses: the directory's word counts where the profile has not validated one itself.
async fn standings(
    app: &App,
    context: &Context,
    profile: &ProfileId,
) -> Result<BTreeMap<EndpointId, Standing>, StorageError> {
    let storage = app.storage.of(&context.tenant);
    let profiles = storage.profiles();
    let mut known: BTreeMap<EndpointId, Standing> = BTreeMap::new();
    for (address, state) in profiles.addresses(profile).await? {
        known.insert(address, standing(state));
    }
    let Some(owner) = profiles.get(profile).await? else { return Ok(known) };
    for address in storage.users().get(&owner.user).await?.map_or(vec![], |user| user.addresses) {
        let said = known.entry(address).or_default();
        if *said != Standing::Validated {
            *said = Standing::ValidatedByDirectory;
        }
    }
    Ok(known)
}

const fn standing(state: AddressState) -> Standing {
    match state {
        AddressState::Asked => Standing::Asked,
        AddressState::Validated => Standing::Validated,
        AddressState::Declined => Standing::Declined,
    }
}

/// The tenant's pairs, where the plugin is granted them.
pub(super) async fn granted(app: &App, context: &Context, grants: &Grants) -> Result<Facts, StorageError> {
    if grants.key_value_bytes == 0 {
        return Ok(Facts::default());
    }
    let pairs = app.storage.of(&context.tenant).pairs().all().await?;
    Ok(Facts { pairs, ..Facts::default() })
}

fn named_in(event: &Event) -> Vec<EndpointId> {
    match event {
        Event::TextReceived(text) => vec![text.sender.clone()],
        Event::Begun(fields) | Event::Answered(fields) => {
            fields.iter().filter_map(|field| field.value.parse().ok()).collect()
        }
        Event::SignatureVerified(proven) | Event::CodeVerified(proven) | Event::LinkOpened(proven) => {
            vec![proven.clone()]
        }
        Event::TextSent(_)
        | Event::MailSent(_)
        | Event::CodeFailed { .. }
        | Event::Fetched(_)
        | Event::Checked(_)
        | Event::Deadline => vec![],
    }
}
