//! Parts of a request. What is not of the form is answered with a problem, like every failure.

use axum::{
    Json,
    extract::{self, FromRequest, FromRequestParts, Request},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;
use switchhook_protocol::error::ErrorCode;

use super::problem::Problem;

/// What stands in the address.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

/// What stands behind the address.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = extract::Path::from_request_parts(parts, state).await;
        found.map(|extract::Path(value)| Self(value)).map_err(|wrong| malformed(wrong.body_text()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = extract::Query::from_request_parts(parts, state).await;
        found.map(|extract::Query(value)| Self(value)).map_err(|wrong| malformed(wrong.body_text()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(wrong) if wrong.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(ErrorCode::TooLarge.into()),
            Err(wrong) => Err(malformed(wrong.body_text())),
        }
    }
}

fn malformed(words: String) -> Problem {
    Problem::new(ErrorCode::Malformed, words)
}
