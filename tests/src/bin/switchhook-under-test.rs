//! The server's own binary, with fail points.

use std::process::ExitCode;

fn main() -> ExitCode {
    switchhook_server::cli::main()
}
