//! Settings of one raft server, and what makes them sound.

use crate::ids::ServerId;
use crate::time::Duration;

/// Settings of one server. [`Config::new`] gives the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// This server's persisted identity.
    pub id: ServerId,
    /// The shortest silence after which a follower campaigns; each wait is drawn from once to twice
    /// this (section 3.4). Also how long a server that heard a leader refuses to elect another.
    pub election_timeout: Duration,
    /// Time between a leader's heartbeats.
    pub heartbeat: Duration,
    /// How long after the *sending* of a heartbeat that a quorum acknowledged the leader may read
    /// without asking again. Shorter than `election_timeout` by the clock drift to be tolerated.
    pub lease: Duration,
    /// Append messages on their way to one follower.
    pub max_inflight: usize,
    /// Bytes of entries on their way to one follower.
    pub max_inflight_bytes: usize,
    /// Bytes of entries in one message; one entry always fits.
    pub max_batch_bytes: usize,
    /// Entries applied since the last snapshot that make it time for the next.
    pub snapshot_threshold: u64,
    /// Entries kept behind a snapshot, so that a follower slightly behind needs no snapshot.
    pub trailing_logs: u64,
    /// Bytes of log since the last snapshot beyond which the next is taken early. Half of it is the most
    /// that applied entries may take in memory for followers that are known to need them.
    pub max_log_bytes: usize,
    /// Bytes of applied entries kept in memory for followers that may turn out to need them; one that
    /// needs older ones is sent a snapshot. A server without followers keeps none.
    pub tail_bytes: usize,
    /// Bytes of appended, not yet committed entries beyond which proposals are refused.
    pub max_uncommitted_bytes: usize,
    /// The longest command.
    pub max_command_bytes: usize,
    /// Reads that may wait for a quorum.
    pub max_waiting_reads: usize,
    /// Accepted calls that may wait for their outcome.
    pub max_waiting_calls: usize,
    /// Bytes of a snapshot in one message.
    pub snapshot_chunk_bytes: usize,
    /// Snapshot messages on their way to one follower.
    pub snapshot_window: usize,
    /// The largest snapshot accepted from a leader.
    pub max_snapshot_bytes: u64,
    /// The bug put back, if any.
    #[cfg(feature = "mutants")]
    pub mutant: Option<crate::Mutant>,
}

impl Config {
    /// The defaults for a local network.
    pub fn new(id: ServerId) -> Config {
        Config {
            id,
            election_timeout: Duration::from_millis(1000),
            heartbeat: Duration::from_millis(100),
            lease: Duration::from_millis(800),
            max_inflight: 128,
            max_inflight_bytes: 16 << 20,
            max_batch_bytes: 1 << 20,
            snapshot_threshold: 16_384,
            trailing_logs: 10_240,
            max_log_bytes: 256 << 20,
            tail_bytes: 4 << 20,
            max_uncommitted_bytes: 64 << 20,
            max_command_bytes: 8 << 20,
            max_waiting_reads: 65_536,
            max_waiting_calls: 65_536,
            snapshot_chunk_bytes: 256 << 10,
            snapshot_window: 4,
            max_snapshot_bytes: 4 << 30,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// Checks that the settings keep raft safe and live.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let sizes = [
            self.max_inflight,
            self.max_inflight_bytes,
            self.max_batch_bytes,
            self.max_log_bytes,
            self.max_uncommitted_bytes,
            self.max_command_bytes,
            self.max_waiting_reads,
            self.max_waiting_calls,
            self.snapshot_chunk_bytes,
            self.snapshot_window,
        ];
        if !super::codec::valid_id(&self.id) {
            Err(ConfigError::Id)
        } else if self.heartbeat.is_zero() || self.heartbeat * 2 > self.election_timeout {
            Err(ConfigError::Heartbeat)
        } else if self.lease >= self.election_timeout {
            Err(ConfigError::Lease)
        } else if sizes.contains(&0) || self.snapshot_threshold == 0 {
            Err(ConfigError::Zero)
        } else if self.max_command_bytes.max(self.max_batch_bytes).max(self.snapshot_chunk_bytes)
            > super::codec::MAX_FRAME / 2
        {
            Err(ConfigError::Frame)
        } else {
            Ok(())
        }
    }
}

/// What is wrong with a [`Config`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The id is empty or too long.
    Id,
    /// Fewer than two heartbeats fit into an election timeout.
    Heartbeat,
    /// The lease reaches into the time when another leader may be elected.
    Lease,
    /// A size or count is zero.
    Zero,
    /// A command, batch or chunk would not fit into one message.
    Frame,
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            ConfigError::Id => "the server id is empty or too long",
            ConfigError::Heartbeat => "an election timeout must hold at least two heartbeats",
            ConfigError::Lease => "the lease must be shorter than the election timeout",
            ConfigError::Zero => "sizes and counts must be positive",
            ConfigError::Frame => "commands, batches and chunks must fit into half a message frame",
        })
    }
}

impl core::error::Error for ConfigError {}
