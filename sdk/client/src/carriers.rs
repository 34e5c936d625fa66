//! The carrier bundle that a device keeps: which number it texts to register, by its SIM (REG-15).
//!
//! Enrolment puts it into the [`Identity`] that the application stores, so that a phone can text before it has a
//! connection, and without one. `identity.carriers.number(&sim)` is the number; [`renew`] keeps the bundle new.
//!
//! ```no_run
//! # async fn example(
//! #     client: switchhook_client::Client,
//! #     mut identity: switchhook_client::identity::Identity,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! use switchhook_client::{carriers, registration::begin_text};
//! use switchhook_protocol::carrier::Sim;
//!
//! if carriers::renew(&client, &mut identity).await? {
//!     // Store the identity.
//! }
//!
//! // Whenever the phone is to register, with a connection or without:
//! let sim = Sim { mcc: Some("262".into()), mnc: Some("02".into()), country: Some("DE".into()) };
//! match identity.carriers.number(&sim) {
//!     Some(number) => println!("text {:?} to {number}", begin_text(&identity)),
//!     None => println!("no registration by SMS with this SIM"),
//! }
//! # Ok(())
//! # }
//! ```

use switchhook_protocol::carrier::Carriers;

use crate::{
    client::{CallError, Client},
    identity::Identity,
};

/// Asks whether the tenant has another bundle; whether the identity has changed by that, and is to be stored. To be
/// said at each start: an answer without news is a few bytes.
pub async fn renew(client: &Client, identity: &mut Identity) -> Result<bool, CallError> {
    let held = identity.carriers.version;
    let Some(bundle) = client.carriers(&Carriers { held }).await?.bundle else { return Ok(false) };
    identity.carriers = bundle;
    Ok(true)
}
