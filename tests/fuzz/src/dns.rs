//! DNS packets: questions from anybody, answers of recursors.

use crate::catalog;
use crate::world::{NOW, World};
use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::BinEncodable;
use lictor_core::config::RuntimeConfig;
use lictor_core::dns::{self, Cache, Lasting, Outcome, Recursion, Transport};
use lictor_core::rng::{Rng, Seed};
use lictor_core::view::View;
use std::sync::{Arc, LazyLock};

static CONFIG: LazyLock<Arc<RuntimeConfig>> = LazyLock::new(|| {
    let mut config = RuntimeConfig { alt_domain: "alt.example.".into(), ..RuntimeConfig::default() };
    config.recursors = vec!["192.0.2.1".into()];
    config.dns.enable_truncate = true;
    Arc::new(config)
});

fn rng() -> Rng {
    Rng::new(Seed::from_u64(1))
}

pub(crate) fn query(data: &[u8]) {
    let (store, config) = (catalog::store(), &*CONFIG);
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut out = Vec::new();
        let (outcome, _) = dns::answer_from(store, config, NOW, &mut rng(), data, transport, &mut out);
        let mut cached = Vec::new();
        let from_cache =
            Cache::default().answer(store, config, NOW, &mut rng(), data, transport, &mut cached);
        assert_eq!((from_cache, &cached), (outcome, &out), "an empty cache changes nothing");
        if outcome == Outcome::Drop {
            continue;
        }
        assert!(out.len() >= 12 && out[..2] == data[..2] && out[2] & 0x80 != 0, "no reply: {out:?}");
        let limit = if transport == Transport::Udp { room(data) } else { 65_535 };
        assert!(out.len() <= limit, "{} bytes where {limit} fit", out.len());
        readable(&out);
        given_again(data, transport, &out);
    }
    let mut failure = Vec::new();
    dns::server_failure(data, &mut failure);
    assert!(failure.is_empty() || (failure[..2] == data[..2] && failure[3] & 15 == 2));
    dns::asked(data);
}

/// How often a question is asked until its answers are given again, and then some.
const ASKED: usize = 22;

/// What the cache gives again is what is rendered anew, but for the order of records and, where not all fit, the
/// choice. Another implementation reads both and writes both: then their bytes are the same.
fn given_again(data: &[u8], transport: Transport, fresh: &[u8]) {
    let (store, config) = (catalog::store(), &*CONFIG);
    let (_, lasting) = dns::answer_from(store, config, NOW, &mut rng(), data, transport, &mut Vec::new());
    let Some(fresh) = rendered(fresh).filter(|_| lasting != Lasting::Once) else { return };
    // All that there is to choose from, if a stream carries it.
    let mut all = Vec::new();
    let (_, choice) = dns::answer_from(store, config, NOW, &mut rng(), data, Transport::Tcp, &mut all);
    let all = rendered(&all).filter(|_| choice == Lasting::Whole);
    let (mut cache, mut rng) = (Cache::default(), rng());
    for asked in 0..ASKED {
        let mut again = Vec::new();
        cache.answer(store, config, NOW, &mut rng, data, transport, &mut again);
        assert!(again[..2] == data[..2], "the answer to another question");
        let again = rendered(&again).expect("as readable as the fresh one");
        if lasting == Lasting::Whole {
            assert_eq!(again, fresh, "answer {asked}");
            continue;
        }
        // Records of different lengths may leave room for one more.
        assert_eq!((again.head, &again.question), (fresh.head, &fresh.question), "answer {asked}");
        if let Some(all) = &all {
            let strange = again.records[0].iter().find(|record| !all.records[0].contains(record));
            assert_eq!(strange, None, "answer {asked} has a record that there is not");
        }
    }
}

/// A packet as another implementation writes its parts, the records of each section in order of their bytes.
#[derive(Debug, PartialEq, Eq)]
struct Rendered {
    /// ID, flags and code.
    head: [u8; 4],
    question: Vec<u8>,
    records: [Vec<Vec<u8>>; 3],
    edns: Option<Vec<u8>>,
}

fn rendered(packet: &[u8]) -> Option<Rendered> {
    let message = Message::from_vec(packet).ok()?;
    let record = |record: &Record| record.to_bytes().expect("what was read can be written");
    let sorted = |section: &[Record]| {
        let mut records: Vec<Vec<u8>> = section.iter().map(record).collect();
        records.sort();
        records
    };
    Some(Rendered {
        head: [packet[0], packet[1], packet[2], packet[3]],
        question: message.queries.iter().flat_map(|q| q.to_bytes().expect("written")).collect(),
        records: [sorted(&message.answers), sorted(&message.authorities), sorted(&message.additionals)],
        edns: message.edns.as_ref().map(|edns| format!("{edns:?}").into_bytes()),
    })
}

/// Another implementation reads it. It knows no subnets of family 0, which `dig` sends and which are echoed.
fn readable(packet: &[u8]) {
    if let Err(why) = Message::from_vec(packet) {
        assert!(why.to_string().contains("unknown address family"), "{why}: {packet:?}");
    }
}

/// The most that any option in the packet could allow: where `OPT` stands, its class is the size.
fn room(data: &[u8]) -> usize {
    let sizes = data.windows(5).filter(|w| w[..3] == [0, 0, 41]);
    sizes.map(|w| usize::from(u16::from_be_bytes([w[3], w[4]]))).max().unwrap_or(0).max(512)
}

/// A recursor's packet about a host that an answer leads to.
pub(crate) fn reply(data: &[u8]) {
    let query = dns::host_query(7, "box.example.com").expect("a name");
    dns::judge(&query, data);
    let mut world = World::empty();
    let mut view = View::clone(world.view());
    (view.store, view.config) = (catalog::store().clone(), CONFIG.clone());
    let mut recursion = Recursion::default();
    let mut out = Vec::new();
    for name in ["nhost.node.consul", "nalias.node.consul"] {
        let mut question = dns::host_query(9, name).expect("a name");
        question[2] |= 1;
        for _ in 0..3 {
            let outcome = dns::answer_knowing(
                &view,
                NOW,
                &mut rng(),
                &question,
                Transport::Udp,
                &mut recursion,
                &mut out,
            );
            assert!(out.len() <= 512);
            readable(&out);
            if outcome != Outcome::Resolve {
                break;
            }
            for host in recursion.wanted().to_vec() {
                recursion.learn(&host, data);
            }
        }
        assert!(recursion.wanted().is_empty(), "asks for ever");
    }
}
