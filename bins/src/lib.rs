//! The `lictor` binary: the agent, and every command that talks to one.
//!
//! It is one file under four names. Through a link named `consul` it answers under that name; scripts,
//! wrappers and the Go SDK's test harness then run unchanged. `lictor-server` and `lictor-agent` are
//! the entry points for units and images that must not depend on what a configuration says.

use std::collections::BTreeMap;
use std::process::ExitCode;

pub mod address;
pub mod client;
pub mod cmd;
pub mod completion;
pub mod flags;
pub mod help;
mod hyper_io;
pub mod sets;
pub mod shell;
pub mod table;
mod tls_files;

use shell::Shell;

/// Runs the command line of this process. Called as `lictor-server` or `lictor-agent`, that is
/// `lictor agent` as a server or as a client, whatever files and flags say.
pub fn main() -> ExitCode {
    let mut argv = std::env::args_os().map(|a| a.to_string_lossy().into_owned());
    let called = argv.next().unwrap_or_default();
    let rest: Vec<String> = argv.collect();
    let args = match forced_role(&called) {
        Some(server) => agent_args(server, &rest),
        None => rest,
    };
    run_here(name_of(&called), &args)
}

/// Whether the name says to be a server (`true`) or a client (`false`).
fn forced_role(argv0: &str) -> Option<bool> {
    match argv0.rsplit('/').next() {
        Some("lictor-server") => Some(true),
        Some("lictor-agent") => Some(false),
        _ => None,
    }
}

/// The last of a repeated switch counts, so the forced one goes behind the flags given; it cannot
/// simply be appended, for flags end at the first positional.
fn agent_args(server: bool, rest: &[String]) -> Vec<String> {
    let mut args = vec!["agent".to_owned()];
    let role = format!("-server={server}");
    match flags::parse(cmd::agent::FLAGS, rest) {
        Ok(parsed) => {
            let flags = rest.len() - parsed.args.len();
            let end = if flags > 0 && rest[flags - 1] == "--" { flags - 1 } else { flags };
            args.extend_from_slice(&rest[..end]);
            args.push(role);
            args.extend_from_slice(&rest[end..]);
        }
        Err(_) => args.extend_from_slice(rest),
    }
    args
}

fn run_here(program: String, args: &[String]) -> ExitCode {
    let mut shell = Shell {
        program,
        vars: std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect::<BTreeMap<_, _>>(),
        stdin: &mut std::io::stdin(),
        out: &mut std::io::stdout(),
        err: &mut std::io::stderr(),
    };
    ExitCode::from(cmd::run(&mut shell, args))
}

fn name_of(argv0: &str) -> String {
    match argv0.rsplit('/').next() {
        Some("consul") => "consul".to_owned(),
        _ => "lictor".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_link_named_consul_answers_as_consul_and_every_other_name_as_lictor() {
        assert_eq!(name_of("/usr/local/bin/consul"), "consul");
        assert_eq!(name_of("consul"), "consul");
        for other in ["lictor", "./lictor", "lictor-server", "/a/consul-old", ""] {
            assert_eq!(name_of(other), "lictor");
        }
    }

    #[test]
    fn only_two_names_force_a_role() {
        assert_eq!(forced_role("/usr/bin/lictor-server"), Some(true));
        assert_eq!(forced_role("lictor-agent"), Some(false));
        for other in ["lictor", "consul", "lictor-server/lictor", ""] {
            assert_eq!(forced_role(other), None);
        }
    }

    #[test]
    fn the_forced_role_wins_over_the_flags_given() {
        assert_eq!(agent_args(true, &words("-server=false")), words("agent -server=false -server=true"));
        assert_eq!(agent_args(false, &words("-dev extra")), words("agent -dev -server=false extra"));
        assert_eq!(agent_args(true, &words("-dev -- extra")), words("agent -dev -server=true -- extra"));
        assert_eq!(agent_args(true, &[]), words("agent -server=true"));
        assert_eq!(agent_args(true, &words("-nonsense")), words("agent -nonsense"), "the agent refuses it");
    }
}
