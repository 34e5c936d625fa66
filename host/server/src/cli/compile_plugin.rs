//! `switchhook compile-plugin`: the compiler of uploads, in a process that can be ended.

use anyhow::anyhow;
use clap::Args;
use switchhook_plugin_runtime::{Class, compile_plugin};

/// Compiles standard input to standard output, within limits of its own.
#[derive(Debug, Args)]
pub(super) struct CompilePlugin {
    /// `small` or `large`.
    class: Class,
    /// Address space of a memory, in bytes.
    memory_reservation: u64,
}

impl CompilePlugin {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        compile_plugin(self.class, self.memory_reservation).map_err(|why| anyhow!(why))
    }
}
