//! What it costs to decide when a thousand checks run and what their results mean, without running any.

use crate::report::number;
use crate::world::{NOW, agent_node};
use lictor_core::agent::{AgentRequest, CheckOutcome};
use lictor_core::call::Request;
use lictor_core::ids::{CallId, FrontId};
use lictor_core::node::{Input, Node, Output};
use lictor_core::time::{Duration, Now};
use lictor_core::types::{CheckDefinition, ServiceDefinition, status};
use std::collections::VecDeque;
use std::io;

const CHECKS: u64 = 1_000;
const INTERVAL: Duration = Duration::from_secs(10);

/// A node with a thousand HTTP checks that all pass, driven through `minutes` of its own time.
///
/// # Errors
/// The kernel does not tell how long this thread ran.
///
/// # Panics
/// A check did not run as often as it must: the measurement would say nothing.
pub fn run(minutes: u64) -> io::Result<Vec<Vec<String>>> {
    let mut now = NOW;
    let mut node = agent_node();
    carry_out(&mut node, now, Input::Wake);
    for i in 0..CHECKS {
        let check = CheckDefinition {
            http: format!("http://127.0.0.1:8080/health/{i}"),
            interval: INTERVAL.as_nanos() as i64,
            ..CheckDefinition::default()
        };
        let definition = ServiceDefinition {
            name: format!("svc-{i}"),
            port: 8080,
            checks: vec![check],
            ..ServiceDefinition::default()
        };
        let request = AgentRequest::RegisterService {
            definition: Box::new(definition),
            replace_existing_checks: false,
        };
        let call = Input::Call { from: FrontId(0), call: CallId(i), request: Request::Agent(request) };
        carry_out(&mut node, now, call);
    }
    // Past the first results, which are news and go to the catalog.
    let warm = until(&mut node, &mut now, INTERVAL * 2);
    let time = Duration::from_secs(60) * minutes as u32;
    let before = on_cpu()?;
    let ran = until(&mut node, &mut now, time);
    let used = on_cpu()?.saturating_sub(before);
    let least = CHECKS * (time.as_secs() / INTERVAL.as_secs() - 1);
    assert!(warm.runs >= CHECKS && ran.runs >= least, "{} runs in {time:?}", ran.runs);
    assert_eq!(ran.written, 0, "results that change nothing were written to disk");
    let share = used.as_secs_f64() / time.as_secs_f64() * 100.0;
    let each = used.as_nanos() as f64 / 1e3 / ran.runs as f64;
    let row = |what: &str, value: String| vec![what.to_owned(), "lictor".to_owned(), value];
    Ok(vec![
        row("scheduling 1,000 checks every 10 s, share of a core", format!("{share:.3} %")),
        row("CPU-us of scheduling for each run of a check", number(each)),
        row("views shown in a minute because of them", number(ran.views as f64 / minutes as f64)),
    ])
}

/// What a node did.
#[derive(Default)]
struct Done {
    runs: u64,
    written: u64,
    views: u64,
}

/// Lets `time` pass; every probe passes at once.
fn until(node: &mut Node, now: &mut Now, time: Duration) -> Done {
    let end = now.mono + time;
    let mut all = Done::default();
    while let Some(at) = node.poll_timeout().filter(|at| *at <= end) {
        now.mono = at.max(now.mono);
        let done = carry_out(node, *now, Input::Wake);
        all.runs += done.runs;
        all.written += done.written;
        all.views += done.views;
    }
    now.mono = end;
    all
}

fn carry_out(node: &mut Node, now: Now, input: Input) -> Done {
    let mut done = Done::default();
    let mut inputs = VecDeque::from([input]);
    while let Some(input) = inputs.pop_front() {
        node.handle(now, input);
        while let Some(output) = node.poll_output() {
            match output {
                Output::RunCheck { run, .. } => {
                    done.runs += 1;
                    let output = String::from("HTTP GET http://127.0.0.1:8080/health: 200 OK Output: ok");
                    let outcome = CheckOutcome::Found { status: status::PASSING, output };
                    inputs.push_back(Input::CheckDone { run, outcome });
                }
                Output::Persist { ticket, .. } => {
                    done.written += 1;
                    inputs.push_back(Input::Persisted { upto: ticket });
                }
                Output::Publish { .. } => done.views += 1,
                _ => {}
            }
        }
    }
    done
}

/// How long this thread has run.
fn on_cpu() -> io::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = stat.split_whitespace().next().and_then(|n| n.parse().ok());
    Ok(Duration::from_nanos(nanos.ok_or_else(|| io::Error::other("/proc/thread-self/schedstat is empty"))?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn checks_that_change_nothing_run_on_time_and_write_nothing() {
        for row in super::run(1).expect("the kernel counts") {
            println!("{}", row.join(": "));
        }
    }
}
