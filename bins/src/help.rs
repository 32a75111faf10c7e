//! Help texts, in Consul's shape: usage line, what the command is for with an example, then the
//! flags that reach the agent and the flags of the command, each with its default.

use crate::cmd::{Body, Command};
use crate::flags::{Flag, Kind};

/// Widest line of a flag's explanation, counted without its indent.
const WRAP: usize = 69;

/// Help of the whole binary: every top-level command in one line each.
pub fn root(program: &str, commands: &[&Command]) -> String {
    format!(
        "Usage: {program} [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n{}",
        synopses(commands)
    )
}

/// Help of one command, reached by `path` (`kv get`).
pub fn command(program: &str, path: &str, command: &Command) -> String {
    let mut text = format!("{}\n\n{}", usage(program, path, command), indent(program, command.about));
    match &command.body {
        Body::Group(subcommands) => {
            text.push_str("\n\nSubcommands:\n");
            text.push_str(synopses(subcommands).trim_end());
        }
        Body::Leaf { api, own, .. } => {
            section(&mut text, "HTTP API Options", api);
            section(&mut text, "Command Options", own);
        }
    }
    text
}

/// The usage line.
pub fn usage(program: &str, path: &str, command: &Command) -> String {
    format!("Usage: {program} {path} {}", command.usage).trim_end().to_owned()
}

fn synopses(commands: &[&Command]) -> String {
    let width = commands.iter().map(|c| c.name.len()).max().unwrap_or(0);
    commands.iter().map(|c| format!("    {:width$}    {}\n", c.name, c.synopsis)).collect()
}

fn indent(program: &str, about: &str) -> String {
    let text = about.replace("{prog}", program);
    let lines: Vec<String> =
        text.trim().lines().map(|l| if l.is_empty() { String::new() } else { format!("  {l}") }).collect();
    lines.join("\n")
}

fn section(text: &mut String, title: &str, sets: &[&[Flag]]) {
    let mut flags: Vec<&Flag> = sets.iter().flat_map(|s| s.iter()).collect();
    if flags.is_empty() {
        return;
    }
    flags.sort_by_key(|f| f.name);
    text.push_str(&format!("\n\n{title}"));
    for flag in flags {
        text.push_str("\n\n  -");
        text.push_str(flag.name);
        if flag.kind != Kind::Bool {
            text.push_str(&format!("=<{}>", flag.arg));
        }
        for line in wrap(&explanation(flag)) {
            text.push_str("\n     ");
            text.push_str(&line);
        }
    }
}

fn explanation(flag: &Flag) -> String {
    let mut text = flag.help.to_owned();
    if matches!(flag.kind, Kind::List | Kind::Pairs) {
        text.push_str(" May be given many times.");
    }
    if !flag.default.is_empty() {
        text.push_str(&format!(" Default: {}.", flag.default));
    }
    text
}

fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("starts with one line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= WRAP {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd;

    #[test]
    fn every_flag_of_every_command_is_explained_and_every_command_has_an_example() {
        for (path, command) in cmd::every_command() {
            let help = self::command("lictor", &path, command);
            assert!(help.starts_with(&format!("Usage: lictor {path}")), "{path}");
            assert!(!help.contains("{prog}"), "{path}");
            assert!(help.lines().all(|l| l.len() <= 90), "{path}: a line is too wide");
            if let Body::Leaf { api, own, .. } = &command.body {
                assert!(help.contains(&format!("$ lictor {path}")), "{path}: no example");
                for flag in api.iter().chain(own.iter()).flat_map(|s| s.iter()) {
                    assert!(help.contains(&format!("\n  -{}", flag.name)), "{path} -{}", flag.name);
                    assert!(flag.help.ends_with('.'), "{path} -{}: {}", flag.name, flag.help);
                }
            }
        }
    }

    #[test]
    fn no_flag_is_declared_twice_for_a_command() {
        for (path, command) in cmd::every_command() {
            if let Body::Leaf { api, own, .. } = &command.body {
                let mut names: Vec<&str> =
                    api.iter().chain(own.iter()).flat_map(|s| s.iter()).map(|f| f.name).collect();
                let before = names.len();
                names.sort_unstable();
                names.dedup();
                assert_eq!(names.len(), before, "{path}");
            }
        }
    }

    #[test]
    fn help_shows_the_name_the_binary_was_started_by() {
        let get = cmd::find(&["kv".into(), "get".into()]).expect("kv get exists");
        assert!(command("consul", "kv get", get).contains("$ consul kv get "));
    }
}
