//! `?filter=`: boolean expressions over records, as Consul 1.21 understands them (go-bexpr 0.1.2).
//!
//! [`parse`] reads an expression by the [`grammar`]; [`Expression::about`] holds it against the [`schema`]
//! of a [`Subject`]; the [`Filter`] that comes out is asked about one [`Record`] after another. Texts of
//! errors are Consul's, to the byte where its grammar writes them; ours are only those about the limits
//! [`MAX_BYTES`], [`MAX_DEPTH`] and [`MAX_MATCHES`].
//!
//! Quirks that are kept because clients may rely on them: a comparison with a key that a map does not
//! have is true for every operator but `==`, `in` and `is not empty`, `matches` included; a selector
//! through a list asks whether any element matches, so `!=` is true as soon as one element differs.

mod compile;
mod eval;
mod fuel;
mod grammar;
mod record;
mod schema;
mod syntax;
#[cfg(test)]
mod tests;

pub use grammar::{MAX_BYTES, MAX_DEPTH, MAX_MATCHES};
pub use record::{Member, Record};
pub use syntax::Error;

use fuel::Fuel;
use schema::Kind;
use syntax::Syntax;

/// What a filter is about: the shape of the elements of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Nodes of the catalog.
    Node,
    /// Health checks.
    Check,
    /// Instances on their own.
    Service,
    /// Instances with node and checks.
    Entry,
    /// Instances with their node's fields beside them.
    ServiceNode,
    /// Members of the gossip pool.
    Member,
}

impl Subject {
    fn schema(self) -> &'static Kind {
        match self {
            Subject::Node => &schema::NODE,
            Subject::Check => &schema::CHECK,
            Subject::Service => &schema::SERVICE,
            Subject::Entry => &schema::ENTRY,
            Subject::ServiceNode => &schema::SERVICE_NODE,
            Subject::Member => &schema::MEMBER,
        }
    }
}

/// An expression that is well formed, whatever it is about.
#[derive(Clone, Debug)]
pub struct Expression(Syntax);

/// Reads an expression.
pub fn parse(text: &str) -> Result<Expression, Error> {
    grammar::parse(text).map(Expression)
}

impl Expression {
    /// The filter, if every selector, operator and value fits the subject.
    pub fn about(&self, subject: Subject) -> Result<Filter, Error> {
        let expr = compile::compile(&self.0, subject.schema())?;
        Ok(Filter { expr, fuel: Fuel::default() })
    }
}

/// A filter, ready to be asked.
///
/// What it may cost has a bound: a thread that asks it about all there is serves others, too. See [`Filter::begin`].
#[derive(Clone, Debug)]
pub struct Filter {
    expr: compile::Expr,
    fuel: Fuel,
}

impl Filter {
    /// Whether the record passes. A record of another shape than the filter's subject never misleads: what
    /// it does not have counts as absent. Nothing passes any more once the filter [is spent](Filter::is_spent).
    pub fn matches(&self, record: Record<'_>) -> bool {
        self.expr.matches(record, &self.fuel) && !self.is_spent()
    }

    /// Another answer begins, which may cost as much again.
    pub fn begin(&self) {
        self.fuel.fill();
    }

    /// Whether the answer cost more than it may, and is not to be used.
    pub fn is_spent(&self) -> bool {
        self.fuel.is_spent()
    }
}

/// What an answer is refused with that would cost too much.
pub const SPENT: &str = "the filter costs too much with so much to compare: ask for less, or with fewer and shorter \
                         comparisons and patterns";
