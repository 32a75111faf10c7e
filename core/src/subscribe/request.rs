//! `SubscribeRequest`.

use crate::wire::protobuf::{self, Field};
use alloc::format;
use alloc::string::String;

/// What an agent follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Of what kind.
    pub topic: Topic,
    /// The service, as the agent spells it.
    pub service: String,
    /// The index that the agent has; 0: none.
    pub index: u64,
}

/// The topics that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The instances of a service with their health.
    Health,
    /// Nothing, ever: the mesh proxies of a service, or what a peer exports. There are none in this version.
    Nothing,
}

/// Why a call ends: a gRPC status with its text. The codes are gRPC's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Never 0.
    pub code: u8,
    /// For users.
    pub message: String,
}

impl Status {
    const UNKNOWN: u8 = 2;
    const INVALID_ARGUMENT: u8 = 3;
    const RESOURCE_EXHAUSTED: u8 = 8;
    const ABORTED: u8 = 10;
    const UNIMPLEMENTED: u8 = 12;
    const INTERNAL: u8 = 13;
    const UNAVAILABLE: u8 = 14;

    fn new(code: u8, message: impl Into<String>) -> Status {
        Status { code, message: message.into() }
    }

    /// The state is another one than before: the agent forgets what it has and asks anew.
    pub fn reset() -> Status {
        Status::new(Status::ABORTED, "subscription closed by server, client must reset state and resubscribe")
    }

    /// The server ends; the agent asks another one.
    pub fn shutting_down() -> Status {
        Status::new(Status::UNAVAILABLE, "subscription closed by server, server is shutting down")
    }

    /// Nobody leads, so this server may know too little; the agent asks again.
    pub fn no_leader() -> Status {
        Status::new(Status::UNAVAILABLE, "No cluster leader")
    }

    /// A call of this path is not known.
    pub fn unknown_path(path: &str) -> Status {
        let named = path.strip_prefix('/').and_then(|path| path.rsplit_once('/'));
        let text = match named {
            Some((service, method)) if path.rsplit_once('/') == super::PATH.rsplit_once('/') => {
                format!("unknown method {method} for service {service}")
            }
            Some((service, _)) => format!("unknown service {service}"),
            None => format!("malformed method name: {path:?}"),
        };
        Status::new(Status::UNIMPLEMENTED, text)
    }

    /// The front holds as many waiting reads as it may.
    pub fn too_many(message: String) -> Status {
        Status::new(Status::RESOURCE_EXHAUSTED, message)
    }

    /// The message does not end where its frame says, or is longer than it may be.
    pub fn bad_frame(message: &str) -> Status {
        Status::new(Status::INTERNAL, message)
    }
}

/// gRPC's words for bytes that are no message.
const MALFORMED: &str = "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data";

impl Subscription {
    /// Reads a request to a server of `datacenter`.
    ///
    /// # Errors
    /// In Consul's words, where it has some.
    pub fn decode(message: &[u8], datacenter: &str) -> Result<Subscription, Status> {
        let asked = Asked::read(message).ok_or_else(|| Status::bad_frame(MALFORMED))?;
        if !asked.datacenter.is_empty() && asked.datacenter != datacenter {
            return Err(Status::new(Status::UNKNOWN, "No path to datacenter"));
        }
        let invalid = |text: String| Err(Status::new(Status::INVALID_ARGUMENT, text));
        let (service, peer) = match asked.named {
            Some(named) => named,
            None => (asked.key, asked.peer),
        };
        if service.is_empty() && !asked.wildcard {
            return invalid("either WildcardSubject or NamedSubject.Key is required".into());
        }
        let topic = match asked.topic {
            1 if peer.is_empty() => Topic::Health,
            1 | 2 => Topic::Nothing,
            topic @ 3..=18 => {
                let text = format!("topic {} is not built yet in this version", NAMES[topic as usize]);
                return Err(Status::new(Status::UNIMPLEMENTED, text));
            }
            topic => return invalid(format!("cannot construct subject for topic {}", shown(topic))),
        };
        if asked.wildcard {
            return invalid(format!("topic {} does not support wildcard subscriptions", shown(asked.topic)));
        }
        Ok(Subscription { topic, service: service.into(), index: asked.index })
    }
}

/// Consul's names of the topics, by number.
const NAMES: [&str; 19] = [
    "Unknown",
    "ServiceHealth",
    "ServiceHealthConnect",
    "MeshConfig",
    "ServiceResolver",
    "IngressGateway",
    "ServiceIntentions",
    "ServiceList",
    "ServiceDefaults",
    "APIGateway",
    "TCPRoute",
    "HTTPRoute",
    "InlineCertificate",
    "BoundAPIGateway",
    "IPRateLimit",
    "SamenessGroup",
    "JWTProvider",
    "ExportedServices",
    "FileSystemCertificate",
];

fn shown(topic: u64) -> String {
    let name = usize::try_from(topic).ok().and_then(|topic| NAMES.get(topic));
    name.map_or_else(|| format!("{topic}"), |name| (*name).into())
}

/// The fields that are looked at.
#[derive(Default)]
struct Asked<'a> {
    topic: u64,
    /// In the place where agents before 1.14 put it.
    key: &'a str,
    index: u64,
    datacenter: &'a str,
    /// In the same place.
    peer: &'a str,
    wildcard: bool,
    /// Key and peer.
    named: Option<(&'a str, &'a str)>,
}

impl<'a> Asked<'a> {
    fn read(mut bytes: &'a [u8]) -> Option<Asked<'a>> {
        let mut asked = Asked::default();
        while !bytes.is_empty() {
            match protobuf::next(&mut bytes)? {
                (1, Field::Uint(topic)) => asked.topic = topic,
                (2, Field::Bytes(key)) => asked.key = core::str::from_utf8(key).ok()?,
                (4, Field::Uint(index)) => asked.index = index,
                (5, Field::Bytes(name)) => asked.datacenter = core::str::from_utf8(name).ok()?,
                (8, Field::Bytes(name)) => asked.peer = core::str::from_utf8(name).ok()?,
                (9, Field::Uint(wildcard)) => asked.wildcard = wildcard != 0,
                (10, Field::Bytes(named)) => asked.named = Some(read_named(named)?),
                _ => {}
            }
        }
        Some(asked)
    }
}

fn read_named(mut bytes: &[u8]) -> Option<(&str, &str)> {
    let (mut key, mut peer) = ("", "");
    while !bytes.is_empty() {
        match protobuf::next(&mut bytes)? {
            (1, Field::Bytes(text)) => key = core::str::from_utf8(text).ok()?,
            (4, Field::Bytes(text)) => peer = core::str::from_utf8(text).ok()?,
            _ => {}
        }
    }
    Some((key, peer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn request(topic: u8, rest: &[u8]) -> Vec<u8> {
        [&[8, topic][..], rest].concat()
    }

    #[test]
    fn a_subject_is_named_in_the_new_place_or_in_the_old_one() {
        let health = |index| Subscription { topic: Topic::Health, service: "web".into(), index };
        let new = request(1, b"\x20\x07\x2a\x03dc1\x52\x05\x0a\x03web");
        assert_eq!(Subscription::decode(&new, "dc1"), Ok(health(7)));
        let old = request(1, b"\x12\x03web");
        assert_eq!(Subscription::decode(&old, "dc1"), Ok(health(0)));
        for nothing in [request(2, b"\x12\x03web"), request(1, b"\x52\x08\x0a\x03web\x22\x01p")] {
            assert_eq!(Subscription::decode(&nothing, "dc1").map(|s| s.topic), Ok(Topic::Nothing));
        }
    }

    #[test]
    fn what_cannot_be_had_is_refused_with_a_code_and_a_text() {
        let refused = |message: &[u8]| {
            let status = Subscription::decode(message, "dc1").unwrap_err();
            (status.code, status.message)
        };
        let no_subject = "either WildcardSubject or NamedSubject.Key is required";
        assert_eq!(refused(&request(1, b"")), (3, no_subject.into()));
        assert_eq!(refused(&request(1, b"\x48\x01")).0, 3);
        assert_eq!(
            refused(&request(0, b"\x12\x01a")),
            (3, "cannot construct subject for topic Unknown".into())
        );
        assert_eq!(refused(&request(7, b"\x48\x01")).0, 12);
        assert_eq!(refused(&request(1, b"\x12\x01a\x2a\x01x")), (2, "No path to datacenter".into()));
        assert_eq!(refused(b"\x0a\xff").0, 13);
        assert_eq!(Status::unknown_path("/a.B/C").message, "unknown service a.B");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Subscription::decode(&bytes, "dc1");
        }
    }
}
