//! Asking an expression about a record.

use super::compile::{Expr, Operand, Test};
use super::fuel::{BYTES, COMPARISON, Fuel};
use super::record::{Item, Record};
use super::schema::Kind;
use super::syntax::Op;
use crate::wire::tree::Tree;

impl Expr {
    /// From left to right, no further than the answer needs and there is fuel.
    pub(super) fn matches(&self, record: Record<'_>, fuel: &Fuel) -> bool {
        match self {
            Expr::Not(inner) => !inner.matches(record, fuel),
            Expr::All(all) => all.iter().all(|one| one.matches(record, fuel)),
            Expr::Any(any) => any.iter().any(|one| one.matches(record, fuel)),
            Expr::Test(test) => fuel.spend(COMPARISON) && test.walk(Item::Record(record), 0, fuel),
        }
    }
}

impl Test {
    /// Follows the selector from its part `at` on. Of a list's elements one must match, whatever the
    /// operator; a map without the key is unequal to, outside of, and as empty as anything, and Consul has
    /// it match every pattern too.
    fn walk(&self, item: Item<'_>, at: usize, fuel: &Fuel) -> bool {
        let Some(name) = self.path.get(at) else {
            return fuel.spend(self.cost(&item)) && self.holds(item);
        };
        match item {
            Item::Checks(checks) => {
                checks.iter().any(|c| self.walk(Item::Record(Record::Check(c)), at, fuel))
            }
            Item::Carried(Tree::Array(items), Kind::List(fields)) => {
                items.iter().any(|one| self.walk_carried(one, fields, at, fuel))
            }
            Item::Carried(_, Kind::List(_)) => false,
            item => match item.part(name) {
                Some(part) => self.walk(part, at + 1, fuel),
                None => !matches!(self.op, Op::Equal | Op::IsNotEmpty | Op::In),
            },
        }
    }

    fn walk_carried(
        &self,
        one: &Tree,
        fields: &'static [super::schema::Field],
        at: usize,
        fuel: &Fuel,
    ) -> bool {
        let Some(field) = self.path.get(at).and_then(|name| fields.iter().find(|f| f.name == name)) else {
            return false;
        };
        self.walk(Item::Carried(one.get(field.name).unwrap_or(&Tree::Nil), &field.kind), at + 1, fuel)
    }

    /// How much work it is at most to look at the item.
    fn cost(&self, item: &Item<'_>) -> u64 {
        let length = match item {
            // Each of them is compared on its own.
            Item::Texts(texts) => 2 * BYTES * texts.len(),
            Item::Bytes(bytes) => bytes.len(),
            item => text_of(item).map_or(0, <[u8]>::len),
        };
        COMPARISON
            + match &self.operand {
                Operand::Pattern(pattern) => pattern.cost(length),
                // What is no text is looked for at each place.
                Operand::Text(key) if core::str::from_utf8(key).is_err() => (length * key.len()) as u64,
                _ => (length / BYTES) as u64,
            }
    }

    fn holds(&self, item: Item<'_>) -> bool {
        match self.op {
            Op::Equal => self.equal(item),
            Op::NotEqual => !self.equal(item),
            Op::In => self.within(item),
            Op::NotIn => !self.within(item),
            Op::IsEmpty => is_empty(item),
            Op::IsNotEmpty => !is_empty(item),
            Op::Matches => self.fits(item),
            Op::NotMatches => !self.fits(item),
        }
    }

    fn equal(&self, item: Item<'_>) -> bool {
        match (&self.operand, item) {
            (Operand::Text(wanted), item) => text_of(&item).is_some_and(|text| text == wanted),
            (Operand::Bool(wanted), Item::Bool(value)) => *wanted == value,
            (Operand::Bool(wanted), Item::Carried(tree, _)) => *wanted == tree.as_bool().unwrap_or(false),
            (Operand::Int(wanted), Item::Int(value)) => *wanted == value,
            (Operand::Int(wanted), Item::Carried(tree, _)) => match tree {
                Tree::UInt(value) => u64::try_from(*wanted).is_ok_and(|wanted| wanted == *value),
                Tree::Int(value) => wanted == value,
                // JSON's numbers are carried as floats.
                Tree::Float(value) => *wanted as f64 == *value,
                _ => *wanted == 0,
            },
            _ => false,
        }
    }

    fn within(&self, item: Item<'_>) -> bool {
        match (&self.operand, item) {
            (Operand::Int(wanted), Item::Bytes(bytes)) => bytes.iter().any(|b| i64::from(*b) == *wanted),
            (Operand::Text(wanted), Item::Texts(texts)) => texts.iter().any(|t| t.as_bytes() == wanted),
            (Operand::Text(key), item) => match (text_of(&item), core::str::from_utf8(key)) {
                (Some(text), Ok(key)) => contains(text, key),
                (Some(text), Err(_)) => text.windows(key.len()).any(|part| part == key),
                (None, Ok(key)) => match item {
                    Item::TextMap(map) => map.contains_key(key),
                    Item::Tags(map) => map.contains_key(key),
                    Item::Addresses(map) => map.contains_key(key),
                    _ => false,
                },
                (None, Err(_)) => false,
            },
            _ => false,
        }
    }

    fn fits(&self, item: Item<'_>) -> bool {
        match (&self.operand, text_of(&item)) {
            (Operand::Pattern(pattern), Some(text)) => pattern.is_match(text),
            _ => false,
        }
    }
}

fn text_of<'a>(item: &Item<'a>) -> Option<&'a [u8]> {
    match *item {
        Item::Text(text) => Some(text.as_bytes()),
        Item::Carried(Tree::Raw(raw), Kind::Text) => Some(raw),
        Item::Carried(_, Kind::Text) => Some(&[]),
        _ => None,
    }
}

/// In time that grows with the length of both, not with their product.
fn contains(text: &[u8], part: &str) -> bool {
    core::str::from_utf8(text).map_or_else(
        |_| {
            let chunks = text.utf8_chunks();
            chunks.map(|chunk| chunk.valid()).any(|valid| valid.contains(part))
        },
        |text| text.contains(part),
    )
}

fn is_empty(item: Item<'_>) -> bool {
    match item {
        Item::Texts(texts) => texts.is_empty(),
        Item::Bytes(bytes) => bytes.is_empty(),
        Item::TextMap(map) => map.is_empty(),
        Item::Tags(map) => map.is_empty(),
        Item::Addresses(map) => map.is_empty(),
        Item::Checks(checks) => checks.is_empty(),
        Item::Carried(Tree::Array(items), _) => items.is_empty(),
        // What is not a list is absent, and an absent list is empty.
        _ => true,
    }
}
