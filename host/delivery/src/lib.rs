//! What leaves the host: texts for people, through a tenant's SMS gateways (REG-3) over HTTP
//! ([`SmsSender`]) or SMPP ([`smpp`]), mails by its mail server (REG-7, [`MailSender`]), and requests of
//! plugins to their tenant's own services ([`Outbound`]).
//!
//! Promise of a text, and of a mail: at most once. What is told apart is therefore not success and failure but what
//! the gateway *knows*: it took the text, it refused it, it never saw it, or nobody can say
//! ([`Sent::InDoubt`]). A text in doubt is reported and sent again only on request.

pub mod limits;
mod mail;
mod outbound;
mod peers;
pub mod smpp;
mod sms;

pub use crate::{
    mail::{MailSender, NewMail, NotCertificates, TOKEN_HEADER},
    outbound::{Outbound, OutboundError, OutboundRequest},
    peers::{GatewayPeers, RefusedGateway, Sandbox},
    sms::{Sent, SmsSender, Transit, Twilio, Webhook},
};
