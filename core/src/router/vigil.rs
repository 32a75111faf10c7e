//! Whether the servers that were asked still answer.
//!
//! A process that is stopped, or behind a cut cable, keeps its connections: nothing ends, and nothing comes. So
//! whoever owes answers and says nothing for a while is asked something that costs nothing (`Status.Ping`), and
//! is deaf when that is not answered either. Nobody is asked who owes nothing, or who answers.

use crate::time::{Duration, Instant};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Silence after which a server is asked, per step of `raft_multiplier`; twice as long after each word of a server
/// that owes answers and does nothing but say that it is there.
const QUIET: Duration = Duration::from_millis(100);
/// The same of a server that owes nothing but answers to blocking reads: the longest.
const LONG_QUIET: Duration = Duration::from_secs(1);
/// How long it may take to say that it is there, per step: as long as followers wait for a leader.
const ANSWER: Duration = Duration::from_millis(300);

/// A server of another datacenter may take longer by this factor.
const FAR: u32 = 4;

/// How long servers may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    quiet: Duration,
    long_quiet: Duration,
    answer: Duration,
}

impl Patience {
    /// As long as elections take with this `raft_multiplier`.
    pub fn of(raft_multiplier: u32) -> Patience {
        let steps = raft_multiplier.max(1);
        Patience { quiet: QUIET * steps, long_quiet: LONG_QUIET * steps, answer: ANSWER * steps }
    }
}

/// The servers that owe answers.
#[derive(Debug)]
pub(super) struct Vigil {
    patience: Patience,
    owing: BTreeMap<SocketAddr, Owing>,
}

#[derive(Debug)]
struct Owing {
    /// Calls that it should answer at once, and all.
    prompt: usize,
    all: usize,
    /// How long it may take to answer a ping.
    answer: Duration,
    /// When it was heard last, or began to owe.
    heard: Instant,
    /// How often it has said since that it is there, and nothing else.
    empty_words: u32,
    question: Option<Question>,
}

/// A ping under way.
#[derive(Debug)]
struct Question {
    call: u64,
    due: Instant,
    /// The wake at `due` came late: this process stood still itself, and the answer may lie here unread.
    extended: bool,
}

/// What is to be done about a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ask whether it is there, and tell [`Vigil::asked`].
    Ask(SocketAddr),
    /// It is deaf.
    Deaf(SocketAddr),
}

impl Owing {
    fn ask_at(&self, patience: &Patience) -> Instant {
        let longest = patience.long_quiet;
        let quiet = match self.prompt {
            0 => longest,
            _ => (patience.quiet * 2_u32.saturating_pow(self.empty_words.min(8))).min(longest),
        };
        self.heard + quiet
    }

    fn wake_at(&self, patience: &Patience) -> Instant {
        self.question.as_ref().map_or_else(|| self.ask_at(patience), |question| question.due)
    }
}

impl Vigil {
    pub(super) fn new(patience: Patience) -> Vigil {
        Vigil { patience, owing: BTreeMap::new() }
    }

    /// How long a ping is waited for, with some more for who is late.
    pub(super) fn answer_until(&self, now: Instant) -> Instant {
        now + self.patience.answer * 2 * FAR
    }

    /// A call was sent to a server, `far` if that is in another datacenter; `prompt`: which it should answer at once.
    pub(super) fn sent(&mut self, now: Instant, to: SocketAddr, prompt: bool, far: bool) {
        let answer = self.patience.answer * if far { FAR } else { 1 };
        let new = Owing { prompt: 0, all: 0, answer, heard: now, empty_words: 0, question: None };
        let owing = self.owing.entry(to).or_insert(new);
        if prompt && owing.prompt == 0 && owing.question.is_none() {
            (owing.heard, owing.empty_words) = (now, 0);
        }
        owing.prompt += usize::from(prompt);
        owing.all += 1;
    }

    /// A call to a server is over; `heard`: because it has answered.
    pub(super) fn over(&mut self, now: Instant, to: SocketAddr, prompt: bool, heard: bool) {
        let Some(owing) = self.owing.get_mut(&to) else { return };
        owing.prompt -= usize::from(prompt);
        owing.all -= 1;
        if heard {
            (owing.heard, owing.empty_words, owing.question) = (now, 0, None);
        }
        if owing.all == 0 {
            self.owing.remove(&to);
        }
    }

    /// Something has come from a server, and be it half an answer. What it was asked comes behind that.
    pub(super) fn heard(&mut self, now: Instant, from: SocketAddr) {
        let Some(owing) = self.owing.get_mut(&from) else { return };
        (owing.heard, owing.empty_words) = (now, 0);
        if let Some(question) = &mut owing.question {
            (question.due, question.extended) = (now + owing.answer, false);
        }
    }

    /// A ping was sent under this number.
    pub(super) fn asked(&mut self, now: Instant, to: SocketAddr, call: u64) {
        if let Some(owing) = self.owing.get_mut(&to) {
            owing.question = Some(Question { call, due: now + owing.answer, extended: false });
        }
    }

    /// A ping was answered, or has ended otherwise; false if the number is none of ours.
    pub(super) fn answered(&mut self, now: Instant, call: u64) -> bool {
        let asked =
            |owing: &&mut Owing| owing.question.as_ref().is_some_and(|question| question.call == call);
        let Some(owing) = self.owing.values_mut().find(asked) else { return false };
        (owing.heard, owing.question) = (now, None);
        owing.empty_words = owing.empty_words.saturating_add(1);
        true
    }

    /// When [`Vigil::due`] has something to say.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.owing.values().map(|owing| owing.wake_at(&self.patience)).min()
    }

    /// Who is to be asked or given up now. Who was given up is asked again after the longest silence.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Verdict> {
        let (patience, mut verdicts) = (self.patience, Vec::new());
        for (addr, owing) in &mut self.owing {
            let ask_at = owing.ask_at(&patience);
            let Some(question) = &mut owing.question else {
                if ask_at <= now {
                    verdicts.push(Verdict::Ask(*addr));
                }
                continue;
            };
            let late = now >= question.due + owing.answer / 4;
            if question.due > now {
                continue;
            } else if late && !core::mem::replace(&mut question.extended, true) {
                question.due = now + owing.answer / 2;
            } else {
                (owing.heard, owing.empty_words, owing.question) = (now, u32::MAX, None);
                verdicts.push(Verdict::Deaf(*addr));
            }
        }
        verdicts
    }
}
