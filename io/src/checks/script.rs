//! Scripts: a program in a process group of its own, killed whole on timeout.

use super::output::Tail;
use super::{Finding, critical};
use lictor_core::duration;
use lictor_core::types::status;
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::Stdio;
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

pub(super) async fn probe(args: &[String], timeout: Duration, output_max: usize) -> Finding {
    let Some((program, rest)) = args.split_first() else { return critical("no program to run") };
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
        Err(e) => return critical(format!("fork/exec {program}: {e}")),
    };
    let group = Group(child.id().and_then(|id| Pid::from_raw(id as i32)));
    let finding = match tokio::time::timeout(timeout, wait(&mut child, output_max)).await {
        Ok(finding) => finding,
        Err(_) => {
            let took = duration::format(i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX));
            critical(format!("Timed out ({took}) running check"))
        }
    };
    drop(group);
    // Reap, so that no zombie stays.
    let _ = child.wait().await;
    finding
}

async fn wait(child: &mut Child, output_max: usize) -> Finding {
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let mut tail = Tail::new(output_max);
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
    let (total, overflowed) = (tail.total(), tail.overflowed());
    let mut output = tail.text();
    if overflowed {
        output = format!("Captured {} of {total} bytes\n...\n{output}", output.len());
    }
    match exit {
        Some(Ok(code)) if code.success() => (status::PASSING, output),
        Some(Ok(code)) if code.code() == Some(1) => (status::WARNING, output),
        _ => critical(output),
    }
}

/// Bytes read; 0 at the end. Never returns once the pipe is closed, so that `select!` goes on.
async fn read<R: AsyncRead + Unpin>(pipe: &mut Option<R>, buffer: &mut [u8]) -> usize {
    match pipe {
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}
