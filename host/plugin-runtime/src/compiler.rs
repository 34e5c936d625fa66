//! Compiling uploads, in a process of its own.
//!
//! What a compiler does with hostile input nobody can foresee, so it runs in a child: bounded in
//! processor time and memory by the kernel, in wall time by its parent, which kills it. Component on
//! standard input, code on standard output, the reason of a failure as the last line of standard
//! error. Both sides are the same program, so that the code fits the engine.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
};

use rustix::process::{Resource, Rlimit, Signal, nice, setrlimit};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    contract::Class,
    engine::config,
    limits::{COMPILER_NICENESS, COMPILER_WORDS, Compiling, MAX_CODE},
    runtime::{CompileError, NotExamined},
};

/// Where uploads are compiled.
#[derive(Debug, Clone, Default)]
pub enum Compiler {
    /// In this process: for tools and tests, whose input is their user's own.
    #[default]
    Here,
    /// In a process of its own: this program is started with `compile-plugin`, a class and the address space
    /// of a memory, and calls [`compile_plugin`].
    Process(PathBuf),
}

impl Compiler {
    /// Code for engines with this reservation.
    pub(crate) async fn compile(
        &self,
        bytes: &Arc<[u8]>,
        class: Class,
        memory_reservation: u64,
    ) -> Result<Vec<u8>, CompileError> {
        match self {
            Self::Here => {
                let bytes = Arc::clone(bytes);
                let code = move || precompile(&bytes, memory_reservation).map_err(CompileError::Compile);
                tokio::task::spawn_blocking(code).await.map_err(failed)?
            }
            Self::Process(program) => in_child(program, bytes, class, memory_reservation).await,
        }
    }
}

/// The child's side: compiles standard input to standard output, within its class's limits. An error is
/// for standard error, and a failed exit.
pub fn compile_plugin(class: Class, memory_reservation: u64) -> Result<(), String> {
    let said = |error: io::Error| error.to_string();
    confine(class.compiling()).map_err(said)?;
    let mut bytes = vec![];
    io::stdin().lock().read_to_end(&mut bytes).map_err(said)?;
    let code = precompile(&bytes, memory_reservation)?;
    io::stdout().lock().write_all(&code).map_err(said)
}

/// The kernel ends whoever exceeds these. Calls come before compiling wherever both want a core.
fn confine(limits: Compiling) -> io::Result<()> {
    nice(COMPILER_NICENESS)?;
    let most = |count| Rlimit { current: Some(count), maximum: Some(count) };
    setrlimit(Resource::As, most(limits.memory))?;
    setrlimit(Resource::Core, most(0))?;
    setrlimit(Resource::Fsize, most(0))?;
    // The soft limit is told by a signal of its own, the hard one by that of any kill.
    let seconds = limits.processor.as_secs();
    let processor = Rlimit { current: Some(seconds), maximum: Some(seconds.saturating_add(1)) };
    Ok(setrlimit(Resource::Cpu, processor)?)
}

fn precompile(bytes: &[u8], memory_reservation: u64) -> Result<Vec<u8>, String> {
    let said = |error: wasmtime::Error| format!("{error:#}");
    let engine = wasmtime::Engine::new(&config(memory_reservation)).map_err(said)?;
    engine.precompile_component(bytes).map_err(said)
}

async fn in_child(
    program: &Path,
    bytes: &[u8],
    class: Class,
    memory_reservation: u64,
) -> Result<Vec<u8>, CompileError> {
    let limits = class.compiling();
    let mut child = Command::new(program)
        .args(["compile-plugin", class.as_str(), &memory_reservation.to_string()])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let late = |_| CompileError::CompileTime(limits.wall);
    let (code, words, status) =
        timeout(limits.wall, talk(&mut child, bytes)).await.map_err(late)?.map_err(failed)?;
    if status.success() { Ok(code) } else { Err(why(status, &words, limits)) }
}

/// All of what it says, and how it ended. A child that ends early is told by its status, not by the pipe.
async fn talk(child: &mut Child, bytes: &[u8]) -> io::Result<(Vec<u8>, String, ExitStatus)> {
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut input) = input {
            let _ended_early = input.write_all(bytes).await;
        }
    };
    let ((), code, words) = tokio::join!(write, read(output, MAX_CODE), read(errors, COMPILER_WORDS));
    let (code, words) = (code?, String::from_utf8_lossy(&words?).into_owned());
    Ok((code, words, child.wait().await?))
}

/// So much of it; then the pipe is closed, which ends the child.
async fn read(pipe: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    if let Some(pipe) = pipe {
        pipe.take(most).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn why(status: ExitStatus, words: &str, limits: Compiling) -> CompileError {
    let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let ended_by = |signal: Signal| status.signal() == Some(signal.as_raw());
    if ended_by(Signal::XCPU) {
        CompileError::CompileTime(limits.processor)
    } else if words.contains("memory allocation") || words.contains("Cannot allocate memory") {
        CompileError::CompileMemory(limits.memory)
    } else if status.code().is_some() {
        CompileError::Compile(last.to_owned())
    } else {
        CompileError::Compile(format!("the compiler ended by {status}: {last}"))
    }
}

fn failed(error: impl std::fmt::Display) -> CompileError {
    NotExamined::failed(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plug_4_how_the_compiler_ended_says_why() {
        let limits = Class::Small.compiling();
        let ended = |status, words| why(ExitStatus::from_raw(status), words, limits);
        let exited = 1 << 8;

        assert_eq!(ended(24, ""), CompileError::CompileTime(limits.processor));
        assert_eq!(
            ended(6, "memory allocation of 9 bytes failed\n"),
            CompileError::CompileMemory(limits.memory)
        );
        assert_eq!(
            ended(exited, "warning\nno such type\n\n"),
            CompileError::Compile("no such type".to_owned())
        );
        assert!(matches!(ended(11, "oh"), CompileError::Compile(words) if words.contains("11")));
    }
}
