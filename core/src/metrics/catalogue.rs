//! Every metric: its name, kind and help.
//!
//! Those declared here are in the Prometheus form from the start, with 0, unless they only exist with labels.

use super::recorder::Endpoint;

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Many values: a summary in the Prometheus form.
    Sample,
}

macro_rules! metrics {
    ($($id:ident $kind:ident $name:literal $help:literal;)*) => {
        /// A metric that the parts of the system count by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[allow(missing_docs)] // the table below says it
        pub enum Metric { $($id,)* }

        impl Metric {
            /// All of them, in order of their numbers.
            pub const ALL: &'static [Metric] = &[$(Metric::$id,)*];

            /// Name as in JSON, without the prefix; parts are divided by dots.
            pub const fn name(self) -> &'static str {
                match self { $(Metric::$id => $name,)* }
            }

            /// Counter, gauge or sample.
            pub const fn kind(self) -> Kind {
                match self { $(Metric::$id => Kind::$kind,)* }
            }

            /// One line for people.
            pub const fn help(self) -> &'static str {
                match self { $(Metric::$id => $help,)* }
            }
        }
    };
}

metrics! {
    ApiHttp Sample "api.http" "Milliseconds from the arrival of an HTTP request to its answer, waiting included.";
    AclResolveToken Sample "acl.ResolveToken" "Milliseconds to resolve an ACL token.";
    AclTokenCacheHit Counter "acl.token.cache_hit" "ACL tokens found in the cache.";
    AclTokenCacheMiss Counter "acl.token.cache_miss" "ACL tokens not found in the cache.";
    AclApply Sample "acl.apply" "Milliseconds to apply a change of the ACL system.";
    CacheFetchSuccess Counter "cache.fetch_success" "Answers of servers that came for the agent's cache.";
    CacheFetchError Counter "cache.fetch_error" "Questions of the agent's cache that no server answered.";
    CatalogRegister Sample "catalog.register" "Milliseconds from a catalog registration's proposal to its application.";
    CatalogDeregister Sample "catalog.deregister" "Milliseconds from a catalog deregistration's proposal to its application.";
    CatalogServiceQuery Counter "catalog.service.query" "Catalog queries for a service.";
    CatalogServiceQueryTag Counter "catalog.service.query-tag" "Catalog queries for a service with one tag.";
    CatalogServiceQueryTags Counter "catalog.service.query-tags" "Catalog queries for a service with tags.";
    CatalogServiceNotFound Counter "catalog.service.not-found" "Catalog queries for a service that is not registered.";
    ClientApiDatacenters Counter "client.api.catalog_datacenters" "Requests of HTTP to list datacenters in the catalog.";
    ClientApiDeregister Counter "client.api.catalog_deregister" "Requests of HTTP to deregister in the catalog.";
    ClientApiNodeServiceList Counter "client.api.catalog_node_service_list" "Requests of HTTP to list a node's services in the catalog.";
    ClientApiNodeServices Counter "client.api.catalog_node_services" "Requests of HTTP to show a node with its services in the catalog.";
    ClientApiNodes Counter "client.api.catalog_nodes" "Requests of HTTP to list nodes in the catalog.";
    ClientApiRegister Counter "client.api.catalog_register" "Requests of HTTP to register in the catalog.";
    ClientApiServiceNodes Counter "client.api.catalog_service_nodes" "Requests of HTTP to list a service's instances in the catalog.";
    ClientApiServices Counter "client.api.catalog_services" "Requests of HTTP to list services in the catalog.";
    ClientApiSuccessDatacenters Counter "client.api.success.catalog_datacenters" "Requests of HTTP to list datacenters in the catalog that were answered.";
    ClientApiSuccessDeregister Counter "client.api.success.catalog_deregister" "Requests of HTTP to deregister in the catalog that were answered.";
    ClientApiSuccessNodeServiceList Counter "client.api.success.catalog_node_service_list" "Requests of HTTP to list a node's services in the catalog that were answered.";
    ClientApiSuccessNodeServices Counter "client.api.success.catalog_node_services" "Requests of HTTP to show a node with its services in the catalog that were answered.";
    ClientApiSuccessNodes Counter "client.api.success.catalog_nodes" "Requests of HTTP to list nodes in the catalog that were answered.";
    ClientApiSuccessRegister Counter "client.api.success.catalog_register" "Requests of HTTP to register in the catalog that were answered.";
    ClientApiSuccessServiceNodes Counter "client.api.success.catalog_service_nodes" "Requests of HTTP to list a service's instances in the catalog that were answered.";
    ClientApiSuccessServices Counter "client.api.success.catalog_services" "Requests of HTTP to list services in the catalog that were answered.";
    ClientRpcErrorDatacenters Counter "client.rpc.error.catalog_datacenters" "Requests of HTTP to list datacenters in the catalog that no server answered well.";
    ClientRpcErrorDeregister Counter "client.rpc.error.catalog_deregister" "Requests of HTTP to deregister in the catalog that no server answered well.";
    ClientRpcErrorNodeServiceList Counter "client.rpc.error.catalog_node_service_list" "Requests of HTTP to list a node's services in the catalog that no server answered well.";
    ClientRpcErrorNodeServices Counter "client.rpc.error.catalog_node_services" "Requests of HTTP to show a node with its services in the catalog that no server answered well.";
    ClientRpcErrorNodes Counter "client.rpc.error.catalog_nodes" "Requests of HTTP to list nodes in the catalog that no server answered well.";
    ClientRpcErrorRegister Counter "client.rpc.error.catalog_register" "Requests of HTTP to register in the catalog that no server answered well.";
    ClientRpcErrorServiceNodes Counter "client.rpc.error.catalog_service_nodes" "Requests of HTTP to list a service's instances in the catalog that no server answered well.";
    ClientRpcErrorServices Counter "client.rpc.error.catalog_services" "Requests of HTTP to list services in the catalog that no server answered well.";
    ClientRpc Counter "client.rpc" "Requests of this agent to a server, itself included.";
    ClientRpcExceeded Counter "client.rpc.exceeded" "Requests of this agent that its own rate limit refused.";
    ClientRpcFailed Counter "client.rpc.failed" "Requests of this agent to a server that failed.";
    DnsDomainQuery Sample "dns.domain_query" "Milliseconds to answer a DNS query for a name in the domain.";
    DnsConnRefused Counter "dns.conn_refused" "DNS connections that were refused, for there were too many.";
    DnsPtrQuery Sample "dns.ptr_query" "Milliseconds to answer a reverse DNS query.";
    DnsQuery Sample "dns.query" "Milliseconds to answer a DNS query, by type.";
    HealthServiceQuery Counter "health.service.query" "Health queries for a service.";
    HealthServiceQueryTag Counter "health.service.query-tag" "Health queries for a service with a tag; also counted as query_tags.";
    HealthServiceQueryTags Counter "health.service.query-tags" "Health queries for a service with tags.";
    HealthServiceNotFound Counter "health.service.not-found" "Health queries for a service that is not registered.";
    HttpConnRefused Counter "http.conn_refused" "HTTP connections that were refused, for their address has too many.";
    KvsApply Sample "kvs.apply" "Milliseconds from a key's write being proposed to its application.";
    LeaderReconcile Sample "leader.reconcile" "Milliseconds to bring the catalog in line with the members.";
    RaftApply Counter "raft.apply" "Entries proposed by this leader.";
    RaftBarrier Counter "raft.barrier" "Barriers proposed by this leader.";
    RaftCommitTime Sample "raft.commitTime" "Milliseconds from an entry's proposal at the leader to its commit.";
    RaftFsmApply Sample "raft.fsm.apply" "Milliseconds to apply one run of committed entries, publication included.";
    RaftDispatchLog Sample "raft.leader.dispatchLog" "Milliseconds to write one batch of entries to disk.";
    RaftLastContact Sample "raft.leader.lastContact" "Milliseconds since the leader was last able to reach a quorum of followers.";
    RaftAppendEntries Sample "raft.rpc.appendEntries" "Milliseconds from a leader's entries coming to this follower to their being on its disk.";
    RaftStateCandidate Counter "raft.state.candidate" "How often this server became a candidate.";
    RaftStateFollower Counter "raft.state.follower" "How often this server became a follower.";
    RaftStateLeader Counter "raft.state.leader" "How often this server became the leader.";
    RaftHeartbeatTimeout Counter "raft.transition.heartbeat_timeout" "Elections begun because no leader was heard from.";
    RaftVerifyLeader Counter "raft.verify_leader" "Times that this leader confirmed its leadership for a read.";
    RaftMainSaturation Sample "raft.thread.main.saturation" "Share of the time that the node's thread was busy, 0 to 1.";
    RaftFsmSaturation Sample "raft.thread.fsm.saturation" "Share of the time that applying entries took, 0 to 1.";
    RpcAcceptConn Counter "rpc.accept_conn" "Connections accepted from other agents and servers.";
    RpcConsistentRead Sample "rpc.consistentRead" "Milliseconds to confirm leadership for a consistent read.";
    RpcCrossDc Counter "rpc.cross-dc" "Requests sent to another datacenter.";
    RpcQuery Counter "rpc.query" "Reads served by this server.";
    RpcRequest Counter "rpc.request" "Requests served by this server.";
    RpcRequestError Counter "rpc.request_error" "Requests that failed in this server.";
    SerfMemberJoin Counter "serf.member.join" "Members that joined.";
    SerfMemberLeft Counter "serf.member.left" "Members that left.";
    SerfMemberFailed Counter "serf.member.failed" "Members that failed.";
    SerfMemberFlap Counter "serf.member.flap" "Members that failed and joined again at once.";
    SerfEvents Counter "serf.events" "User events that were heard.";
    SerfQueries Counter "serf.queries" "Questions of serf that were heard.";
    MemberlistUdpReceived Counter "memberlist.udp.received" "Bytes of gossip packets that came.";
    MemberlistUdpSent Counter "memberlist.udp.sent" "Bytes of gossip packets that were sent.";
    MemberlistTcpAccept Counter "memberlist.tcp.accept" "Gossip connections that others made.";
    MemberlistTcpConnect Counter "memberlist.tcp.connect" "Gossip connections that were made to others.";
    MemberlistTcpSent Counter "memberlist.tcp.sent" "Bytes that were written to gossip connections.";
    MemberlistMsgAlive Counter "memberlist.msg.alive" "News of members that are there.";
    MemberlistMsgSuspect Counter "memberlist.msg.suspect" "Members that came under suspicion.";
    MemberlistMsgDead Counter "memberlist.msg.dead" "News of members that are gone.";
    MemberlistDegradedProbe Counter "memberlist.degraded.probe" "Probes made more slowly because this agent is not well.";
    GossipRefused Counter "gossip.refused" "What came over gossip and was not taken, by kind.";
    SessionApply Sample "session.apply" "Milliseconds from a session's change being proposed to its application.";
    SessionRenew Sample "session.renew" "Milliseconds to renew a session.";
    TxnApply Sample "txn.apply" "Milliseconds from a transaction being proposed to its application.";
    TxnRead Sample "txn.read" "Milliseconds to answer a read-only transaction.";
    AutopilotFailureTolerance Gauge "autopilot.failure_tolerance" "Voters that may fail before the cluster stops.";
    AutopilotHealthy Gauge "autopilot.healthy" "1 while all servers are healthy as far as this server knows.";
    MembersClients Gauge "members.clients" "Client agents in the datacenter.";
    MembersServers Gauge "members.servers" "Servers in the datacenter.";
    RaftAppliedIndex Gauge "raft.applied_index" "Index of the newest applied entry.";
    RaftLastIndex Gauge "raft.last_index" "Index of the newest entry in the log.";
    RaftPeers Gauge "raft.peers" "Servers in the raft configuration.";
    RpcQueriesBlocking Gauge "rpc.queries_blocking" "Blocking queries that wait now.";
    RuntimeAllocBytes Gauge "runtime.alloc_bytes" "Memory resident now, in bytes.";
    RuntimeSysBytes Gauge "runtime.sys_bytes" "Memory resident now, in bytes; there is no garbage-collected heap beside it.";
    RuntimeGoroutines Gauge "runtime.num_goroutines" "Threads of the process.";
    RuntimeGcPause Gauge "runtime.total_gc_pause_ns" "Always 0: there is no garbage collector.";
    ServerIsLeader Gauge "server.isLeader" "1 on the leader.";
    SessionTtlActive Gauge "session_ttl.active" "Sessions with a TTL that the leader watches.";
    StateBillable Gauge "state.billable_service_instances" "Service instances, without consul itself.";
    StateKvEntries Gauge "state.kv_entries" "Keys in the key-value store.";
    StateNodes Gauge "state.nodes" "Nodes in the catalog.";
    StateServiceInstances Gauge "state.service_instances" "Service instances in the catalog.";
    StateServices Gauge "state.services" "Names of services in the catalog.";
    Version Gauge "version" "1, with the version as labels.";
    RaftLeader Gauge "raft.leader" "1 on the leader, 0 elsewhere.";
    SerfMemberStatus Gauge "serf.member.status" "State of each member as serf numbers it: 1 alive, 2 leaving, 3 left, 4 failed.";
    MemberlistHealthScore Gauge "memberlist.health.score" "How unwell this agent is: 0 is healthy, 7 the worst.";
    MemberlistNodeInstances Gauge "memberlist.node.instances" "Members by state.";
    CatalogServiceCount Gauge "catalog.service.count" "Names of services in the catalog.";
    RpcRequestRate Gauge "rpc.request.rate" "Requests a second over the last finished interval.";
    RpcQueryRate Gauge "rpc.query.rate" "Reads a second over the last finished interval.";
}

/// How many there are.
pub(super) const COUNT: usize = Metric::ALL.len();

impl Metric {
    /// The label of the names that it is counted by.
    pub(super) const fn named_by(self) -> &'static str {
        match self {
            Metric::RpcCrossDc => "datacenter",
            _ => "service",
        }
    }

    /// Is not there, not even as 0, on an agent that is no server: alerts on it would go off.
    pub(super) const fn servers_only(self) -> bool {
        matches!(
            self,
            Metric::AutopilotHealthy
                | Metric::AutopilotFailureTolerance
                | Metric::RaftPeers
                | Metric::RaftLeader
                | Metric::CatalogServiceCount
                | Metric::RpcRequestRate
                | Metric::RpcQueryRate
        )
    }

    /// Exists only with labels, so that it cannot be shown before something happened.
    pub(super) const fn labelled_only(self) -> bool {
        matches!(
            self,
            Metric::ApiHttp
                | Metric::SerfMemberStatus
                | Metric::Version
                | Metric::SerfEvents
                | Metric::SerfQueries
                | Metric::MemberlistUdpReceived
                | Metric::MemberlistUdpSent
                | Metric::MemberlistTcpAccept
                | Metric::MemberlistTcpConnect
                | Metric::MemberlistTcpSent
                | Metric::MemberlistMsgAlive
                | Metric::MemberlistMsgSuspect
                | Metric::MemberlistMsgDead
                | Metric::MemberlistDegradedProbe
                | Metric::MemberlistHealthScore
                | Metric::MemberlistNodeInstances
                | Metric::GossipRefused
        )
    }

    /// What counts requests to an endpoint of the catalog: those that came, those answered well, and those that failed.
    pub(super) fn of_catalog(endpoint: Endpoint) -> Option<[Metric; 3]> {
        use Metric::*;
        Some(match (endpoint.method, endpoint.pattern) {
            ("GET", "/v1/catalog/datacenters") => {
                [ClientApiDatacenters, ClientApiSuccessDatacenters, ClientRpcErrorDatacenters]
            }
            ("PUT", "/v1/catalog/deregister") => {
                [ClientApiDeregister, ClientApiSuccessDeregister, ClientRpcErrorDeregister]
            }
            ("GET", "/v1/catalog/node-services/") => {
                [ClientApiNodeServiceList, ClientApiSuccessNodeServiceList, ClientRpcErrorNodeServiceList]
            }
            ("GET", "/v1/catalog/node/") => {
                [ClientApiNodeServices, ClientApiSuccessNodeServices, ClientRpcErrorNodeServices]
            }
            ("GET", "/v1/catalog/nodes") => [ClientApiNodes, ClientApiSuccessNodes, ClientRpcErrorNodes],
            ("PUT", "/v1/catalog/register") => {
                [ClientApiRegister, ClientApiSuccessRegister, ClientRpcErrorRegister]
            }
            ("GET", "/v1/catalog/service/") => {
                [ClientApiServiceNodes, ClientApiSuccessServiceNodes, ClientRpcErrorServiceNodes]
            }
            ("GET", "/v1/catalog/services") => {
                [ClientApiServices, ClientApiSuccessServices, ClientRpcErrorServices]
            }
            _ => return None,
        })
    }

    /// Carries the name of this node as a label.
    pub(super) fn has_node(self) -> bool {
        let dns = matches!(self, Metric::DnsDomainQuery | Metric::DnsPtrQuery | Metric::DnsQuery);
        dns || self.name().starts_with("client.api.") || self.name().starts_with("client.rpc.error.")
    }
}
