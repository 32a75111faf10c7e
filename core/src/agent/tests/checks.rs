//! When checks run, and what their outcomes mean.

use super::*;

#[test]
fn a_ttl_check_expires_when_nobody_reports_and_says_what_was_last_said() {
    let mut world = World::new();
    world.register_check(ttl("t", 10)).expect("valid");
    world.report("t", status::PASSING, "fine").expect("a TTL check");
    world.pass(secs(9));
    world.report("t", status::WARNING, "so so").expect("a TTL check");
    world.pass(secs(9));
    assert_eq!(world.status("t"), shown("warning", "so so"), "a report restarts the timer");
    world.pass(secs(1));
    assert_eq!(
        world.status("t"),
        shown("critical", "TTL expired (last output before timeout follows): so so")
    );
    assert_eq!(world.logged("Check missed TTL, is now critical"), 1);
    world.assert_in_sync();
    world.register_check(ttl("silent", 1)).expect("valid");
    world.pass(secs(1));
    assert_eq!(world.status("silent"), shown("critical", "TTL expired"));
    world.report("t", status::PASSING, "back").expect("a TTL check");
    assert_eq!(world.status("t"), shown("passing", "back"));
}

#[test]
fn a_long_report_is_cut_within_the_limit_and_between_characters() {
    let mut world = World::with(|c| c.check_output_max_size = 10);
    world.register_check(ttl("t", 10)).expect("valid");
    world.report("t", status::PASSING, "12345678\u{e9}\u{e9}\u{e9}").expect("a TTL check");
    assert_eq!(world.status("t").1, "12345678\u{e9} ... (captured 10 of 14 bytes)");
    world.report("t", status::PASSING, "123456789\u{e9}").expect("a TTL check");
    assert_eq!(world.status("t").1, "123456789 ... (captured 10 of 11 bytes)");
}

#[test]
fn discarded_output_is_never_shown() {
    let mut world = World::with(|c| c.discard_check_output = true);
    world.register_check(ttl("t", 10)).expect("valid");
    world.report("t", status::PASSING, "secret").expect("a TTL check");
    assert_eq!(world.status("t"), shown("passing", ""));
}

#[test]
fn first_runs_are_spread_over_the_interval_and_then_follow_each_outcome() {
    let mut world = World::new();
    for n in 0..20 {
        world.register_check(http(&alloc::format!("h{n}"), 100)).expect("valid");
    }
    let mut runs = [Vec::new(), Vec::new()];
    for round in &mut runs {
        for second in 0..100 {
            world.pass(secs(1));
            round.extend(core::iter::repeat_n(second, world.runs.len()));
            world.outcome(status::PASSING, "ok");
        }
    }
    assert_eq!(runs[0].len(), 20, "each ran within its interval");
    assert!(runs[0][0] < 25 && runs[0][19] > 75, "spread: {runs:?}");
    assert_eq!(runs[0], runs[1], "the interval counts from the outcome");
}

#[test]
fn checks_whose_times_are_near_run_together_once_they_have_met() {
    let mut world = World::new();
    for n in 0..40 {
        world.register_check(http(&alloc::format!("h{n}"), 10)).expect("valid");
    }
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let mut bursts = Vec::new();
        for tenth in 0..100 {
            world.pass(Duration::from_millis(100));
            bursts.extend((!world.runs.is_empty()).then_some((tenth, world.runs.len())));
            world.outcome(status::PASSING, "ok");
        }
        rounds.push(bursts);
    }
    let (first, last) = (&rounds[0], &rounds[2]);
    assert!(last.len() <= 10 && last.iter().all(|(_, size)| *size <= 8), "{last:?}");
    assert_eq!(last.iter().map(|(_, size)| size).sum::<usize>(), 40, "each once");
    assert!(last[0].0 < 20 && last[last.len() - 1].0 > 80, "spread over the interval: {last:?}");
    assert!(first.len() <= 12, "{first:?}");
}

#[test]
fn an_interval_below_one_second_is_raised() {
    let mut world = World::new();
    let fast = CheckDefinition { interval: SECOND / 20, ..http("h", 1) };
    world.register_check(fast).expect("valid");
    assert_eq!(world.logged("check has interval below minimum"), 1);
    assert_eq!(&*world.agent.local().check("h").expect("exists").interval, "50ms", "shown as given");
    world.pass(secs(1));
    world.outcome(status::PASSING, "");
    world.pass(Duration::from_millis(999));
    assert!(world.runs.is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.runs.len(), 1);
}

#[test]
fn probes_carry_consuls_defaults() {
    let mut world = World::with(|c| c.enable_script_checks = true);
    let script = CheckDefinition {
        id: "s".to_string(),
        name: "s".to_string(),
        script_args: vec!["/bin/true".to_string()],
        interval: SECOND,
        ..Default::default()
    };
    let grpc = CheckDefinition {
        id: "g".to_string(),
        name: "g".to_string(),
        grpc: "127.0.0.1:1/web".to_string(),
        interval: SECOND,
        timeout: 3 * SECOND,
        output_max_size: 100,
        ..Default::default()
    };
    for check in [script, grpc, http("h", 1)] {
        world.register_check(check).expect("valid");
    }
    world.pass(secs(1));
    let mut seen = 0;
    for spec in world.runs.values() {
        let expected = match &spec.probe {
            Probe::Script { .. } => (30, 4096),
            Probe::Http { method, .. } => {
                assert_eq!(method, "GET");
                (10, 4096)
            }
            Probe::Grpc { address, service, .. } => {
                assert_eq!((address.as_str(), service.as_str()), ("127.0.0.1:1", "web"));
                (3, 100)
            }
            _ => panic!("none was registered"),
        };
        assert_eq!((spec.timeout.as_secs(), spec.output_max), expected);
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn a_lost_outcome_counts_as_a_timeout_and_a_late_one_is_ignored() {
    let mut world = World::new();
    world.register_check(CheckDefinition { status: "passing".to_string(), ..http("h", 5) }).expect("valid");
    world.pass(secs(5));
    let run = *world.runs.keys().next().expect("it runs");
    world.pass(secs(20));
    assert_eq!(world.status("h"), shown("critical", "Timed out (10s) running check"));
    assert_eq!(world.cancelled, [run]);
    let late = CheckOutcome::Found { status: status::PASSING, output: "late".to_string() };
    world.handle(AgentInput::CheckDone { run, outcome: late });
    assert_eq!(world.status("h").0, "critical");
    world.pass(secs(5));
    assert_eq!(world.runs.len(), 1, "and it goes on");
}

#[test]
fn a_changed_check_cancels_its_run_and_ignores_the_outcome() {
    let mut world = World::new();
    world.register_check(http("h", 5)).expect("valid");
    world.pass(secs(5));
    let run = *world.runs.keys().next().expect("it runs");
    world.register_check(http("h", 6)).expect("valid");
    assert_eq!(world.cancelled, [run]);
    let outcome = CheckOutcome::Found { status: status::PASSING, output: String::new() };
    world.handle(AgentInput::CheckDone { run, outcome });
    assert_eq!(world.status("h").0, "critical");
}

#[test]
fn a_changed_status_is_told_at_once_and_a_changed_output_later() {
    let mut world = World::new();
    world.register_check(http("h", 10)).expect("valid");
    world.pass(secs(10));
    world.outcome(status::PASSING, "1");
    world.assert_in_sync();
    let (start, mut n) = (world.now.mono, 1);
    while world.catalog.checks["h"].output == "1" {
        world.pass(secs(10));
        n += 1;
        world.outcome(status::PASSING, &n.to_string());
    }
    let waited = world.now.mono.since(start);
    assert!(waited >= secs(150) && waited <= secs(460), "{waited:?}");
    world.pass(secs(10));
    world.outcome(status::CRITICAL, "bad");
    world.assert_in_sync();
}

#[test]
fn a_service_critical_for_too_long_is_removed_and_no_other() {
    let mut world = World::new();
    let mortal = CheckDefinition { deregister_critical_service_after: 5 * SECOND, ..ttl("m", 10) };
    world.register(with_checks("mortal", vec![mortal.clone()])).expect("valid");
    world.register(with_checks("immortal", vec![ttl("i", 10)])).expect("valid");
    world.register_check(CheckDefinition { id: "node".to_string(), ..mortal }).expect("valid");
    assert_eq!(world.logged("check has deregister interval below minimum"), 2);
    for id in ["m", "i", "node"] {
        world.report(id, status::PASSING, "").expect("a TTL check");
    }
    world.pass(secs(10));
    assert_eq!(world.status("m").0, "critical");
    world.pass(secs(60));
    assert!(world.agent.local().service("mortal").is_some(), "one minute is the least, and not yet over");
    world.pass(secs(30));
    assert!(world.agent.local().service("mortal").is_none());
    assert!(world.agent.local().service("immortal").is_some());
    assert!(world.agent.local().check("node").is_some(), "a node check removes nothing");
    world.assert_in_sync();
}

#[test]
fn a_recovery_starts_the_time_to_removal_anew() {
    let mut world = World::new();
    let mortal = CheckDefinition { deregister_critical_service_after: 60 * SECOND, ..ttl("m", 10) };
    world.register(with_checks("web", vec![mortal])).expect("valid");
    for _ in 0..10 {
        world.pass(secs(60));
        world.report("m", status::PASSING, "").expect("still there");
    }
    world.report("m", status::CRITICAL, "").expect("still there");
    world.pass(secs(92));
    assert!(world.agent.local().service("web").is_none());
}

#[test]
fn an_alias_is_as_healthy_as_the_worst_check_of_its_service_and_node() {
    let mut world = World::new();
    let alias = |id: &str, service: &str| CheckDefinition {
        id: id.to_string(),
        name: id.to_string(),
        alias_service: service.to_string(),
        ..Default::default()
    };
    world.register(with_checks("front", vec![alias("follows-web", "web")])).expect("valid");
    assert_eq!(world.status("follows-web"), shown("critical", "Service web could not be found on node "));
    world.register(service("web")).expect("valid");
    assert_eq!(world.status("follows-web"), shown("passing", "No checks found."));
    world.register(with_checks("web", vec![ttl("a", 1000), ttl("b", 1000)])).expect("valid");
    assert_eq!(world.status("follows-web"), shown("critical", "Aliased check \"a\" failing: "));
    world.report("a", status::PASSING, "").expect("a TTL check");
    world.report("b", status::WARNING, "so so").expect("a TTL check");
    assert_eq!(world.status("follows-web"), shown("warning", "Aliased check \"b\" failing: so so"));
    world.register(with_checks("edge", vec![alias("follows-front", "front")])).expect("valid");
    assert_eq!(world.status("follows-front").0, "warning", "an alias of an alias");
    world.report("b", status::PASSING, "").expect("a TTL check");
    assert_eq!(world.status("follows-front"), shown("passing", "All checks passing."));
    world.ask(AgentRequest::NodeMaintenance { enable: true, reason: String::new() }).expect("always");
    assert_eq!(world.status("follows-front").0, "critical", "the node's checks count");
    world.ask(AgentRequest::NodeMaintenance { enable: false, reason: String::new() }).expect("always");
    world.ask(AgentRequest::DeregisterService { id: "web".to_string() }).expect("exists");
    assert_eq!(world.status("follows-front").0, "critical");
    let named = CheckDefinition { alias_node: "N1".to_string(), ..alias("named", "web") };
    world.register_check(named).expect("valid");
    assert_eq!(world.status("named"), shown("critical", "Service web could not be found on node N1"));
    world.pass(secs(600));
    world.assert_in_sync();
}

#[test]
fn aliases_in_a_circle_come_to_rest() {
    let mut world = World::new();
    let alias = |service: &str| CheckDefinition { alias_service: service.to_string(), ..Default::default() };
    world.register(with_checks("a", vec![alias("b")])).expect("valid");
    world.register(with_checks("b", vec![alias("a")])).expect("valid");
    for _ in 0..200 {
        world.register(service("c")).expect("valid");
        world.ask(AgentRequest::DeregisterService { id: "c".to_string() }).expect("exists");
    }
    assert!(world.status("service:a").1.len() <= 4096);
}

#[test]
fn an_alias_of_another_node_follows_what_the_catalog_says_of_it() {
    let mut world = World::new();
    let far = CheckDefinition {
        id: "far".to_string(),
        name: "far".to_string(),
        alias_node: "n2".to_string(),
        alias_service: "web".to_string(),
        ..Default::default()
    };
    world.register_check(far).expect("valid");
    assert_eq!(world.status("far"), shown("passing", "No checks found."), "nobody knows that node");
    let check = |id: &str, service: &str, status: &str| {
        let text = |t: &str| Str::from(t);
        Arc::new(HealthCheck {
            check_id: text(id),
            name: text(id),
            service_id: text(service),
            status: text(status),
            output: text("o"),
            ..HealthCheck::default()
        })
    };
    let service = |id: &str| Arc::new(NodeService { id: Str::from(id), ..NodeService::default() });
    let mut elsewhere = CatalogNode { node: Arc::default(), services: vec![service("db")], checks: vec![] };
    let show = |world: &mut World, of: &CatalogNode| {
        world.catalog.elsewhere = Some(of.clone());
        world.pass(secs(1));
        world.status("far")
    };
    elsewhere.checks = vec![check("serfHealth", "", "passing"), check("db", "db", "critical")];
    assert_eq!(show(&mut world, &elsewhere), shown("critical", "Service web could not be found on node n2"));
    elsewhere.services.push(service("web"));
    assert_eq!(show(&mut world, &elsewhere), shown("passing", "All checks passing."));
    elsewhere.checks.push(check("w", "web", "warning"));
    assert_eq!(show(&mut world, &elsewhere), shown("warning", "Aliased check \"w\" failing: o"));
    elsewhere.checks[0] = check("serfHealth", "", "critical");
    assert_eq!(show(&mut world, &elsewhere), shown("critical", "Aliased check \"serfHealth\" failing: o"));
    elsewhere.checks[0] = check("serfHealth", "", "passing");
    assert_eq!(show(&mut world, &elsewhere).0, "warning");

    world.link = Link::Failing;
    world.pass(secs(1));
    assert_eq!(world.status("far").0, "warning", "one failure is no news");
    world.pass(secs(2));
    let (status, output) = world.status("far");
    assert_eq!(status, "critical");
    assert!(output.starts_with("Failure checking aliased node or service: "), "{output}");
    world.link = Link::Up;
    world.pass(secs(60));
    assert_eq!(world.status("far").0, "warning");
    world.ask(AgentRequest::DeregisterCheck { id: "far".to_string() }).expect("exists");
    world.pass(secs(60));
    world.assert_in_sync();
}

#[test]
fn a_broken_run_is_critical_whatever_the_thresholds_and_one_without_news_changes_nothing() {
    let mut world = World::new();
    let patient = CheckDefinition { failures_before_critical: 3, ..http("h", 5) };
    world.register_check(CheckDefinition { status: "passing".to_string(), ..patient }).expect("valid");
    let mut ended = |outcome: CheckOutcome| {
        world.pass(secs(5));
        let run = *world.runs.keys().next().expect("it runs");
        world.runs.clear();
        world.handle(AgentInput::CheckDone { run, outcome });
        world.status("h")
    };
    let good = || CheckOutcome::Found { status: status::PASSING, output: "good".to_string() };
    assert_eq!(ended(good()), shown("passing", "good"));
    assert_eq!(ended(CheckOutcome::Nothing), shown("passing", "good"));
    let bad = CheckOutcome::Found { status: status::CRITICAL, output: "bad".to_string() };
    assert_eq!(ended(bad), shown("passing", "good"), "one failure of three");
    let broken = CheckOutcome::Broken { output: "Timed out".to_string() };
    assert_eq!(ended(broken), shown("critical", "Timed out"));
}

#[test]
fn probes_over_tls_carry_their_options_and_the_agents_files_where_enabled() {
    for enabled in [false, true] {
        let files = crate::config::AgentTls { ca_file: "/ca".to_string(), ..Default::default() };
        let mut world = World::with(|c| c.tls_for_checks = enabled.then(|| Arc::new(files.clone())));
        let plain = |id: &str| CheckDefinition {
            id: id.to_string(),
            name: id.to_string(),
            interval: SECOND,
            tls_server_name: "name".to_string(),
            ..Default::default()
        };
        let of = "h:1".to_string();
        let checks = [
            CheckDefinition { h2ping: of.clone(), tls_skip_verify: true, ..plain("by default") },
            CheckDefinition { h2ping: of.clone(), h2ping_use_tls: Some(false), ..plain("not") },
            CheckDefinition { tcp: of.clone(), ..plain("tcp") },
            CheckDefinition { tcp: of.clone(), tcp_use_tls: true, ..plain("tcp+tls") },
            CheckDefinition { grpc: of, grpc_use_tls: true, ..plain("grpc+tls") },
        ];
        for check in checks {
            world.register_check(check).expect("valid");
        }
        world.pass(secs(1));
        let (mut with, mut without) = (0, 0);
        for spec in world.runs.values() {
            let tls = match &spec.probe {
                Probe::H2Ping { tls, .. } | Probe::Tcp { tls, .. } | Probe::Grpc { tls, .. } => tls,
                other => panic!("{other:?}"),
            };
            let Some(tls) = tls else {
                without += 1;
                continue;
            };
            with += 1;
            assert_eq!(tls.server_name, "name");
            assert_eq!(tls.skip_verify, matches!(spec.probe, Probe::H2Ping { .. }));
            assert_eq!(tls.agent.is_some(), enabled);
        }
        assert_eq!((with, without), (3, 2));
    }
}

#[test]
fn services_of_the_operating_system_are_refused_as_consul_does_off_windows() {
    let mut world = World::new();
    let check = CheckDefinition {
        name: "s".to_string(),
        os_service: "cron".to_string(),
        interval: SECOND,
        ..Default::default()
    };
    let refused = world.register_check(check);
    assert_eq!(refused, Err(AgentError::Failed("not implemented".to_string())));
}

#[test]
fn the_log_says_at_every_run_why_a_connection_failed_and_that_the_check_is_critical() {
    let mut world = World::new();
    let tcp = |id: &str, failures| CheckDefinition {
        http: String::new(),
        tcp: "10.0.0.1:1".to_string(),
        failures_before_critical: failures,
        ..http(id, 5)
    };
    let mut lines = |definition: CheckDefinition, outcomes: &[CheckOutcome]| {
        let id = definition.id.clone();
        world.register_check(definition).expect("valid");
        world.log.clear();
        for outcome in outcomes {
            world.pass(secs(5));
            let run = *world.runs.keys().next().expect("it runs");
            world.runs.clear();
            world.handle(AgentInput::CheckDone { run, outcome: outcome.clone() });
        }
        world.ask(AgentRequest::DeregisterCheck { id }).expect("exists");
        let loud = world.log.iter().filter(|event| event.level >= Level::Warn);
        loud.map(|event| {
            event.fields.iter().fold(event.message.clone(), |line, (k, v)| line + " " + k + "=" + v)
        })
        .collect::<Vec<String>>()
    };
    let bad = |output: &str| CheckOutcome::Found { status: status::CRITICAL, output: output.to_string() };
    let (why, failed) = ("dial tcp: refused", "Check TCP connection failed check=t error=dial tcp: refused");
    let critical = "Check is now critical check=t";
    assert_eq!(lines(tcp("t", 0), &[bad(why), bad(why)]), [failed, critical, failed, critical]);
    // The first result counts at once, whatever the thresholds.
    let good = CheckOutcome::Found { status: status::PASSING, output: String::new() };
    let waits = "Check failed but has not reached warning/failure threshold check=t status=critical \
                 failure_count=1 warning_threshold=2 failure_threshold=2";
    assert_eq!(lines(tcp("t", 2), &[good, bad(why), bad(why)]), [failed, waits, failed, critical]);
    assert_eq!(lines(http("h", 5), &[bad("HTTP GET: 500")]), ["Check is now critical check=h"]);
    let late = CheckOutcome::Broken { output: "Timed out (10s) running check".to_string() };
    assert_eq!(lines(http("h", 5), &[late]), ["Timed out running check check=h timeout=10s"]);
}
