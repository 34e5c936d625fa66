//! `switchhook demo` placeholder.
use clap::Args;
/// Demo.
#[derive(Debug, Args)]
pub struct Demo {}
impl Demo {
    pub(crate) async fn run(self) -> anyhow::Result<()> { Ok(()) }
}
