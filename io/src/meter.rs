//! What the driver measures of its node: core has no clock to do it with.

use lictor_core::ids::Ticket;
use lictor_core::metrics::{Metric, Recorder};
use lictor_core::node::Input;
use lictor_core::time::{Duration, Instant, Now};
use std::collections::VecDeque;

/// How often the shares of busy time are taken.
const SHARE_EVERY: Duration = Duration::from_secs(1);

/// Times one node's steps and its writes to disk.
pub(crate) struct Meter {
    /// What was measured.
    pub(crate) recorder: Recorder,
    /// Batches of raft on their way to the disk.
    writing: VecDeque<(Ticket, Instant)>,
    /// The end of the last step.
    last: Instant,
    since: Instant,
    busy: Duration,
    applying: Duration,
}

impl Meter {
    pub(crate) fn new(now: Now) -> Meter {
        Meter {
            recorder: Recorder::default(),
            writing: VecDeque::new(),
            last: now.mono,
            since: now.mono,
            busy: Duration::ZERO,
            applying: Duration::ZERO,
        }
    }

    /// The node is about to see `input`.
    pub(crate) fn sees(&mut self, now: Now, input: &Input) {
        let Input::Persisted { upto } = input else { return };
        while let Some((ticket, since)) = self.writing.front().copied()
            && ticket <= *upto
        {
            self.recorder.time(now, Metric::RaftDispatchLog, now.mono.since(since));
            self.writing.pop_front();
        }
    }

    /// A batch of raft went to the disk. Raft bounds how many are on their way.
    pub(crate) fn writes(&mut self, ticket: Ticket) {
        self.writing.push_back((ticket, self.last));
    }

    /// The node took from `from` to `to` for a step, in which it applied entries or did not.
    pub(crate) fn stepped(&mut self, from: Now, to: Now, applied: bool) {
        let took = to.mono.since(from.mono);
        self.last = to.mono;
        self.busy += took;
        if applied {
            self.applying += took;
            self.recorder.time(to, Metric::RaftFsmApply, took);
        }
        let window = to.mono.since(self.since);
        if window >= SHARE_EVERY {
            let share = |part: Duration| part.as_secs_f64() / window.as_secs_f64();
            self.recorder.sample(to, Metric::RaftMainSaturation, share(self.busy));
            self.recorder.sample(to, Metric::RaftFsmSaturation, share(self.applying));
            self.since = to.mono;
            self.busy = Duration::ZERO;
            self.applying = Duration::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lictor_core::metrics::Report;
    use lictor_core::time::WallTime;

    fn at(ms: u64) -> Now {
        Now { mono: Instant(ms * 1_000_000), wall: WallTime(ms as i64 * 1_000_000) }
    }

    #[test]
    fn writes_are_timed_to_their_flush_and_shares_add_up_to_the_window() {
        let mut meter = Meter::new(at(0));
        meter.stepped(at(0), at(100), false);
        meter.writes(Ticket(1));
        meter.writes(Ticket(3));
        meter.sees(at(150), &Input::Persisted { upto: Ticket(2) });
        meter.stepped(at(150), at(400), true);
        meter.sees(at(500), &Input::Wake);
        meter.stepped(at(900), at(1000), false);
        let mut report = Report::new(at(10_000), at(0));
        report.add(&meter.recorder);
        let json = lictor_core::json::to_vec(|w| {
            let filter = lictor_core::metrics::Filter::default();
            let naming = lictor_core::metrics::Naming {
                prefix: "",
                hostname: None,
                node: "n",
                filter: &filter,
                server: true,
                retention_seconds: 0,
            };
            report.json(&naming, w);
        });
        let text = String::from_utf8(json).expect("text");
        for (name, sum) in [
            ("raft.leader.dispatchLog", "50"),
            ("raft.fsm.apply", "250"),
            ("raft.thread.main.saturation", "0.45"),
            ("raft.thread.fsm.saturation", "0.25"),
        ] {
            let entry = text.split_once(&format!("\"Name\":\"{name}\"")).expect(name).1;
            let found = entry.split_once("\"Sum\":").expect("a sum").1.split(',').next();
            assert_eq!(found, Some(sum), "{name}");
        }
    }
}
