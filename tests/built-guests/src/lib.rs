//! Components that misbehave, for tests of those who must bear it.
//!
//! One constant a guest. A test file that says
//!
//! ```ignore
//! macro_rules! is_tested {
//!     ($guest:ident) => {
//!         use self::$guest as _;
//!     };
//! }
//! switchhook_built_guests::for_each_guest!(is_tested);
//! ```
//!
//! compiles only if it has a module named after each guest.

mod aliases;
pub mod by_hand;

pub use aliases::aliases;

/// The example of a registration method that is a tenant's own, `plugins/register-badge`; no tenant has it by itself.
pub const REGISTER_BADGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/register-badge.wasm"));

include!(concat!(env!("OUT_DIR"), "/guests.rs"));
