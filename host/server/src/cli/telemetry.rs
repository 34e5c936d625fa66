//! Logs: one line an event, to standard error; JSON for machines.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// Begins to log. `RUST_LOG` chooses what; without it, what an operator cares about.
pub(crate) fn start(json: bool, default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    // A second start in one process (tests) keeps the first.
    if json {
        registry.with(layer.json()).try_init().unwrap_or_default();
    } else {
        registry.with(layer).try_init().unwrap_or_default();
    }
}
