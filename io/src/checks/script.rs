//! Scripts: a program in a process group of its own, killed whole on timeout.

use super::output::Tail;
use super::{critical, found, go_error};
use lictor_core::agent::CheckOutcome;
use lictor_core::duration;
use lictor_core::types::status;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::ErrorKind;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// Kills the process group when the probe is dropped, whatever the reason: children that the program
/// left behind go with it.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Gone already is fine.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

pub(super) async fn probe(args: &[String], timeout: Duration, output_max: usize) -> CheckOutcome {
    let broken = |output: String| CheckOutcome::Broken { output };
    let Some((program, rest)) = args.split_first() else { return broken("no program to run".into()) };
    let mut command = Command::new(program);
    command
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) if e.kind() == ErrorKind::NotFound && !program.contains('/') => {
            return broken(format!("exec: {program:?}: executable file not found in $PATH"));
        }
        Err(e) => return broken(format!("fork/exec {program}: {}", go_error::cause(&e))),
    };
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id as i32)));
    let mut tail = Tail::new(output_max);
    let outcome = match tokio::time::timeout(timeout, wait(&mut child, &mut tail)).await {
        Ok(exit) => {
            // What a script that has ended leaves running is to go on, as with Consul: it may have mended something.
            group.0 = None;
            match (exit.map(|status| status.code()), tail.captured()) {
                (Ok(Some(0)), output) => found(status::PASSING, output),
                (Ok(Some(1)), output) => found(status::WARNING, output),
                (_, output) => critical(output),
            }
        }
        Err(_) => {
            let took = duration::format(i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX));
            let output = tail.captured();
            let gap = if output.is_empty() { "" } else { "\n\n" };
            broken(format!("Timed out ({took}) running check{gap}{output}"))
        }
    };
    drop(group);
    // Reap, so that no zombie stays.
    let _ = child.wait().await;
    outcome
}

async fn wait(child: &mut Child, tail: &mut Tail) -> std::io::Result<ExitStatus> {
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let mut exit = None;
    let (mut from_out, mut from_err) = ([0u8; 4096], [0u8; 4096]);
    // A background child may hold the pipes open: the program's exit ends the run, and what is in
    // the pipes by then is read.
    loop {
        tokio::select! {
            biased;
            n = read(&mut stdout, &mut from_out) => match n {
                0 => stdout = None,
                n => tail.push(&from_out[..n]),
            },
            n = read(&mut stderr, &mut from_err) => match n {
                0 => stderr = None,
                n => tail.push(&from_err[..n]),
            },
            ended = child.wait(), if exit.is_none() => exit = Some(ended),
            () = tokio::time::sleep(Duration::from_millis(20)), if exit.is_some() => break,
        }
        if stdout.is_none() && stderr.is_none() && exit.is_some() {
            break;
        }
    }
    exit.unwrap_or_else(|| Err(ErrorKind::Other.into()))
}

/// Bytes read; 0 at the end. Never returns once the pipe is closed, so that `select!` goes on.
async fn read<R: AsyncRead + Unpin>(pipe: &mut Option<R>, buffer: &mut [u8]) -> usize {
    match pipe {
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}
