//! A plan: everything that decides a run, as text that can be loaded, shrunk and committed.
//!
//! ```text
//! scenario partition
//! seed 3053
//! servers 3
//! ...
//! at 1250 #0 partition 1|2,3
//! at 4100 #1 mend
//! ```
//!
//! Times are milliseconds of virtual time. `#n` names an action: its luck is drawn from the seed and that
//! number, so it stays the same when other actions are taken out. Lines that begin with `#` are comments.

use super::action::Action;
use super::knobs::Knobs;
use std::fmt::{self, Write};
use std::str::FromStr;

/// One action with its time and its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Milliseconds after the start.
    pub at_ms: u64,
    /// Its number in the plan that it was drawn for.
    pub id: u64,
    /// What happens.
    pub action: Action,
}

/// A whole run before it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The scenario that it was drawn by.
    pub scenario: String,
    /// The seed of all luck.
    pub seed: u64,
    /// All settings.
    pub knobs: Knobs,
    /// In order of time.
    pub steps: Vec<Step>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = format!("scenario {}\nseed {}\n{}", self.scenario, self.seed, self.knobs.lines());
        for step in &self.steps {
            let _ = writeln!(out, "at {} #{} {}", step.at_ms, step.id, step.action);
        }
        f.write_str(&out)
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Plan, String> {
        let knobs = Knobs::default();
        let mut plan = Plan { scenario: "custom".into(), seed: 0, knobs, steps: Vec::new() };
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                plan.take(line).map_err(|why| format!("line {}: {why}", number + 1))?;
            }
        }
        plan.steps.sort_by_key(|step| (step.at_ms, step.id));
        plan.knobs.validate()?;
        Ok(plan)
    }
}

impl Plan {
    fn take(&mut self, line: &str) -> Result<(), String> {
        let (name, rest) = line.split_once(' ').ok_or("expected `name value` or `at TIME #ID ACTION`")?;
        let rest = rest.trim();
        let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is not a number"));
        match name {
            "scenario" => self.scenario = rest.into(),
            "seed" => self.seed = number(rest)?,
            "at" => {
                let (at, rest) = rest.split_once(' ').ok_or("an action is missing")?;
                let (id, action) = rest.trim().split_once(' ').ok_or("an action is missing")?;
                let id = id.strip_prefix('#').ok_or("expected `#ID` behind the time")?;
                self.steps.push(Step { at_ms: number(at)?, id: number(id)?, action: action.parse()? });
            }
            knob => {
                let value = number(rest)?;
                if !self.knobs.set(knob, value) {
                    return Err(format!("no knob is called {knob:?}"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_comes_back_from_its_text() {
        let text = "scenario x\nseed 9\nservers 5\nloss_permille 20\n\
                    at 10 #0 partition 1,2|3,4,5\nat 20 #1 cut 1 2\nat 30 #2 clog 2 1 500\nat 40 #3 mend\n\
                    at 50 #4 crash 3\nat 60 #5 restart 3\nat 70 #6 drift 1 -500\nat 80 #7 learn 4\n\
                    at 90 #8 transfer\nat 100 #9 transfer 2\nat 110 #10 wipe 5\nat 120 #11 disk-full 1 1\n";
        let plan: Plan = text.parse().expect("a good plan");
        assert_eq!(plan.steps.len(), 12);
        assert_eq!(plan.to_string().parse(), Ok(plan));
    }

    #[test]
    fn a_bad_line_is_named() {
        let why = "seed 1\nat 5 #0 explode 1".parse::<Plan>().expect_err("no such action");
        assert_eq!(why, "line 2: unknown action \"explode\"");
        let why = "sped 1".parse::<Plan>().expect_err("no such knob");
        assert_eq!(why, "line 1: no knob is called \"sped\"");
    }
}
