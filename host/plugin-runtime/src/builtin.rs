//! The plugins that ship with the host: bytes like those of an upload, with no privilege (PLUG-2).

use switchhook_core::policy::Slot;

/// A plugin that ships with the host.
#[derive(Clone, Copy)]
pub struct Builtin {
    /// The name it gives itself.
    pub name: &'static str,
    /// Where it belongs.
    pub slot: Slot,
    /// A component.
    pub bytes: &'static [u8],
    /// A configuration that it accepts.
    pub configuration: &'static str,
    /// Whether a new tenant has it active; the others are there to be chosen.
    pub active: bool,
}

/// All of them; a new tenant has them all.
pub const fn all() -> &'static [Builtin] {
    &ALL
}

macro_rules! builtin {
    ($name:literal, $slot:ident, active: $active:literal) => {
        Builtin {
            name: $name,
            slot: Slot::$slot,
            bytes: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm")),
            configuration: "{}",
            active: $active,
        }
    };
}

static ALL: [Builtin; 8] = [
    builtin!("register-sms", RegistrationMethod, active: true),
    builtin!("register-phone-entry", RegistrationMethod, active: true),
    builtin!("register-email", RegistrationMethod, active: true),
    builtin!("nat-policy-standard", NatPolicy, active: true),
    builtin!("route-ring-all", InviteRouter, active: true),
    builtin!("nat-policy-relay-only", NatPolicy, active: false),
    builtin!("nat-policy-relay-until-accepted", NatPolicy, active: false),
    builtin!("nat-policy-learning", NatPolicy, active: false),
];

impl std::fmt::Debug for Builtin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Builtin({}, {}, {} bytes)", self.name, self.slot, self.bytes.len())
    }
}
