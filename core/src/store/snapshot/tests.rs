//! A snapshot is the store; bytes that are not one are refused.

use super::SnapshotError;
use crate::store::Store;
use crate::types::status;
use alloc::vec::Vec;

/// `state.bin` of a snapshot that Consul 1.21.5 saved, without its certificate authority's keys.
const CONSUL: &[u8] = include_bytes!("consul-1.21.5.state");

#[test]
fn a_snapshot_of_consul_is_read_and_survives_the_way_back() {
    let store = Store::decode_snapshot(CONSUL).unwrap();
    assert_eq!(store.applied(), 191);
    assert_eq!(store.nodes().count(), 9);
    let consul = &store.check_service_nodes("consul")[0];
    assert_eq!((&*consul.node.node, &*consul.service.service), ("real", "consul"));
    assert_eq!(&*consul.checks[0].status, status::PASSING);
    assert!(consul.service.proxy.is_some() && consul.service.connect.is_some());
    assert_eq!(&*store.kv("lk").unwrap().value, b"z");
    assert_eq!(store.kv("lk").unwrap().lock_index, 1);
    assert_eq!((store.nodes_index(), store.services_index(), store.checks_index()), (178, 178, 178));
    assert_eq!((store.service_index("WEB"), store.service_index("gone")), (38, 165));
    assert_eq!((store.node_index("k4"), store.node_index("gone")), (110, 178));
    assert_eq!(store.kv_prefix_index("t/"), 84);
    assert!(store.carried_records().contains_key(&31));

    let bytes = store.encode_snapshot();
    let again = Store::decode_snapshot(&bytes).unwrap();
    assert_eq!(again, store);
    assert_eq!(again.encode_snapshot(), bytes);
}

#[test]
fn a_torn_snapshot_is_refused_at_every_length_that_cuts_a_record() {
    let whole = Store::decode_snapshot(CONSUL).unwrap();
    for len in (0..CONSUL.len()).step_by(3) {
        if let Ok(store) = Store::decode_snapshot(&CONSUL[..len]) {
            assert_ne!(store, whole);
        }
    }
    assert_eq!(Store::decode_snapshot(&[]), Err(SnapshotError::Header));
    assert_eq!(Store::decode_snapshot(b"SQLite format 3"), Err(SnapshotError::Header));
}

#[test]
fn a_flipped_byte_never_panics() {
    for at in (0..CONSUL.len()).step_by(5) {
        let mut bytes: Vec<u8> = CONSUL.to_vec();
        let flip = [0x01, 0x80, 0xff][at % 3];
        bytes[at] ^= flip;
        if let Ok(store) = Store::decode_snapshot(&bytes) {
            let again = Store::decode_snapshot(&store.encode_snapshot());
            assert!(again.is_ok_and(|again| again == store), "byte {at} ^ {flip:#x}");
        }
    }
}
