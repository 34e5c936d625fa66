//! Lines for the tenant's log of this plugin.
//!
//! Bounded in number and size: what is over is dropped. Silent in native tests.

pub use crate::bindings::shared::switchhook::types::log::Level;

/// What only the author of the plugin wants to know.
pub fn debug(line: &str) {
    write(Level::Debug, line);
}

/// What a tenant wants to know.
pub fn info(line: &str) {
    write(Level::Info, line);
}

/// What somebody should look at.
pub fn warn(line: &str) {
    write(Level::Warn, line);
}

/// What went wrong.
pub fn error(line: &str) {
    write(Level::Error, line);
}

/// Writes a line.
pub fn write(level: Level, line: &str) {
    if cfg!(target_arch = "wasm32") {
        crate::bindings::shared::switchhook::types::log::write(level, line);
    }
}
