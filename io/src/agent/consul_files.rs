//! Files of Consul in the data directory: `raft/peers.json` and the keyrings of gossip, which operators put there or
//! left there, and `raft/peers.info`, which tells them of the former.

use super::data_dir::uuid;
use crate::storage::Storage;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use lictor_core::Str;
use lictor_core::config::RuntimeConfig;
use lictor_core::event::{Event, Level};
use lictor_core::node::recovery::{self, Peer};
use lictor_core::node::{DiskBatch, DiskImage, LocalWrite};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Consul's keyring of each pool, and the record that takes its place here.
const KEYRINGS: [(&str, &str); 2] =
    [("serf/local.keyring", "gossip/lan/keys"), ("serf/remote.keyring", "gossip/wan/keys")];

/// What `raft/peers.info` says: whoever needs it may have nothing else to read.
const PEERS_INFO: &str = r#"When a majority of the servers is lost for good, the servers that are left cannot elect a leader. Then:

1. Stop all servers that are left.
2. Write a file peers.json beside this one, the same on each of them, that names those that shall go on. The ID of a
   server is in the file node-id of its data directory:

[
  {
    "id": "11111111-2222-3333-4444-555555555555",
    "address": "10.0.0.1:8300",
    "non_voter": false
  }
]

3. Start them. Each takes everything in its log as committed, goes on with these servers, and removes peers.json.

If more than one is left, the safest is to name only the one with the longest log (last_log_index of "lictor info"), and
to start the others with empty data directories: the ends of two logs may differ.

Nothing reads this file; peers.json is read at every start.
"#;

/// Explains `raft/peers.json` beside the place where it belongs, as Consul does.
pub(super) fn explain_peers(data_dir: &Path) -> io::Result<()> {
    let raft = data_dir.join("raft");
    fs::create_dir_all(&raft)?;
    match File::create_new(raft.join("peers.info")) {
        Ok(mut file) => file.write_all(PEERS_INFO.as_bytes()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

/// A file's text, if it is there.
fn read(path: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("{} cannot be read: {e}", path.display())),
    }
}

/// Recovers the server `own` from the loss of a majority, if `raft/peers.json` says with whom; the file is removed then.
pub(super) async fn recover<S: Storage>(
    data_dir: &Path,
    own: &str,
    image: DiskImage,
    storage: &mut S,
    say: impl Fn(Event),
) -> Result<DiskImage, String> {
    let path = data_dir.join("raft/peers.json");
    let Some(text) = read(&path)? else { return Ok(image) };
    say(Event::new(Level::Info, "agent.server", "found peers.json file, recovering Raft configuration..."));
    let peers = peers(&text).and_then(|peers| recovery::membership(&peers, own));
    let peers =
        peers.map_err(|e| format!("recovery failed to parse peers.json: {e} ({})", path.display()))?;
    let servers = peers.voters.iter().chain(&peers.learners).map(|id| &**id).collect::<Vec<_>>().join(", ");
    let (image, batch) = recovery::recover(image, peers).map_err(|e| format!("recovery failed: {e}"))?;
    storage.write(&[batch]).await.map_err(|e| format!("recovery failed: {e}"))?;
    fs::remove_file(&path)
        .map_err(|e| format!("recovery failed to delete peers.json, please delete manually: {e}"))?;
    let text = "deleted peers.json file after successful recovery";
    say(Event::new(Level::Info, "agent.server", text).with("servers", servers));
    Ok(image)
}

fn peers(text: &str) -> Result<Vec<Peer>, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let list = value.as_array().ok_or("it is not a list")?;
    let entry = |peer: &Value| {
        let peer = peer.as_object().ok_or(
            "an entry is not an object with \"id\", \"address\" and \"non_voter\" (the list of addresses of raft \
             protocol 2 is not taken)",
        )?;
        let text = |name: &str| peer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let non_voter = peer.get("non_voter").and_then(Value::as_bool).unwrap_or(false);
        let id = text("id");
        if !id.is_empty() {
            uuid(&id).map_err(|e| format!("id {id:?} is not the node ID of a server: {e}"))?;
        }
        Ok(Peer { id: Str::from(id), address: text("address"), non_voter })
    };
    list.iter().map(entry).collect()
}

/// Takes over Consul's keyrings at the first start on its data directory: afterwards the records count.
pub(super) async fn keyrings<S: Storage>(
    data_dir: &Path,
    config: &RuntimeConfig,
    image: &mut DiskImage,
    storage: &mut S,
) -> Result<(), String> {
    if config.gossip.disable_keyring_file {
        return Ok(());
    }
    for (file, record) in KEYRINGS {
        let path = data_dir.join(file);
        if image.local.iter().any(|(key, _)| key == record) {
            continue;
        }
        let Some(text) = read(&path)? else { continue };
        let keys: Vec<String> = serde_json::from_str(&text)
            .map_err(|e| format!("failed to load keyring {}: it is no list of keys: {e}", path.display()))?;
        if let Some(bad) = keys.iter().position(|key| !is_key(key)) {
            return Err(format!("failed to load keyring {}: key {} is not valid", path.display(), bad + 1));
        }
        let (key, value) = (record.to_owned(), Bytes::from(keys.join("\n")));
        let local = vec![LocalWrite::Put { key: key.clone(), value: value.clone() }];
        storage.write(&[DiskBatch { local, ..DiskBatch::default() }]).await.map_err(|e| e.to_string())?;
        image.local.push((key, value));
    }
    Ok(())
}

/// Whether gossip of the datacenter will be encrypted: keys are given, or kept from before.
pub(super) fn has_keys(config: &RuntimeConfig, image: &DiskImage) -> bool {
    let [(_, record), _] = KEYRINGS;
    let kept = !config.gossip.disable_keyring_file && image.local.iter().any(|(key, _)| key == record);
    config.gossip.encrypt.is_some() || kept
}

/// Whether it is 16, 24 or 32 bytes in base64.
fn is_key(text: &str) -> bool {
    BASE64_STANDARD.decode(text).is_ok_and(|key| matches!(key.len(), 16 | 24 | 32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::memory::Memory;
    use std::path::PathBuf;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("lictor-consul-files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("serf")).expect("made");
        dir
    }

    #[tokio::test]
    async fn a_keyring_of_consul_is_taken_once_and_a_damaged_one_is_refused_by_name() {
        let dir = scratch("keys");
        let (one, two) = ("AAAAAAAAAAAAAAAAAAAAAA==", "AQEBAQEBAQEBAQEBAQEBAQ==");
        fs::write(dir.join("serf/local.keyring"), format!("[\"{one}\",\"{two}\"]")).expect("written");
        let (config, mut image) = (RuntimeConfig::default(), DiskImage::default());
        keyrings(&dir, &config, &mut image, &mut Memory).await.expect("taken");
        assert!(has_keys(&config, &image) && !has_keys(&config, &DiskImage::default()));
        let taken = vec![("gossip/lan/keys".to_owned(), format!("{one}\n{two}").into())];
        assert_eq!(image.local, taken);
        fs::write(dir.join("serf/local.keyring"), "[]").expect("written");
        keyrings(&dir, &config, &mut image, &mut Memory).await.expect("the record counts");
        assert_eq!(image.local, taken);
        fs::write(dir.join("serf/remote.keyring"), "[\"short\"]").expect("written");
        let refused = keyrings(&dir, &config, &mut image, &mut Memory).await.expect_err("refused");
        assert!(refused.contains("remote.keyring: key 1 is not valid"), "{refused}");
        fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn how_to_recover_is_written_once_and_what_it_shows_is_taken() {
        let dir = scratch("info");
        let file = dir.join("raft/peers.info");
        explain_peers(&dir).expect("written");
        let text = fs::read_to_string(&file).expect("read");
        let (from, to) = (text.find("\n[").expect("begins"), text.find("\n]").expect("ends"));
        let shown = peers(&text[from..to + 2]).expect("taken");
        assert!(recovery::membership(&shown, &shown[0].id).is_ok(), "{shown:?}");
        fs::write(&file, "mine").expect("written");
        explain_peers(&dir).expect("left alone");
        assert_eq!(fs::read_to_string(&file).expect("read"), "mine");
        fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn peers_json_is_a_list_of_objects() {
        let id = "11111111-2222-3333-4444-555555555555";
        let list = |id: &str| format!(r#"[{{"id": "{id}", "address": "10.0.0.1:8300", "non_voter": true}}]"#);
        let taken = peers(&list(id)).expect("read");
        assert_eq!(taken, [Peer { id: id.into(), address: "10.0.0.1:8300".into(), non_voter: true }]);
        let refused = peers(&list("nope")).expect_err("refused");
        assert_eq!(refused, "id \"nope\" is not the node ID of a server: uuid string is wrong length");
        assert!(peers(r#"["10.0.0.1:8300"]"#).expect_err("refused").contains("raft protocol 2"));
        assert!(peers("{").is_err() && peers("{}").is_err());
    }
}
