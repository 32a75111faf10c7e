//! `meta.json`: where in raft's log a snapshot stands, in the words of Consul's raft library.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

/// The newest form of the metadata, and the one that is written.
const VERSION: i64 = 1;

/// What an archive says about its snapshot. A restore heeds the index alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)] // the names are Consul's
pub struct Meta {
    pub version: i64,
    #[serde(rename = "ID")]
    pub id: String,
    pub index: u64,
    pub term: u64,
    /// The servers in the form of version 0: a list of their addresses.
    pub peers: Option<String>,
    pub configuration: Configuration,
    pub configuration_index: u64,
    /// Of `state.bin`, in bytes.
    pub size: i64,
}

/// The servers of raft when the snapshot was taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Configuration {
    pub servers: Option<Vec<Server>>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Server {
    /// 0: it votes.
    pub suffrage: u64,
    #[serde(rename = "ID")]
    pub id: String,
    pub address: String,
}

impl Meta {
    /// The metadata of a snapshot at `index`, taken at `millis` since 1970.
    pub fn new(term: u64, index: u64, millis: u64, servers: Vec<Server>) -> Meta {
        let addresses: Vec<&str> = servers.iter().map(|server| &*server.address).collect();
        let mut peers = Vec::new();
        crate::wire::msgpack::append(&mut peers, &addresses);
        Meta {
            version: VERSION,
            id: alloc::format!("{term}-{index}-{millis}"),
            index,
            term,
            peers: Some(BASE64.encode(&peers)),
            configuration: Configuration { servers: Some(servers) },
            configuration_index: 1,
            size: 0,
        }
    }

    /// Why this cannot be restored from, whatever the state is; the texts are those of Consul's raft.
    pub fn refusal(&self, state: usize) -> Option<String> {
        if !(0..=VERSION).contains(&self.version) {
            return Some(alloc::format!("unsupported snapshot version {}", self.version));
        }
        if i64::try_from(state) != Ok(self.size) {
            let said = self.size;
            return Some(alloc::format!("failed to write snapshot, size didn't match ({state} != {said})"));
        }
        None
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Meta, String> {
        serde_json::from_slice(bytes).map_err(|e| e.to_string())
    }

    /// The file, for a state of `size` bytes.
    pub(super) fn write(&self, size: usize) -> Vec<u8> {
        let meta = Meta { size: i64::try_from(size).unwrap_or(i64::MAX), ..self.clone() };
        let mut text = serde_json::to_vec(&meta).unwrap_or_default();
        text.push(b'\n');
        text
    }
}
