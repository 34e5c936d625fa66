//! The built-in user directory: who signs in to register e-mail addresses (REG-6).
//!
//! A changed password, a blocked and a removed user end all credentials of the user's profile. Registrations stay: they
//! are taken off devices each by itself.
#![expect(unused_qualifications, reason = "what the macro writes for parameters")]

mod shown;

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use switchhook_core::{
    mint,
    row::{User, UserState},
};
use switchhook_protocol::{endpoint::EndpointId, error::ErrorCode, time::Timestamp};
use switchhook_storage::{StorageError, Transaction};
use utoipa::{IntoParams, ToSchema};
use zeroize::Zeroizing;

pub(crate) use self::shown::{Detailed, Listed, UserShown};
use super::{OfTenant, schemas};
use crate::{
    app::App,
    flows::FlowError,
    http::{
        extract::{Body, Query},
        problem::Problem,
    },
    limits,
    passwords::NotComputed,
};

/// A user to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// By which the user signs in: an e-mail address or a name.
    #[schema(value_type = String)]
    user: EndpointId,
    /// 8 characters to 512 bytes.
    password: String,
    /// Addresses that are known to be the user's: no mail is sent to validate them.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    addresses: Vec<EndpointId>,
}

/// What is known of a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserSettings {
    /// Addresses that are known to be the user's.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    addresses: Vec<EndpointId>,
    /// Whether the user may sign in.
    #[serde(default)]
    #[schema(value_type = schemas::UserState)]
    state: UserState,
}

/// A password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    /// 8 characters to 512 bytes.
    password: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// The user.
    #[param(value_type = String)]
    user: EndpointId,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Where the page begins: `next` of the one before.
    #[param(value_type = Option<String>)]
    after: Option<EndpointId>,
    /// How many at most; never more than 500.
    limit: Option<u32>,
}

/// Lists the users, by their names.
#[utoipa::path(get, path = "/tenants/{tenant}/users", operation_id = "list_users", params(Wanted),
    responses((status = OK, body = Listed, description = "Users, page by page.")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Listed>, Problem> {
    let limit = wanted.limit.unwrap_or(limits::PAGE).clamp(1, limits::PAGE);
    let found = app.storage.of(&tenant).users().list(wanted.after.as_ref(), limit).await?;
    Ok(Json(Listed::page(found, limit)))
}

/// Makes a user.
#[utoipa::path(post, path = "/tenants/{tenant}/users", operation_id = "create_user", request_body = NewUser,
    responses((status = CREATED, body = UserShown, description = "The user is made.")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    OfTenant { who, tenant }: OfTenant,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Json<UserShown>), Problem> {
    let NewUser { user: id, password, addresses } = new;
    check(&addresses)?;
    let password = hash(&app, password).await?;
    let now = app.now();
    let user = User { id, password, addresses, state: UserState::Active, changed_at: now };
    let stored = user.clone();
    let add = async move |tx: &mut Transaction<'_>| {
        let added = tx.add_user(&stored).await?;
        if added {
            who.note(tx, ("user.add", &stored.id.to_string()), now).await?;
        }
        Ok::<_, StorageError>(added)
    };
    if app.storage.of(&tenant).run("user-add", add).await? {
        Ok((StatusCode::CREATED, Json(user.into())))
    } else {
        Err(Problem::new(ErrorCode::Conflict, "there is a user of this name"))
    }
}

/// Shows a user, the profile, and what it keeps of addresses and devices.
#[utoipa::path(get, path = "/tenants/{tenant}/user", operation_id = "show_user", params(Which),
    responses((status = OK, body = Detailed, description = "All of it, but the password.")))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
    Query(Which { user }): Query<Which>,
) -> Result<Json<Detailed>, Problem> {
    let storage = app.storage.of(&tenant);
    let found = storage.users().get(&user).await?.ok_or(ErrorCode::NotFound)?;
    let profiles = storage.profiles();
    let Some(profile) = profiles.of_user(&user).await? else { return Ok(Json(Detailed::new(found))) };
    let (addresses, devices) = (profiles.addresses(&profile.id).await?, profiles.devices(&profile.id).await?);
    Ok(Json(Detailed::with(found, profile.id, addresses, devices)))
}

/// Says what is known of a user.
#[utoipa::path(put, path = "/tenants/{tenant}/user", operation_id = "put_user", params(Which),
    request_body = UserSettings, responses((status = NO_CONTENT, description = "It counts from now on.")))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    of: OfTenant,
    Query(Which { user }): Query<Which>,
    Body(UserSettings { addresses, state }): Body<UserSettings>,
) -> Result<StatusCode, Problem> {
    check(&addresses)?;
    let set = async move |tx: &mut Transaction<'_>, user: &EndpointId, _| {
        let known = tx.set_user(user, &addresses, state).await?;
        if known && state == UserState::Blocked {
            revoke(tx, user).await?;
        }
        Ok(known)
    };
    change(&app, of, ("user.put", user), set).await
}

/// Gives a user another password: what credentials the user's devices have counts no more.
#[utoipa::path(put, path = "/tenants/{tenant}/user/password", operation_id = "put_user_password", params(Which),
    request_body = NewPassword, responses((status = NO_CONTENT, description = "It counts from now on.")))]
pub(crate) async fn set_password(
    State(app): State<Arc<App>>,
    of: OfTenant,
    Query(Which { user }): Query<Which>,
    Body(NewPassword { password }): Body<NewPassword>,
) -> Result<StatusCode, Problem> {
    let password = hash(&app, password).await?;
    let set = async move |tx: &mut Transaction<'_>, user: &EndpointId, now| {
        revoke(tx, user).await?;
        tx.set_password(user, &password, now).await
    };
    change(&app, of, ("user.password", user), set).await
}

/// Takes all credentials of a user's devices back.
#[utoipa::path(delete, path = "/tenants/{tenant}/user/credentials", operation_id = "revoke_user_credentials",
    params(Which), responses((status = NO_CONTENT, description = "They count no more.")))]
pub(crate) async fn revoke_credentials(
    State(app): State<Arc<App>>,
    of: OfTenant,
    Query(Which { user }): Query<Which>,
) -> Result<StatusCode, Problem> {
    // Also of users of a directory of the tenant's own.
    let take_back = async |tx: &mut Transaction<'_>, user: &EndpointId, _| revoke(tx, user).await;
    change(&app, of, ("user.revoke-credentials", user), take_back).await
}

/// Removes a user with the profile. Registrations stay.
#[utoipa::path(delete, path = "/tenants/{tenant}/user", operation_id = "remove_user", params(Which),
    responses((status = NO_CONTENT, description = "The user signs in no more.")))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    of: OfTenant,
    Query(Which { user }): Query<Which>,
) -> Result<StatusCode, Problem> {
    let forget = async |tx: &mut Transaction<'_>, user: &EndpointId, _| {
        let profile = tx.known_profile(user).await?;
        if let Some(profile) = &profile {
            tx.remove_profile(profile).await?;
        }
        Ok(tx.remove_user(user).await? || profile.is_some())
    };
    change(&app, of, ("user.remove", user), forget).await
}

/// Changes a user and notes it, if there is such a user.
async fn change(
    app: &App,
    OfTenant { who, tenant }: OfTenant,
    (action, user): (&'static str, EndpointId),
    change: impl AsyncFnOnce(&mut Transaction<'_>, &EndpointId, Timestamp) -> Result<bool, StorageError>
    + Send
    + 'static,
) -> Result<StatusCode, Problem> {
    let now = app.now();
    let storage = app.storage.of(&tenant);
    let changed = storage.run("user-change", async move |tx| {
        let known = change(tx, &user, now).await?;
        if known {
            who.note(tx, (action, &user.to_string()), now).await?;
        }
        Ok::<_, StorageError>(known)
    });
    if changed.await? { Ok(StatusCode::NO_CONTENT) } else { Err(ErrorCode::NotFound.into()) }
}

/// Takes the credentials of a user's devices back; false if the user has no profile.
async fn revoke(tx: &mut Transaction<'_>, user: &EndpointId) -> Result<bool, StorageError> {
    let Some(profile) = tx.known_profile(user).await? else { return Ok(false) };
    tx.revoke_credentials(&profile).await?;
    Ok(true)
}

async fn hash(app: &App, password: String) -> Result<String, Problem> {
    let password = Zeroizing::new(password);
    if password.chars().count() < limits::PASSWORD_LEAST || password.len() > limits::PASSWORD {
        return Err(Problem::new(ErrorCode::Malformed, "a password has 8 characters to 512 bytes"));
    }
    app.passwords.hash(password, mint::bytes(&mut app.rng())).await.map_err(|why| match why {
        NotComputed::Busy => FlowError::overloaded().into(),
        NotComputed::Failed => ErrorCode::Internal.into(),
    })
}

fn check(addresses: &[EndpointId]) -> Result<(), Problem> {
    let fits =
        addresses.len() <= limits::ADDRESSES_OF_USER && addresses.iter().all(EndpointId::is_mail_address);
    let why = "addresses are at most 32, each an e-mail address";
    if fits { Ok(()) } else { Err(Problem::new(ErrorCode::Malformed, why)) }
}
