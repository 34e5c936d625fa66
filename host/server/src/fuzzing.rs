//! What nothing that strangers, proxies and nodes say may do to the server's own decoders, which nobody outside
//! sees. A broken rule is a panic; each function says whether the bytes came as far as its rule.

mod http;
mod relay_host;

pub use self::{
    http::{forwarded, http_signature},
    relay_host::relay_host,
};
