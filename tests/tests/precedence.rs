//! Which of several sources of a setting counts: defaults, `-dev`, files in the order given, those of a directory
//! by name, flags, `-hcl`. What flags add to a list stands first.
//!
//! Method: a table of command lines and what `/v1/agent/self` says of them. `SUBJECT_BIN=/path/to/consul` runs it
//! against another program, which is how the table was made sure of.

use lictor_tests::conformance::subject::program;
use lictor_tests::server::free_ports;
use lictor_tests::{Scratch, request, wait};
use serde_json::Value;
use std::fs;
use std::process::{Child, Command, Stdio};

/// Files by name, further arguments, and what is to be found at places of the answer.
struct Case {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    args: &'static str,
    want: &'static [(&'static str, &'static str)],
}

const CASES: &[Case] = &[
    Case {
        name: "the files of a directory count by name, others and those below it not",
        files: &[
            ("d/20-b.json", r#"{"node_name": "b", "node_meta": {"x": "b"}}"#),
            ("d/10-a.hcl", r#"node_name = "a" node_meta { x = "a" y = "a" }"#),
            ("d/30-c.txt", "no configuration"),
            ("d/sub/40-d.json", r#"{"node_name": "d"}"#),
        ],
        args: "-config-dir={dir}/d",
        want: &[("/DebugConfig/NodeName", r#""b""#), ("/DebugConfig/NodeMeta", r#"{"x":"b","y":"a"}"#)],
    },
    Case {
        name: "files and directories count in the order given, whichever flag names them",
        files: &[
            ("z.json", r#"{"node_name": "z", "recursors": ["1.1.1.1"]}"#),
            ("a.json", r#"{"node_name": "a", "recursors": ["2.2.2.2"]}"#),
            ("d/m.json", r#"{"node_name": "m", "recursors": ["3.3.3.3"]}"#),
        ],
        args: "-config-file={dir}/z.json -config-file={dir}/d -config-dir={dir}/a.json",
        want: &[
            ("/DebugConfig/NodeName", r#""a""#),
            ("/DebugConfig/DNSRecursors", r#"["1.1.1.1","3.3.3.3","2.2.2.2"]"#),
        ],
    },
    Case {
        name: "flags win over files, fragments over both, wherever they stand; lists of flags come first",
        files: &[(
            "a.json",
            r#"{"node_name": "file", "datacenter": "file", "primary_datacenter": "file", "recursors": ["1.1.1.1"], "node_meta": {"k": "file", "f": "1"}}"#,
        )],
        args: "-node=flag -recursor=4.4.4.4 -recursor=5.5.5.5 -node-meta=k:flag -hcl=node_name=\"hcl\" \
               -datacenter=flag -hcl=recursors=[\"2.2.2.2\"] -config-file={dir}/a.json",
        want: &[
            ("/DebugConfig/NodeName", r#""hcl""#),
            ("/DebugConfig/Datacenter", r#""flag""#),
            ("/DebugConfig/PrimaryDatacenter", r#""file""#),
            ("/DebugConfig/DNSRecursors", r#"["4.4.4.4","5.5.5.5","1.1.1.1","2.2.2.2"]"#),
            ("/DebugConfig/NodeMeta", r#"{"f":"1","k":"flag"}"#),
        ],
    },
    Case {
        name: "the last of a flag given twice counts, also against the files",
        files: &[("a.json", r#"{"enable_debug": true, "leave_on_terminate": true}"#)],
        args: "-node=one -node=two -log-level=err -log-level=warn -config-file={dir}/a.json",
        want: &[
            ("/DebugConfig/NodeName", r#""two""#),
            ("/DebugConfig/Logging/LogLevel", r#""warn""#),
            ("/DebugConfig/EnableDebug", "true"),
            ("/DebugConfig/LeaveOnTerm", "true"),
        ],
    },
    Case {
        name: "a format given is that of every file",
        files: &[("a.conf", r#"{"node_name": "conf"}"#), ("d/b.txt", r#"{"datacenter": "txt"}"#)],
        args: "-config-format=json -config-file={dir}/a.conf -config-dir={dir}/d",
        want: &[("/DebugConfig/NodeName", r#""conf""#), ("/DebugConfig/Datacenter", r#""txt""#)],
    },
    Case {
        name: "development defaults lie beneath the files",
        files: &[("a.json", r#"{"log_level": "warn", "enable_debug": false}"#)],
        args: "-dev -config-file={dir}/a.json",
        want: &[
            ("/DebugConfig/Logging/LogLevel", r#""warn""#),
            ("/DebugConfig/EnableDebug", "false"),
            ("/DebugConfig/DevMode", "true"),
            ("/DebugConfig/ServerMode", "true"),
        ],
    },
    Case {
        name: "a scalar of a flag replaces, a list appends, a zero counts as given",
        files: &[(
            "a.json",
            r#"{"check_output_max_size": 9, "ports": {"dns": 9999}, "recursors": ["1.1.1.1"]}"#,
        )],
        args: "-check_output_max_size=7 -dns-port=-1 -recursor=1.1.1.1 -config-file={dir}/a.json",
        want: &[
            ("/DebugConfig/CheckOutputMaxSize", "7"),
            ("/DebugConfig/DNSPort", "-1"),
            ("/DebugConfig/DNSRecursors", r#"["1.1.1.1"]"#),
        ],
    },
];

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the agent says of itself when it is started so.
fn own(case: &Case) -> Value {
    let scratch = Scratch::new("precedence");
    let dir = scratch.path().display().to_string();
    for (name, content) in case.files {
        let path = scratch.path().join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
        fs::write(path, content).expect("a file");
    }
    let [http, dns, rpc, serf] = free_ports();
    let base = serde_json::json!({
        "server": true, "bootstrap": true, "bind_addr": "127.0.0.1", "disable_update_check": true,
        "data_dir": scratch.path().join("data"), "connect": {"enabled": false}, "peering": {"enabled": false},
        "ports": {"http": http, "dns": dns, "server": rpc, "serf_lan": serf, "serf_wan": -1, "grpc": -1, "grpc_tls": -1},
    });
    let base = scratch.write("base.json", base.to_string());
    let log = fs::File::create(scratch.path().join("log")).expect("a log");
    let mut command = Command::new(program());
    command.arg("agent").arg(format!("-config-file={}", base.display()));
    command.args(case.args.split_whitespace().map(|arg| arg.replace("{dir}", &dir)));
    let errors = log.try_clone().expect("a log");
    let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().expect("it starts");
    let _running = Running(child);
    let mut found = Value::Null;
    wait(|| {
        found = request(http, "GET", "/v1/agent/self", b"").map(|r| r.json()).unwrap_or_default();
        found.is_object()
    });
    let log = fs::read_to_string(scratch.path().join("log")).unwrap_or_default();
    assert!(found.is_object(), "{} does not start:\n{log}", case.name);
    found
}

#[test]
fn sources_count_in_the_order_that_consul_gives_them() {
    let mut wrong = Vec::new();
    for case in CASES {
        let own = own(case);
        for (place, want) in case.want {
            let got = own.pointer(place).map_or_else(|| "nothing".to_owned(), Value::to_string);
            if got != *want {
                wrong.push(format!("{}: {place} is {got}, not {want}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
