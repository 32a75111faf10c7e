//! From a plan that fails to a smaller one that fails in the same way.

use super::plan::Plan;
use super::verdict::Violation;

/// Tries smaller plans until none fails like `violation` any more. `judge` runs a plan and says what was
/// wrong with it. First the end is cut off, then steps are dropped by halves, quarters and so on down to
/// single ones, then knobs are calmed, and round again while that helps.
pub fn shrink(plan: &Plan, violation: &Violation, mut judge: impl FnMut(&Plan) -> Option<Violation>) -> Plan {
    let mut fails = |candidate: &Plan| judge(candidate).is_some_and(|v| v.is_like(violation));
    let mut best = plan.clone();
    let needed_ms = violation.at / 1_000_000;
    let mut cut = best.clone();
    cut.steps.retain(|step| step.at_ms <= needed_ms);
    if cut.steps.len() < best.steps.len() && fails(&cut) {
        best = cut;
    }
    loop {
        let before = best.clone();
        drop_steps(&mut best, &mut fails);
        for (_, knobs) in best.knobs.calmer() {
            let candidate = Plan { knobs, ..best.clone() };
            if fails(&candidate) {
                best = candidate;
            }
        }
        let half = best.knobs.seconds / 2;
        let mut shorter = best.clone();
        shorter.knobs.seconds = half.max(1);
        if half > 0 && fails(&shorter) {
            shorter.steps.retain(|step| step.at_ms < half * 1000);
            if fails(&shorter) {
                best = shorter;
            }
        }
        if best == before {
            return best;
        }
    }
}

fn drop_steps(best: &mut Plan, fails: &mut impl FnMut(&Plan) -> bool) {
    let mut chunk = best.steps.len().div_ceil(2);
    while chunk > 0 {
        let mut from = 0;
        while from < best.steps.len() {
            let mut candidate = best.clone();
            let until = (from + chunk).min(candidate.steps.len());
            candidate.steps.drain(from..until);
            if fails(&candidate) {
                *best = candidate;
            } else {
                from += chunk;
            }
        }
        chunk /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::action::Action;
    use crate::fast::scenario;
    use crate::fast::verdict::Kind;

    #[test]
    fn only_the_steps_that_matter_are_left() {
        let guilty = |plan: &Plan| plan.steps.iter().any(|s| matches!(s.action, Action::Crash(_)));
        let chaos = scenario::named("chaos").expect("chaos is there");
        let plan = (0..100).map(|seed| chaos.plan(seed)).find(|plan| plan.steps.len() > 3 && guilty(plan));
        let plan = plan.expect("chaos crashes servers");
        let violation =
            Violation { kind: Kind::Invariant, rule: "made up".into(), what: String::new(), at: u64::MAX };
        let judge = |plan: &Plan| guilty(plan).then(|| violation.clone());
        let small = shrink(&plan, &violation, judge);
        assert_eq!(small.steps.len(), 1, "{small}");
        assert_eq!(small.knobs.watchers, 0);
    }
}
