//! Things that must happen now and then, or a sweep has proved nothing about them.

use std::collections::BTreeMap;

macro_rules! marks {
    ($($(#[doc = $doc:literal])+ $name:ident => $text:literal;)+) => {
        /// One noteworthy thing that a run came across.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mark { $($(#[doc = $doc])+ $name,)+ }

        impl Mark {
            /// Every mark.
            pub const ALL: &'static [Mark] = &[$(Mark::$name,)+];

            /// A few words.
            pub fn text(self) -> &'static str {
                match self { $(Mark::$name => $text,)+ }
            }
        }
    };
}

marks! {
    /// A second leader was elected while clients were writing.
    LeaderChanged => "leader changed under load";
    /// A leader stopped leading without dying.
    LeaderDeposed => "leader stepped down alive";
    /// A process died with batches that never reached its disk.
    TornBatch => "torn batch lost";
    /// A process died and a prefix of its queue reached the disk.
    PrefixKept => "prefix of the queue kept";
    /// A follower was brought up by a snapshot.
    SnapshotInstalled => "snapshot installed";
    /// A follower was sent a snapshot that it could not read, and kept what it had.
    SnapshotRefused => "unreadable snapshot refused";
    /// A process started from a snapshot on its disk.
    BootedFromSnapshot => "booted from a snapshot";
    /// A write went through a server that did not lead.
    Forwarded => "write through a follower";
    /// A write was answered as unknown.
    UnknownWrite => "write of unknown outcome";
    /// A request was answered `No cluster leader`.
    NoLeader => "request refused for want of a leader";
    /// A blocking read was answered before its time because of a write.
    Woken => "watch woken by a write";
    /// A blocking read was answered before its time because of a deletion.
    WokenByDelete => "watch woken by a delete";
    /// A blocking read ran into its time.
    TimedOut => "watch ran into its time";
    /// A compare-and-set was refused.
    CasRefused => "compare-and-set refused";
    /// A write of what was there already.
    WroteTheSame => "write of what was there";
    /// A transaction was rolled back.
    RolledBack => "transaction rolled back";
    /// A session took a lock.
    LockTaken => "lock taken";
    /// A session had ended when it was to be renewed.
    SessionGone => "session ended meanwhile";
    /// A leader asked to read found its lease over.
    LeaseRefused => "lease over, read took a barrier";
    /// A membership change was done.
    MembershipChanged => "membership changed";
    /// A membership change was done while the network was cut.
    MembershipUnderPartition => "membership changed under partition";
    /// Leadership was handed over.
    Transferred => "leadership handed over";
    /// A leader was elected while an older one had not noticed yet.
    TwoLeaders => "leader elected while another still led";
    /// A disk was lost and its server replaced.
    DiskReplaced => "lost disk, server replaced";
    /// A process stopped itself because its disk failed.
    HaltedByDisk => "halted by a failing disk";
    /// A write was refused because the disk was nearly full.
    DiskFullRefused => "write refused by a full disk";
    /// A request came while no quorum was up.
    NoQuorum => "request without a quorum";
    /// An archive was saved.
    Saved => "archive saved";
    /// An archive was restored by the leader.
    Restored => "archive restored";
    /// An archive was restored through a server that did not lead, or a client agent.
    RestoredElsewhere => "archive restored through another";
    /// A restore was refused, because another one or a new leader came in between.
    RestoreCutOff => "restore cut off";
    /// A restore was refused because the disk was nearly full.
    RestoreFull => "restore refused by a full disk";
    /// What became of a restore was not told.
    RestoreUnknown => "restore of unknown outcome";
    /// The index went on from that of an archive.
    IndexJumped => "index jumped at a restore";
    /// A follower was brought over a restore by a snapshot.
    RestoredBySnapshot => "restore received by snapshot";
    /// A message was lost.
    MessageLost => "message lost";
    /// A message arrived twice.
    MessageTwice => "message doubled";
    /// A datagram was lost.
    PacketLost => "packet lost";
    /// The servers have founded their cluster by themselves.
    Founded => "cluster founded by promise";
    /// A server answered a client agent.
    CallAnswered => "call of an agent answered";
    /// A service that was registered with an agent stood in the catalog at the end.
    ServiceSynced => "agent's service in the catalog";
    /// A dead agent was critical in the catalog, or gone from it.
    DeadSeen => "dead agent shown as such";
    /// Whoever was dead for as long as it may take was not alive in another's eyes.
    DeathFound => "death found in time";
    /// Somebody who is well showed another who is well as failed, for a moment.
    WronglyFailed => "wrongly failed for a moment";
    /// Somebody was called failed by one whom it showed as alive, and both were there.
    Accused => "called failed while alive";
    /// An agent answered its owner while it reached no server.
    AnsweredAlone => "agent answered without servers";
    /// A process ended because it was told to.
    Stopped => "ended when told";
    /// All servers came back with each other's addresses.
    AddressesPermuted => "addresses permuted";
    /// A client agent lost its disk.
    AgentDiskLost => "agent lost its disk";
    /// The gossip key was changed in all three steps.
    KeyChanged => "gossip key changed";
    /// A command about keys was not carried out by everybody, and was repeated.
    KeysNotByAll => "command about keys repeated";
    /// A process that was started from a copied data directory stopped itself.
    TwinStopped => "copy of a running node stopped itself";
    /// A server that was one too many of its ID stopped itself.
    ServerTwinStopped => "copy of a server stopped itself";
    /// Of two living agents with one name the later one waited outside to the end.
    NameRefused => "second agent of a name kept out";
    /// An agent took a name over whose first owner had died.
    NameTakenOver => "name of a dead agent taken over";
    /// A request for another datacenter was answered from there.
    AnsweredAbroad => "answered from another datacenter";
    /// A request for another datacenter was refused, for no server of it could be reached.
    NoPath => "no path to the other datacenter";
    /// The name server gave a wrong answer.
    NamesLied => "name server lied";
    /// A DNS question about a service was answered with an address.
    DnsAnswered => "service named by DNS";
}

/// How often each was met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(BTreeMap<Mark, u64>);

impl Marks {
    /// Counts one.
    pub fn hit(&mut self, mark: Mark) {
        *self.0.entry(mark).or_default() += 1;
    }

    /// How often.
    pub fn count(&self, mark: Mark) -> u64 {
        self.0.get(&mark).copied().unwrap_or(0)
    }

    /// Adds another run's.
    pub fn merge(&mut self, other: &Marks) {
        for (mark, count) in &other.0 {
            *self.0.entry(*mark).or_default() += count;
        }
    }

    /// Those of `wanted` that were never met.
    pub fn missing(&self, wanted: &[Mark]) -> Vec<Mark> {
        wanted.iter().copied().filter(|mark| self.count(*mark) == 0).collect()
    }
}
