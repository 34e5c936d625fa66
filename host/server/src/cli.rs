//! The command line.

mod admin;
mod at_tenant;
mod backup;
mod compile_plugin;
mod docs;
pub(crate) mod explain;
mod gateway;
mod input;
mod installation;
mod mail;
mod plugin;
mod print;
mod registration;
mod relay;
mod relay_hosts;
mod restore;
mod sandbox;
mod serve;
mod stop;
pub(crate) mod telemetry;
mod tenant;
mod token;
mod user;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{CommandFactory as _, Parser, Subcommand};
use switchhook_protocol::time::Timestamp;

use crate::{Settings, clock, demo};

/// Switchhook: the signaling server whose every policy is a plugin.
#[derive(Debug, Parser)]
#[command(name = "switchhook", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server. Without settings: loopback, a data folder in the current one.
    Serve(serve::Serve),
    /// Run a relay host that is no node, and that the nodes send people to.
    Relay(relay::Relay),
    /// List, add, drain and remove relay hosts of a running server.
    RelayHosts(relay_hosts::RelayHosts),
    /// Three devices of two people register by SMS, on a real server; three calls: directly, through the relay, and
    /// one that nobody answers.
    Demo(demo::Demo),
    /// Run the sandbox SMS transit of a server on this machine: phones without a network.
    Sandbox(sandbox::Sandbox),
    /// Write, build, check and test plugins; change those of a tenant on a running server.
    Plugin(plugin::Plugin),
    /// Make and list tenants of a running server; set how much their devices may do, and whose certificates they
    /// need.
    Tenant(tenant::Tenant),
    /// Set, list and remove the SMS gateways of a tenant.
    Gateway(gateway::Gateway),
    /// Set, show and remove the mail server of a tenant.
    Mail(mail::Mail),
    /// Who is registered where: list and revoke, hand out or erase a person's data, say how devices register.
    Registration(registration::Registration),
    /// Add, list and remove the users who sign in to register e-mail addresses.
    User(user::User),
    /// Make, list and revoke tokens of a running server, the operator's or a tenant's.
    Token(token::Token),
    /// Why did it not ring? Everything that is known of a session or an identifier, on one line of time.
    Explain(explain::Explain),
    /// Copy the data of a server, which may be running.
    Backup(backup::Backup),
    /// Make an installation from a backup; clients notice, and go on.
    Restore(restore::Restore),
    /// Compile a component from standard input; a server runs this for each upload.
    #[command(hide = true)]
    CompilePlugin(compile_plugin::CompilePlugin),
    /// Print a generated page of the documentation.
    Docs(docs::Docs),
    /// Print shell completions.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    main_by(clock::now, |_| {})
}

/// The same, with a server that goes by this clock, and its settings changed: for tests.
pub fn main_by(clock: fn() -> Timestamp, change: fn(&mut Settings)) -> ExitCode {
    let cli = Cli::parse();
    let succeeded = |()| ExitCode::SUCCESS;
    let done = match cli.command {
        Command::Serve(command) => {
            runtime().and_then(|runtime| runtime.block_on(command.run(clock, change))).map(succeeded)
        }
        Command::Relay(command) => {
            runtime().and_then(|runtime| runtime.block_on(command.run())).map(succeeded)
        }
        Command::RelayHosts(command) => runtime().and_then(|runtime| runtime.block_on(command.run())),
        Command::Demo(command) => {
            runtime().and_then(|runtime| runtime.block_on(command.run())).map(succeeded)
        }
        Command::Sandbox(command) => {
            runtime().and_then(|runtime| runtime.block_on(command.run())).map(succeeded)
        }
        Command::Plugin(command) => runtime().and_then(|runtime| runtime.block_on(command.run())),
        Command::Tenant(command) => runtime().and_then(|runtime| runtime.block_on(command.run())),
        Command::Gateway(command) => runtime().and_then(|runtime| runtime.block_on(command.run())),
        Command::Mail(command) => runtime().and_then(|runtime| runtime.block_on(command.run())),
        Command::Registration(command) => runtime().and_then(|runtime| runtime.block_on(command.run())),
        Command::User(command) => runtime().and_then(|runtime| runtime.block_on(command.run())),
        Command::Token(command) => runtime().and_then(|runtime| runtime.block_on(command.run())),
        Command::Explain(command) => runtime().and_then(|runtime| runtime.block_on(command.run())),
        Command::Backup(command) => {
            runtime().and_then(|runtime| runtime.block_on(command.run())).map(succeeded)
        }
        Command::Restore(command) => {
            runtime().and_then(|runtime| runtime.block_on(command.run())).map(succeeded)
        }
        Command::CompilePlugin(command) => command.run().map(succeeded),
        Command::Docs(command) => command.run().map(succeeded),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "switchhook", &mut io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // Nothing more can be done if even this cannot be said.
            writeln!(anstream::stderr(), "switchhook: {error:#}").unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_argument_is_ambiguous() {
        Cli::command().debug_assert();
    }
}
