//! `switchhook plugin`: an author's loop (new, build, check, test, bench), and what an administrator
//! does with the result on a running server.

mod bench;
mod build;
mod case;
mod check;
mod compiled;
mod new;
mod project;
mod remote;
mod report;
mod stage;
mod subject;
mod templates;
mod test;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Writes, builds, checks and tests plugins; changes those of a tenant on a running server.
#[derive(Debug, Args)]
pub(crate) struct Plugin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a folder with a plugin that works, to be changed.
    New(new::New),
    /// Build a project's component.
    Build(build::Build),
    /// Say what a host would say about a component, without a host.
    Check(check::Check),
    /// Run a project's cases under the limits of a real host.
    Test(test::Test),
    /// Ask one case many times: how long it takes, and its fuel.
    Bench(bench::Bench),
    /// Upload a component as a new version.
    Upload(remote::upload::Upload),
    /// Give a tenant the built-in plugins of its server that it lacks, inactive.
    BuiltIn(remote::built_in::BuiltIn),
    /// List a tenant's plugins.
    List(remote::show::List),
    /// Show a plugin, or one version of it.
    Show(remote::show::Show),
    /// Make a version the one that is asked.
    Activate(remote::change::Activate),
    /// Go back to the version that was active before.
    Rollback(remote::change::Rollback),
    /// Let nobody ask the plugin any more.
    Deactivate(remote::change::Deactivate),
    /// Show or change what a plugin is told.
    Configure(remote::change::Configure),
    /// Show or change what a plugin may do beyond answering.
    Grant(remote::grant::Grant),
    /// List, set and remove secrets.
    Secret(remote::secret::Secret),
    /// Show what a plugin wrote.
    Logs(remote::logs::Logs),
    /// Show how calls of a plugin went.
    Metrics(remote::show::Metrics),
}

impl Plugin {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::New(command) => command.run(),
            Command::Build(command) => command.run().await,
            Command::Check(command) => command.run().await,
            Command::Test(command) => command.run().await,
            Command::Bench(command) => command.run().await,
            Command::Upload(command) => command.run().await,
            Command::BuiltIn(command) => command.run().await,
            Command::List(command) => command.run().await,
            Command::Show(command) => command.run().await,
            Command::Activate(command) => command.run().await,
            Command::Rollback(command) => command.run().await,
            Command::Deactivate(command) => command.run().await,
            Command::Configure(command) => command.run().await,
            Command::Grant(command) => command.run().await,
            Command::Secret(command) => command.run().await,
            Command::Logs(command) => command.run().await,
            Command::Metrics(command) => command.run().await,
        }
    }
}
