//! From a core module to a component.
//!
//! Build scripts include this file too, for the guests of this repository.

/// A module does not become a component.
#[derive(Debug, thiserror::Error)]
#[error("the module does not become a component: {0}")]
pub struct EncodeError(String);

/// Encodes a core module that carries its world, as `wit-bindgen` leaves it, as a component.
pub fn encode(module: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let encoder = wit_component::ComponentEncoder::default().validate(true).module(module);
    encoder.and_then(|mut encoder| encoder.encode()).map_err(|error| EncodeError(format!("{error:#}")))
}
