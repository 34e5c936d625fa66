//! Registration of e-mail addresses to a profile, by the built-in method `register-email` (REG-6 to REG-9).
//!
//! ```text
//! sign_in          user, password                       → profile credentials
//! validate         profile credentials, addresses       → which are validated, and which wait for a mail
//!   (event `notice`, word `validated`: somebody opened the link of an address)
//! answer           yes or no, of the user               → address credentials, or none
//! register         profile and address credentials      → login credentials: the address rings this device
//! register_again   login credentials                    → newer ones, at each start; nobody is asked
//! ```
//!
//! Credentials are the application's to store, where it stores the identity: each of them counts on this device alone,
//! and newer ones of a kind take the place of older ones. [`activate`](EmailRegistration::activate) gives address credentials anew while
//! the address is validated.

use std::collections::BTreeMap;

use switchhook_protocol::{
    endpoint::EndpointId,
    id::{AttemptId, InvalidId, MethodName},
    registration::{
        AddressProgress, Credentials, RegisterAnswer, RegisterBegin, RegistrationProgress, Scope,
    },
};

use crate::client::{CallError, Client};

/// The built-in method's name.
pub const METHOD: &str = "register-email";

/// A client that registers e-mail addresses.
#[derive(Debug, Clone)]
pub struct EmailRegistration {
    client: Client,
    method: MethodName,
}

/// A validation under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// To be named in the answer; events name it too.
    pub attempt: AttemptId,
    /// How far each address is.
    pub addresses: Vec<AddressProgress>,
}

impl EmailRegistration {
    /// By the built-in method.
    pub fn new(client: Client) -> Result<Self, InvalidId> {
        Ok(Self::by(client, METHOD.parse()?))
    }

    /// By a method of the tenant's that takes the same fields.
    pub const fn by(client: Client, method: MethodName) -> Self {
        Self { client, method }
    }

    /// Signs a user in: credentials of scope `profile` (REG-6). A wrong user and a wrong password are refused alike.
    pub async fn sign_in(&self, user: &str, password: &str) -> Result<Credentials, CallError> {
        self.issued([("user", user), ("password", password)]).await
    }

    /// Asks for addresses to be validated (REG-7).
    pub async fn validate(
        &self,
        profile: &Credentials,
        addresses: &[EndpointId],
    ) -> Result<Validation, CallError> {
        let addresses: Vec<&str> = addresses.iter().map(EndpointId::reveal).collect();
        let addresses = addresses.join(" ");
        match self.begin([held(profile), ("addresses", &addresses)]).await? {
            RegistrationProgress::Asked { attempt, addresses, .. } => Ok(Validation { attempt, addresses }),
            RegistrationProgress::CodeSent { .. }
            | RegistrationProgress::Issued(_)
            | RegistrationProgress::Pending { .. }
            | RegistrationProgress::Ended { .. }
            | RegistrationProgress::Registered { .. } => Err(CallError::Malformed),
        }
    }

    /// Whether the user wants a validated address to be registered (REG-8): with a yes, credentials of scope `address`.
    pub async fn answer(
        &self,
        attempt: &AttemptId,
        address: &EndpointId,
        wanted: bool,
    ) -> Result<Option<Credentials>, CallError> {
        let register = if wanted { "yes" } else { "no" };
        let fields = fields([("address", address.reveal()), ("register", register)]);
        match self.client.register_answer(&RegisterAnswer { attempt: attempt.clone(), fields }).await? {
            RegistrationProgress::Issued(credentials) => Ok(Some(credentials)),
            RegistrationProgress::Ended { .. } | RegistrationProgress::Pending { .. } => Ok(None),
            RegistrationProgress::CodeSent { .. }
            | RegistrationProgress::Asked { .. }
            | RegistrationProgress::Registered { .. } => Err(CallError::Malformed),
        }
    }

    /// Credentials of scope `address` for a validated address, as often as they are wanted (REG-9).
    pub async fn activate(
        &self,
        profile: &Credentials,
        address: &EndpointId,
    ) -> Result<Credentials, CallError> {
        self.issued([held(profile), ("activate", address.reveal())]).await
    }

    /// Registers an address to this device: credentials of scope `login` (REG-9).
    pub async fn register(
        &self,
        profile: &Credentials,
        address: &Credentials,
    ) -> Result<Credentials, CallError> {
        self.issued([held(profile), held(address)]).await
    }

    /// Registers it again without a person, by credentials of scope `login` (REG-13): newer ones. Store them.
    pub async fn register_again(&self, login: &Credentials) -> Result<Credentials, CallError> {
        self.issued([held(login)]).await
    }

    async fn issued<const N: usize>(&self, filled: [(&str, &str); N]) -> Result<Credentials, CallError> {
        match self.begin(filled).await? {
            RegistrationProgress::Issued(credentials) => Ok(credentials),
            RegistrationProgress::CodeSent { .. }
            | RegistrationProgress::Asked { .. }
            | RegistrationProgress::Pending { .. }
            | RegistrationProgress::Ended { .. }
            | RegistrationProgress::Registered { .. } => Err(CallError::Malformed),
        }
    }

    async fn begin<const N: usize>(
        &self,
        filled: [(&str, &str); N],
    ) -> Result<RegistrationProgress, CallError> {
        let request = RegisterBegin { method: self.method.clone(), fields: fields(filled) };
        self.client.register_begin(&request).await
    }
}

/// Credentials, and the field that they are sent in.
fn held(credentials: &Credentials) -> (&'static str, &str) {
    (Scope::field(credentials.scope), &credentials.credentials)
}

fn fields<const N: usize>(filled: [(&str, &str); N]) -> BTreeMap<String, String> {
    filled.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
