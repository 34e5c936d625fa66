//! Devices, what they are reached by, and how that is proven.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    device_key::DeviceKey,
    endpoint::EndpointId,
    id::{ApplicationId, AttemptId, DeviceId, GatewayId, MethodName},
    time::Timestamp,
};

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its application.
    pub application: ApplicationId,
    /// What it is: `phone`, `tablet` …
    pub kind: String,
    /// Its key.
    pub key: DeviceKey,
    /// When it enrolled.
    pub enrolled_at: Timestamp,
}

/// A proven association of an identifier and a device (REG-11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// For which application.
    pub application: ApplicationId,
    /// What the person is reached by.
    pub endpoint: EndpointId,
    /// Which device.
    pub device: DeviceId,
    /// How it was proven.
    pub method: MethodName,
    /// When.
    pub registered_at: Timestamp,
}

/// A device that can be rung.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The identifier that reaches it.
    pub endpoint: EndpointId,
    /// Which device.
    pub device: DeviceId,
    /// What it is: `phone`, `tablet` …
    pub kind: String,
}

/// A registration under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// Its method.
    pub method: MethodName,
    /// The method's key for it; unique within the method.
    pub key: String,
    /// The device that it is for.
    pub device: DeviceId,
    /// The version of the method that it asks, stamped by its first step; 0 before that.
    pub plugin_version: u32,
    /// The plugin's state, sealed; none before the first step.
    pub state: Option<Vec<u8>>,
    /// Counts its commits; a commit names the one it read.
    pub version: u64,
    /// It is forgotten after this.
    pub expires_at: Timestamp,
    /// It has finished.
    pub finished: bool,
}

/// What a secret of the host proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretKind {
    /// A signature over number, push token, device id and random number (REG-3).
    Signature,
    /// A short code (REG-5).
    Code,
}

/// What the host remembers of a secret that it made, to check it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Finds the record: the signature's random number, or the attempt's id.
    pub id: String,
    /// What it proves.
    pub kind: SecretKind,
    /// The attempt that it belongs to.
    pub attempt: AttemptId,
    /// What it was sent to.
    pub endpoint: EndpointId,
    /// The device that it is for.
    pub device: DeviceId,
    /// Key that made it.
    pub key_id: [u8; 4],
    /// Keyed hash of it.
    pub digest: Vec<u8>,
    /// How many more wrong tries it bears.
    pub tries_left: u8,
    /// It cannot be used after this.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

/// A configured SMS transit of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Its name.
    pub id: GatewayId,
    /// The number or short code that devices text to.
    pub number: String,
    /// Where the host asks it to send a text.
    pub send_url: String,
    /// The shared secret of both directions' signatures, sealed.
    pub secret: Vec<u8>,
}

/// What a transit's message was answered with; a repeat gets the same (REG-2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitAnswer {
    /// The gateway.
    pub gateway: GatewayId,
    /// The gateway's id of the message.
    pub message: String,
    /// SHA-256 of the body.
    pub digest: [u8; 32],
    /// HTTP status of the answer.
    pub status: u16,
    /// Body of the answer.
    pub answer: String,
    /// When.
    pub at: Timestamp,
}
