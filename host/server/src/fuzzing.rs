//! What nothing that strangers, proxies and nodes say may do to the server's own decoders, which nobody outside
//! sees. A broken rule is a panic; each function says whether the bytes came as far as its rule.

mod backup_manifest;
mod http;
mod relay_host;

pub use self::{
    backup_manifest::backup_manifest,
    http::{forwarded, http_signature},
    relay_host::relay_host,
};
