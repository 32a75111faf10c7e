//! The table itself, sorted by name in byte order.

use super::{Handler, Method, Rule};
use super::{
    catalog, coordinate, health, internal, kv, operator, overview, query, session, status, txn, unbuilt,
};
use alloc::format;
use alloc::string::String;

const fn on(name: &'static str, rule: Rule, handler: Handler) -> Method {
    Method { name, rule, handler }
}

/// Every method that this version has.
static METHODS: &[Method] = &[
    on("Catalog.Deregister", Rule::CatalogWrite, Handler::Call(catalog::deregister)),
    on("Catalog.ListDatacenters", Rule::Open, Handler::Call(catalog::datacenters)),
    on("Catalog.ListNodes", Rule::NodeRead, Handler::Read(&catalog::NODES)),
    on("Catalog.ListServices", Rule::ServiceRead, Handler::Read(&catalog::SERVICES)),
    on("Catalog.NodeServiceList", Rule::NodeRead, Handler::Read(&catalog::NODE_SERVICE_LIST)),
    on("Catalog.NodeServices", Rule::NodeRead, Handler::Read(&catalog::NODE_SERVICES)),
    on("Catalog.Register", Rule::CatalogWrite, Handler::Call(catalog::register)),
    on("Catalog.ServiceList", Rule::ServiceRead, Handler::Read(&catalog::SERVICE_LIST)),
    on("Catalog.ServiceNodes", Rule::ServiceRead, Handler::Read(&catalog::SERVICE_NODES)),
    on("Coordinate.ListDatacenters", Rule::Open, Handler::Call(coordinate::datacenters)),
    on("Coordinate.ListNodes", Rule::NodeRead, Handler::Read(&coordinate::NODES)),
    on("Coordinate.Node", Rule::NodeRead, Handler::Read(&coordinate::NODE)),
    on("Coordinate.Update", Rule::NodeWrite, Handler::Call(coordinate::update)),
    on("Health.ChecksInState", Rule::NodeRead, Handler::Read(&health::STATE)),
    on("Health.NodeChecks", Rule::NodeRead, Handler::Read(&health::NODE)),
    on("Health.ServiceChecks", Rule::ServiceRead, Handler::Read(&health::CHECKS)),
    on("Health.ServiceNodes", Rule::ServiceRead, Handler::Read(&health::SERVICE)),
    on("Internal.CatalogOverview", Rule::OperatorRead, Handler::Call(overview::catalog_overview)),
    on("Internal.EventFire", Rule::EventWrite, Handler::Call(operator::event)),
    on("Internal.GatewayServiceDump", Rule::ServiceRead, Handler::Read(&unbuilt::GATEWAY_SERVICES)),
    on("Internal.KeyringOperation", Rule::KeyringWrite, Handler::Call(operator::keyring)),
    on("Internal.NodeDump", Rule::NodeRead, Handler::Read(&internal::NODE_DUMP)),
    on("Internal.NodeInfo", Rule::NodeRead, Handler::Read(&internal::NODE_INFO)),
    on("Internal.ServiceDump", Rule::ServiceRead, Handler::Read(&internal::SERVICE_DUMP)),
    on("Internal.ServiceTopology", Rule::ServiceRead, Handler::Read(&unbuilt::TOPOLOGY)),
    on("KVS.Apply", Rule::KeyWrite, Handler::Call(kv::apply)),
    on("KVS.Get", Rule::KeyRead, Handler::Read(&kv::GET)),
    on("KVS.List", Rule::KeyRead, Handler::Read(&kv::LIST)),
    on("KVS.ListKeys", Rule::KeyRead, Handler::Read(&kv::LIST_KEYS)),
    on(
        "Operator.AutopilotGetConfiguration",
        Rule::OperatorRead,
        Handler::Call(operator::autopilot_configuration),
    ),
    on(
        "Operator.AutopilotSetConfiguration",
        Rule::OperatorWrite,
        Handler::Call(operator::set_autopilot_configuration),
    ),
    on("Operator.AutopilotState", Rule::OperatorRead, Handler::Call(operator::autopilot_state)),
    on("Operator.RaftGetConfiguration", Rule::OperatorRead, Handler::Call(operator::raft_configuration)),
    on("Operator.RaftRemovePeerByAddress", Rule::OperatorWrite, Handler::Call(operator::remove_by_address)),
    on("Operator.RaftRemovePeerByID", Rule::OperatorWrite, Handler::Call(operator::remove_by_id)),
    on("Operator.ServerHealth", Rule::OperatorRead, Handler::Call(operator::server_health)),
    on("Operator.TransferLeader", Rule::OperatorWrite, Handler::Call(operator::transfer_leader)),
    on("PreparedQuery.Apply", Rule::QueryWrite, Handler::Call(query::apply)),
    on("PreparedQuery.Execute", Rule::ServiceRead, Handler::Call(query::execute)),
    on("PreparedQuery.ExecuteRemote", Rule::ServiceRead, Handler::Call(query::execute_remote)),
    on("PreparedQuery.Explain", Rule::QueryRead, Handler::Call(query::explain)),
    on("PreparedQuery.Get", Rule::QueryRead, Handler::Read(&query::GET)),
    on("PreparedQuery.List", Rule::QueryRead, Handler::Read(&query::LIST)),
    on("Session.Apply", Rule::SessionWrite, Handler::Call(session::apply)),
    on("Session.Get", Rule::SessionRead, Handler::Read(&session::GET)),
    on("Session.List", Rule::SessionRead, Handler::Read(&session::LIST)),
    on("Session.NodeSessions", Rule::SessionRead, Handler::Read(&session::NODE)),
    on("Session.Renew", Rule::SessionWrite, Handler::Call(session::renew)),
    on("Status.Leader", Rule::Open, Handler::View(status::leader)),
    on("Status.Peers", Rule::Open, Handler::View(status::peers)),
    on("Status.Ping", Rule::Open, Handler::View(|_| super::result::nothing())),
    on("Txn.Apply", Rule::EachOperation, Handler::Call(txn::apply)),
    on("Txn.Read", Rule::EachOperation, Handler::Call(txn::read)),
];

/// The methods of `ACL`: each is refused, as by Consul without ACLs.
static ACL: Method = on("ACL", Rule::NotBuilt, Handler::Call(status::without_acls));

/// Their names, without the service.
const ACL_METHODS: &[&str] = &[
    "AuthMethodDelete",
    "AuthMethodList",
    "AuthMethodRead",
    "AuthMethodSet",
    "Authorize",
    "BindingRuleDelete",
    "BindingRuleList",
    "BindingRuleRead",
    "BindingRuleSet",
    "BootstrapTokens",
    "Login",
    "Logout",
    "PolicyBatchRead",
    "PolicyDelete",
    "PolicyList",
    "PolicyRead",
    "PolicyResolve",
    "PolicySet",
    "ReplicationStatus",
    "RoleBatchRead",
    "RoleDelete",
    "RoleList",
    "RoleRead",
    "RoleResolve",
    "RoleSet",
    "TokenBatchRead",
    "TokenClone",
    "TokenDelete",
    "TokenList",
    "TokenRead",
    "TokenSet",
];

/// What Consul's servers serve, of which this version has no method.
const OTHER_SERVICES: &[&str] = &[
    "ACL",
    "AutoConfig",
    "AutoEncrypt",
    "ConfigEntry",
    "ConnectCA",
    "DiscoveryChain",
    "FederationState",
    "Intention",
];

/// The method of this name, or Go's text of why there is none. Agents look for `can't find method`.
pub(super) fn find(name: &str) -> Result<&'static Method, String> {
    if let Ok(at) = METHODS.binary_search_by(|method| method.name.cmp(name)) {
        return Ok(&METHODS[at]);
    }
    if name.strip_prefix("ACL.").is_some_and(|method| ACL_METHODS.contains(&method)) {
        return Ok(&ACL);
    }
    let Some((service, _)) = name.rsplit_once('.') else {
        return Err(format!("rpc: service/method request ill-formed: {name}"));
    };
    let has = |method: &Method| method.name.rsplit_once('.').is_some_and(|(of, _)| of == service);
    Err(match METHODS.iter().any(has) || OTHER_SERVICES.contains(&service) {
        true => format!("rpc: can't find method {name}"),
        false => format!("rpc: can't find service {name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        for pair in METHODS.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} {}", pair[0].name, pair[1].name);
        }
    }

    #[test]
    fn a_method_that_is_not_there_is_refused_in_the_words_that_agents_look_for() {
        let refused = |name: &str| find(name).map(|method| method.name).unwrap_err();
        assert_eq!(refused("Session.Nonsense"), "rpc: can't find method Session.Nonsense");
        assert_eq!(refused("Intention.Match"), "rpc: can't find method Intention.Match");
        assert_eq!(refused("Catalog.Nonsense"), "rpc: can't find method Catalog.Nonsense");
        assert_eq!(refused("ACL.Nonsense"), "rpc: can't find method ACL.Nonsense");
        assert_eq!(find("ACL.TokenRead").map(|method| method.name), Ok("ACL"));
        assert_eq!(refused("Nonsense.Apply"), "rpc: can't find service Nonsense.Apply");
        assert_eq!(refused("Nonsense"), "rpc: service/method request ill-formed: Nonsense");
        assert_eq!(find("Status.Ping").map(|method| method.name), Ok("Status.Ping"));
    }
}
