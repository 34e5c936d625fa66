//! Registration: secrets that the host makes and checks once (REG-3 to REG-5, REG-8).
//!
//! Which secret is made, for whom and when is a method's decision (a plugin); what it is made of,
//! how it is compared and how often it may be tried is the host's.

pub mod code;
pub mod credentials;
pub mod elsewhere;
pub mod link;
pub mod notice;
pub mod password;
pub mod perform;
pub mod signature;
pub mod test_number;
pub mod validation;
