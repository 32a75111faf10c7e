//! What a plan does to the world, one line each. Servers are numbered from 1.

use std::fmt;
use std::str::FromStr;

/// Servers and agents that a plan can name.
const MOST: usize = 32;

/// A set of servers and agents, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Group(pub u32);

impl Group {
    /// Whether `slot` (counted from 0) is in it.
    pub fn has(self, slot: usize) -> bool {
        self.0 >> slot & 1 == 1
    }

    /// The group of these slots.
    pub fn of(slots: impl IntoIterator<Item = usize>) -> Group {
        Group(slots.into_iter().fold(0, |bits, slot| bits | 1 << slot))
    }
}

/// One thing that happens to the world. Slots count from 0 here and from 1 in text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The process dies; of the batches not flushed yet, a prefix reaches the disk.
    Crash(usize),
    /// The process starts again from its disk.
    Restart(usize),
    /// The process stands still (a long garbage collection, a suspended machine); clocks go on.
    Pause(usize),
    /// It goes on with everything that has arrived in the meantime.
    Resume(usize),
    /// The process dies and its disk is gone, or is found damaged: the operator removes the server and
    /// adds a new one in its place. Skipped when that would leave no quorum of intact disks.
    Wipe(usize),
    /// The process is told to end, and takes leave of its cluster first.
    Leave(usize),
    /// The process is told to end, and comes back: SIGTERM.
    Stop(usize),
    /// The host is gone with its address, and will start under one that nobody ever had.
    Move(usize),
    /// The second, an agent, starts from a copy of the first one's disk, and so with its ID; under its name too, if so.
    Clone(usize, usize, bool),
    /// All servers are gone at once, and will start with each other's addresses.
    Permute,
    /// Datagrams from the first to the second are lost, while streams get through.
    Deaf(usize, usize),
    /// Servers hear each other only within a group. A server in two groups is a bridge.
    Partition(Vec<Group>),
    /// Nothing gets from the first to the second.
    Cut(usize, usize),
    /// What the first sends to the second arrives only after so many milliseconds.
    Clog(usize, usize, u64),
    /// Undoes every partition, cut and clog.
    Mend,
    /// Flushes take so many times as long.
    SlowDisk(usize, u64),
    /// The disk is, or is no longer, nearly full.
    DiskFull(usize, bool),
    /// The next flush fails: the process must stop itself.
    DiskError(usize),
    /// The clock's rate is off by so many parts per million.
    Drift(usize, i64),
    /// The wall clock jumps by so many milliseconds.
    Step(usize, i64),
    /// An operator asks for a membership change.
    Member(Change, usize),
    /// An operator asks the leader to hand over, to this server or to any.
    Transfer(Option<usize>),
    /// The leader is asked to hand over to whom it likes, and hears nobody from then on.
    Overrule,
    /// An operator saves an archive from this server.
    Save(usize),
    /// An operator has this server restore one that was saved, as if it came from a cluster whose index is so much
    /// further.
    Restore(usize, u64),
    /// For so many milliseconds clients do not pause between requests.
    Burst(u64),
}

/// A membership change that an operator can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Add as a voter.
    Add,
    /// Add as a learner.
    Learn,
    /// Make a learner a voter.
    Promote,
    /// Make a voter a learner.
    Demote,
    /// Take out.
    Remove,
}

const CHANGES: [(Change, &str); 5] = [
    (Change::Add, "add"),
    (Change::Learn, "learn"),
    (Change::Promote, "promote"),
    (Change::Demote, "demote"),
    (Change::Remove, "remove"),
];

impl Change {
    /// The word in plans.
    pub fn name(self) -> &'static str {
        CHANGES.iter().find(|(change, _)| *change == self).map_or("", |(_, name)| name)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots: Vec<String> = (0..MOST).filter(|s| self.has(*s)).map(|s| (s + 1).to_string()).collect();
        f.write_str(&slots.join(","))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Crash(s) => write!(f, "crash {}", s + 1),
            Action::Restart(s) => write!(f, "restart {}", s + 1),
            Action::Pause(s) => write!(f, "pause {}", s + 1),
            Action::Resume(s) => write!(f, "resume {}", s + 1),
            Action::Wipe(s) => write!(f, "wipe {}", s + 1),
            Action::Leave(s) => write!(f, "leave {}", s + 1),
            Action::Stop(s) => write!(f, "stop {}", s + 1),
            Action::Move(s) => write!(f, "move {}", s + 1),
            Action::Clone(a, b, name) => write!(f, "clone {} {} {}", a + 1, b + 1, u8::from(*name)),
            Action::Permute => f.write_str("permute"),
            Action::Deaf(a, b) => write!(f, "deaf {} {}", a + 1, b + 1),
            Action::Partition(groups) => {
                let groups: Vec<String> = groups.iter().map(Group::to_string).collect();
                write!(f, "partition {}", groups.join("|"))
            }
            Action::Cut(a, b) => write!(f, "cut {} {}", a + 1, b + 1),
            Action::Clog(a, b, ms) => write!(f, "clog {} {} {ms}", a + 1, b + 1),
            Action::Mend => f.write_str("mend"),
            Action::SlowDisk(s, factor) => write!(f, "slow-disk {} {factor}", s + 1),
            Action::DiskFull(s, full) => write!(f, "disk-full {} {}", s + 1, u8::from(*full)),
            Action::DiskError(s) => write!(f, "disk-error {}", s + 1),
            Action::Drift(s, ppm) => write!(f, "drift {} {ppm}", s + 1),
            Action::Step(s, ms) => write!(f, "step {} {ms}", s + 1),
            Action::Member(change, s) => write!(f, "{} {}", change.name(), s + 1),
            Action::Transfer(None) => f.write_str("transfer"),
            Action::Transfer(Some(s)) => write!(f, "transfer {}", s + 1),
            Action::Overrule => f.write_str("overrule"),
            Action::Save(s) => write!(f, "save {}", s + 1),
            Action::Restore(s, further) => write!(f, "restore {} {further}", s + 1),
            Action::Burst(ms) => write!(f, "burst {ms}"),
        }
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Action, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let Some((&verb, args)) = words.split_first() else { return Err("an action is missing".into()) };
        let number = |i: usize| -> Result<i64, String> {
            let word = args.get(i).ok_or_else(|| format!("{verb}: too few arguments"))?;
            word.parse().map_err(|_| format!("{verb}: {word:?} is not a number"))
        };
        let count = |i: usize| -> Result<u64, String> {
            u64::try_from(number(i)?).map_err(|_| format!("{verb}: a negative number"))
        };
        let slot = |i: usize| slot_of(verb, number(i)?);
        let action = match verb {
            "crash" => Action::Crash(slot(0)?),
            "restart" => Action::Restart(slot(0)?),
            "pause" => Action::Pause(slot(0)?),
            "resume" => Action::Resume(slot(0)?),
            "wipe" => Action::Wipe(slot(0)?),
            "leave" => Action::Leave(slot(0)?),
            "stop" => Action::Stop(slot(0)?),
            "move" => Action::Move(slot(0)?),
            "clone" => Action::Clone(slot(0)?, slot(1)?, count(2)? != 0),
            "permute" => Action::Permute,
            "deaf" => Action::Deaf(slot(0)?, slot(1)?),
            "partition" => {
                let text = args.first().ok_or("partition: which groups?")?;
                let groups: Result<Vec<Group>, String> = text.split('|').map(group).collect();
                Action::Partition(groups?)
            }
            "cut" => Action::Cut(slot(0)?, slot(1)?),
            "clog" => Action::Clog(slot(0)?, slot(1)?, count(2)?),
            "mend" => Action::Mend,
            "slow-disk" => Action::SlowDisk(slot(0)?, count(1)?.max(1)),
            "disk-full" => Action::DiskFull(slot(0)?, count(1)? != 0),
            "disk-error" => Action::DiskError(slot(0)?),
            "drift" => Action::Drift(slot(0)?, number(1)?),
            "step" => Action::Step(slot(0)?, number(1)?),
            "transfer" if args.is_empty() => Action::Transfer(None),
            "transfer" => Action::Transfer(Some(slot(0)?)),
            "overrule" => Action::Overrule,
            "save" => Action::Save(slot(0)?),
            "restore" => Action::Restore(slot(0)?, count(1)?),
            "burst" => Action::Burst(count(0)?),
            other => match CHANGES.iter().find(|(_, name)| *name == other) {
                Some((change, _)) => Action::Member(*change, slot(0)?),
                None => return Err(format!("unknown action {other:?}")),
            },
        };
        Ok(action)
    }
}

fn group(text: &str) -> Result<Group, String> {
    let slots: Result<Vec<usize>, String> = text
        .split(',')
        .map(|word| {
            let number = word.parse().map_err(|_| format!("partition: {word:?} is not a server"))?;
            slot_of("partition", number)
        })
        .collect();
    Ok(Group::of(slots?))
}

fn slot_of(verb: &str, number: i64) -> Result<usize, String> {
    match number {
        1.. if number <= MOST as i64 => Ok(number as usize - 1),
        _ => Err(format!("{verb}: {number} is not a server")),
    }
}
