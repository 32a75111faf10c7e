//! A majority of the servers is lost for good: those that are left go on with the membership that an operator says.

use super::output::{DiskBatch, DiskImage};
use crate::command::Command;
use crate::ids::ServerId;
use crate::raft::{self, Membership, Payload, SnapshotMeta};
use crate::store::Store;
use crate::watch::ChangeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// One server of `peers.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its node ID.
    pub id: ServerId,
    /// Its address. Ours find each other by gossip: it only must be there, and not twice.
    pub address: String,
    /// Whether it has no vote.
    pub non_voter: bool,
}

/// What an operator's list of servers says to the one that is `own`, or Consul's words for what is wrong with it. Consul
/// takes a list without the server that reads it, which then waits for ever: here it is refused.
///
/// # Errors
/// An ID or an address is empty or there twice, nobody has a vote, or `own` is not among them.
pub fn membership(peers: &[Peer], own: &str) -> Result<Membership, String> {
    let mut membership = Membership::default();
    let mut addresses: Vec<&str> = Vec::new();
    for Peer { id, address, non_voter } in peers {
        if id.is_empty() {
            return Err("empty ID in configuration".into());
        }
        if address.is_empty() {
            return Err(format!("empty address in configuration: {id}"));
        }
        if membership.contains(id) {
            return Err(format!("found duplicate ID in configuration: {id}"));
        }
        if addresses.contains(&&**address) {
            return Err(format!("found duplicate address in configuration: {address}"));
        }
        addresses.push(address);
        let group = if *non_voter { &mut membership.learners } else { &mut membership.voters };
        group.insert(id.clone());
    }
    if membership.voters.is_empty() {
        return Err("need at least one voter in configuration".into());
    }
    if peers.len() > raft::MAX_SERVERS {
        return Err(format!("more than {} servers in configuration", raft::MAX_SERVERS));
    }
    if !membership.contains(own) {
        return Err(format!(
            "this server, {own}, is not in configuration: name it, or start it with an empty data directory"
        ));
    }
    Ok(membership)
}

/// Makes a snapshot of everything that the log holds, committed or not, under another membership: what the disk is to
/// hold, and the batch that makes it so. As Consul, whose raft library does the same (`RecoverCluster`).
///
/// # Errors
/// There is nothing to recover, or it cannot be read. Nothing is to be written.
pub fn recover(image: DiskImage, membership: Membership) -> Result<(DiskImage, DiskBatch), String> {
    let DiskImage { raft, snapshot, local } = image;
    if raft.log.is_empty() && raft.snapshot.is_none() {
        return Err(
            "refused to recover cluster with no initial state, this is probably an operator error".into()
        );
    }
    let mut store = match &snapshot {
        Some(data) => {
            Store::decode_snapshot(data).map_err(|e| format!("the snapshot cannot be read: {e}"))?
        }
        None => Store::default(),
    };
    let mut meta = raft.snapshot.clone().unwrap_or_default();
    let (mut cluster, mut changes) = (meta.membership.cluster, ChangeSet::default());
    for entry in raft.log.iter().filter(|entry| entry.index > meta.index) {
        match &entry.payload {
            Payload::Command(bytes) => {
                let command = Command::decode(bytes)
                    .map_err(|e| format!("log entry {} cannot be read: {e}", entry.index))?;
                store.apply(store.applied() + 1, &command, &mut changes);
            }
            Payload::Membership(of) => {
                cluster = of.cluster;
                store.skip(store.applied() + 1);
            }
            Payload::Noop => {
                store.forget_unfinished();
                store.skip(store.applied() + 1);
            }
        }
    }
    if let Some(last) = raft.log.last().filter(|last| last.index > meta.index) {
        (meta.index, meta.term) = (last.index, last.term);
    }
    let meta = SnapshotMeta { membership: Membership { cluster, ..membership }, ..meta };
    let data = store.encode_snapshot();
    let batch = raft::Batch {
        snapshot: Some((meta.clone(), data.clone())),
        compact_to: Some(meta.index),
        ..raft::Batch::default()
    };
    let image = raft::Image { hard: raft.hard, snapshot: Some(meta), log: Vec::new() };
    let disk = DiskImage { raft: image, snapshot: Some(data), local };
    Ok((disk, DiskBatch { raft: Some(batch), local: Vec::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::KvCommand;
    use crate::ids::{Index, Term};
    use crate::raft::{Entry, HardState};
    use crate::types::{KvEntry, KvOp};
    use alloc::string::ToString;
    use alloc::vec;

    fn peer(id: &str, address: &str, non_voter: bool) -> Peer {
        Peer { id: id.into(), address: address.to_string(), non_voter }
    }

    fn key(index: u64, key: &str) -> Entry {
        let dir_ent = KvEntry { key: key.into(), ..KvEntry::default() };
        let command = Command::Kv(KvCommand { op: KvOp::Set, dir_ent });
        Entry { index: Index(index), term: Term(2), payload: Payload::Command(command.encode()) }
    }

    #[test]
    fn a_list_of_servers_is_refused_in_consuls_words() {
        let refused = |peers: &[Peer]| membership(peers, "a").expect_err("refused");
        assert_eq!(refused(&[]), "need at least one voter in configuration");
        assert_eq!(refused(&[peer("a", "1", true)]), "need at least one voter in configuration");
        assert_eq!(refused(&[peer("", "1", false)]), "empty ID in configuration");
        assert_eq!(refused(&[peer("a", "", false)]), "empty address in configuration: a");
        let twice = [peer("a", "1", false), peer("a", "2", false)];
        assert_eq!(refused(&twice), "found duplicate ID in configuration: a");
        let twice = [peer("a", "1", false), peer("b", "1", false)];
        assert_eq!(refused(&twice), "found duplicate address in configuration: 1");
        assert!(refused(&[peer("A", "1", false)]).starts_with("this server, a, is not in configuration"));
        let taken = membership(&[peer("a", "1", false), peer("b", "2", true)], "b").expect("sound");
        assert!(taken.is_voter("a") && taken.learners.contains("b"));
    }

    #[test]
    fn all_of_the_log_is_kept_and_only_the_membership_is_another() {
        let founded = Membership::of_voters(["a".into(), "b".into(), "c".into()]).in_cluster(7);
        let first = Entry { index: Index(1), term: Term(1), payload: Payload::Membership(founded) };
        let log = vec![first, key(2, "one"), key(3, "two")];
        let hard = HardState { term: Term(4), voted_for: Some("a".into()), commit: Index(2) };
        let image = DiskImage { raft: raft::Image { hard, snapshot: None, log }, ..DiskImage::default() };
        let wanted = membership(&[peer("a", "1", false)], "a").expect("sound");
        let (disk, batch) = recover(image, wanted).expect("recovered");
        let meta = disk.raft.snapshot.clone().expect("a snapshot");
        assert_eq!((meta.index, meta.term), (Index(3), Term(2)));
        assert_eq!(meta.membership, Membership::of_voters(["a".into()]).in_cluster(7));
        assert_eq!(disk.raft.hard.term, Term(4));
        let store = Store::decode_snapshot(disk.snapshot.as_ref().expect("data")).expect("readable");
        assert!(store.kv("one").is_some() && store.kv("two").is_some());
        let batch = batch.raft.expect("raft's part");
        assert_eq!(
            (batch.compact_to, batch.snapshot.map(|(meta, _)| meta.index)),
            (Some(Index(3)), Some(Index(3)))
        );
    }

    #[test]
    fn an_empty_disk_has_nothing_to_recover() {
        let wanted = membership(&[peer("a", "1", false)], "a").expect("sound");
        let refused = recover(DiskImage::default(), wanted).expect_err("refused");
        assert!(refused.starts_with("refused to recover cluster with no initial state"));
    }
}
