//! The language of scenarios.
//!
//! ```text
//! # The first line says what the scenario is about.
//! config {"domain": "test."}            laid over the subject's configuration, before the first step
//! >>> PUT /v1/kv/a                      an HTTP request
//! X-Header: value
//!
//! body
//! capture m json /0/ModifyIndex         a value of the last answer, for later steps as ${m}
//! capture i header x-consul-index
//! sort                                  the last answer's JSON array comes in no fixed order
//! pick /Config/Datacenter               of the last answer's JSON, only these values count
//! until 200                             the last request is repeated until it has this status
//! until-text words                      the last request is repeated until its answer holds them
//! &>>> GET /v1/kv/a?index=${i}          a request that is answered later ...
//! join                                  ... here
//! $ kv get a                            a run of the command line; the body is its standard input
//! file a.json                           a file in ${dir}; the body is its content
//! copy a.snap                           a file of `files/`, in ${dir}
//! ? web.service.consul SRV              a DNS question; `tcp`, `edns=N` and `sort` may follow
//! ```
//!
//! `${http}` and `${rpc}` are the subject's ports, `${dir}` is the scenario's directory. `${upstream}` in `config` is
//! the address of a name server that knows other names.

/// One line of a scenario that does something, with the lines that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The line as written, without its body: the step's name in recordings and lists.
    pub line: String,
    /// What it does.
    pub action: Action,
    /// How the answer is read.
    pub after: Vec<After>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// An HTTP request.
    Http {
        /// `GET`.
        method: String,
        /// As it goes over the wire.
        target: String,
        /// Lines of the head.
        headers: Vec<String>,
        /// The body.
        body: String,
        /// The answer is read by a later `join`.
        behind: bool,
    },
    /// The answer to the request that was left behind.
    Join,
    /// A run of the command line.
    Cli {
        /// Arguments.
        args: Vec<String>,
        /// Standard input.
        input: String,
    },
    /// A file that later steps name.
    File {
        /// Its name in the scenario's directory.
        name: String,
        /// Its content.
        content: String,
    },
    /// A file of `files/` that later steps name.
    Copy {
        /// Its name, there and in the scenario's directory.
        name: String,
    },
    /// A DNS question.
    Dns {
        /// Name, type, and how it is asked.
        words: Vec<String>,
    },
}

/// How an answer is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// A variable from a header.
    CaptureHeader(String, String),
    /// A variable from the JSON body, by JSON pointer.
    CaptureJson(String, String),
    /// The JSON array is compared without regard to order.
    Sort,
    /// Only these values of the JSON body count.
    Pick(Vec<String>),
    /// The request is repeated until the answer has this status.
    Until(u16),
    /// The request is repeated until the answer's body holds this text.
    UntilText(String),
}

/// A parsed scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The first comment.
    pub about: String,
    /// JSON laid over the subject's configuration.
    pub config: String,
    /// What to do.
    pub steps: Vec<Step>,
}

/// Parses a scenario. Panics with the line on a mistake: scenarios are part of the tests.
pub fn parse(text: &str) -> Script {
    let about = text.lines().next().and_then(|l| l.strip_prefix("# ")).expect("it begins with `# about`");
    let mut script = Script { about: about.to_owned(), config: String::new(), steps: Vec::new() };
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let action = match word {
            "" | "#" => continue,
            "config" => {
                script.config = rest.to_owned();
                continue;
            }
            ">>>" | "&>>>" => {
                let (method, target) = rest.split_once(' ').expect("a method and a target");
                let mut headers = Vec::new();
                while let Some(header) = lines.next_if(|l| l.contains(": ") && !starts_step(l)) {
                    headers.push(header.to_owned());
                }
                let (method, target) = (method.to_owned(), target.to_owned());
                let body = body(&mut lines);
                Action::Http { method, target, headers, body, behind: word == "&>>>" }
            }
            "join" => Action::Join,
            "$" => Action::Cli { args: split(rest), input: body(&mut lines) },
            "file" => Action::File { name: rest.to_owned(), content: body(&mut lines) },
            "copy" => Action::Copy { name: rest.to_owned() },
            "?" => Action::Dns { words: rest.split(' ').map(str::to_owned).collect() },
            _ => {
                let step = script.steps.last_mut().unwrap_or_else(|| panic!("no step before {line:?}"));
                step.after.push(after(word, rest).unwrap_or_else(|| panic!("what is {line:?}?")));
                continue;
            }
        };
        script.steps.push(Step { line: line.to_owned(), action, after: Vec::new() });
    }
    script
}

fn after(word: &str, rest: &str) -> Option<After> {
    Some(match word {
        "sort" => After::Sort,
        "until" => After::Until(rest.parse().ok()?),
        "until-text" => After::UntilText(rest.to_owned()),
        "pick" => After::Pick(rest.split(' ').map(str::to_owned).collect()),
        "capture" => {
            let mut words = rest.splitn(3, ' ').map(str::to_owned);
            let (name, kind, from) = (words.next()?, words.next()?, words.next()?);
            match &*kind {
                "header" => After::CaptureHeader(name, from),
                "json" => After::CaptureJson(name, from),
                _ => return None,
            }
        }
        _ => return None,
    })
}

fn starts_step(line: &str) -> bool {
    [">>> ", "&>>> ", "$ ", "? ", "file ", "copy ", "capture ", "pick ", "until ", "until-text "]
        .iter()
        .any(|w| line.starts_with(w))
        || matches!(line, "join" | "sort")
}

/// An empty line and what follows it until the next step; the empty lines at its end are not part of it.
fn body<'a>(lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> String {
    if lines.next_if(|l| l.is_empty()).is_none() {
        return String::new();
    }
    let mut body = Vec::new();
    while let Some(line) = lines.next_if(|l| !starts_step(l) && !l.starts_with("# ")) {
        body.push(line);
    }
    body.join("\n").trim_end_matches('\n').to_owned()
}

/// Words as a shell reads them, with single and double quotes.
pub fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (None, ' ') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(q), c) if q == c => quote = None,
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
