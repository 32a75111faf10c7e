//! Known bugs, put back on purpose so that the simulator can prove that it sees them.
//!
//! They exist only under the cargo feature `mutants`, which no shipped binary enables. A node is started
//! with one through `Node::boot_mutant`; nothing is global. Each names who should see it.

/// Whether `$holder` was started with this bug, or one of these. The constant `false` without the feature.
macro_rules! mutant {
    ($holder:expr, $($bug:ident)|+) => {{
        #[cfg(feature = "mutants")]
        let on = matches!($holder.mutant, $(Some($crate::Mutant::$bug))|+);
        #[cfg(not(feature = "mutants"))]
        let on = false;
        on
    }};
}

#[cfg(feature = "mutants")]
macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// One bug. At most one is switched on in a node.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant {
            $($(#[$doc])* $name,)+
        }

        impl Mutant {
            /// Every one.
            pub const ALL: &[Mutant] = &[$(Mutant::$name),+];

            /// Its name on a command line.
            pub fn name(self) -> &'static str {
                match self { $(Mutant::$name => $text),+ }
            }

            /// The one with this name.
            pub fn named(name: &str) -> Option<Mutant> {
                Mutant::ALL.iter().copied().find(|m| m.name() == name)
            }
        }
    };
}

#[cfg(feature = "mutants")]
mutants! {
    /// A vote is answered before it is on disk; after a crash the server votes again in the same term.
    /// Raft paper, figure 2, "persistent state: updated on stable storage before responding to RPCs".
    /// Seen by: election safety (two leaders of one term); then everything.
    VoteBeforeFlush = "vote-before-flush",
    /// A server that has started is read before it has applied what the cluster has committed: Consul issue 3975,
    /// templates that are blanked by an empty stale answer.
    /// Seen by: the rule that no server shows less than it has shown, or than it found at its first leader.
    ReadBeforeCaughtUp = "read-before-caught-up",
    /// A follower acknowledges entries before they are on disk, so that a crash takes back what the
    /// leader counted. Same rule of figure 2; the fsync bugs of "Protocol-aware recovery" (FAST 2018).
    /// Seen by: leader completeness, committed entries never change, the indexed judge (lost writes).
    AckBeforeFlush = "ack-before-flush",
    /// A leader counts replicas of entries of older terms. Raft paper, figure 8 and section 5.4.2.
    /// Seen by: the rule that a leader's commit index names an entry of its own term; committed entries
    /// never change.
    CommitsOldTerm = "commits-old-term",
    /// A read index is confirmed without asking a quorum. Raft thesis, section 6.4; etcd issue 741 ("stale
    /// reads of a deposed leader", found by Jepsen).
    /// Seen by: both judges of histories (a stale consistent read).
    ReadIndexAlone = "read-index-alone",
    /// A leader, once confirmed, believes in its lease for ever, and does not step down when it loses its
    /// quorum. Raft thesis, sections 6.2 and 6.4.1.
    /// Seen by: both judges of histories (a stale default read).
    LeaseForEver = "lease-for-ever",
    /// A new leader holds the lease before its no-op is committed and applied, when it does not know yet
    /// what its predecessor committed. Raft thesis, section 6.4, step 1.
    /// Seen by: both judges of histories (a stale default read after an election).
    LeaseBeforeNoop = "lease-before-noop",
    /// Servers vote for whoever asks, though they hear a leader that reads under their lease. Raft thesis,
    /// section 4.2.3.
    /// Seen by: both judges of histories (a stale default read), and leaders deposed while they had a quorum.
    VotesAgainstLease = "votes-against-lease",
    /// There is no round of pre-votes: a server that was cut off comes back with a higher term and deposes
    /// a working leader. Raft thesis, section 9.6.
    /// Seen by: the check that a leader with a quorum is not deposed.
    NoPreVote = "no-pre-vote",
    /// A second membership change may start before the first is committed, so that two majorities need
    /// not overlap. Raft thesis, section 4.1.
    /// Seen by: election safety, committed entries never change.
    TwoChangesAtOnce = "two-changes-at-once",
    /// A follower truncates its log after every append message, also when nothing conflicts, so that a late
    /// message takes back acknowledged entries. Raft paper, figure 2, AppendEntries step 3 ("if an existing
    /// entry conflicts").
    /// Seen by: leader completeness, committed entries never change, the indexed judge (lost writes).
    TruncatesWithoutConflict = "truncates-without-conflict",
    /// A deposed leader tells the clients of its unfinished writes that nothing was done, though a successor
    /// may commit them. Compare `ErrLeadershipLost` of hashicorp/raft, whose outcome is unknown.
    /// Seen by: the indexed judge (a committed write has no operation).
    UnknownAsFailed = "unknown-as-failed",
    /// Every server answers default reads from its own state, as `?stale` does.
    /// Seen by: both judges of histories (a stale default read).
    DefaultReadsAnywhere = "default-reads-anywhere",
    /// A deleted key wakes nobody. Consul issue 3712 has the family: blocking queries that miss a change.
    /// Seen by: the watch judge (a lost wake-up).
    DeletesWakeNobody = "deletes-wake-nobody",
    /// A snapshot from the leader wakes nobody, though it may hold every change that was waited for.
    /// Seen by: the watch judge (a lost wake-up).
    SnapshotWakesNobody = "snapshot-wakes-nobody",
    /// A snapshot from the leader loses the index table, so that indexes of what is absent go back.
    /// Consul keeps it in snapshots for this reason (`IndexRequestType`).
    /// Seen by: the indexed judge (a server went back), the watch judge (an index went back).
    SnapshotLosesIndexes = "snapshot-loses-indexes",
    /// A follower throws its log away for a snapshot from the leader before it knows that it can read it.
    /// Seen by: a server goes on.
    InstallsUnread = "installs-unread",
    /// A session that ends leaves its locks as they are: nobody can take them any more. Consul, `deleteSessionTxn`.
    /// Seen by: the indexed judge (a key shows a holder that is none).
    KeepsLocksOfTheEnded = "keeps-locks-of-the-ended",
    /// A session is answered to be renewed, and its time runs on.
    /// Seen by: the judge of sessions (it ends within its TTL).
    RenewsNothing = "renews-nothing",
    /// A leader watches the sessions that were there when it began, and no new ones.
    /// Seen by: the demand that sessions which nobody renews end.
    WatchesNoNewSessions = "watches-no-new-sessions",
    /// Writing what is there already raises the index, and wakes everybody for nothing. Consul issue 3712.
    /// Seen by: the indexed judge (a read of what never was).
    IdenticalWriteRaises = "identical-write-raises",
    /// A server that sees as many as it expects writes the first entry by itself, with whomever it sees, as
    /// Consul does. Docs/decisions/0016.
    /// Seen by: founded once.
    FoundsWhatItSees = "founds-what-it-sees",
    /// A member that is said to be suspect or dead does not contradict. SWIM (2002), section 4.2.
    /// Seen by: no up node stays failed.
    RefutesNothing = "refutes-nothing",
    /// Whoever is called failed and pings is acknowledged and told nothing, as by memberlist: it comes back with the
    /// next exchange of tables, or when somebody tries the dead again. Docs/gossip.md, a member is suspected and lives.
    /// Seen by: who reaches its accuser is back at once.
    TellsTheDeadNothing = "tells-the-dead-nothing",
    /// A suspicion never ends: whoever died is suspected for ever. Lifeguard (2018), IV-B.
    /// Seen by: the dead are found in time.
    SuspectsForEver = "suspects-for-ever",
    /// Whoever is told to use a key forgets all others, and reads nobody who was not told yet.
    /// Seen by: gossip after the healing, and that a change of keys comes to its end.
    UseForgetsKeys = "use-forgets-keys",
    /// A process whose node ID is another's, who was there before, goes on: a data directory was copied. Pains.md, R7.
    /// Seen by: a twin stops.
    TwinsGoOn = "twins-go-on",
    /// Of two who claim one name, neither leaves it to the one that most members know. docs/identity.md.
    /// Seen by: members are where they are.
    ClaimsForEver = "claims-for-ever",
    /// Servers do not ask those whom they know in their own datacenter into the pool of all.
    /// Seen by: servers of all datacenters see each other.
    NeverFloods = "never-floods",
    /// An archive takes effect though its last part is missing: what has come of it is taken for all of it.
    /// Docs/decisions/0017.
    /// Seen by: the indexed judge (reads of what never was).
    RestoresWithoutTheLastPart = "restores-without-the-last-part",
    /// A follower passes over the archive that is restored, and keeps what it had. Consul's own restore warns of it.
    /// Seen by: equal stores.
    FollowersSkipRestores = "followers-skip-restores",
    /// A restore wakes nobody, though everything may be different. Consul, `AbandonCh`.
    /// Seen by: a restore wakes who waits.
    RestoreWakesNobody = "restore-wakes-nobody",
    /// The leader does not watch the sessions that an archive brought.
    /// Seen by: the demand that sessions which nobody renews end.
    WatchesNoRestoredSessions = "watches-no-restored-sessions",
}

#[cfg(all(test, feature = "mutants"))]
mod tests {
    use super::Mutant;

    #[test]
    fn every_mutant_is_found_by_its_name() {
        for mutant in Mutant::ALL {
            assert_eq!(Mutant::named(mutant.name()), Some(*mutant));
        }
        assert_eq!(Mutant::named("none"), None);
    }
}
