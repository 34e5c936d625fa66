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
}

/// All of them; a new tenant has all active.
pub const fn all() -> &'static [Builtin] {
    &ALL
}

macro_rules! builtin {
    ($name:literal, $slot:ident) => {
        Builtin {
            name: $name,
            slot: Slot::$slot,
            bytes: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm")),
            configuration: "{}",
        }
    };
}

static ALL: [Builtin; 5] = [
    builtin!("register-sms", RegistrationMethod),
    builtin!("register-phone-entry", RegistrationMethod),
    builtin!("register-email", RegistrationMethod),
    builtin!("nat-policy-standard", NatPolicy),
    builtin!("route-ring-all", InviteRouter),
];

impl std::fmt::Debug for Builtin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Builtin({}, {}, {} bytes)", self.name, self.slot, self.bytes.len())
    }
}
