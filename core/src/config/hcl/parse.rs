//! Tokens to a tree of items, with the errors of HashiCorp's parser.

use super::scan::{Kind, Place, Scanner, Token};
use super::{Error, MAX_DEPTH, string_value};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// `key = value`, `key { .. }` or `key "label" { .. }`.
#[derive(Clone, Debug)]
pub(super) struct Item<'t> {
    pub(super) keys: Vec<Name>,
    pub(super) value: Node<'t>,
}

/// A key or a label, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) place: Place,
}

#[derive(Clone, Debug)]
pub(super) enum Node<'t> {
    Literal(Token<'t>),
    List(Place, Vec<Node<'t>>),
    Object(Place, Vec<Item<'t>>),
}

impl Node<'_> {
    pub(super) fn place(&self) -> Place {
        match self {
            Node::Literal(token) => token.place,
            Node::List(place, _) | Node::Object(place, _) => *place,
        }
    }
}

/// Why parsing ends.
enum Stop {
    /// The text is at its end where an item or its value could begin, which is no error.
    End,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error)
    }
}

fn at(place: Place, what: impl core::fmt::Display) -> Stop {
    Stop::Failed(Error(format!("At {place}: {what}")))
}

/// Reads a document.
pub(super) fn parse(text: &str) -> Result<Vec<Item<'_>>, Error> {
    let mut parser = Parser { scanner: Scanner::new(text), token: None, again: false, depth: 0, over: None };
    let found = parser.items(false);
    if let Some(over) = parser.over {
        return Err(over);
    }
    if let Some((place, what)) = parser.scanner.error {
        return Err(Error(format!("At {place}: {what}")));
    }
    match found {
        Ok(items) => Ok(items),
        Err(Stop::End) => Ok(Vec::new()),
        Err(Stop::Failed(error)) => Err(error),
    }
}

struct Parser<'t> {
    scanner: Scanner<'t>,
    /// The last token read.
    token: Option<Token<'t>>,
    /// It is to be read again.
    again: bool,
    depth: usize,
    /// Nested too deeply, which no other error may hide.
    over: Option<Error>,
}

impl<'t> Parser<'t> {
    fn scan(&mut self) -> Token<'t> {
        if let (true, Some(token)) = (self.again, self.token) {
            self.again = false;
            return token;
        }
        let mut token = self.scanner.scan();
        while token.kind == Kind::Comment {
            token = self.scanner.scan();
        }
        self.token = Some(token);
        token
    }

    fn peek(&mut self) -> Token<'t> {
        let token = self.scan();
        self.again = true;
        token
    }

    /// Items up to the end, or in an object up to its closing brace, which is left.
    fn items(&mut self, object: bool) -> Result<Vec<Item<'t>>, Stop> {
        let mut items = Vec::new();
        loop {
            if object && self.peek().kind == Kind::RightBrace {
                return Ok(items);
            }
            match self.item() {
                Ok(item) => items.push(item),
                Err(Stop::End) => return Ok(items),
                Err(failed) => return Err(failed),
            }
            if self.peek().kind == Kind::Comma {
                self.scan();
            }
        }
    }

    fn item(&mut self) -> Result<Item<'t>, Stop> {
        let (keys, end) = self.keys()?;
        let value = match end.kind {
            Kind::Assign => self.value()?,
            Kind::LeftBrace => self.object(end.place)?,
            _ => {
                let keys: Vec<&str> = keys.iter().map(|key| key.text).collect();
                let expected = "expected start of object ('{') or assignment ('=')";
                return Err(at(end.place, format!("key '{}' {expected}", keys.join(" "))));
            }
        };
        // The parser looks one token ahead here, and so may find the scanner's complaint about it.
        self.peek();
        let keys = keys.into_iter().map(|key| {
            let text = if key.kind == Kind::String { string_value(&key)? } else { key.text.into() };
            Ok(Name { text, place: key.place })
        });
        Ok(Item { keys: keys.collect::<Result<_, Error>>()?, value })
    }

    /// The keys of an item, and the token that ends them.
    fn keys(&mut self) -> Result<(Vec<Token<'t>>, Token<'t>), Stop> {
        let mut keys = Vec::new();
        loop {
            let token = self.scan();
            match token.kind {
                Kind::Ident | Kind::String => keys.push(token),
                Kind::End if keys.is_empty() => return Err(Stop::End),
                Kind::Assign if keys.is_empty() => return Err(at(token.place, "no object keys found!")),
                Kind::Assign if keys.len() > 1 => {
                    return Err(at(token.place, "nested object expected: LBRACE got: ASSIGN"));
                }
                Kind::LeftBrace if keys.is_empty() => {
                    return Err(at(token.place, "expected: IDENT | STRING got: LBRACE"));
                }
                Kind::Assign | Kind::LeftBrace | Kind::End => return Ok((keys, token)),
                // Keys without a value at the end of an object.
                Kind::RightBrace if !keys.is_empty() => return Ok((keys, token)),
                Kind::Illegal => return Err(at(token.place, "illegal character")),
                other => {
                    let expected = "expected: IDENT | STRING | ASSIGN | LBRACE got";
                    return Err(at(token.place, format!("{expected}: {}", other.name())));
                }
            }
        }
    }

    fn value(&mut self) -> Result<Node<'t>, Stop> {
        let token = self.scan();
        match token.kind {
            Kind::Number | Kind::Float | Kind::Bool | Kind::String | Kind::Heredoc => {
                Ok(Node::Literal(token))
            }
            Kind::LeftBrace => self.object(token.place),
            Kind::LeftBracket => self.list(token.place),
            Kind::End => Err(Stop::End),
            kind => {
                let shown = format!("{} {} {}", token.place, kind.name(), token.text);
                Err(at(token.place, format!("Unknown token: {shown}")))
            }
        }
    }

    fn deeper<T>(&mut self, place: Place, rule: fn(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        if self.depth == MAX_DEPTH {
            let error = Error(format!("At {place}: nested deeper than {MAX_DEPTH} levels"));
            self.over = Some(error.clone());
            return Err(Stop::Failed(error));
        }
        self.depth += 1;
        let found = rule(self);
        self.depth -= 1;
        found
    }

    fn object(&mut self, place: Place) -> Result<Node<'t>, Stop> {
        let items = self.deeper(place, |p| p.items(true))?;
        let end = self.scan();
        match end.kind {
            Kind::RightBrace => Ok(Node::Object(place, items)),
            kind => Err(at(end.place, format!("object expected closing RBRACE got: {}", kind.name()))),
        }
    }

    fn list(&mut self, place: Place) -> Result<Node<'t>, Stop> {
        let nodes = self.deeper(place, Self::nodes)?;
        Ok(Node::List(place, nodes))
    }

    fn nodes(&mut self) -> Result<Vec<Node<'t>>, Stop> {
        let mut nodes = Vec::new();
        let mut needs_comma = false;
        let within = |place, what: &str, stop| match stop {
            Stop::Failed(Error(why)) => {
                at(place, format!("error while trying to parse {what} within list: {why}"))
            }
            Stop::End => Stop::End,
        };
        loop {
            let token = self.scan();
            if needs_comma && !matches!(token.kind, Kind::Comma | Kind::RightBracket) {
                let expected = "error parsing list, expected comma or list end, got";
                return Err(at(token.place, format!("{expected}: {}", token.kind.name())));
            }
            match token.kind {
                Kind::Bool | Kind::Number | Kind::Float | Kind::String | Kind::Heredoc => {
                    nodes.push(Node::Literal(token));
                    needs_comma = true;
                }
                Kind::Comma => {
                    self.peek();
                    needs_comma = false;
                }
                Kind::LeftBrace => {
                    let object = self.object(token.place);
                    nodes.push(object.map_err(|stop| within(token.place, "object", stop))?);
                    needs_comma = true;
                }
                // A list needs no comma behind it.
                Kind::LeftBracket => {
                    let list = self.list(token.place);
                    nodes.push(list.map_err(|stop| within(token.place, "list", stop))?);
                }
                Kind::RightBracket => return Ok(nodes),
                kind => {
                    let what = "unexpected token while parsing list";
                    return Err(at(token.place, format!("{what}: {}", kind.name())));
                }
            }
        }
    }
}
