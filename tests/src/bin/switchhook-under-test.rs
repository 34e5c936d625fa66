//! The server's own binary, with points where a test may end it, and a time that a test moves on.
//!
//! Each line of standard input names a point; from the answer on (`armed`), whoever comes there aborts
//! the process. How many milliseconds later than the system's its time is, the file `later` beside its data folder says.
//! A tenant's service that is late because the machine has much to do is waited for: with the declared default instead,
//! another device would ring.
#![expect(clippy::print_stdout, reason = "it talks to the process that started it")]

use std::{env, fs, io, path::PathBuf, process::ExitCode, sync::OnceLock, thread, time::Duration};

use switchhook_protocol::time::Timestamp;
use switchhook_tests::{
    stage,
    waiting::{self, GUARD},
};

static LATER: OnceLock<PathBuf> = OnceLock::new();

fn main() -> ExitCode {
    // Whoever compiles has a component on its standard input.
    if env::args().nth(1).is_none_or(|command| command != "compile-plugin") {
        hear();
    }
    let data = env::args_os().skip_while(|argument| argument != "--data").nth(1);
    if let Some(beside) = data.map(PathBuf::from).and_then(|data| Some(data.parent()?.join(stage::LATER))) {
        LATER.get_or_init(|| beside);
    }
    switchhook_server::cli::main_by(now, |settings| {
        settings.deadlines.webhook = GUARD;
        // In this process: one of its own steps back for others, and beside a busy machine the start takes minutes.
        settings.compiler = None;
    })
}

fn now() -> Timestamp {
    let told = LATER.get().and_then(|later| fs::read_to_string(later).ok());
    waiting::now().after(Duration::from_millis(told.and_then(|told| told.parse().ok()).unwrap_or_default()))
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
