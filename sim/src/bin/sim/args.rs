//! The command line: `--name value` pairs and plan files.

use lictor_sim::fast::luck::mix;
use lictor_sim::fast::plan::Plan;
use lictor_sim::fast::scenario::{self, Scenario};

/// What was asked for, whatever the command.
#[derive(Debug, Default)]
pub(crate) struct Args {
    pub(crate) help: bool,
    pub(crate) seed: Option<u64>,
    /// The seed to begin at.
    pub(crate) from: u64,
    pub(crate) seconds: Option<u64>,
    pub(crate) seeds: Option<u64>,
    pub(crate) scenario: Option<String>,
    /// A known bug, by its name.
    pub(crate) mutant: Option<String>,
    /// A server, counted from 1.
    pub(crate) node: Option<u64>,
    /// Sizes of pools of gossip.
    pub(crate) members: Option<Vec<usize>>,
    /// Rumours go out with the next round.
    pub(crate) tick: bool,
    pub(crate) file: Option<String>,
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
        let mut args = Args { from: 1, ..Args::default() };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            let number = |text: String| text.parse().map_err(|_| format!("{text:?} is not a number"));
            match &*word {
                "-h" | "--help" => args.help = true,
                "--seed" => args.seed = Some(number(value()?)?),
                "--from" => args.from = seed_of(&value()?),
                "--seconds" => args.seconds = Some(number(value()?)?),
                "--seeds" => args.seeds = Some(number(value()?)?),
                "--scenario" => args.scenario = Some(value()?),
                "--mutant" => args.mutant = Some(value()?),
                "--members" => args.members = Some(sizes(&value()?)?),
                "--tick" => args.tick = true,
                "--node" => args.node = Some(number(value()?)?),
                flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
                file => args.file = Some(file.into()),
            }
        }
        Ok(args)
    }

    /// The scenarios that were asked for: all, unless one was named.
    pub(crate) fn scenarios(&self) -> Result<Vec<Scenario>, String> {
        match &self.scenario {
            None => Ok(scenario::ALL.to_vec()),
            Some(name) => {
                let found = scenario::named(name);
                Ok(vec![
                    found.ok_or_else(|| format!("no scenario is called {name:?}; `sim list` names them"))?,
                ])
            }
        }
    }

    /// The plan that was asked for: of a file, or of a seed and a scenario.
    pub(crate) fn plan(&self) -> Result<Plan, String> {
        match (&self.file, self.seed) {
            (Some(file), _) => {
                let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
                text.parse().map_err(|e| format!("{file}: {e}"))
            }
            (None, Some(seed)) => {
                let name = self.scenario.as_deref().ok_or("a seed needs its --scenario")?;
                let found = scenario::named(name);
                Ok(found.ok_or_else(|| format!("no scenario is called {name:?}"))?.plan(seed))
            }
            (None, None) => Err("which run? name a plan file, or --seed N --scenario NAME".into()),
        }
    }
}

/// Numbers of members, with commas between them.
fn sizes(text: &str) -> Result<Vec<usize>, String> {
    let size = |word: &str| match word.parse() {
        Ok(size @ 3..=50_000) => Ok(size),
        _ => Err(format!("{word:?} is no number of members between 3 and 50000")),
    };
    text.split(',').map(size).collect()
}

/// A number as it is; anything else (a commit's hash) spread over the numbers below a billion.
fn seed_of(text: &str) -> u64 {
    match text.parse() {
        Ok(seed) => seed,
        Err(_) => text.bytes().fold(0, |h, b| mix(h ^ u64::from(b))) % 1_000_000_000,
    }
}
