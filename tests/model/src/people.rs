//! Who is in the world of the model.

/// Alice, who invites.
pub(crate) const ALICE: &str = "+15550100";
/// Bob, who is invited.
pub(crate) const BOB: &str = "+15550101";
/// Dave, who is invited with him.
pub(crate) const DAVE: &str = "+15550102";
/// Carol, to whom it goes on.
pub(crate) const CAROL: &str = "+15550103";

/// A device: its id, whose it is, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Device {
    pub(crate) id: &'static str,
    pub(crate) endpoint: &'static str,
    pub(crate) kind: &'static str,
}

/// Whose device invites.
pub(crate) const INVITER: Device = Device { id: "alice-phone", endpoint: ALICE, kind: "phone" };

pub(crate) const DEVICES: [Device; 6] = [
    INVITER,
    Device { id: "bob-phone", endpoint: BOB, kind: "phone" },
    Device { id: "bob-tablet", endpoint: BOB, kind: "tablet" },
    Device { id: "carol-phone", endpoint: CAROL, kind: "phone" },
    Device { id: "dave-phone", endpoint: DAVE, kind: "phone" },
    Device { id: "dave-tablet", endpoint: DAVE, kind: "tablet" },
];

/// The devices of an identifier.
pub(crate) fn devices_of(endpoint: &str) -> impl Iterator<Item = Device> + use<'_> {
    DEVICES.into_iter().filter(move |device| device.endpoint == endpoint)
}
