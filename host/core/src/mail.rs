//! Mail of a tenant: the server that it leaves by, and what the mail with a link says.

mod configuration;
mod template;

pub use self::{
    configuration::{InvalidMailServer, MAX_PASSWORD},
    template::{Filling, InvalidTemplate, MAX_SUBJECT, MAX_TEXT, Rendered, Template},
};
