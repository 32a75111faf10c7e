//! Every script of `testdata/` reads as if it were run against an agent with the answers it lists.
//!
//! A script is text, one step a line:
//!
//! ```text
//! answer GET /v1/kv/a 200     what the agent answers from now on, up to a line with a single dot
//! env CONSUL_HTTP_TOKEN=t     the environment of the next command
//! stdin text                  the standard input of the next command
//! file name                   a file for all commands that follow, up to a line with a single dot
//! $ kv get a                  runs `lictor kv get a`; then come the requests it made (`<`), its
//!                             standard output (`|`), its standard error (`!`), and `= exit code`
//! ```
//!
//! `UPDATE=1` rewrites what follows `$`; read the difference before you commit it. With
//! `GOLDEN_BINARY=/path/to/consul` the commands run that binary instead: this is how the scripts are
//! held against a real Consul. `ADDR` stands for the agent's address, `DIR/` for the directory of files.

mod fake;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fake::Fake;
use lictor_bins::cmd;
use lictor_bins::shell::Shell;

#[test]
fn every_script_reads_as_its_commands_behave() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata");
    let mut scripts: Vec<PathBuf> =
        std::fs::read_dir(&dir).expect("testdata exists").map(|e| e.expect("readable").path()).collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    let mut failed = Vec::new();
    for path in scripts {
        let text = std::fs::read_to_string(&path).expect("a script is text");
        assert!(text.starts_with('#'), "{}: a script opens with what it shows", path.display());
        let now = Script::default().play(&text);
        if now == text {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &now).expect("testdata is writable");
        } else {
            failed.push(format!("{}:\n{}", path.display(), difference(&text, &now)));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The lines that differ, each side with its sign; steps are short, so a whole diff is not needed.
fn difference(wanted: &str, got: &str) -> String {
    let (mut wanted, mut got) = (blocks(wanted), blocks(got));
    wanted.retain(|b| !got.contains(b));
    let all: Vec<String> = blocks(&wanted.join("\n\n"));
    got.retain(|b| all.iter().any(|w| w.lines().next() == b.lines().next()));
    let sign = |sign: &str, blocks: &[String]| -> String {
        blocks.iter().flat_map(|b| b.lines()).map(|l| format!("{sign} {l}\n")).collect()
    };
    format!("{}{}", sign("-", &wanted), sign("+", &got))
}

fn blocks(text: &str) -> Vec<String> {
    text.split("\n\n").map(|b| b.trim_end().to_owned()).collect()
}

struct Script {
    agent: Fake,
    files: PathBuf,
    vars: BTreeMap<String, String>,
    stdin: String,
}

impl Default for Script {
    fn default() -> Script {
        let agent = Fake::start();
        let files =
            std::env::temp_dir().join(format!("lictor-golden-{}-{}", std::process::id(), agent.at.port()));
        std::fs::create_dir_all(&files).expect("the temporary directory is writable");
        Script { agent, files, vars: BTreeMap::new(), stdin: String::new() }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // What is left behind is temporary and a few bytes.
        let _ = std::fs::remove_dir_all(&self.files);
    }
}

impl Script {
    /// Runs the script; its text with what the commands did in place of what it says they do.
    fn play(mut self, text: &str) -> String {
        let mut played = String::new();
        let mut lines = text.lines();
        let mut expected = false;
        while let Some(line) = lines.next() {
            if expected && line.starts_with(['<', '|', '!', '=']) {
                continue;
            }
            expected = false;
            played.push_str(line);
            played.push('\n');
            let (step, rest) = line.split_once(' ').unwrap_or((line, ""));
            match step {
                "answer" | "file" => {
                    let block: Vec<&str> = lines.by_ref().take_while(|l| *l != ".").collect();
                    let block: String = block.iter().map(|l| format!("{l}\n")).collect();
                    played.push_str(&block);
                    played.push_str(".\n");
                    if step == "file" {
                        std::fs::write(self.files.join(rest), &block).expect("writable");
                    } else {
                        let (request, status) = rest.rsplit_once(' ').expect("answer METHOD TARGET STATUS");
                        self.agent.answer(request, status.parse().expect("a status"), &block);
                    }
                }
                "env" => {
                    let (name, value) = rest.split_once('=').expect("env NAME=VALUE");
                    self.vars.insert(name.to_owned(), value.to_owned());
                }
                "stdin" => self.stdin = rest.to_owned(),
                "$" => {
                    played.push_str(&self.command(rest));
                    expected = true;
                }
                _ => assert!(line.is_empty() || line.starts_with('#'), "not a step: {line}"),
            }
        }
        played
    }

    fn command(&mut self, line: &str) -> String {
        let dir = format!("{}/", self.files.display());
        let args: Vec<String> = words(line).iter().map(|w| w.replace("DIR/", &dir)).collect();
        let mut vars = std::mem::take(&mut self.vars);
        vars.entry("CONSUL_HTTP_ADDR".to_owned()).or_insert_with(|| self.agent.at.to_string());
        let stdin = std::mem::take(&mut self.stdin);
        let (out, err, code) = match std::env::var("GOLDEN_BINARY") {
            Ok(binary) => outside(&binary, &args, &vars, &stdin),
            Err(_) => inside(&args, vars, &stdin),
        };
        let mut text = String::new();
        for request in self.agent.seen() {
            text.push_str(&format!("< {request}\n"));
        }
        for (sign, bytes) in [('|', out), ('!', err)] {
            let shown = String::from_utf8_lossy(&bytes)
                .replace(&self.agent.at.to_string(), "ADDR")
                .replace(&dir, "DIR/");
            for line in shown.lines() {
                text.push_str(format!("{sign} {line}").trim_end());
                text.push('\n');
            }
        }
        text.push_str(&format!("= {code}\n"));
        text
    }
}

fn inside(args: &[String], vars: BTreeMap<String, String>, stdin: &str) -> (Vec<u8>, Vec<u8>, i32) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut shell = Shell {
        program: "lictor".to_owned(),
        vars,
        stdin: &mut stdin.as_bytes(),
        out: &mut out,
        err: &mut err,
    };
    let code = cmd::run(&mut shell, args);
    (out, err, code.into())
}

fn outside(
    binary: &str,
    args: &[String],
    vars: &BTreeMap<String, String>,
    stdin: &str,
) -> (Vec<u8>, Vec<u8>, i32) {
    let mut child = Command::new(binary)
        .args(args)
        .env_clear()
        .envs(vars)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // It may have ended without reading.
    let _ = child.stdin.take().expect("piped").write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("the binary ends");
    (output.stdout, output.stderr, output.status.code().unwrap_or(-1))
}

/// Splits at spaces; single quotes hold a word together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
