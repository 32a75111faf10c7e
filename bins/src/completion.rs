//! Shell completion, by the protocol that Consul's users have in their start-up files: the shell runs
//! the binary with the line so far in `COMP_LINE`, and offers what it prints.

use crate::cmd::{Body, COMMANDS, Command};
use crate::shell::Shell;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The line that zsh needs before the first of ours.
const ZSH_LOADER: &str = "autoload -U +X bashcompinit && bashcompinit";
/// The same as we write it, to tell it from one that was there before.
const OUR_LOADER: &str = "autoload -U +X bashcompinit && bashcompinit # for lictor";

/// Prints what could stand at the end of the shell's line, one word a line.
pub fn complete(shell: &mut Shell<'_>, line: &str) {
    let point = shell.var("COMP_POINT").and_then(|p| p.parse().ok()).unwrap_or(line.len());
    for word in candidates(line.get(..point).unwrap_or(line)) {
        shell.say(word);
    }
}

/// Words that begin as the last one of `line` does: flags after a dash, subcommands otherwise.
fn candidates(line: &str) -> Vec<String> {
    let mut words: Vec<&str> = line.split_whitespace().skip(1).collect();
    let last = if line.ends_with(char::is_whitespace) { "" } else { words.pop().unwrap_or_default() };
    let mut here: Option<&Command> = None;
    let mut below = COMMANDS;
    for word in words {
        let Some(next) = below.iter().find(|c| c.name == word) else { continue };
        here = Some(next);
        below = match &next.body {
            Body::Group(commands) => commands,
            Body::Leaf { .. } => &[],
        };
    }
    let flags = match here.map(|c| &c.body) {
        Some(Body::Leaf { api, own, .. }) => {
            let names = api.iter().chain(own.iter()).flat_map(|set| set.iter());
            names.map(|flag| format!("-{}", flag.name)).collect()
        }
        _ => Vec::new(),
    };
    let commands = below.iter().map(|c| c.name.to_owned());
    let mut fitting: Vec<String> = match last.starts_with('-') {
        true => flags.into_iter().filter(|f| f.starts_with(last)).collect(),
        false => commands.filter(|c| c.starts_with(last)).collect(),
    };
    fitting.sort();
    fitting
}

/// One shell's start-up file with the line that belongs into it.
struct StartUp {
    file: PathBuf,
    /// The line needs bash's completion to be loaded before it.
    loads: bool,
    line: String,
}

/// The binary's path as an argument of `complete -C`. The shell reads that argument, as part of its own line and
/// again as a command at every completion; so a path with anything but plain characters is quoted twice.
fn completer(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    match path.chars().all(plain) {
        true => path.into(),
        false => quoted(&quoted(path)),
    }
}

/// A word that a shell reads as `text`.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The start-up files of this user's shells, as far as they exist.
fn start_ups(shell: &Shell<'_>) -> Result<Vec<StartUp>, String> {
    let home = PathBuf::from(shell.var("HOME").ok_or("HOME is not set: which user's shell is meant?")?);
    let binary = std::env::current_exe().map_err(|e| format!("this program's own path is not known: {e}"))?;
    let (binary, program) = (completer(&binary.to_string_lossy()), &shell.program);
    let mut found = Vec::new();
    let bash = [".bashrc", ".bash_profile", ".bash_login", ".profile"];
    if let Some(file) = bash.iter().map(|name| home.join(name)).find(|file| file.is_file()) {
        found.push(StartUp { file, loads: false, line: format!("complete -C {binary} {program}") });
    }
    let file = home.join(".zshrc");
    if file.is_file() {
        let line = format!("complete -o nospace -C {binary} {program}");
        found.push(StartUp { file, loads: true, line });
    }
    if found.is_empty() {
        return Err(format!("{} has no start-up file of bash or zsh to write to", home.display()));
    }
    Ok(found)
}

/// `-autocomplete-install`.
pub fn install(shell: &mut Shell<'_>) -> Result<(), String> {
    for StartUp { file, loads, line } in start_ups(shell)? {
        let text = read(&file)?;
        let has = |wanted: &str| text.lines().any(|l| l == wanted);
        if has(&line) {
            shell.say(format!("{} completes already", file.display()));
            continue;
        }
        let mut added = String::new();
        if !text.is_empty() && !text.ends_with('\n') {
            added.push('\n');
        }
        let loader = (loads && !has(ZSH_LOADER) && !has(OUR_LOADER)).then_some(OUR_LOADER);
        for line in loader.into_iter().chain([line.as_str()]) {
            added.push_str(line);
            added.push('\n');
        }
        let mut open = fs::OpenOptions::new().append(true).open(&file).map_err(|e| told(&file, &e))?;
        open.write_all(added.as_bytes()).map_err(|e| told(&file, &e))?;
        shell
            .say(format!("Added to {}: completion works in every shell started from now on", file.display()));
    }
    Ok(())
}

/// `-autocomplete-uninstall`.
pub fn uninstall(shell: &mut Shell<'_>) -> Result<(), String> {
    for StartUp { file, line, .. } in start_ups(shell)? {
        let text = read(&file)?;
        let without = |text: &str, line: &str| {
            text.split_inclusive('\n').filter(|l| l.trim_end_matches('\n') != line).collect::<String>()
        };
        let mut kept = without(&text, &line);
        if kept.len() == text.len() {
            shell.say(format!("{} has no line of ours", file.display()));
            continue;
        }
        // Another completion may have come to rely on our loader.
        if !kept.lines().any(|l| l.trim_start().starts_with("complete ")) {
            kept = without(&kept, OUR_LOADER);
        }
        // The new text is whole before the old one goes. The file may be a link: write to where it points.
        let target = fs::canonicalize(&file).map_err(|e| told(&file, &e))?;
        let beside = target.with_extension(format!("lictor-{}", std::process::id()));
        fs::copy(&target, &beside)
            .and_then(|_| fs::write(&beside, &kept))
            .and_then(|()| fs::rename(&beside, &target))
            .map_err(|e| told(&file, &e))?;
        shell.say(format!("Removed from {}", file.display()));
    }
    Ok(())
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|e| told(file, &e))
}

fn told(file: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_last_word_is_completed_by_what_its_command_knows() {
        assert_eq!(candidates("lictor kv "), ["delete", "export", "get", "import", "put"]);
        assert_eq!(candidates("lictor ca"), ["catalog"]);
        assert_eq!(candidates("lictor kv get -rec"), ["-recurse"]);
        assert_eq!(candidates("lictor kv get -token x -rec"), ["-recurse"]);
        assert!(candidates("lictor nonsense -").is_empty());
        assert!(candidates("lictor ").len() > 10);
    }

    #[test]
    fn a_path_with_special_characters_survives_both_readings_by_the_shell() {
        assert_eq!(completer("/usr/local/bin/lictor-1.0_a"), "/usr/local/bin/lictor-1.0_a");
        let read = |text: &str| {
            let script = format!("printf %s {text}");
            let out = std::process::Command::new("/bin/sh").arg("-c").arg(script).output().expect("a shell");
            String::from_utf8(out.stdout).expect("text")
        };
        for path in ["/opt/my tools/lictor", "/opt/$HOME;x/lictor", "/opt/it's/`a`/lictor"] {
            assert_eq!(read(&read(&completer(path))), path);
        }
    }

    fn with_home(home: &Path, run: impl FnOnce(&mut Shell<'_>) -> Result<(), String>) -> Result<(), String> {
        run(&mut Shell {
            program: "lictor".into(),
            vars: BTreeMap::from([("HOME".to_owned(), home.display().to_string())]),
            stdin: &mut std::io::empty(),
            out: &mut std::io::sink(),
            err: &mut std::io::sink(),
        })
    }

    #[test]
    fn installing_twice_adds_once_and_uninstalling_restores_the_file() {
        let home = std::env::temp_dir().join(format!("lictor-completion-{}", std::process::id()));
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).expect("a directory");
        assert!(with_home(&home, install).expect_err("no file to write to").contains("no start-up file"));
        let (bash, zsh) = (home.join(".bashrc"), home.join(".zshrc"));
        fs::write(&bash, "alias l=ls").expect("written");
        fs::write(&zsh, "setopt x\n").expect("written");
        with_home(&home, install).expect("installed");
        let once = (fs::read_to_string(&bash).expect("text"), fs::read_to_string(&zsh).expect("text"));
        assert!(
            once.0.starts_with("alias l=ls\ncomplete -C ") && once.0.ends_with(" lictor\n"),
            "{}",
            once.0
        );
        assert!(once.1.contains(ZSH_LOADER));
        with_home(&home, install).expect("a second time is no error");
        assert_eq!(fs::read_to_string(&bash).expect("text"), once.0);
        with_home(&home, uninstall).expect("removed");
        assert_eq!(fs::read_to_string(&bash).expect("text"), "alias l=ls\n");
        assert_eq!(fs::read_to_string(&zsh).expect("text"), "setopt x\n");
        // A loader that was there stays, and so does ours while somebody else's line needs it.
        for kept in [format!("{ZSH_LOADER}\n"), format!("{OUR_LOADER}\ncomplete -C x y\n")] {
            fs::write(&zsh, &kept).expect("written");
            with_home(&home, install).expect("installed");
            assert_eq!(fs::read_to_string(&zsh).expect("text").matches(ZSH_LOADER).count(), 1);
            with_home(&home, uninstall).expect("removed");
            assert_eq!(fs::read_to_string(&zsh).expect("text"), kept);
        }
        fs::remove_dir_all(&home).expect("removed");
    }
}
