//! What may be registered, and what it becomes.

use super::*;
use crate::types::{CheckDefinition, Weights};

fn refused(reply: AgentReply) -> String {
    reply.expect_err("must be refused").to_string()
}

/// Texts recorded from Consul 1.21.5.
#[test]
fn refusals_of_services_are_in_consuls_words() {
    let mut world = World::new();
    let check = |c: CheckDefinition| with_checks("a", vec![c]);
    let http = CheckDefinition { http: "http://x".to_string(), interval: SECOND, ..Default::default() };
    let script =
        CheckDefinition { script_args: vec!["x".to_string()], interval: SECOND, ..Default::default() };
    let weights =
        |passing, warning| ServiceDefinition { weights: Some(Weights { passing, warning }), ..service("a") };
    let meta = |k: &str, v: &str| ServiceDefinition {
        meta: [(Str::from(k), Str::from(v))].into_iter().collect(),
        ..service("a")
    };
    let at = |address: &str| ServiceDefinition { address: address.to_string(), ..service("a") };
    let cases = vec![
        (service(""), "Missing service name"),
        (at("0.0.0.0"), "Invalid service address"),
        (at("::"), "Invalid service address"),
        (at("[::]"), "Invalid service address"),
        (
            check(script),
            "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
        ),
        (
            check(CheckDefinition { interval: SECOND, ..Default::default() }),
            "Invalid check: TTL must be > 0 for TTL checks",
        ),
        (
            check(CheckDefinition { interval: 0, ..http.clone() }),
            "Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks",
        ),
        (
            check(CheckDefinition { ttl: SECOND, interval: SECOND, ..Default::default() }),
            "Invalid check: Interval and TTL cannot both be specified",
        ),
        (
            check(CheckDefinition { ttl: SECOND, status: "foo".to_string(), ..Default::default() }),
            "Status for checks must 'passing', 'warning', 'critical'",
        ),
        (
            check(CheckDefinition {
                failures_before_warning: 3,
                failures_before_critical: 1,
                ..http.clone()
            }),
            "Invalid check: FailuresBeforeWarning can't be higher than FailuresBeforeCritical",
        ),
        (
            check(CheckDefinition { output_max_size: -1, ..http.clone() }),
            "Invalid check: MaxOutputMaxSize must be positive",
        ),
        (
            check(CheckDefinition { alias_service: "b".to_string(), ttl: SECOND, ..Default::default() }),
            "Invalid check: TTL must be not be set for Alias checks",
        ),
        (weights(0, 1), "Invalid Weights: Passing must be greater than 0"),
        (weights(-1, -1), "Invalid Weights: Passing must be greater than 0"),
        (weights(1, 70000), "Invalid Weights: DNS Weight must be between 0 and 65535"),
        (meta("", "x"), "Invalid Service Meta: Couldn't load metadata pair ('', 'x'): Key cannot be blank"),
        (
            meta("consul-x", "x"),
            "Invalid Service Meta: Couldn't load metadata pair ('consul-x', 'x'): Key prefix 'consul-' is reserved for internal use",
        ),
        (
            meta("a b", "x"),
            "Invalid Service Meta: Couldn't load metadata pair ('a b', 'x'): Key contains invalid characters",
        ),
        (
            check(CheckDefinition {
                docker_container_id: "c".to_string(),
                interval: SECOND,
                ..Default::default()
            }),
            "Invalid check: TTL must be > 0 for TTL checks",
        ),
    ];
    for (definition, text) in cases {
        assert_eq!(refused(world.register(definition)), text);
    }
    assert_eq!(world.agent.local().service_count(), 0, "a refusal changes nothing");
    assert!(world.disk.is_empty());
}

#[test]
fn refusals_of_checks_are_in_consuls_words() {
    let mut world = World::new();
    let bare = CheckDefinition { name: "x".to_string(), ..Default::default() };
    assert_eq!(world.register_check(ttl("", 5)), Err(AgentError::Invalid("Missing check name".to_string())));
    assert_eq!(
        world.register_check(bare),
        Err(AgentError::Invalid("Invalid check: TTL must be > 0 for TTL checks".to_string()))
    );
    let odd = CheckDefinition { status: "foo".to_string(), ..ttl("x", 5) };
    assert_eq!(world.register_check(odd), Err(AgentError::Invalid("Bad check status".to_string())));
    let orphan = CheckDefinition { service_id: "nope".to_string(), ..ttl("x", 5) };
    assert_eq!(
        world.register_check(orphan),
        Err(AgentError::NotFound("ServiceID \"nope\" does not exist".to_string()))
    );
    let unknown =
        "Unknown check ID \"nope\". Ensure that the check ID is passed, not the check name.".to_string();
    assert_eq!(world.report("nope", status::PASSING, ""), Err(AgentError::NotFound(unknown.clone())));
    let gone = world.ask(AgentRequest::DeregisterCheck { id: "nope".to_string() });
    assert_eq!(gone, Err(AgentError::NotFound(unknown)));
    let gone = world.ask(AgentRequest::DeregisterService { id: "nope".to_string() });
    let unknown = "Unknown service ID \"nope\". Ensure that the service ID is passed, not the service name.";
    assert_eq!(gone, Err(AgentError::NotFound(unknown.to_string())));
    world.register_check(http("h", 5)).expect("valid");
    assert_eq!(
        world.report("h", status::PASSING, ""),
        Err(AgentError::Failed("CheckID \"h\" does not have associated TTL".to_string()))
    );
}

#[test]
fn scripts_from_files_run_when_only_local_scripts_are_enabled() {
    let script = CheckDefinition {
        script_args: vec!["/bin/true".to_string()],
        interval: 2 * SECOND,
        ..Default::default()
    };
    let from_file = with_checks("a", vec![script.clone()]);
    let mut world = World::with(|c| {
        c.enable_local_script_checks = true;
        c.services = vec![from_file.clone()];
    });
    assert_eq!(world.agent.local().check_count(), 1);
    assert!(world.register(with_checks("b", vec![script])).is_err());
    let world = World::with(|c| c.services = vec![from_file]);
    assert_eq!(world.agent.local().service_count(), 0);
    assert_eq!(world.logged("Failed to register service"), 1, "the agent starts all the same");
}

#[test]
fn checks_get_consuls_default_ids_and_names() {
    let mut world = World::new();
    let bare = CheckDefinition { ttl: 5 * SECOND, ..Default::default() };
    let named = CheckDefinition { id: "zz".to_string(), status: "passing".to_string(), ..bare.clone() };
    world.register(with_checks("cc", vec![bare.clone(), bare.clone(), named])).expect("valid");
    world.register(with_checks("one", vec![bare])).expect("valid");
    let local = world.agent.local();
    let ids: Vec<&str> = local.checks().map(|c| &*c.check_id).collect();
    assert_eq!(ids, ["service:cc:1", "service:cc:2", "service:one", "zz"]);
    let check = local.check("service:cc:2").expect("exists");
    assert_eq!((&*check.name, &*check.status, &*check.kind), ("Service 'cc' check", "critical", "ttl"));
    assert_eq!((&*check.interval, &*check.timeout), ("", ""), "not given, not shown");
    assert_eq!(&*local.check("zz").expect("exists").status, "passing");
    assert_eq!(local.checks_of("cc").count(), 3);
    world.register_check(ttl("alone", 5)).expect("valid");
    assert_eq!(&*world.agent.local().check("alone").expect("exists").interval, "0s");
    world.assert_in_sync();
}

#[test]
fn an_ip_address_fills_in_tagged_addresses_and_keeps_given_ones() {
    let mut world = World::new();
    let at = |name: &str, address: &str| ServiceDefinition {
        address: address.to_string(),
        port: 8,
        ..service(name)
    };
    for (name, address, keys) in [
        ("v4", "1.2.3.4", vec!["lan_ipv4", "wan_ipv4"]),
        ("v6", "::1", vec!["lan_ipv6", "wan_ipv6"]),
        ("host", "example.org", vec![]),
    ] {
        world.register(at(name, address)).expect("valid");
        let local = world.agent.local();
        let service = &local.service(name).expect("exists").service;
        let got: Vec<&str> = service.tagged_addresses.keys().map(|k| &**k).collect();
        assert_eq!(got, keys, "{name}");
        assert!(service.tagged_addresses.values().all(|a| a.address == address && a.port == 8));
    }
}

/// Observed on Consul 1.21.5: status and output survive even a changed definition.
#[test]
fn registering_again_keeps_status_and_output() {
    let mut world = World::new();
    world.register(with_checks("q", vec![ttl("k", 50)])).expect("valid");
    world.report("k", status::PASSING, "abc").expect("a TTL check");
    let changed =
        CheckDefinition { notes: "changed".to_string(), status: "critical".to_string(), ..ttl("k", 60) };
    world.register(with_checks("q", vec![changed])).expect("valid");
    assert_eq!(world.status("k"), shown("passing", "abc"));
    assert_eq!(&*world.agent.local().check("k").expect("exists").notes, "changed");
    world.assert_in_sync();
}

#[test]
fn an_identical_registration_writes_nothing_to_the_catalog_and_keeps_the_schedule() {
    let mut world = World::new();
    let definition = with_checks("web", vec![http("h", 60), ttl("t", 60)]);
    world.register(definition.clone()).expect("valid");
    world.report("t", status::PASSING, "ok").expect("a TTL check");
    let due = world.agent.timers.clone();
    let writes = world.catalog.writes;
    for _ in 0..5 {
        world.register(definition.clone()).expect("valid");
    }
    assert_eq!(world.catalog.writes, writes);
    assert_eq!(world.agent.timers.first(), due.first(), "the probe is due when it was");
    world.pass(secs(60));
    assert_eq!(world.runs.len(), 1);
    world.register(definition).expect("valid");
    assert!(world.cancelled.is_empty(), "the run goes on");
}

#[test]
fn replacing_existing_checks_removes_what_is_not_named() {
    let mut world = World::new();
    world.register(with_checks("web", vec![ttl("a", 9), ttl("b", 9)])).expect("valid");
    world.register(with_checks("web", vec![ttl("b", 9)])).expect("valid");
    assert_eq!(world.agent.local().check_count(), 2, "kept unless asked otherwise");
    let definition = Box::new(with_checks("web", vec![ttl("b", 9), ttl("c", 9)]));
    world.ask(AgentRequest::RegisterService { definition, replace_existing_checks: true }).expect("valid");
    let local = world.agent.local();
    let ids: Vec<&str> = local.checks().map(|c| &*c.check_id).collect();
    assert_eq!(ids, ["b", "c"]);
    world.assert_in_sync();
}

#[test]
fn deregistering_a_service_takes_its_checks_and_its_records_along() {
    let mut world = World::new();
    world.register(with_checks("web", vec![ttl("a", 9), http("h", 9)])).expect("valid");
    world.report("a", status::PASSING, "").expect("a TTL check");
    assert_eq!(world.disk.len(), 4);
    world.ask(AgentRequest::DeregisterService { id: "web".to_string() }).expect("exists");
    assert_eq!(world.agent.local().check_count(), 0);
    assert!(world.disk.is_empty(), "{:?}", world.disk.keys());
    assert!(world.catalog.services.is_empty() && world.catalog.checks.is_empty());
    assert_eq!(world.logged("Deregistered service"), 1);
    assert_eq!(world.logged("Deregistered check"), 0, "they go with their service");
}

#[test]
fn a_renamed_service_renames_its_checks() {
    let mut world = World::new();
    world.register(with_checks("web", vec![ttl("a", 9)])).expect("valid");
    let renamed =
        ServiceDefinition { id: "web".to_string(), tags: vec!["v2".to_string()], ..service("web2") };
    world.register(renamed).expect("valid");
    let check = world.agent.local().check("a").expect("kept").clone();
    assert_eq!((&*check.service_name, &*check.service_tags[0]), ("web2", "v2"));
    world.assert_in_sync();
}

#[test]
fn maintenance_is_a_critical_check_with_consuls_texts() {
    let mut world = World::new();
    world.register(service("web")).expect("valid");
    let service_mode = |enable, reason: &str| AgentRequest::ServiceMaintenance {
        id: "web".to_string(),
        enable,
        reason: reason.to_string(),
    };
    world.ask(service_mode(true, "")).expect("exists");
    world.ask(service_mode(true, "later")).expect("already on");
    world.ask(AgentRequest::NodeMaintenance { enable: true, reason: "disk".to_string() }).expect("always");
    let local = world.agent.local();
    let check = local.check("_service_maintenance:web").expect("on");
    assert_eq!(
        &*check.notes,
        "Maintenance mode is enabled for this service, but no reason was provided. This is a default message."
    );
    assert_eq!((&*check.name, &*check.kind), ("Service Maintenance Mode", "maintenance"));
    assert_eq!((&*check.status, &*check.service_name), ("critical", "web"));
    let check = local.check("_node_maintenance").expect("on");
    assert_eq!((&*check.name, &*check.notes), ("Node Maintenance Mode", "disk"));
    world.assert_in_sync();
    world.restart(secs(1));
    assert_eq!(world.agent.local().check_count(), 2, "maintenance outlives a restart");
    world.ask(service_mode(false, "")).expect("on");
    world.ask(service_mode(false, "")).expect("off already");
    world.ask(AgentRequest::NodeMaintenance { enable: false, reason: String::new() }).expect("on");
    assert_eq!(world.agent.local().check_count(), 0);
    world.assert_in_sync();
    let unknown = world.ask(AgentRequest::ServiceMaintenance {
        id: "x".to_string(),
        enable: true,
        reason: String::new(),
    });
    assert!(matches!(unknown, Err(AgentError::NotFound(_))));
}
