//! The contract's versions: each file has the generated code of one, and its conversions to the
//! host's own types. Nothing else knows that versions exist.

pub(crate) mod v0_1;
