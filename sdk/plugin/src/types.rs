//! What every slot shares: the context of a call, refusals, requests, and how a plugin names itself.

use alloc::{borrow::ToOwned as _, string::String};

pub use crate::bindings::shared::switchhook::types::types::{Answer, Context, Description, Refusal, Request};

impl Description {
    /// Name (a word), version and one sentence about what the plugin decides.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self { name: name.to_owned(), version: version.to_owned(), summary: summary.to_owned() }
    }
}

impl Refusal {
    /// A word of at most 64 characters `a-z`, `0-9`, `-`, and one sentence for a person.
    pub fn new(code: &str, message: &str) -> Self {
        Self { code: code.to_owned(), message: message.to_owned() }
    }
}

impl Context {
    /// A context for tests, with this configuration.
    pub fn example(configuration: &str) -> Self {
        Self {
            tenant: "example".to_owned(),
            application: "example".to_owned(),
            now: 1_800_000_000_000,
            seed: (1, 2),
            subject: String::from("example"),
            configuration: configuration.to_owned(),
        }
    }
}
