//! The server's own binary, by a clock that stands still until a test sets it.
//!
//! The time is the file `clock` beside its data folder, in milliseconds. A router that is late because the machine has
//! much to do is waited for: with the declared default instead, another device would ring.

use std::{env, fs, path::PathBuf, process::ExitCode, sync::OnceLock};

use switchhook_protocol::time::Timestamp;
use switchhook_tests::waiting::GUARD;

static CLOCK: OnceLock<PathBuf> = OnceLock::new();

fn main() -> ExitCode {
    let data = env::args_os().skip_while(|argument| argument != "--data").nth(1);
    if let Some(beside) = data.map(PathBuf::from).and_then(|data| Some(data.parent()?.join("clock"))) {
        CLOCK.get_or_init(|| beside);
    }
    switchhook_server::cli::main_by(now, |settings| settings.deadlines.webhook = GUARD)
}

fn now() -> Timestamp {
    let told = CLOCK.get().and_then(|clock| fs::read_to_string(clock).ok());
    Timestamp::from_millis(told.and_then(|told| told.parse().ok()).unwrap_or_default())
}
