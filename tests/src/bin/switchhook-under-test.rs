//! The server's own binary, with points where a test may end it.
//!
//! Each line of standard input names a point; from the answer on (`armed`), whoever comes there aborts
//! the process.
#![expect(clippy::print_stdout, reason = "it talks to the process that started it")]

use std::{env, io, process::ExitCode, thread};

fn main() -> ExitCode {
    // Whoever compiles has a component on its standard input.
    if env::args().nth(1).is_none_or(|command| command != "compile-plugin") {
        hear();
    }
    switchhook_server::cli::main()
}

fn hear() {
    thread::spawn(|| {
        for point in io::stdin().lines().map_while(Result::ok) {
            match fail::cfg(point.as_str(), "return") {
                Ok(()) => println!("armed"),
                Err(why) => println!("not armed: {why}"),
            }
        }
    });
}
