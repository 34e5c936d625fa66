//! A device of a load generator: as little work as the protocol allows, so that the server has the rest.

use serde::Deserialize;
use serde_json::value::RawValue;
use switchhook_client::identity::DeviceKey;
use switchhook_protocol::{
    client::{ClientMessage, Cursor, Hello, Said},
    device_key::Statement,
    endpoint::EndpointId,
    id::{DeviceId, PushToken, TenantId},
    server::{ServerMessage, Welcome},
};

use crate::socket::{Door, Socket};

/// A device that the server knows.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) number: u32,
    pub(crate) id: DeviceId,
    pub(crate) push_token: PushToken,
    pub(crate) endpoint: EndpointId,
}

/// What the generator reads of a frame.
#[derive(Deserialize)]
pub(crate) struct Head<'a> {
    #[serde(rename = "type", borrow)]
    pub(crate) of: &'a str,
    /// Of an event.
    #[serde(borrow)]
    pub(crate) kind: Option<&'a str>,
    /// Of an event.
    pub(crate) seq: Option<u64>,
    /// Of an answer.
    pub(crate) error: Option<&'a RawValue>,
}

impl Device {
    /// The device of this number.
    pub(crate) fn numbered(number: u32) -> anyhow::Result<Self> {
        Ok(Self {
            number,
            id: format!("device-{number}").parse()?,
            push_token: format!("token-{number}").parse()?,
            endpoint: format!("+1555{number:07}").parse()?,
        })
    }

    /// Connects, proves who it is, and waits for the welcome.
    pub(crate) async fn connect(&self, door: &Door, who: (&TenantId, &DeviceKey)) -> anyhow::Result<Socket> {
        Ok(self.resume(door, who, None).await?.0)
    }

    /// The same, from where its mailbox was left.
    pub(crate) async fn resume(
        &self,
        door: &Door,
        (tenant, key): (&TenantId, &DeviceKey),
        cursor: Option<Cursor>,
    ) -> anyhow::Result<(Socket, Welcome)> {
        let mut socket = Socket::connect(door, self.number, &format!("/v1/{tenant}/connect")).await?;
        let challenge = ServerMessage::decode(&socket.hear().await?)?;
        let Some(ServerMessage::Challenge(challenge)) = challenge else { anyhow::bail!("{challenge:?}") };
        let (device, push_token) = (&self.id, &self.push_token);
        let statement = Statement::Hello { nonce: &challenge.nonce, tenant, device, push_token };
        let proof = key.sign(&statement);
        let hello =
            Hello { device: device.clone(), push_token: push_token.clone(), proof, cursor, dials_from: None };
        socket.say(ClientMessage::say(&Said::Hello(&hello))?).await?;
        let welcome = ServerMessage::decode(&socket.hear().await?)?;
        let Some(ServerMessage::Welcome(welcome)) = welcome else { anyhow::bail!("{welcome:?}") };
        Ok((socket, welcome))
    }
}

impl<'a> Head<'a> {
    pub(crate) fn of(text: &'a str) -> anyhow::Result<Self> {
        Ok(serde_json::from_str(text)?)
    }
}
