//! Names of answers' headers, ready made: making one from text costs a lower-cased copy each time.

use hyper::header::{CONTENT_TYPE, HeaderName, InvalidHeaderName};

const DEFAULT_POLICY: HeaderName = HeaderName::from_static("x-consul-default-acl-policy");
const EFFECTIVE: HeaderName = HeaderName::from_static("x-consul-effective-consistency");
const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
const KNOWN_LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
const LAST_CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");
const BACKEND: HeaderName = HeaderName::from_static("x-consul-query-backend");

/// The name that the front spells so.
pub(super) fn header(name: &str) -> Result<HeaderName, InvalidHeaderName> {
    Ok(match name {
        "Content-Type" => CONTENT_TYPE,
        "X-Consul-Default-Acl-Policy" => DEFAULT_POLICY,
        "X-Consul-Effective-Consistency" => EFFECTIVE,
        "X-Consul-Index" => INDEX,
        "X-Consul-Knownleader" => KNOWN_LEADER,
        "X-Consul-Lastcontact" => LAST_CONTACT,
        "X-Consul-Query-Backend" => BACKEND,
        other => HeaderName::from_bytes(other.as_bytes())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_made_name_is_the_one_that_its_text_makes() {
        for name in ["Content-Type", "X-Consul-Index", "X-Consul-Query-Backend", "X-Consul-Reason"] {
            assert_eq!(header(name).unwrap(), HeaderName::from_bytes(name.as_bytes()).unwrap());
        }
        assert!(header("no such\nheader").is_err());
    }
}
