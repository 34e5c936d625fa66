//! The binary `switchhook`.

use std::process::ExitCode;

fn main() -> ExitCode {
    switchhook_server::cli::main()
}
