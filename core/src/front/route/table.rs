//! The table itself, sorted by pattern in byte order.

use super::super::request::Enterprise;
use super::{Handler, Method, Route, Rule};
use super::{
    acl, agent_check, agent_members, agent_metrics, agent_monitor, agent_node, agent_service, autopilot,
    catalog, coordinate, event, health, keyring, kv, operator, query, session, snapshot, status, txn,
};

const fn on(verb: &'static str, rule: Rule, enterprise: Enterprise, handler: Handler) -> Method {
    Method { verb, rule, enterprise, handler }
}

/// A method that Consul has and this version does not.
const fn absent(verb: &'static str) -> Method {
    on(verb, Rule::NotBuilt, Enterprise::Ignored, Handler::NotBuilt)
}

/// A method that is about ACLs, which there are none of.
const fn without_acls(verb: &'static str) -> Method {
    on(verb, Rule::NotBuilt, Enterprise::Ignored, Handler::View(acl::disabled))
}

const fn later(pattern: &'static str, methods: &'static [Method]) -> Route {
    Route { pattern, methods }
}

/// Every path that Consul 1.21 community edition serves under `/v1/`.
pub(crate) static ROUTES: &[Route] = &[
    later("/v1/acl/auth-method", &[without_acls("PUT")]),
    later("/v1/acl/auth-method/", &[without_acls("GET"), without_acls("PUT"), without_acls("DELETE")]),
    later("/v1/acl/auth-methods", &[without_acls("GET")]),
    later("/v1/acl/binding-rule", &[without_acls("PUT")]),
    later("/v1/acl/binding-rule/", &[without_acls("GET"), without_acls("PUT"), without_acls("DELETE")]),
    later("/v1/acl/binding-rules", &[without_acls("GET")]),
    later("/v1/acl/bootstrap", &[without_acls("PUT")]),
    later("/v1/acl/login", &[without_acls("POST")]),
    later("/v1/acl/logout", &[without_acls("POST")]),
    later("/v1/acl/policies", &[without_acls("GET")]),
    later("/v1/acl/policy", &[without_acls("PUT")]),
    later("/v1/acl/policy/", &[without_acls("GET"), without_acls("PUT"), without_acls("DELETE")]),
    later("/v1/acl/policy/name/", &[without_acls("GET")]),
    later("/v1/acl/replication", &[without_acls("GET")]),
    later("/v1/acl/role", &[without_acls("PUT")]),
    later("/v1/acl/role/", &[without_acls("GET"), without_acls("PUT"), without_acls("DELETE")]),
    later("/v1/acl/role/name/", &[without_acls("GET")]),
    later("/v1/acl/roles", &[without_acls("GET")]),
    later("/v1/acl/templated-policies", &[without_acls("GET")]),
    later("/v1/acl/templated-policy/name/", &[without_acls("GET")]),
    later("/v1/acl/templated-policy/preview/", &[without_acls("POST")]),
    later("/v1/acl/token", &[without_acls("PUT")]),
    later("/v1/acl/token/", &[without_acls("GET"), without_acls("PUT"), without_acls("DELETE")]),
    later("/v1/acl/token/self", &[without_acls("GET")]),
    later("/v1/acl/tokens", &[without_acls("GET")]),
    Route {
        pattern: "/v1/agent/check/deregister/",
        methods: &[on("PUT", Rule::CatalogWrite, Enterprise::Both, Handler::Call(agent_check::deregister))],
    },
    Route {
        pattern: "/v1/agent/check/fail/",
        methods: &[on("PUT", Rule::CatalogWrite, Enterprise::Both, Handler::Call(agent_check::fail))],
    },
    Route {
        pattern: "/v1/agent/check/pass/",
        methods: &[on("PUT", Rule::CatalogWrite, Enterprise::Both, Handler::Call(agent_check::pass))],
    },
    Route {
        pattern: "/v1/agent/check/register",
        methods: &[on("PUT", Rule::CatalogWrite, Enterprise::Both, Handler::Call(agent_check::register))],
    },
    Route {
        pattern: "/v1/agent/check/update/",
        methods: &[on("PUT", Rule::CatalogWrite, Enterprise::Both, Handler::Call(agent_check::update))],
    },
    Route {
        pattern: "/v1/agent/check/warn/",
        methods: &[on("PUT", Rule::CatalogWrite, Enterprise::Both, Handler::Call(agent_check::warn))],
    },
    Route {
        pattern: "/v1/agent/checks",
        methods: &[on("GET", Rule::NodeRead, Enterprise::Both, Handler::View(agent_check::list))],
    },
    later("/v1/agent/connect/authorize", &[absent("POST")]),
    later("/v1/agent/connect/ca/leaf/", &[absent("GET")]),
    later("/v1/agent/connect/ca/roots", &[absent("GET")]),
    Route {
        pattern: "/v1/agent/force-leave/",
        methods: &[on(
            "PUT",
            Rule::OperatorWrite,
            Enterprise::Partition,
            Handler::Call(agent_members::force_leave),
        )],
    },
    Route {
        pattern: "/v1/agent/health/service/id/",
        methods: &[on(
            "GET",
            Rule::ServiceRead,
            Enterprise::Both,
            Handler::View(agent_service::health_by_id),
        )],
    },
    Route {
        pattern: "/v1/agent/health/service/name/",
        methods: &[on(
            "GET",
            Rule::ServiceRead,
            Enterprise::Both,
            Handler::View(agent_service::health_by_name),
        )],
    },
    later("/v1/agent/host", &[absent("GET")]),
    Route {
        pattern: "/v1/agent/join/",
        methods: &[on("PUT", Rule::AgentWrite, Enterprise::Partition, Handler::Call(agent_members::join))],
    },
    Route {
        pattern: "/v1/agent/leave",
        methods: &[on("PUT", Rule::AgentWrite, Enterprise::Ignored, Handler::Call(agent_node::leave))],
    },
    Route {
        pattern: "/v1/agent/maintenance",
        methods: &[on("PUT", Rule::NodeWrite, Enterprise::Ignored, Handler::Call(agent_node::maintenance))],
    },
    Route {
        pattern: "/v1/agent/members",
        methods: &[on("GET", Rule::NodeRead, Enterprise::Partition, Handler::View(agent_members::members))],
    },
    Route {
        pattern: "/v1/agent/metrics",
        methods: &[on("GET", Rule::AgentRead, Enterprise::Ignored, Handler::Call(agent_metrics::metrics))],
    },
    Route {
        pattern: "/v1/agent/metrics/stream",
        methods: &[on("GET", Rule::AgentRead, Enterprise::Ignored, Handler::Call(agent_metrics::stream))],
    },
    Route {
        pattern: "/v1/agent/monitor",
        methods: &[on("GET", Rule::AgentRead, Enterprise::Ignored, Handler::Call(agent_monitor::monitor))],
    },
    Route {
        pattern: "/v1/agent/reload",
        methods: &[on("PUT", Rule::AgentWrite, Enterprise::Ignored, Handler::Call(agent_node::reload))],
    },
    Route {
        pattern: "/v1/agent/self",
        methods: &[on("GET", Rule::AgentRead, Enterprise::Ignored, Handler::View(agent_node::own))],
    },
    Route {
        pattern: "/v1/agent/service/",
        methods: &[on("GET", Rule::ServiceRead, Enterprise::Both, Handler::Hash(agent_service::one))],
    },
    Route {
        pattern: "/v1/agent/service/deregister/",
        methods: &[on("PUT", Rule::ServiceWrite, Enterprise::Both, Handler::Call(agent_service::deregister))],
    },
    Route {
        pattern: "/v1/agent/service/maintenance/",
        methods: &[on(
            "PUT",
            Rule::ServiceWrite,
            Enterprise::Both,
            Handler::Call(agent_service::maintenance),
        )],
    },
    Route {
        pattern: "/v1/agent/service/register",
        methods: &[on("PUT", Rule::ServiceWrite, Enterprise::Both, Handler::Call(agent_service::register))],
    },
    Route {
        pattern: "/v1/agent/services",
        methods: &[on("GET", Rule::ServiceRead, Enterprise::Both, Handler::View(agent_service::list))],
    },
    later("/v1/agent/token/", &[without_acls("PUT")]),
    Route {
        pattern: "/v1/agent/version",
        methods: &[on("GET", Rule::Open, Enterprise::Ignored, Handler::View(agent_node::version))],
    },
    later("/v1/catalog/connect/", &[absent("GET")]),
    Route {
        pattern: "/v1/catalog/datacenters",
        methods: &[on("GET", Rule::Open, Enterprise::Ignored, Handler::Call(catalog::datacenters))],
    },
    Route {
        pattern: "/v1/catalog/deregister",
        methods: &[on("PUT", Rule::CatalogWrite, Enterprise::Both, Handler::Call(catalog::deregister))],
    },
    later("/v1/catalog/gateway-services/", &[absent("GET")]),
    Route {
        pattern: "/v1/catalog/node-services/",
        methods: &[on("GET", Rule::NodeRead, Enterprise::Both, Handler::Read(&catalog::NODE_SERVICES))],
    },
    Route {
        pattern: "/v1/catalog/node/",
        methods: &[on("GET", Rule::NodeRead, Enterprise::Both, Handler::Read(&catalog::NODE))],
    },
    Route {
        pattern: "/v1/catalog/nodes",
        methods: &[on("GET", Rule::NodeRead, Enterprise::Partition, Handler::Read(&catalog::NODES))],
    },
    Route {
        pattern: "/v1/catalog/register",
        methods: &[on("PUT", Rule::CatalogWrite, Enterprise::Both, Handler::Call(catalog::register))],
    },
    Route {
        pattern: "/v1/catalog/service/",
        methods: &[on("GET", Rule::ServiceRead, Enterprise::Both, Handler::Read(&catalog::SERVICE))],
    },
    Route {
        pattern: "/v1/catalog/services",
        methods: &[on("GET", Rule::ServiceRead, Enterprise::Both, Handler::Read(&catalog::SERVICES))],
    },
    later("/v1/config", &[absent("PUT")]),
    later("/v1/config/", &[absent("GET"), absent("DELETE")]),
    later("/v1/connect/ca/configuration", &[absent("GET"), absent("PUT")]),
    later("/v1/connect/ca/roots", &[absent("GET")]),
    later("/v1/connect/intentions", &[absent("GET"), absent("POST")]),
    later("/v1/connect/intentions/", &[absent("GET"), absent("PUT"), absent("DELETE")]),
    later("/v1/connect/intentions/check", &[absent("GET")]),
    later("/v1/connect/intentions/exact", &[absent("GET"), absent("PUT"), absent("DELETE")]),
    later("/v1/connect/intentions/match", &[absent("GET")]),
    Route {
        pattern: "/v1/coordinate/datacenters",
        methods: &[on("GET", Rule::Open, Enterprise::Ignored, Handler::Call(coordinate::datacenters))],
    },
    Route {
        pattern: "/v1/coordinate/node/",
        methods: &[on("GET", Rule::NodeRead, Enterprise::Partition, Handler::Read(&coordinate::NODE))],
    },
    Route {
        pattern: "/v1/coordinate/nodes",
        methods: &[on("GET", Rule::NodeRead, Enterprise::Partition, Handler::Read(&coordinate::NODES))],
    },
    Route {
        pattern: "/v1/coordinate/update",
        methods: &[on("PUT", Rule::NodeWrite, Enterprise::Partition, Handler::Call(coordinate::update))],
    },
    later("/v1/discovery-chain/", &[absent("GET"), absent("POST")]),
    Route {
        pattern: "/v1/event/fire/",
        methods: &[on("PUT", Rule::EventWrite, Enterprise::Ignored, Handler::Call(event::fire))],
    },
    Route {
        pattern: "/v1/event/list",
        methods: &[on("GET", Rule::EventRead, Enterprise::Ignored, Handler::Events(event::list))],
    },
    later("/v1/exported-services", &[absent("GET")]),
    Route {
        pattern: "/v1/health/checks/",
        methods: &[on("GET", Rule::ServiceRead, Enterprise::Both, Handler::Read(&health::CHECKS))],
    },
    later("/v1/health/connect/", &[absent("GET")]),
    later("/v1/health/ingress/", &[absent("GET")]),
    Route {
        pattern: "/v1/health/node/",
        methods: &[on("GET", Rule::NodeRead, Enterprise::Both, Handler::Read(&health::NODE))],
    },
    Route {
        pattern: "/v1/health/service/",
        methods: &[on("GET", Rule::ServiceRead, Enterprise::Both, Handler::Read(&health::SERVICE))],
    },
    Route {
        pattern: "/v1/health/state/",
        methods: &[on("GET", Rule::NodeRead, Enterprise::Both, Handler::Read(&health::STATE))],
    },
    later("/v1/internal/acl/authorize", &[without_acls("POST")]),
    later("/v1/internal/federation-state/", &[absent("GET")]),
    later("/v1/internal/federation-states", &[absent("GET")]),
    later("/v1/internal/federation-states/mesh-gateways", &[absent("GET")]),
    later("/v1/internal/service-virtual-ip", &[absent("PUT")]),
    later("/v1/internal/ui/catalog-overview", &[absent("GET")]),
    later("/v1/internal/ui/exported-services", &[absent("GET")]),
    later("/v1/internal/ui/gateway-intentions/", &[absent("GET")]),
    later("/v1/internal/ui/gateway-services-nodes/", &[absent("GET")]),
    later("/v1/internal/ui/metrics-proxy/", &[absent("GET")]),
    later("/v1/internal/ui/node/", &[absent("GET")]),
    later("/v1/internal/ui/nodes", &[absent("GET")]),
    later("/v1/internal/ui/service-topology/", &[absent("GET")]),
    later("/v1/internal/ui/services", &[absent("GET")]),
    Route {
        pattern: "/v1/kv/",
        methods: &[
            on("GET", Rule::KeyRead, Enterprise::Both, Handler::Read(&kv::GET)),
            on("PUT", Rule::KeyWrite, Enterprise::Both, Handler::Call(kv::put)),
            on("DELETE", Rule::KeyWrite, Enterprise::Both, Handler::Call(kv::delete)),
        ],
    },
    Route {
        pattern: "/v1/operator/autopilot/configuration",
        methods: &[
            on("GET", Rule::OperatorRead, Enterprise::Ignored, Handler::Call(autopilot::configuration)),
            on("PUT", Rule::OperatorWrite, Enterprise::Ignored, Handler::Call(autopilot::set_configuration)),
        ],
    },
    Route {
        pattern: "/v1/operator/autopilot/health",
        methods: &[on("GET", Rule::OperatorRead, Enterprise::Ignored, Handler::Call(autopilot::health))],
    },
    Route {
        pattern: "/v1/operator/autopilot/state",
        methods: &[on("GET", Rule::OperatorRead, Enterprise::Ignored, Handler::Call(autopilot::state))],
    },
    Route {
        pattern: "/v1/operator/keyring",
        methods: &[
            on("GET", Rule::KeyringRead, Enterprise::Ignored, Handler::Call(keyring::list)),
            on("POST", Rule::KeyringWrite, Enterprise::Ignored, Handler::Call(keyring::install)),
            on("PUT", Rule::KeyringWrite, Enterprise::Ignored, Handler::Call(keyring::select)),
            on("DELETE", Rule::KeyringWrite, Enterprise::Ignored, Handler::Call(keyring::remove)),
        ],
    },
    Route {
        pattern: "/v1/operator/raft/configuration",
        methods: &[on(
            "GET",
            Rule::OperatorRead,
            Enterprise::Ignored,
            Handler::Call(operator::raft_configuration),
        )],
    },
    Route {
        pattern: "/v1/operator/raft/peer",
        methods: &[on(
            "DELETE",
            Rule::OperatorWrite,
            Enterprise::Ignored,
            Handler::Call(operator::remove_peer),
        )],
    },
    Route {
        pattern: "/v1/operator/raft/transfer-leader",
        methods: &[on(
            "POST",
            Rule::OperatorWrite,
            Enterprise::Ignored,
            Handler::Call(operator::transfer_leader),
        )],
    },
    later("/v1/operator/usage", &[absent("GET")]),
    later("/v1/peering/", &[absent("GET"), absent("DELETE")]),
    later("/v1/peering/establish", &[absent("POST")]),
    later("/v1/peering/token", &[absent("POST")]),
    later("/v1/peerings", &[absent("GET")]),
    Route {
        pattern: "/v1/query",
        methods: &[
            on("GET", Rule::QueryRead, Enterprise::Ignored, Handler::Read(&query::LIST)),
            on("POST", Rule::QueryWrite, Enterprise::Ignored, Handler::Call(query::create)),
        ],
    },
    Route {
        pattern: "/v1/query/",
        methods: &[
            on("GET", Rule::QueryRead, Enterprise::Ignored, Handler::Call(query::read)),
            on("PUT", Rule::QueryWrite, Enterprise::Ignored, Handler::Call(query::update)),
            on("DELETE", Rule::QueryWrite, Enterprise::Ignored, Handler::Call(query::delete)),
        ],
    },
    Route {
        pattern: "/v1/session/create",
        methods: &[on("PUT", Rule::SessionWrite, Enterprise::Both, Handler::Call(session::create))],
    },
    Route {
        pattern: "/v1/session/destroy/",
        methods: &[on("PUT", Rule::SessionWrite, Enterprise::Both, Handler::Call(session::destroy))],
    },
    Route {
        pattern: "/v1/session/info/",
        methods: &[on("GET", Rule::SessionRead, Enterprise::Both, Handler::Read(&session::INFO))],
    },
    Route {
        pattern: "/v1/session/list",
        methods: &[on("GET", Rule::SessionRead, Enterprise::Both, Handler::Read(&session::LIST))],
    },
    Route {
        pattern: "/v1/session/node/",
        methods: &[on("GET", Rule::SessionRead, Enterprise::Both, Handler::Read(&session::NODE))],
    },
    Route {
        pattern: "/v1/session/renew/",
        methods: &[on("PUT", Rule::SessionWrite, Enterprise::Both, Handler::Call(session::renew))],
    },
    Route {
        pattern: "/v1/snapshot",
        methods: &[
            on("GET", Rule::Snapshot, Enterprise::Ignored, Handler::Call(snapshot::save)),
            on("PUT", Rule::Snapshot, Enterprise::Ignored, Handler::Call(snapshot::restore)),
        ],
    },
    Route {
        pattern: "/v1/status/leader",
        methods: &[on("GET", Rule::Open, Enterprise::Ignored, Handler::Call(status::leader))],
    },
    Route {
        pattern: "/v1/status/peers",
        methods: &[on("GET", Rule::Open, Enterprise::Ignored, Handler::Call(status::peers))],
    },
    Route {
        pattern: "/v1/txn",
        methods: &[on("PUT", Rule::EachOperation, Enterprise::Ignored, Handler::Call(txn::apply))],
    },
];
