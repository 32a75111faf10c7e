//! Filter expressions and the patterns in them.

use crate::catalog::entry;
use crate::json::{ONCE, bounded};
use lictor_core::filter::{self, Filter, Member, Record, Subject};

const SUBJECTS: [Subject; 6] =
    [Subject::Node, Subject::Check, Subject::Service, Subject::Entry, Subject::ServiceNode, Subject::Member];

pub(crate) fn filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let expression = match filter::parse(text) {
        Ok(expression) => expression,
        Err(why) => {
            // A list of complaints, each with a place and what would have fitted.
            assert!(why.to_string().len() <= 100 * 400 + 12 * data.len(), "{} bytes", why.to_string().len());
            return;
        }
    };
    let negation = format!("not ({text})");
    for subject in SUBJECTS {
        match expression.about(subject) {
            Ok(filter) => {
                let found = asked(&filter, subject);
                // Beyond the limits on length and depth there is no negation.
                if let Ok(negation) = filter::parse(&negation) {
                    let negation = negation.about(subject).expect("what fits, fits negated");
                    assert_eq!(asked(&negation, subject), !found, "{text}");
                }
            }
            Err(why) => bounded(&why.to_string(), ONCE, data.len()),
        }
    }
}

/// Whether one record passes.
fn asked(filter: &Filter, subject: Subject) -> bool {
    let entry = entry();
    match subject {
        Subject::Node => filter.matches(Record::Node(&entry.node)),
        Subject::Check => entry.checks.iter().all(|check| filter.matches(Record::Check(check))),
        Subject::Service => filter.matches(Record::Service(&entry.service)),
        Subject::Entry => filter.matches(Record::Entry(entry)),
        Subject::ServiceNode => filter.matches(Record::ServiceNode(&entry.node, &entry.service)),
        Subject::Member => filter.matches(Record::Member(&Member {
            name: "a".into(),
            addr: vec![127, 0, 0, 1],
            port: 8301,
            tags: [("role".into(), "consul".into())].into(),
            status: 1,
            protocol: [1, 5, 2],
            delegate: [2, 5, 4],
        })),
    }
}

pub(crate) fn pattern(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // What is too long is refused for that.
    if text.contains('`') || text.len() > 1024 {
        return;
    }
    let about = |operator: &str| {
        let parsed = filter::parse(&format!("Node {operator} `{text}`")).expect("a good comparison");
        parsed.about(Subject::Node)
    };
    let (yes, no) = match (about("matches"), about("not matches")) {
        (Ok(yes), Ok(no)) => (yes, no),
        (Err(why), Err(also)) => {
            assert_eq!(why, also);
            return bounded(&why.to_string(), ONCE, data.len());
        }
        _ => panic!("{text:?} is taken by one operator only"),
    };
    let found = asked(&yes, Subject::Node);
    assert_ne!(found, asked(&no, Subject::Node), "{text:?}");
    // A text without meaning in patterns stands for itself.
    if text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        assert_eq!(found, entry().node.node.contains(text), "{text:?}");
    }
}
