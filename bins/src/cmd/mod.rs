//! The tree of commands, and the way from a command line to one of them.

use crate::client::{Client, SetupError};
use crate::completion;
use crate::flags::{self, Flag, Parsed};
use crate::help;
use crate::shell::Shell;

pub mod agent;
mod catalog;
mod demo;
mod event;
mod health;
mod info;
mod keygen;
mod keyring;
mod kv;
mod kv_tree;
mod leave;
mod maint;
mod members;
mod monitor;
mod operator;
mod rtt;
mod service_file;
mod services;
mod snapshot;
mod validate;
mod version;
mod watch;

/// One command, or a group of them.
pub struct Command {
    /// The word that calls it.
    pub name: &'static str,
    /// One line for its parent's list.
    pub synopsis: &'static str,
    /// What follows the command's path in the usage line.
    pub usage: &'static str,
    /// What it is for, with examples; `{prog}` stands for the binary's name.
    pub about: &'static str,
    /// What it does.
    pub body: Body,
}

/// What a command does.
pub enum Body {
    /// Only holds others.
    Group(&'static [&'static Command]),
    /// Runs.
    Leaf {
        /// Flags that reach the agent.
        api: &'static [&'static [Flag]],
        /// Flags of its own.
        own: &'static [&'static [Flag]],
        /// The command itself.
        run: fn(&mut Context<'_, '_>) -> Outcome,
    },
}

/// An exit code, or a text for standard error and exit code 1.
pub type Outcome = Result<u8, String>;

/// What a running command gets.
pub struct Context<'a, 'b> {
    /// The surroundings.
    pub shell: &'a mut Shell<'b>,
    /// The command line behind the command's path.
    pub flags: Parsed,
    /// The command with the words that call it, for its help.
    pub command: (&'a str, &'a Command),
}

impl Context<'_, '_> {
    /// A client for the agent that flags and environment name.
    pub fn client(&mut self) -> Result<Client, String> {
        Client::new(self.shell, &self.flags).map_err(|e: SetupError| e.to_string())
    }

    /// Refuses positional arguments, as the commands that take none do.
    pub fn no_args(&self) -> Result<(), String> {
        match self.flags.args.len() {
            0 => Ok(()),
            n => Err(self.late_flag(format!("Too many arguments (expected 0, got {n})"))),
        }
    }

    /// The command's help.
    pub fn help(&self) -> String {
        let (path, command) = self.command;
        help::command(&self.shell.program, path, command)
    }

    /// Adds the command's help to a refusal, as Consul does where a word is missing or too many.
    pub fn with_help(&self, refusal: &str) -> String {
        format!("{refusal}\n\n{}", self.help())
    }

    /// Adds to a refusal of positionals what mostly lies behind it: a flag after the first of them.
    pub fn late_flag(&self, refusal: String) -> String {
        match self.flags.args.iter().skip(1).find(|a| a.len() > 1 && a.starts_with('-')) {
            Some(flag) => format!("{refusal}\n\nOptions go before arguments: move {flag} forward."),
            None => refusal,
        }
    }
}

/// Every top-level command, in the order of the usage text.
pub static COMMANDS: &[&Command] = &[
    &agent::COMMAND,
    &catalog::COMMAND,
    &demo::COMMAND,
    &event::COMMAND,
    &leave::FORCE_LEAVE,
    &health::COMMAND,
    &info::COMMAND,
    &leave::JOIN,
    &keygen::COMMAND,
    &keyring::COMMAND,
    &kv::COMMAND,
    &leave::LEAVE,
    &maint::COMMAND,
    &members::COMMAND,
    &monitor::COMMAND,
    &operator::COMMAND,
    &leave::RELOAD,
    &rtt::COMMAND,
    &services::COMMAND,
    &snapshot::COMMAND,
    &validate::COMMAND,
    &version::COMMAND,
    &watch::COMMAND,
];

/// Commands of Consul that this binary knows by name and does not have.
const NOT_BUILT: &[&str] = &[
    "acl",
    "config",
    "connect",
    "debug",
    "exec",
    "intention",
    "lock",
    "login",
    "logout",
    "peering",
    "resource",
    "tls",
    "troubleshoot",
];

/// The same below groups.
const NOT_BUILT_BELOW: &[(&str, &str)] =
    &[("operator", "usage"), ("services", "export"), ("services", "exported-services")];

/// Runs a command line without the binary's name; returns the exit code.
pub fn run(shell: &mut Shell<'_>, args: &[String]) -> u8 {
    if let Some(line) = shell.var("COMP_LINE").map(str::to_owned) {
        completion::complete(shell, &line);
        return 0;
    }
    let before_dashes = args.iter().take_while(|a| *a != "--");
    let wants_help = before_dashes.clone().any(|a| matches!(a.as_str(), "-h" | "-help" | "--help"));
    let first = args.first().map(String::as_str);
    if !wants_help && matches!(first, Some("-v" | "-version" | "--version")) {
        version::print(shell);
        return 0;
    }
    let install = match first.map(|f| f.trim_start_matches('-')) {
        Some("autocomplete-install") => Some(completion::install(shell)),
        Some("autocomplete-uninstall") => Some(completion::uninstall(shell)),
        _ => None,
    };
    if let Some(outcome) = install {
        return outcome.map_or_else(
            |why| {
                shell.warn(why);
                1
            },
            |()| 0,
        );
    }
    let root = help::root(&shell.program, COMMANDS);
    let Some(word) = first.filter(|w| !w.starts_with('-')) else {
        if wants_help {
            shell.say(root);
            return 0;
        }
        if args.iter().any(|a| named(COMMANDS, a).is_some()) {
            shell.warn("Invalid flags before the subcommand. If these flags are for");
            shell.warn("the subcommand, please put them after the subcommand.\n");
            shell.warn(root);
            return 1;
        }
        shell.warn(root);
        return 127;
    };
    let Some(top) = named(COMMANDS, word) else {
        if NOT_BUILT.contains(&word) {
            shell.warn(not_built(word));
        }
        shell.warn(root);
        return 127;
    };
    descend(shell, word.to_owned(), top, &args[1..], wants_help)
}

fn not_built(command: &str) -> String {
    format!("\"{command}\" is a command of Consul that this build does not have yet.\n")
}

fn descend(shell: &mut Shell<'_>, path: String, command: &Command, args: &[String], wants_help: bool) -> u8 {
    match &command.body {
        Body::Group(subcommands) => match args.first().and_then(|word| named(subcommands, word)) {
            Some(next) => descend(shell, format!("{path} {}", next.name), next, &args[1..], wants_help),
            None => {
                let text = help::command(&shell.program, &path, command);
                if wants_help {
                    shell.say(text);
                    return 0;
                }
                if let Some(word) = args.first().filter(|word| NOT_BUILT_BELOW.contains(&(&path, word))) {
                    shell.warn(not_built(&format!("{path} {word}")));
                }
                shell.warn(text);
                1
            }
        },
        Body::Leaf { .. } if wants_help => {
            shell.say(help::command(&shell.program, &path, command));
            0
        }
        Body::Leaf { api, own, run } => {
            let table: Vec<&'static [Flag]> = api.iter().chain(own.iter()).copied().collect();
            match flags::parse(&table, args) {
                Ok(flags) => match run(&mut Context { shell, flags, command: (&path, command) }) {
                    Ok(code) => code,
                    Err(text) => {
                        shell.warn(text);
                        1
                    }
                },
                Err(error) => {
                    let program = shell.program.clone();
                    shell.warn(format!("{error}\n{}", help::usage(&program, &path, command)));
                    shell.warn(format!("\nEvery option is explained by: {program} {path} -h"));
                    if path == "agent" {
                        shell.warn(format!("==> error parsing flags: {error}"));
                    }
                    1
                }
            }
        }
    }
}

fn named(commands: &'static [&'static Command], word: &str) -> Option<&'static Command> {
    commands.iter().find(|c| c.name == word).copied()
}

/// The command at `path`.
pub fn find(path: &[String]) -> Option<&'static Command> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(named(COMMANDS, first)?, |command, word| match &command.body {
        Body::Group(subcommands) => named(subcommands, word),
        Body::Leaf { .. } => None,
    })
}

/// Every command with its path, groups too, parents first.
pub fn every_command() -> Vec<(String, &'static Command)> {
    let mut all: Vec<(String, &'static Command)> = COMMANDS.iter().map(|c| (c.name.to_owned(), *c)).collect();
    let mut at = 0;
    while at < all.len() {
        let (path, command) = all[at].clone();
        if let Body::Group(subcommands) = &command.body {
            all.extend(subcommands.iter().map(|c| (format!("{path} {}", c.name), *c)));
        }
        at += 1;
    }
    all
}
