//! Enrolment: a device's public key is stored, its id and push token are minted (REG-1).

use switchhook_core::{mint, row::Device, subscriber::Subscriber};
use switchhook_protocol::{
    client::Enrol, device_key::Statement, error::ErrorCode, id::TenantId, server::Enrolled, time::millis,
};

use super::{FlowError, carriers};
use crate::{app::App, limits, secrets};

/// Longest word for what a device is.
const MAX_KIND: usize = 64;

pub(crate) async fn enrol(
    app: &App,
    (tenant, from): (&TenantId, Subscriber),
    nonce: &str,
    request: Enrol,
) -> Result<Enrolled, FlowError> {
    let statement = Statement::Enrol { nonce, tenant, application: &request.application };
    request.device_key.verify(&statement, &request.proof).or(Err(ErrorCode::Unauthorized))?;
    if request.device_kind.is_empty() || request.device_kind.len() > MAX_KIND {
        return Err(ErrorCode::TooLarge.into());
    }
    app.bounds.enrolment(tenant, from, app.now()).map_err(FlowError::too_often)?;
    let mut rng = app.rng();
    let push_token = mint::push_token(&mut rng);
    let device = Device {
        id: mint::device(&mut rng),
        application: request.application,
        kind: request.device_kind,
        key: request.device_key,
        enrolled_at: app.now(),
        push_token_until: app.now().after(limits::PUSH_TOKEN),
        dials_from: None,
    };
    let push_token_expires_in_ms = millis(limits::PUSH_TOKEN);
    let carriers = carriers::first(app, tenant).await?;
    let enrolled = Enrolled { device: device.id.clone(), push_token, push_token_expires_in_ms, carriers };
    let hash = secrets::hash(enrolled.push_token.as_str());
    app.storage.of(tenant).devices().insert(&device, hash, &mint::epoch(&mut rng)).await?;
    app.metrics.enrolled.inc();
    Ok(enrolled)
}
