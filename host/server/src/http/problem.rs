//! Errors of HTTP: `application/problem+json` (RFC 9457) with a published code.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use switchhook_plugin_runtime::Report;
use switchhook_protocol::error::{ErrorBody, ErrorCode};
use switchhook_storage::StorageError;
use utoipa::ToSchema;

use super::admin::schemas;
use crate::flows::FlowError;

/// An error as HTTP answers it.
#[derive(Debug)]
pub(crate) struct Problem {
    body: ErrorBody,
    /// Of a component that is refused.
    report: Option<Box<Report>>,
}

impl From<ErrorBody> for Problem {
    fn from(body: ErrorBody) -> Self {
        Self { body, report: None }
    }
}

/// What every failed request is answered with (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Details {
    /// `urn:switchhook:error:` and the code.
    r#type: String,
    /// What the code means.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// The published code; programs decide by it.
    #[schema(value_type = String)]
    code: ErrorCode,
    /// About this failure.
    detail: String,
    /// Of a component or webhook that is refused: what does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Report>)]
    report: Option<Box<Report>>,
}

impl From<ErrorCode> for Problem {
    fn from(code: ErrorCode) -> Self {
        ErrorBody::from(code).into()
    }
}

impl From<FlowError> for Problem {
    fn from(error: FlowError) -> Self {
        error.into_body("http").into()
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        FlowError::from(error).into()
    }
}

impl Problem {
    /// The published code.
    pub(crate) const fn code(&self) -> ErrorCode {
        self.body.code
    }

    /// With a sentence of its own.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        ErrorBody { message: message.into(), ..code.into() }.into()
    }

    /// With what the host says about a component, as the member `report`.
    pub(crate) fn reported(code: ErrorCode, report: Box<Report>) -> Self {
        Self {
            report: Some(report),
            ..Self::new(code, "the component does not keep the contract of its slot")
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { body, report } = self;
        let status = StatusCode::from_u16(body.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let details = Details {
            r#type: format!("urn:switchhook:error:{}", body.code),
            title: body.code.meaning().trim(),
            status: status.as_u16(),
            code: body.code,
            detail: body.message,
            report,
        };
        let mut response = (status, Json(details)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = body.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.div_ceil(1000)));
        }
        response
    }
}
