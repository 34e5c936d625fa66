//! What leaves the host for people: texts, through a tenant's SMS gateways (REG-3).
//!
//! Promise: at most once. What is told apart is therefore not success and failure but what the
//! gateway *knows*: it took the text, it refused it, it never saw it, or nobody can say
//! ([`Sent::InDoubt`]). A text in doubt is reported and sent again only on request.

mod limits;
mod sms;

pub use crate::sms::{Sent, SmsSender, Transit};
