//! What commands say: answers on standard output, for a person or as JSON; progress on standard error.
//!
//! Colours appear on a terminal alone; in a pipe the same words are plain.

use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde::Serialize;

/// Whom a command answers.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Form {
    /// Answers as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is fine.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What somebody should look at.
pub(crate) const ODD: Style = AnsiColor::Yellow.on_default().bold();
/// What is of less interest.
pub(crate) const FAINT: Style = Style::new().dimmed();

impl Form {
    /// Answers: the value as JSON, or what it reads like.
    pub(crate) fn answer<T: Serialize>(
        self,
        value: &T,
        words: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string_pretty(value)? } else { words(value) };
        // A reader that has gone (`| head`) wants no more.
        match writeln!(anstream::stdout(), "{}", text.trim_end()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }
}

/// Words in a style.
pub(crate) fn styled(style: Style, words: &str) -> String {
    format!("{style}{words}{style:#}")
}

/// Says what goes on, for whoever waits.
pub(crate) fn progress(words: &str) {
    // Nobody to tell is no reason to stop.
    writeln!(anstream::stderr(), "{}", styled(FAINT, words)).unwrap_or_default();
}

/// A size as people say it.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 10_000 { format!("{bytes} bytes") } else { format!("{} kB", bytes.div_ceil(1000)) }
}
