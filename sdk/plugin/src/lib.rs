//! For authors of Switchhook plugins: one trait a slot, one macro.
//!
//! A plugin decides; it does nothing itself. Each call gets everything in its arguments and answers
//! with what should happen. It runs in a fresh instance: nothing is kept from one call to the next.
//!
//! ```
//! use switchhook_plugin::{
//!     Context, Description, Refusal,
//!     router::{AskAgain, Decision, Finally, InviteRouter, Plan, Question, Ring, Wave},
//! };
//!
//! struct PhonesFirst;
//!
//! impl InviteRouter for PhonesFirst {
//!     fn describe() -> Description {
//!         Description::new("phones-first", "1.0.0", "Rings phones; what else there is after ten seconds.")
//!     }
//!
//!     fn route(_: &Context, question: &Question) -> Result<Decision, Refusal> {
//!         let wave = |phones: bool, starts_after| Wave {
//!             rings: (question.targets.iter())
//!                 .filter(|target| (target.kind == "phone") == phones)
//!                 .map(|target| Ring { target: target.index, ring_time: 30_000 })
//!                 .collect(),
//!             starts_after,
//!         };
//!         let mut waves = vec![wave(true, 0), wave(false, 10_000)];
//!         waves.retain(|wave| !wave.rings.is_empty());
//!         Ok(Decision::Ring(Plan {
//!             waves,
//!             ask_again: AskAgain::default(),
//!             resources: vec![],
//!             finally: Finally::GiveUp("no-answer".into()),
//!         }))
//!     }
//! }
//!
//! switchhook_plugin::export!(InviteRouter: PhonesFirst);
//! ```
//!
//! The package is a `cdylib` built for `wasm32-unknown-unknown`. A plugin's logic is ordinary Rust
//! and its tests run natively; there [`log`] is silent, [`facts`] knows nothing and
//! [`key_value`] is empty.
#![no_std]

extern crate alloc;

#[cfg(target_arch = "wasm32")]
mod allocator;
#[doc(hidden)]
pub mod bindings;
pub mod facts;
pub mod key_value;
pub mod log;
pub mod nat;
pub mod registration;
pub mod router;
mod types;

pub use types::{Answer, Context, Description, Refusal, Request};

/// Makes a type the plugin of this package: `export!(InviteRouter: MyRouter)`.
///
/// The slot is [`InviteRouter`](router::InviteRouter), [`NatPolicy`](nat::NatPolicy) or
/// [`RegistrationMethod`](registration::RegistrationMethod); the type implements that trait.
#[macro_export]
macro_rules! export {
    (InviteRouter: $plugin:ident) => {
        $crate::export!(@ $plugin, router::InviteRouter, router, invite_router);
    };
    (NatPolicy: $plugin:ident) => {
        $crate::export!(@ $plugin, nat::NatPolicy, nat, nat_policy);
    };
    (RegistrationMethod: $plugin:ident) => {
        $crate::export!(@ $plugin, registration::RegistrationMethod, registration, registration_method);
    };
    (@ $plugin:ident, $slot:ident::$trait:ident, $module:ident, $world:ident) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exported = $crate::$module::Exported<$plugin>;
            $crate::bindings::$world::export!(Exported with_types_in $crate::bindings::$world);
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            fn is_a_plugin<T: $crate::$slot::$trait>() {}
            let _: fn() = is_a_plugin::<$plugin>;
        };
    };
}
