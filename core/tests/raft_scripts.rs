//! Walks the golden scripts in `testdata/raft`: commands above a line of dashes, what raft did below
//! it. `UPDATE=1` rewrites the answers; read the difference before you commit it.
//!
//! | command | meaning |
//! |---|---|
//! | `cluster voters=a,b spare=c key=value …` | boots servers; keys are those of `set_option` |
//! | `timeout a` | moves a's own clock to its next deadline and wakes it |
//! | `pass a 300` | moves a's clock by milliseconds, waking it if it is due; `all` for everyone |
//! | `run` | delivers messages and flushes disks until nothing moves |
//! | `deliver 3` | delivers the next messages, flushes nothing |
//! | `drop`, `lose 2` | loses all messages on their way; the next ones |
//! | `cut a b`, `isolate a`, `heal` | loses messages on links from now on, or no more |
//! | `disk a slow`, `disk a fast` | whether `run` flushes a's batches |
//! | `blind a`, `see a` | whether a can read the snapshots that it is sent |
//! | `flush a 2` | flushes a's next batches |
//! | `build a` | answers a's outstanding order for a snapshot, as `run` does |
//! | `propose a x y` | proposes commands, several as one batch |
//! | `read a`, `lease a` | asks for a read index; shows how long the lease lasts |
//! | `change a add-voter b` | also `add-learner`, `promote`, `demote`, `remove` |
//! | `transfer a b` | hands leadership to b, or to the best without a name |
//! | `crash a`, `restart a` | loses what was not flushed; boots from the disk |
//! | `status a`, `log a` | shows a server; shows its log; `all` for everyone |
//! | `hush …` | does any of these without showing it |

mod raft_cluster;

use bytes::Bytes;
use lictor_core::ids::{CallId, ServerId};
use lictor_core::raft::{
    Batch, Body, Change, Config, Effect, Entry, Input, LogId, Membership, Message, Payload, Role, Status,
};
use lictor_core::time::{Duration, Instant};
use raft_cluster::{Cluster, config, id};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

struct Script {
    cluster: Cluster,
    slow: BTreeSet<ServerId>,
    cut: BTreeSet<(ServerId, ServerId)>,
    next_call: u64,
    out: String,
}

fn set_option(config: &mut Config, key: &str, value: &str) {
    let n: u64 = value.parse().unwrap_or_else(|_| panic!("{key}={value}"));
    match key {
        "threshold" => config.snapshot_threshold = n,
        "trailing" => config.trailing_logs = n,
        "tail" => config.tail_bytes = n as usize,
        "inflight" => config.max_inflight = n as usize,
        "batch" => config.max_batch_bytes = n as usize,
        "uncommitted" => config.max_uncommitted_bytes = n as usize,
        "chunk" => config.snapshot_chunk_bytes = n as usize,
        "window" => config.snapshot_window = n as usize,
        _ => panic!("no option {key}"),
    }
}

impl Script {
    fn new() -> Script {
        Script {
            cluster: Cluster::new(1),
            slow: BTreeSet::new(),
            cut: BTreeSet::new(),
            next_call: 0,
            out: String::new(),
        }
    }

    fn names(&self, which: &str) -> Vec<ServerId> {
        if which == "all" { self.cluster.servers.keys().cloned().collect() } else { vec![id(which)] }
    }

    fn call(&mut self) -> CallId {
        self.next_call += 1;
        CallId(self.next_call)
    }

    fn line(&mut self, name: &str, text: impl std::fmt::Display) {
        writeln!(self.out, "{name}  {text}").unwrap();
    }

    fn show(&mut self, name: &str, effects: Vec<Effect>) {
        for effect in effects {
            self.line(name, show_effect(&effect));
        }
    }

    fn input(&mut self, name: &str, input: Input) {
        let effects = self.cluster.input(name, input);
        self.show(name, effects);
    }

    fn command(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            ["hush", ..] => {
                let before = self.out.len();
                self.command(line.trim_start_matches("hush "));
                self.out.truncate(before);
            }
            ["cluster", ref options @ ..] => self.boot_cluster(options),
            ["timeout", name] => {
                let at = self.cluster.raft(name).poll_timeout().expect("it has a deadline");
                let server = self.cluster.servers.get_mut(name).unwrap();
                server.now = server.now.max(at);
                self.input(name, Input::Wake);
            }
            ["pass", which, ms] => {
                for name in self.names(which) {
                    let server = self.cluster.servers.get_mut(&name).unwrap();
                    server.now = server.now + Duration::from_millis(ms.parse().unwrap());
                    let due = server.raft.as_ref().and_then(|raft| raft.poll_timeout());
                    if due.is_some_and(|at| at <= server.now) {
                        self.input(&name, Input::Wake);
                    }
                }
            }
            ["blind", name] => self.cluster.servers.get_mut(name).unwrap().blind = true,
            ["see", name] => self.cluster.servers.get_mut(name).unwrap().blind = false,
            ["run"] => self.run(),
            ["deliver", count] => {
                for _ in 0..count.parse().unwrap() {
                    self.deliver();
                }
            }
            ["drop"] => self.cluster.net.clear(),
            ["lose", count] => drop(self.cluster.net.drain(..count.parse::<usize>().unwrap())),
            ["cut", a, b] => {
                self.cut.insert((id(a), id(b)));
                self.cut.insert((id(b), id(a)));
            }
            ["isolate", a] => {
                for b in self.names("all") {
                    self.cut.insert((id(a), b.clone()));
                    self.cut.insert((b, id(a)));
                }
            }
            ["heal"] => self.cut.clear(),
            ["disk", name, "slow"] => drop(self.slow.insert(id(name))),
            ["disk", name, "fast"] => drop(self.slow.remove(name)),
            ["build", name] => {
                let effects = self.cluster.build(name);
                self.show(name, effects);
            }
            ["flush", name, count] => self.flush(name, count.parse().unwrap()),
            ["propose", name, command] => {
                let (call, command) = (self.call(), Bytes::from(command.to_owned()));
                self.input(name, Input::Propose { call, command });
            }
            ["propose", name, ref commands @ ..] => {
                let proposals =
                    commands.iter().map(|c| (self.call(), Bytes::from((*c).to_owned()))).collect();
                self.input(name, Input::ProposeMany { proposals });
            }
            ["read", name] => {
                let call = self.call();
                self.input(name, Input::ReadIndex { call });
            }
            ["lease", name] => {
                let now = self.cluster.servers[name].now;
                match self.cluster.raft(name).lease_until() {
                    None => self.line(name, "no lease"),
                    Some(Instant::FAR_FUTURE) => self.line(name, "lease without end"),
                    Some(until) if until <= now => self.line(name, "lease is over"),
                    Some(until) => self.line(name, format!("lease for {:?}", until.since(now))),
                }
            }
            ["change", name, what, whom] => {
                let whom = id(whom);
                let change = match what {
                    "add-voter" => Change::AddVoter(whom),
                    "add-learner" => Change::AddLearner(whom),
                    "promote" => Change::Promote(whom),
                    "demote" => Change::Demote(whom),
                    "remove" => Change::Remove(whom),
                    _ => panic!("no change {what}"),
                };
                let call = self.call();
                self.input(name, Input::ChangeMembership { call, change });
            }
            ["transfer", name, ref to @ ..] => {
                let call = self.call();
                let to = to.first().map(|to| id(to));
                self.input(name, Input::TransferLeadership { call, to });
            }
            ["lost", name, whom] => self.input(name, Input::PeerLost { from: id(whom) }),
            ["crash", name] => self.cluster.crash(name, 0),
            ["restart", name] => {
                let effects = self.cluster.restart(name);
                self.show(name, effects);
            }
            ["status", which] => {
                for name in self.names(which) {
                    let text = if self.cluster.is_up(&name) {
                        show_status(&self.cluster.raft(&name).status())
                    } else {
                        "down".to_owned()
                    };
                    self.line(&name, text);
                }
            }
            ["log", which] => {
                for name in self.names(which) {
                    let server = &self.cluster.servers[&name];
                    let mut disk = server.disk.clone();
                    server.queue.iter().for_each(|(_, batch)| disk.write(batch.clone()));
                    self.line(&name, show_entries(&disk.image.log));
                }
            }
            _ => panic!("no command {line:?}"),
        }
    }

    fn boot_cluster(&mut self, options: &[&str]) {
        let (mut voters, mut spares, mut settings) = (Vec::new(), Vec::new(), Vec::new());
        for option in options {
            match option.split_once('=').expect("key=value") {
                ("voters", names) => voters.extend(names.split(',')),
                ("spare", names) => spares.extend(names.split(',')),
                setting => settings.push(setting),
            }
        }
        let membership = Membership::of_voters(voters.iter().map(|name| id(name)));
        for name in voters.iter().chain(&spares) {
            let mut config = config(name);
            settings.iter().for_each(|(key, value)| set_option(&mut config, key, value));
            let bootstrap = voters.contains(name).then(|| membership.clone());
            let effects = self.cluster.add(config, bootstrap);
            self.show(name, effects);
        }
    }

    fn deliver(&mut self) -> bool {
        let Some(packet) = self.cluster.net.pop_front() else { return false };
        if self.cut.contains(&(packet.from.clone(), packet.to.clone())) {
            return true;
        }
        let to = packet.to.clone();
        let effects = self.cluster.deliver(packet);
        self.show(&to, effects);
        true
    }

    fn flush(&mut self, name: &str, count: usize) {
        let queue = &self.cluster.servers[name].queue;
        let Some((upto, _)) = queue.get(count.min(queue.len()).wrapping_sub(1)) else { return };
        let upto = *upto;
        self.line(name, format!("flushed #{upto}"));
        let effects = self.cluster.flush(name, count);
        self.show(name, effects);
    }

    fn run(&mut self) {
        for _ in 0..10_000 {
            if self.deliver() {
                continue;
            }
            let busy = |name: &&ServerId| {
                let server = &self.cluster.servers[*name];
                server.building.is_some() || (!server.queue.is_empty() && !self.slow.contains(*name))
            };
            let Some(name) = self.cluster.servers.keys().find(busy).cloned() else { return };
            if !self.slow.contains(&name) {
                self.flush(&name, usize::MAX);
            }
            let effects = self.cluster.build(&name);
            self.show(&name, effects);
        }
        panic!("it never comes to rest");
    }
}

fn show_id(id: LogId) -> String {
    format!("{}/{}", id.index, id.term)
}

fn show_members(m: &Membership) -> String {
    let join = |ids: &BTreeSet<ServerId>| ids.iter().map(|id| &**id).collect::<Vec<_>>().join(",");
    if m.learners.is_empty() {
        format!("({})", join(&m.voters))
    } else {
        format!("({} learning {})", join(&m.voters), join(&m.learners))
    }
}

fn show_entries(entries: &[Entry]) -> String {
    let one = |e: &Entry| {
        let payload = match &e.payload {
            Payload::Noop => "noop".to_owned(),
            Payload::Membership(m) => show_members(m),
            Payload::Command(c) => String::from_utf8_lossy(c).into_owned(),
        };
        format!("{}:{payload}", show_id(e.id()))
    };
    entries.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn show_message(message: &Message) -> String {
    let (kind, term) = (message.body.kind(), message.term);
    let rest = match &message.body {
        Body::PreVote { last } => format!("last={}", show_id(*last)),
        Body::Vote { last, transfer: false } => format!("last={}", show_id(*last)),
        Body::Vote { last, transfer: true } => format!("last={} at the leader's wish", show_id(*last)),
        Body::PreVoteReply { granted } | Body::VoteReply { granted } => {
            if *granted { "yes" } else { "no" }.to_owned()
        }
        Body::Append { prev, commit, entries } => {
            format!("prev={} commit={commit} {}", show_id(*prev), show_entries(entries))
        }
        Body::AppendOk { upto } | Body::Commit { upto } => format!("upto={upto}"),
        Body::AppendConflict { prev, hint } => format!("prev={prev} hint={}", show_id(*hint)),
        Body::Heartbeat { round, commit } => format!("round={} commit={commit}", round.0),
        Body::HeartbeatReply { round } => format!("round={}", round.0),
        Body::Snapshot { meta, total, offset, chunk } => {
            let at = LogId { index: meta.index, term: meta.term };
            format!(
                "{} {} bytes={offset}..{} of {total}",
                show_id(at),
                show_members(&meta.membership),
                offset + chunk.len() as u64
            )
        }
        Body::SnapshotReply { index, received } => format!("{index} received={received}"),
        Body::TimeoutNow => String::new(),
    };
    format!("{kind} t={term} {rest}").trim_end().to_owned()
}

fn show_batch(batch: &Batch) -> String {
    let mut out = String::new();
    if let Some(hard) = &batch.hard {
        write!(out, " term={} vote={}", hard.term, hard.voted_for.as_deref().unwrap_or("-")).unwrap();
        if hard.commit.0 > 0 {
            write!(out, " commit={}", hard.commit).unwrap();
        }
    }
    if let Some(from) = batch.truncate_from {
        write!(out, " truncate={from}").unwrap();
    }
    if !batch.append.is_empty() {
        write!(out, " append {}", show_entries(&batch.append)).unwrap();
    }
    if let Some((meta, data)) = &batch.snapshot {
        write!(out, " snapshot={}/{} bytes={}", meta.index, meta.term, data.len()).unwrap();
    }
    if let Some(to) = batch.compact_to {
        write!(out, " compact={to}").unwrap();
    }
    out
}

fn show_effect(effect: &Effect) -> String {
    match effect {
        Effect::Send { to, message } => format!("> {to} {}", show_message(message)),
        Effect::Persist { ticket, batch } => format!("disk #{ticket}{}", show_batch(batch)),
        Effect::Apply { entries } => format!("apply {}", show_entries(entries)),
        Effect::Accepted { call, index, term } => format!("call {call} accepted at {index}/{term}"),
        Effect::Rejected { call, error } => format!("call {call} refused: {error}"),
        Effect::Lost { call } => format!("call {call} lost"),
        Effect::Contradicted { at } => format!("contradicted at {at}"),
        Effect::Unknown { call } => format!("call {call} unknown"),
        Effect::ReadReady { call, index } => format!("read {call} ready at {index}"),
        Effect::ReadRejected { call, error } => format!("read {call} refused: {error}"),
        Effect::TransferEnded { call, result: Ok(()) } => format!("transfer {call} done"),
        Effect::TransferEnded { call, result: Err(error) } => format!("transfer {call} failed: {error}"),
        Effect::BuildSnapshot { at } => format!("build snapshot at {}", show_id(*at)),
        Effect::CheckSnapshot { meta, data } => {
            format!("read snapshot {}/{} bytes={}", meta.index, meta.term, data.len())
        }
        Effect::RestoreSnapshot { meta } => format!("restore snapshot {}/{}", meta.index, meta.term),
        Effect::RoleChanged { role, term, leader } => {
            format!("{} t={term} leader={}", show_role(*role), leader.as_deref().unwrap_or("-"))
        }
        Effect::MembershipChanged { index, membership } => {
            format!("members {} from {index}", show_members(membership))
        }
    }
}

fn show_role(role: Role) -> &'static str {
    match role {
        Role::Follower => "FOLLOWER",
        Role::PreCandidate => "PRE-CANDIDATE",
        Role::Candidate => "CANDIDATE",
        Role::Leader => "LEADER",
    }
}

fn show_status(s: &Status) -> String {
    let last = show_id(LogId { index: s.last_index, term: s.last_term });
    let mut out = format!(
        "{} t={} leader={} base={} snapshot={} last={last} flushed={} commit={} applied={} {}",
        show_role(s.role),
        s.term,
        s.leader.as_deref().unwrap_or("-"),
        s.base_index,
        s.snapshot_index,
        s.flushed_index,
        s.commit_index,
        s.applied_index,
        show_members(&s.membership),
    );
    for p in &s.peers {
        write!(out, " {}:{} {}..{}", p.id, p.mode, p.matched, p.next).unwrap();
    }
    out
}

/// Runs one script; returns it with the answers it gives now.
fn walk(text: &str) -> String {
    let mut script = Script::new();
    let mut answered = String::new();
    let mut in_answer = false;
    for line in text.lines() {
        match line.trim() {
            "----" => {
                in_answer = true;
                answered.push_str("----\n");
                let out = std::mem::take(&mut script.out);
                answered.push_str(if out.is_empty() { "(nothing)\n" } else { &out });
            }
            "" => {
                in_answer = false;
                answered.push('\n');
            }
            _ if in_answer => {}
            command => {
                writeln!(answered, "{line}").unwrap();
                if !command.starts_with('#') {
                    script.command(command);
                }
            }
        }
    }
    answered
}

#[test]
fn golden_scripts_give_their_answers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/raft");
    let update = std::env::var_os("UPDATE").is_some();
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut wrong = Vec::new();
    for path in paths {
        let expected = std::fs::read_to_string(&path).unwrap();
        assert!(expected.starts_with("# "), "{path:?} opens with what it shows");
        let actual = walk(&expected);
        if actual == expected {
            continue;
        }
        if update {
            std::fs::write(&path, actual).unwrap();
        } else {
            let differs = expected.lines().zip(actual.lines()).position(|(e, a)| e != a);
            let at = differs.unwrap_or(expected.lines().count().min(actual.lines().count()));
            let line = |text: &str| text.lines().nth(at).unwrap_or("(end)").to_owned();
            wrong.push(format!(
                "{}:{}\n  expected: {}\n  actual:   {}",
                path.display(),
                at + 1,
                line(&expected),
                line(&actual)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE=1 rewrites the answers", wrong.join("\n"));
}
