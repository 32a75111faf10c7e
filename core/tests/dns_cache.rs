//! Answers that are given again are as good as fresh ones.

use lictor_core::command::{Command, Register};
use lictor_core::config::RuntimeConfig;
use lictor_core::dns::{Cache, Outcome, Transport};
use lictor_core::rng::{Rng, Seed};
use lictor_core::store::Store;
use lictor_core::time::{Instant, Now, WallTime};
use lictor_core::types::{HealthCheck, NodeService};
use lictor_core::watch::ChangeSet;
use std::collections::BTreeSet;
use std::sync::Arc;

struct World {
    store: Store,
    index: u64,
    config: Arc<RuntimeConfig>,
    cache: Cache,
    rng: Rng,
}

impl World {
    fn of(instances: u8) -> World {
        let mut world = World {
            store: Store::default(),
            index: 0,
            config: Arc::new(RuntimeConfig::default()),
            cache: Cache::default(),
            rng: Rng::new(Seed::from_u64(7)),
        };
        (1..=instances).for_each(|i| world.register(i, "passing"));
        world
    }

    fn register(&mut self, i: u8, status: &str) {
        self.index += 1;
        let service = NodeService { id: "web".into(), service: "web".into(), port: 80, ..Default::default() };
        let check = HealthCheck {
            check_id: "c".into(),
            service_id: "web".into(),
            status: status.into(),
            ..Default::default()
        };
        let register = Register {
            node: format!("n{i}"),
            address: format!("10.0.0.{i}"),
            service: Some(service),
            check: Some(check),
            ..Default::default()
        };
        let command = Command::Register(Box::new(register));
        self.store.apply(self.index, &command, &mut ChangeSet::default());
    }

    /// The addresses that one answer names, in its order.
    fn ask(&mut self, id: u16) -> Vec<u8> {
        self.ask_as(id, 0, Transport::Udp)
    }

    /// The same with those letters of the name in upper case that have a bit in `upper`.
    fn ask_as(&mut self, id: u16, upper: u32, transport: Transport) -> Vec<u8> {
        let mut query = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query[..2].copy_from_slice(&id.to_be_bytes());
        query.extend_from_slice(b"\x03web\x07service\x06consul\x00\x00\x01\x00\x01");
        let letters = query[12..].iter_mut().filter(|byte| byte.is_ascii_lowercase());
        for (bit, letter) in letters.enumerate() {
            *letter &= !(((upper >> bit & 1) as u8) << 5);
        }
        let now = Now { mono: Instant(1), wall: WallTime(1) };
        let mut out = Vec::new();
        let outcome =
            self.cache.answer(&self.store, &self.config, now, &mut self.rng, &query, transport, &mut out);
        assert_eq!(outcome, Outcome::Reply);
        assert_eq!(out[..2], id.to_be_bytes(), "the answer to this question");
        let count = usize::from(out[7]);
        // Header and question, then records of 16 bytes that end in the address.
        (0..count).map(|i| out[query.len() + 16 * i + 15]).collect()
    }
}

#[test]
fn every_order_is_whole_and_more_than_one_comes() {
    let mut world = World::of(3);
    let mut orders = BTreeSet::new();
    for id in 0..400 {
        let answer = world.ask(id);
        assert_eq!(answer.iter().collect::<BTreeSet<_>>().len(), 3);
        orders.insert(answer);
    }
    assert!(orders.len() > 3, "{orders:?}");
}

#[test]
fn every_instance_gets_its_share_when_an_answer_cannot_name_all() {
    let mut world = World::of(40);
    let named: BTreeSet<u8> = (0..2000).flat_map(|id| world.ask(id)).collect();
    assert_eq!(named.len(), 40);
}

#[test]
fn however_a_question_is_spelled_what_is_kept_is_bounded_and_answers_stay_right() {
    let mut world = World::of(60);
    let mut most = 0;
    for upper in 0..400 {
        for id in 0..20 {
            assert_eq!(world.ask_as(id, upper, Transport::Tcp).len(), 60);
        }
        most = most.max(world.cache.bytes());
        assert!(most <= 4 << 20, "{most}");
    }
    assert!(most > 3 << 20 && world.cache.bytes() < most, "it has started over: {most}");
}

#[test]
fn a_change_is_in_the_next_answer() {
    let mut world = World::of(3);
    (0..100).for_each(|id| drop(world.ask(id)));
    world.register(2, "critical");
    for id in 0..100 {
        assert_eq!(BTreeSet::from_iter(world.ask(id)), BTreeSet::from([1, 3]));
    }
    world.register(4, "passing");
    assert!((0..100).all(|id| world.ask(id).contains(&4)));
    let mut config = RuntimeConfig::default();
    config.dns.udp_answer_limit = 1;
    world.config = Arc::new(config);
    assert!((0..100).all(|id| world.ask(id).len() == 1), "a reload counts too");
}
