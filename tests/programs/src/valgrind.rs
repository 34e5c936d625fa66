//! What something costs, counted by valgrind: times are noisy, instructions and allocations are not.
//!
//! A test program runs itself under valgrind, with few and with many repetitions of an ignored test; the
//! difference is theirs alone. It is built without optimisation of ours, so the count says nothing about speed
//! (`benches` does), and much about a change that does more than before.

use std::{
    env,
    process::{Command, Stdio},
};

use crate::skipped;

/// How far above the known cost a change may come: allocators and hashing differ a little from run to run.
const TOLERANCE_PERCENT: u64 = 8;

/// Says to the inner run how many repetitions are wanted.
const REPETITIONS: &str = "SWITCHHOOK_REPETITIONS";

/// What is counted, and how much of it one repetition needed when it was last looked at. Whoever makes it
/// cheaper lowers this.
#[derive(Debug, Clone, Copy)]
pub enum Cost {
    /// Instructions, of all threads.
    Instructions(u64),
    /// Blocks that are asked of the allocator.
    Allocations(u64),
}

/// How many repetitions an inner run is asked for.
pub fn repetitions() -> u64 {
    env::var(REPETITIONS).unwrap().parse().unwrap()
}

impl Cost {
    /// Lets a test fail if one repetition of its inner test (by its name in this program) costs more than is
    /// known, or so much less that this guards nothing any more. Without valgrind it says that it was skipped.
    pub fn guard(self, test: &str, inner: &str, [few, many]: [u64; 2]) {
        let (Some(less), Some(more)) = (self.of_run(inner, few), self.of_run(inner, many)) else {
            return skipped::say(test, "valgrind is not installed");
        };
        let each = more.saturating_sub(less) / (many - few);
        let (Self::Instructions(known) | Self::Allocations(known)) = self;
        let most = known + known * TOLERANCE_PERCENT / 100;
        assert!(each <= most, "{each}, where {self:?} were enough");
        assert!(each >= known / 2, "{each}: lower {self:?}, it guards nothing any more");
    }

    /// Of a whole run with so many repetitions; none where there is no valgrind.
    fn of_run(self, inner: &str, repetitions: u64) -> Option<u64> {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(self.tool()).arg(env::current_exe().unwrap());
        valgrind.args(["--exact", inner, "--ignored", "--test-threads=1"]);
        valgrind.env(REPETITIONS, repetitions.to_string()).stdin(Stdio::null());
        let output = valgrind.output().ok()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        Some(self.count(&said).unwrap_or_else(|| panic!("no count in {said}")))
    }

    const fn tool(self) -> [&'static str; 2] {
        match self {
            Self::Instructions(_) => ["--tool=callgrind", "--callgrind-out-file=/dev/null"],
            Self::Allocations(_) => ["--tool=dhat", "--dhat-out-file=/dev/null"],
        }
    }

    /// `Collected : 1234`, or `Total:     1,234 bytes in 56 blocks`.
    fn count(self, said: &str) -> Option<u64> {
        let mut lines = said.lines();
        let count = match self {
            Self::Instructions(_) => lines.find_map(|line| line.split_once("Collected :"))?.1,
            Self::Allocations(_) => {
                let total = lines.find_map(|line| line.split_once("Total:"))?.1;
                total.split_once(" in ")?.1.strip_suffix(" blocks")?
            }
        };
        count.trim().replace(',', "").parse().ok()
    }
}
