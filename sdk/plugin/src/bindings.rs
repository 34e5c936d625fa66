//! What `wit-bindgen` makes of the packages in `wit/`: one module a world, over one set of shared types.
//!
//! Generated, and not for authors: the traits and names for them are in the modules beside this one.
//! The unsafe code in here lifts and lowers by the component model's canonical ABI, whose layout the
//! generator knows; the lint for it does not look into generated code.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    clippy::nursery,
    reason = "generated"
)]

/// What every slot shares.
pub mod shared {
    wit_bindgen::generate!({
        path: "../../wit/types",
        inline: "
            package switchhook:sdk;
            world shared {
                import switchhook:types/types@0.1.0-dev;
                import switchhook:types/log@0.1.0-dev;
                import switchhook:types/facts@0.1.0-dev;
                import switchhook:types/key-value@0.1.0-dev;
            }
        ",
        world: "switchhook:sdk/shared",
        generate_all,
        generate_unused_types: true,
        disable_custom_section_link_helpers: true,
    });
}

/// The world of the invite router.
pub mod invite_router {
    wit_bindgen::generate!({
        path: ["../../wit/types", "../../wit/invite-router"],
        world: "switchhook:invite-router/invite-router",
        with: {
            "switchhook:types/types@0.1.0-dev": crate::bindings::shared::switchhook::types::types,
            "switchhook:types/log@0.1.0-dev": crate::bindings::shared::switchhook::types::log,
            "switchhook:types/facts@0.1.0-dev": crate::bindings::shared::switchhook::types::facts,
            "switchhook:types/key-value@0.1.0-dev": crate::bindings::shared::switchhook::types::key_value,
        },
        generate_all,
        pub_export_macro: true,
        disable_custom_section_link_helpers: true,
    });
}

/// The world of the NAT policy.
pub mod nat_policy {
    wit_bindgen::generate!({
        path: ["../../wit/types", "../../wit/nat-policy"],
        world: "switchhook:nat-policy/nat-policy",
        with: {
            "switchhook:types/types@0.1.0-dev": crate::bindings::shared::switchhook::types::types,
            "switchhook:types/log@0.1.0-dev": crate::bindings::shared::switchhook::types::log,
            "switchhook:types/facts@0.1.0-dev": crate::bindings::shared::switchhook::types::facts,
            "switchhook:types/key-value@0.1.0-dev": crate::bindings::shared::switchhook::types::key_value,
        },
        generate_all,
        pub_export_macro: true,
        disable_custom_section_link_helpers: true,
    });
}

/// The world of a registration method.
pub mod registration_method {
    wit_bindgen::generate!({
        path: ["../../wit/types", "../../wit/registration-method"],
        world: "switchhook:registration-method/registration-method",
        with: {
            "switchhook:types/types@0.1.0-dev": crate::bindings::shared::switchhook::types::types,
            "switchhook:types/log@0.1.0-dev": crate::bindings::shared::switchhook::types::log,
            "switchhook:types/facts@0.1.0-dev": crate::bindings::shared::switchhook::types::facts,
            "switchhook:types/key-value@0.1.0-dev": crate::bindings::shared::switchhook::types::key_value,
        },
        generate_all,
        pub_export_macro: true,
        disable_custom_section_link_helpers: true,
    });
}
