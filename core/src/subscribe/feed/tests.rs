//! What a peer makes of the messages, against the store; and the bytes themselves.

use super::*;
use crate::command::{Command, Deregister, Register};
use crate::types::{HealthCheck, NodeService, ServiceAddress};
use crate::watch::ChangeSet;
use crate::wire::protobuf::{self, Field};
use alloc::boxed::Box;
use alloc::vec;
use proptest::prelude::*;

fn feed(index: u64) -> Feed {
    Feed::new(Subscription { topic: Topic::Health, service: "Web".into(), index })
}

/// The fields of a message, bytes only.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        all.push(protobuf::next(&mut bytes).expect("a message"));
    }
    all
}

fn inner(bytes: &[u8], field: u64) -> Option<&[u8]> {
    fields(bytes).into_iter().find_map(|(number, value)| match value {
        Field::Bytes(bytes) if number == field => Some(bytes),
        _ => None,
    })
}

fn uint(bytes: &[u8], field: u64) -> u64 {
    let found = fields(bytes).into_iter().find_map(|(number, value)| match value {
        Field::Uint(value) if number == field => Some(value),
        _ => None,
    });
    found.unwrap_or(0)
}

/// An agent's picture: encoded instances by node and ID, and the index.
#[derive(Debug, Default, PartialEq)]
struct Picture {
    instances: BTreeMap<(Vec<u8>, Vec<u8>), Vec<u8>>,
    index: u64,
    complete: bool,
}

impl Picture {
    fn take(&mut self, event: &[u8]) {
        if uint(event, 3) == 1 {
            *self = Picture::default();
            return;
        }
        assert!(uint(event, 1) >= self.index, "indexes rise");
        self.index = uint(event, 1);
        self.complete |= uint(event, 2) == 1;
        if let Some(batch) = inner(event, 4) {
            for (number, one) in fields(batch) {
                let Field::Bytes(one) = one else { panic!("no event") };
                assert_eq!(number, 1);
                self.take(one);
            }
        }
        if let Some(update) = inner(event, 10) {
            let entry = inner(update, 2).expect("an instance");
            let name =
                |part, field| inner(inner(entry, part).expect("a part"), field).unwrap_or(b"").to_vec();
            let key = (name(1, 2), name(2, 2));
            match uint(update, 1) {
                0 => self.instances.insert(key, entry.to_vec()),
                _ => self.instances.remove(&key),
            };
        }
    }

    fn look(&mut self, feed: &mut Feed, store: &Store) {
        let Step::Send(messages) = feed.look(store) else { panic!("it ends") };
        messages.iter().for_each(|message| self.take(message));
    }
}

/// The same from the store, each instance encoded on its own.
fn naive(store: &Store) -> Picture {
    let encoded = |e: &Arc<CheckServiceNode>| {
        let event = event::register(1, e);
        inner(inner(&event, 10).expect("an update"), 2).expect("an instance").to_vec()
    };
    let key = |e: &Arc<CheckServiceNode>| (e.node.node.as_bytes().to_vec(), e.service.id.as_bytes().to_vec());
    let instances = store.service_health("web").map(|e| (key(e), encoded(e))).collect();
    Picture { instances, index: store.service_index("web").max(1), complete: true }
}

fn command() -> impl Strategy<Value = Command> {
    let node = prop::sample::select(vec!["a", "A", "b"]);
    let id = prop::sample::select(vec!["", "w1", "W1", "w2"]);
    let name = prop::sample::select(vec!["web", "WEB", "db"]);
    let status = prop::sample::select(vec!["passing", "critical"]);
    (node, id, name, status, 0..9_u8).prop_map(|(node, id, name, status, kind)| {
        if kind == 0 || (kind < 3 && !id.is_empty()) {
            let gone = Deregister { node: node.into(), service_id: id.into(), ..Deregister::default() };
            return Command::Deregister(gone);
        }
        let service = NodeService { id: id.into(), service: name.into(), ..NodeService::default() };
        let check = HealthCheck {
            check_id: if id.is_empty() { "n".into() } else { "c".into() },
            service_id: id.into(),
            status: status.into(),
            ..HealthCheck::default()
        };
        Command::Register(Box::new(Register {
            node: node.into(),
            address: if kind < 6 { "10.0.0.1" } else { "10.0.0.2" }.into(),
            service: (!id.is_empty()).then_some(service),
            check: (kind % 2 == 0).then_some(check),
            ..Register::default()
        }))
    })
}

proptest! {
    #[test]
    fn the_picture_of_a_peer_is_the_view_whenever_it_looks(
        before in proptest::collection::vec(command(), 0..8),
        steps in proptest::collection::vec((command(), any::<bool>()), 0..24),
        resumed in 0..2_u64,
    ) {
        // The first entry of a log is no command.
        let (mut store, mut index) = (Store::default(), 1);
        let mut apply = |store: &mut Store, command: &Command| {
            index += 1;
            let mut changes = ChangeSet::default();
            store.apply(index, command, &mut changes);
            changes
        };
        before.iter().for_each(|command| { apply(&mut store, command); });
        let (mut feed, mut picture) = (feed(resumed), Picture::default());
        picture.look(&mut feed, &store);
        prop_assert_eq!(&picture, &naive(&store));
        for (command, looks) in &steps {
            let held = naive(&store).instances;
            let changes = apply(&mut store, command);
            if naive(&store).instances != held {
                // Who waits for the index is woken.
                prop_assert!(changes.service_names.contains("web"));
                prop_assert!(store.service_index("web").max(1) != feed.index());
            }
            if *looks {
                picture.look(&mut feed, &store);
                let naive = naive(&store);
                prop_assert_eq!(&picture.instances, &naive.instances);
                prop_assert!(picture.index <= naive.index);
                prop_assert_eq!(feed.look(&store), Step::Send(Vec::new()));
            }
        }
    }
}

fn registered(store: &mut Store, index: u64, output: &str) {
    let mut service = NodeService {
        id: "w1".into(),
        service: "web".into(),
        tags: vec![Str::from("v1")].into(),
        port: 80,
        ..NodeService::default()
    };
    service.meta.insert("k".into(), "v".into());
    service.tagged_addresses.insert("lan".into(), ServiceAddress { address: "1.1.1.1".into(), port: 81 });
    let check = HealthCheck {
        check_id: "c".into(),
        service_id: "w1".into(),
        status: "passing".into(),
        output: output.into(),
        ..HealthCheck::default()
    };
    let register = Register {
        node: "a".into(),
        address: "10.0.0.1".into(),
        service: Some(service),
        check: Some(check),
        ..Register::default()
    };
    store.apply(index, &Command::Register(Box::new(register)), &mut ChangeSet::default());
}

/// The length-delimited field `number`.
fn sub(number: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&[number << 3 | 2, u8::try_from(body.len()).expect("short")][..], &body].concat()
}

#[test]
fn an_event_is_encoded_as_the_field_numbers_say() {
    let mut store = Store::default();
    registered(&mut store, 5, "ok");
    let Step::Send(messages) = feed(0).look(&store) else { panic!("it ends") };
    let raft = [8, 5, 16, 5];
    let node = [&sub(2, &[b"a"])[..], &sub(3, &[b"10.0.0.1"]), &sub(7, &[&raft])].concat();
    let service = [
        &sub(2, &[b"w1"])[..],
        &sub(3, &[b"web"]),
        &sub(4, &[b"v1"]),
        &sub(6, &[&sub(1, &[b"k"]), &sub(2, &[b"v"])]),
        &[7 << 3, 80],
        &sub(8, &[&[8, 1, 16, 1]]),
        &sub(14, &[&raft]),
        &sub(15, &[&sub(1, &[b"lan"]), &sub(2, &[&sub(1, &[b"1.1.1.1"]), &[16, 81]])]),
    ];
    let check = [
        &sub(1, &[b"a"])[..],
        &sub(2, &[b"c"]),
        &sub(4, &[b"passing"]),
        &sub(6, &[b"ok"]),
        &sub(7, &[b"w1"]),
        &sub(8, &[b"web"]),
        &sub(9, &[b"v1"]),
        &sub(10, &[]),
        &sub(11, &[&raft]),
    ];
    let entry = [sub(1, &[&node]), sub(2, &service), sub(3, &check)].concat();
    let register = [&[8, 5][..], &sub(10, &[&sub(2, &[&entry])])].concat();
    assert_eq!(messages, [register, vec![8, 5, 16, 1]]);
}

#[test]
fn who_has_an_old_picture_is_told_that_a_new_one_follows_and_to_begin_anew_when_the_index_fell() {
    let mut store = Store::default();
    registered(&mut store, 5, "ok");
    let mut resumed = feed(4);
    let Step::Send(messages) = resumed.look(&store) else { panic!("it ends") };
    assert_eq!((messages.len(), &messages[0][..]), (3, &[24, 1][..]));
    let mut restored = Store::default();
    registered(&mut restored, 3, "ok");
    assert_eq!(resumed.look(&restored), Step::End(Status::reset()));
}

#[test]
fn a_large_snapshot_comes_in_messages_that_agents_take() {
    let mut store = Store::default();
    for i in 0..64_u64 {
        let check = HealthCheck { output: "x".repeat(40_000).into(), ..HealthCheck::default() };
        let register = Register {
            node: alloc::format!("n{i}"),
            address: "10.0.0.1".into(),
            service: Some(NodeService { id: "w".into(), service: "web".into(), ..NodeService::default() }),
            check: Some(HealthCheck { check_id: "c".into(), ..check }),
            ..Register::default()
        };
        store.apply(i + 1, &Command::Register(Box::new(register)), &mut ChangeSet::default());
    }
    let (mut feed, mut picture) = (feed(0), Picture::default());
    let Step::Send(messages) = feed.look(&store) else { panic!("it ends") };
    assert!(messages.len() > 3 && messages.iter().all(|m| m.len() < 2 * MESSAGE), "{}", messages.len());
    messages.iter().for_each(|message| picture.take(message));
    assert_eq!(picture, naive(&store));
}
