//! Enrolment: the host stores the device's key and mints its id and push token.

use futures_util::{SinkExt as _, StreamExt as _};
use switchhook_protocol::{
    client::{ClientMessage, Enrol, Said},
    device_key::Statement,
    error::ErrorBody,
    server::{Challenge, ServerMessage},
};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    client::Client,
    connection::dial::{DialError, Socket, dial},
    identity::{DeviceKey, Identity},
    limits,
    settings::Settings,
};

/// Why the device is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// There is no connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The host said no.
    #[error("the host refused: {} ({})", .0.message, .0.code)]
    Refused(ErrorBody),
    /// The connection ended before the host had answered.
    #[error("the connection ended before the host had answered")]
    Lost,
    /// The host did not answer in time.
    #[error("the host did not answer in time")]
    Deadline,
}

impl Client {
    /// Enrols a device key, once in the life of a device. The application stores the key before
    /// it calls this, or takes the risk of a device that nobody can use; and the identity after it:
    /// it holds what the first text of a registration by SMS needs, so that no connection is needed before that.
    pub async fn enrol(settings: &Settings, key: DeviceKey) -> Result<Identity, EnrolError> {
        let mut socket = dial(settings, None).await?;
        let enrolled = match timeout(limits::ANSWER, Box::pin(enrol(&mut socket, settings, key))).await {
            Ok(enrolled) => enrolled,
            Err(_) => Err(EnrolError::Deadline),
        };
        // The host knows the key by now; how the socket ends changes nothing.
        _ = timeout(limits::WRITE, socket.close(None)).await;
        enrolled
    }
}

async fn enrol(socket: &mut Socket, settings: &Settings, key: DeviceKey) -> Result<Identity, EnrolError> {
    let challenge = loop {
        if let ServerMessage::Challenge(challenge) = hear(socket).await? {
            break challenge;
        }
    };
    let text = ClientMessage::say(&Said::Enrol(&proof(&challenge, settings, &key)));
    let text = text.map_err(|_invalid| EnrolError::Lost)?;
    socket.send(Message::text(text)).await.map_err(|_lost| EnrolError::Lost)?;
    loop {
        if let ServerMessage::Enrolled(enrolled) = hear(socket).await? {
            return Ok(Identity {
                key,
                device: enrolled.device,
                push_token: enrolled.push_token,
                registrations: Vec::new(),
                carriers: enrolled.carriers.unwrap_or_default(),
            });
        }
    }
}

fn proof(challenge: &Challenge, settings: &Settings, key: &DeviceKey) -> Enrol {
    let Settings { tenant, application, .. } = settings;
    Enrol {
        application: application.clone(),
        device_key: key.public(),
        proof: key.sign(&Statement::Enrol { nonce: &challenge.nonce, tenant, application }),
        device_kind: settings.device_kind.clone(),
    }
}

async fn hear(socket: &mut Socket) -> Result<ServerMessage, EnrolError> {
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        match ServerMessage::decode(&text) {
            Ok(Some(ServerMessage::Error(error))) => return Err(EnrolError::Refused(error)),
            Ok(Some(message)) => return Ok(message),
            Ok(None) | Err(_) => {}
        }
    }
    Err(EnrolError::Lost)
}
