//! What outlives the process, and what a reload changes.

use super::*;
use crate::types::Locality;

#[test]
fn a_restart_restores_services_checks_and_reports_that_have_not_run_out() {
    let mut world = World::new();
    let fields = ServiceDefinition {
        tags: vec!["a".to_string()],
        address: "1.2.3.4".to_string(),
        port: 80,
        meta: [(Str::from("k"), Str::from("v"))].into_iter().collect(),
        ..with_checks("web", vec![ttl("short", 10), ttl("long", 100), http("h", 5)])
    };
    world.register(fields).expect("valid");
    world.register_check(ttl("node", 100)).expect("valid");
    for id in ["short", "long", "node"] {
        world.report(id, status::WARNING, "so so").expect("a TTL check");
    }
    world.pass(secs(5));
    world.outcome(status::PASSING, "ok");
    let before = world.agent.local();
    let writes = world.catalog.writes;
    world.restart(secs(20));
    let after = world.agent.local();
    assert!(before.services().eq(after.services()));
    assert_eq!(world.status("long"), shown("warning", "so so"));
    assert_eq!(world.status("node"), shown("warning", "so so"));
    assert_eq!(world.status("short"), shown("critical", ""), "it ran out while the agent was away");
    assert_eq!(world.status("h"), shown("critical", ""), "until it is probed again");
    assert!(!world.disk.contains_key("check-state/short"));
    assert_eq!(world.catalog.writes, writes + 1, "only what differs is told, in one registration");
    world.assert_in_sync();
    world.pass(secs(99));
    assert_eq!(world.status("long"), shown("warning", "so so"), "a full TTL from the restart");
    world.pass(secs(1));
    assert_eq!(world.status("long").0, "critical");
}

#[test]
fn a_record_says_what_was_given_and_nothing_else() {
    let mut world = World::new();
    world.register(with_checks("web", vec![ttl("a", 10)])).expect("valid");
    let record = |key| core::str::from_utf8(&world.disk[key]).expect("JSON");
    assert_eq!(record("service/web"), r#"{"format":1,"definition":{"id":"web","name":"web"}}"#);
    assert_eq!(
        record("check/a"),
        r#"{"format":1,"definition":{"id":"a","name":"a","service_id":"web","ttl":10000000000},"with_service":true,"maintenance":false}"#
    );
}

#[test]
fn an_unreadable_record_is_set_aside_and_the_agent_starts() {
    let mut world = World::new();
    world.register(with_checks("web", vec![ttl("a", 10)])).expect("valid");
    world.register(service("db")).expect("valid");
    world.disk.insert("service/db".to_string(), Bytes::from_static(b"{\"format\":1,\"defin"));
    world
        .disk
        .insert("check/a".to_string(), Bytes::from_static(b"{\"format\":9,\"definition\":{\"id\":\"a\"}}"));
    world.restart(secs(1));
    assert_eq!(world.logged("stored record is unreadable, setting it aside"), 2);
    let local = world.agent.local();
    assert!(local.service("web").is_some() && local.service("db").is_none() && local.check("a").is_none());
    let mut keys: Vec<&str> = world.disk.keys().map(|k| k.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["corrupt/check/a", "corrupt/service/db", "service/web"]);
    world.assert_in_sync();
}

#[test]
fn files_win_over_stored_registrations_of_the_same_id() {
    let mut world = World::new();
    world.register(ServiceDefinition { port: 1, ..with_checks("web", vec![ttl("a", 10)]) }).expect("valid");
    world.config.services = vec![ServiceDefinition { port: 2, ..with_checks("web", vec![ttl("a", 20)]) }];
    world.restart(secs(1));
    assert_eq!(world.agent.local().service("web").expect("exists").service.port, 2);
    assert!(world.disk.is_empty(), "{:?}", world.disk.keys());
    world.config.services.clear();
    world.restart(secs(1));
    assert_eq!(world.agent.local().service_count(), 0, "the stored one is gone for good");
    world.assert_in_sync();
}

#[test]
fn a_reload_changes_what_files_say_and_nothing_else() {
    let mut world = World::with(|c| {
        c.services = vec![
            with_checks("stays", vec![ttl("s1", 60), ttl("s2", 60)]),
            with_checks("goes", vec![ttl("g", 60)]),
        ];
        c.checks = vec![ttl("node", 60)];
    });
    world.register(with_checks("http", vec![ttl("h", 60)])).expect("valid");
    for id in ["s1", "s2", "g", "node", "h"] {
        world.report(id, status::PASSING, "ok").expect("a TTL check");
    }
    let writes = world.catalog.writes;
    world.handle(AgentInput::Reloaded(Arc::new(world.config.clone())));
    assert_eq!(world.catalog.writes, writes, "the same files change nothing");

    world.config.services =
        vec![with_checks("stays", vec![ttl("s1", 60)]), with_checks("new", vec![ttl("n", 60)])];
    world.config.checks.clear();
    world.handle(AgentInput::Reloaded(Arc::new(world.config.clone())));
    let local = world.agent.local();
    let services: Vec<&str> = local.services().map(|s| &*s.service.id).collect();
    assert_eq!(services, ["http", "new", "stays"]);
    let checks: Vec<(&str, &str)> = local.checks().map(|c| (&*c.check_id, &*c.status)).collect();
    assert_eq!(checks, [("h", "passing"), ("n", "critical"), ("s1", "passing")]);
    world.assert_in_sync();
}

#[test]
fn a_reload_tells_the_catalog_of_new_node_metadata() {
    let mut world = World::new();
    world.config.node_meta.insert(Str::from("rack"), Str::from("7"));
    world.handle(AgentInput::Reloaded(Arc::new(world.config.clone())));
    let node = world.catalog.node.clone().expect("registered");
    assert_eq!(node.meta.get("rack").map(|v| &**v), Some("7"));
}

#[test]
fn the_catalog_is_told_where_the_node_runs() {
    let mut world = World::new();
    let place = Locality { region: "eu".into(), zone: "eu-1".into() };
    world.config.locality = Some(place.clone());
    world.handle(AgentInput::Reloaded(Arc::new(world.config.clone())));
    assert_eq!(world.catalog.node.clone().expect("registered").locality.as_deref(), Some(&place));
    let writes = world.catalog.writes;
    world.pass(secs(600));
    assert_eq!(world.catalog.writes, writes);
}

#[test]
fn on_a_full_disk_reports_count_but_nothing_is_written_or_removed() {
    let mut world = World::new();
    world
        .register(with_checks(
            "web",
            vec![CheckDefinition { deregister_critical_service_after: 60_000_000_000, ..ttl("t", 10) }],
        ))
        .expect("valid");
    world.report("t", status::PASSING, "before").expect("a TTL check");
    let written = world.disk.clone();
    world.handle(AgentInput::DiskFull(true));
    world.report("t", status::WARNING, "meanwhile").expect("a TTL check");
    assert_eq!(world.status("t"), shown("warning", "meanwhile"));
    world.pass(secs(300));
    assert_eq!(world.disk, written);
    assert!(world.agent.local().service("web").is_some(), "removing it would write");
    world.handle(AgentInput::DiskFull(false));
    world.pass(secs(60));
    assert!(world.agent.local().service("web").is_none());
}
