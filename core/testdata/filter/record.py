#!/usr/bin/env python3
"""Asks a real Consul every question of this directory again and writes down its answers.

    CONSUL_BIN=/path/to/consul core/testdata/filter/record.py

It starts an agent of its own on loopback, with a data directory that it removes, registers what `SETUP`
says and rewrites cases.txt: one JSON array a line, [path, filter, status, answer]. The answer is the
error's text, or the elements that passed. `~` stands for a request whose connection Consul closed.
"""
import http.client, json, os, shutil, subprocess, sys, tempfile, time, urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
PORT = int(os.environ.get("PORT", "18690"))

SETUP = [
    ["/v1/catalog/register", {"Node": "a", "ID": "aaaaaaaa-0000-0000-0000-000000000001", "Address": "10.0.0.1",
        "NodeMeta": {"os": "linux", "rack": "1", "a.b": "dot"}, "TaggedAddresses": {"lan": "10.0.0.1", "wan": "1.2.3.4"},
        "Service": {"ID": "web1", "Service": "web", "Tags": ["v1", "blue"], "Port": 80, "Address": "10.1.0.1",
            "Meta": {"team": "core", "empty": "", "k-1": "dash"}, "Weights": {"Passing": 10, "Warning": 2},
            "TaggedAddresses": {"lan": {"Address": "10.1.0.1", "Port": 80}, "wan": {"Address": "5.6.7.8", "Port": 8080}}},
        "Checks": [{"CheckID": "alive", "Name": "alive", "Status": "passing", "Output": "all good"},
                   {"CheckID": "web1-http", "Name": "http", "Status": "warning", "Notes": "slow?", "Output": "took 3s", "ServiceID": "web1"}]}],
    ["/v1/catalog/register", {"Node": "b", "Address": "10.0.0.2", "NodeMeta": {"os": "windows"},
        "Service": {"ID": "web2", "Service": "web", "Tags": ["v2", "green"], "Port": 8080, "EnableTagOverride": True,
            "Meta": {"team": "edge"}},
        "Checks": [{"CheckID": "alive", "Name": "alive", "Status": "critical", "Output": "no route"},
                   {"CheckID": "web2-http", "Name": "http", "Status": "passing", "ServiceID": "web2"}]}],
    ["/v1/catalog/register", {"Node": "b", "Address": "10.0.0.2", "SkipNodeUpdate": True,
        "Service": {"ID": "db1", "Service": "db", "Tags": ["primary"], "Port": 5432, "SocketPath": "/run/db.sock"}}],
    ["/v1/catalog/register", {"Node": "c", "Address": "10.0.0.3",
        "Service": {"ID": "web3", "Service": "web", "Port": 0}}],
    ["/v1/agent/service/register", {"ID": "local1", "Name": "local", "Tags": ["x", "y"], "Port": 1, "Meta": {"m": "1"},
        "Check": {"TTL": "1h", "Status": "passing", "Notes": "note"}}],
    ["/v1/agent/service/register", {"ID": "local2", "Name": "local", "Port": 2}],
    ["/v1/agent/check/register", {"ID": "lone", "Name": "lone", "TTL": "1h", "Status": "warning"}],
]

NODES, NODE_CHECKS, STATE = "/v1/catalog/nodes", "/v1/health/node/a", "/v1/health/state/any"
WEB, ENTRIES, CHECKS = "/v1/catalog/service/web", "/v1/health/service/web", "/v1/health/checks/web"
SERVICES, MAP, LIST = "/v1/catalog/services", "/v1/catalog/node/b", "/v1/catalog/node-services/b"
OWN, OWN_CHECKS, MEMBERS = "/v1/agent/services", "/v1/agent/checks", "/v1/agent/members"

QUESTIONS = [
    (NODES, """
Node == a
Node == "a"
Node == `a`
Node==a
Node=="a"
Node != a
Node == A
ID == ""
ID != ""
Address == "10.0.0.1"
Address == 10.0
"10.0.0" in Address
0.2 in Address
"0.3" not in Address
Address contains "0.0.3"
Address not contains "0.0.3"
Address matches "[.]1$"
Address not matches "[.]1$"
Node matches "^(a|b)$"
Node matches `^[^c]$`
Node matches ""
Node matches "(?i)^A$"
Datacenter == dc1
Partition == ""
PeerName == ""
PeerName != x
Meta.os == linux
Meta.os != linux
Meta["os"] == linux
Meta[ "os" ] == linux
Meta[`os`] == "linux"
Meta["a.b"] == dot
Meta.a.b == dot
Meta.none == x
Meta.none != x
x in Meta.none
x not in Meta.none
Meta.none matches x
Meta.none not matches x
Meta.none is empty
Meta is empty
Meta is not empty
os in Meta
os not in Meta
Meta contains rack
Meta not contains rack
"" in Meta
Meta.rack == 1
Meta.rack == 01
Meta[""] == x
TaggedAddresses.wan == "1.2.3.4"
TaggedAddresses.wan != "1.2.3.4"
"wan" in TaggedAddresses
TaggedAddresses is empty
Node == a or Node == b
Node == a and Meta.os == linux
Node == a or Node == b and Meta.os == linux
(Node == a or Node == b) and Meta.os == linux
not Node == a
not not Node == a
not (Node == a or Node == b)
not Node == a and not Node == b
( Node == a )
((Node == a))
(Node == a) or (Node == b)
 Node  ==  a 
Node is empty
Node is not empty
Node
Node ==
== a
a
a b
"a"
"a" == Node
Node = a
Node === a
Node == a and
Node == a or
Node == a xor Node == b
Node == a or Node
and
not
not Node
()
(
)
(Node == a
Node == a)
((Node == a)
(Node == a))
Node == 'a'
Node == "a
Node == `a
Node == "a\\q"
Node == "\\x61"
Node == "\\u0061"
Node == "a\\n"
Node == 1.
Node == 1.5.2
Node == 01
Node == -1
Node == -a
Node == 3x
Node == 3)
Node == é
"é" in Node
Node in a
a in
a in "Node"
3 in 3
a not in Node
a not  in Node
Node not contains a
Node not
Node not a
Node is
Node is nothing
Node is not
Node isempty
Node contains
Node containsa
Node matches
Node matches "("
Node matches ")"
Node matches "["
Node matches "*"
Node matches "a**"
Node matches "a{1001}"
Node matches "\\\\"
Node matches "\\\\d"
Node matches "\\\\q"
Node matches "(?=a)"
Node matches "[z-a]"
Node matches "\\\\p{Nope}"
Node matches "(?P<n"
Node matches a
Foo == a
Node.a == b
Node["a"] == b
Node[a] == b
Node["a" == b
Node["a
Node.
Node.1 == a
Meta. os == linux
Meta == a
Meta matches a
Meta is a
node == a
CreateIndex == 1
ModifyIndex == 1
Locality.Region == a
RaftIndex.CreateIndex == 1
is is empty
in in in
not in Node
not is empty
or == a
and == a
Node == and
Node == not
Node == in
Node == or and Node == a
Node == a.b
Node == a["b"]
Node == a[b]
Nodé == a
_Node == a
Node_ == a
1Node == a
Node==a and(Node==a)
Node==a and (Node==a)or Node==b
not(Node == a)
Foo == a or Bar == b
Node == a or Bar == b
Node matches "(" and Foo == b
"""),
    (WEB, """
ServiceID == web1
ServiceName == web
v1 in ServiceTags
"v1" not in ServiceTags
ServiceTags contains blue
ServiceTags is empty
ServiceTags is not empty
ServiceTags == v1
ServiceTags matches v1
ServicePort == 80
ServicePort == 0x50
ServicePort != 80
ServicePort == "80"
ServicePort == 0
ServicePort == 080
ServicePort == abc
ServicePort == 80.0
ServicePort == -80
ServicePort == 99999999999999999999
ServicePort in 8
8 in ServicePort
ServicePort matches 8
ServicePort is empty
ServiceEnableTagOverride == true
ServiceEnableTagOverride == T
ServiceEnableTagOverride == 1
ServiceEnableTagOverride != true
ServiceEnableTagOverride == yes
ServiceMeta.team == core
ServiceMeta.empty == ""
ServiceMeta["k-1"] == dash
ServiceMeta.k-1 == dash
ServiceWeights.Passing == 10
ServiceWeights.Warning == 1
ServiceWeights == 1
ServiceWeights is empty
ServiceWeights.Nope == 1
ServiceTaggedAddresses.wan.Port == 8080
ServiceTaggedAddresses.wan.Address == "5.6.7.8"
ServiceTaggedAddresses.none.Port == 1
ServiceTaggedAddresses.none.Port != 1
ServiceTaggedAddresses.none == 1
"wan" in ServiceTaggedAddresses
ServiceTaggedAddresses is empty
NodeMeta.os == linux
Node == b
ID == ""
ServiceKind == ""
ServiceAddress == ""
ServiceSocketPath == ""
ServiceConnect.Native == false
ServiceProxy.Mode == ""
ServiceProxy.Upstreams is empty
ServiceProxy.Upstreams.DestinationName == x
ServiceProxy.Upstreams.DestinationName != x
ServiceProxy.Upstreams.LocalBindPort == 0
ServiceProxy.Expose.Checks == false
ServiceProxy.Config.a == 1
ServiceProxy.MeshGateway.Mode == ""
ServiceProxy.TransparentProxy.OutboundListenerPort == 0
ServiceLocality.Region == x
Service == web
Tags contains v1
"""),
    (ENTRIES, """
Service.ID == web1
Node.Node == a
Node.Meta.os == linux
Service.Tags contains v1
Service.Port == 80
Service.Meta.team matches "^(core|edge)$"
Checks is empty
Checks is not empty
Checks.Status == critical
Checks.Status != passing
Checks.Status == passing
not Checks.Status == passing
Checks.Output contains "3s"
good in Checks.Output
Checks.ServiceTags is empty
v1 in Checks.ServiceTags
Checks.Name == http
Checks == a
Checks contains a
Checks.Definition.HTTP == ""
Checks.ExposedPort == 0
Service.Weights.Passing == 10
Service.Proxy.DestinationServiceName == ""
Service.Connect.Native == false
Service.Connect.SidecarService is empty
ServiceID == web1
Node is empty
Service == a
"""),
    (ENTRIES + "?passing", "Checks.Status == passing\nNode.Node == b\n"),
    (ENTRIES + "?tag=v1", "Service.ID == web1\nService.ID == web2\n"),
    (ENTRIES + "?node-meta=os:linux", "Service.ID == web1\nService.ID == web2\n"),
    (ENTRIES + "?index=1", "Service.ID == web1\nFoo == a\nNode ==\n"),
    (ENTRIES + "?cached", "Service.ID == web1\nFoo == a\nNode ==\n"),
    (CHECKS, """
Status == warning
Status != warning
ServiceID == web2
Name == http and Output is empty
Output == ""
"slow" in Notes
v1 in ServiceTags
Type == ""
Interval == ""
Timeout matches "^$"
Definition.HTTP == ""
CheckID matches "^web1"
ExposedPort == 0
"""),
    (NODE_CHECKS, "CheckID == alive\nServiceName == web\nServiceName == \"\"\nFoo == a\nNode == a\n"),
    (STATE, "Status == passing\nNode == b and Status == critical\nStatus ==\nServiceTags is empty\n"),
    ("/v1/health/state/critical", "Node == a\nNode == b\n"),
    (SERVICES, """
ServiceName == web
v1 in ServiceTags
NodeMeta.os == windows
Node == b
Node == c
Address == "10.0.0.2"
ServicePort == 5432
Foo == a
Tags == a
"""),
    (SERVICES + "?node-meta=os:windows", "ServiceName == db\nAddress == \"10.0.0.2\"\nAddress == \"\"\nNodeMeta is empty\nNode == b\n"),
    (MAP, "Service == web\nPort == 5432\nID == nope\nTags contains primary\nSocketPath == \"/run/db.sock\"\nServiceID == web\nDatacenter == dc1\n"),
    ("/v1/catalog/node/none", "Service == web\nFoo == a\n"),
    (LIST, "Service == web\nPort == 5432\nID == nope\nEnableTagOverride == true\nServiceID == web\n"),
    ("/v1/catalog/node-services/none", "Service == web\nFoo == a\n"),
    ("/v1/catalog/service/", "Foo == a\n"),
    ("/v1/health/service/?passing=x", "Foo == a\n"),
    (NODES + "?wait=x", "Foo == a\n"),
    (NODES + "?dc=other", "Foo == a\n"),
    (OWN, """
Service == local
ID == local1
Tags contains x
Tags is empty
Port == 2
Meta.m == 1
Meta is empty
Weights.Passing == 1
Kind == ""
PeerName == ""
Datacenter == dc1
Foo == a
ID ==
Proxy.Mode == ""
Connect.Native == false
"""),
    (OWN_CHECKS, """
CheckID == lone
Status == passing
ServiceID == local1
ServiceTags contains x
Type == ttl
Notes == note
Foo == a
CheckID ==
CheckID is empty
"""),
    (MEMBERS, """
Name == n1
Name == n2
Status == 1
Status == x
Tags.role == consul
Tags["dc"] == dc1
role in Tags
Tags is empty
127 in Addr
255 in Addr
Addr is empty
Addr is not empty
300 in Addr
x in Addr
-1 in Addr
Addr == "127.0.0.1"
Port == 70000
Port == -1
ProtocolCur == 2
DelegateMax == 5
DelegateMax == 256
Tagss is empty
Name ==
"""),
    ("/v1/kv/?keys", "Foo == a\n"),
]


def elements(body):
    """What passed: elements that belong to the agent's own node count only where they are all there is."""
    value = json.loads(body)
    if isinstance(value, dict) and "Services" in value:
        node, value = value["Node"], value["Services"]
        head = ["node"] if node else []
    else:
        head = []
    if value is None:
        return head + ["null"]
    if isinstance(value, dict):
        return head + sorted(k for k in value if k not in ("consul", "local", "serfHealth"))
    names = []
    for one in value:
        if isinstance(one, str):
            names.append(one)
            continue
        if "Service" in one and isinstance(one["Service"], dict):
            one = {"Node": one["Node"]["Node"], "ID": one["Service"]["ID"]}
        if one.get("Node") == "n1":
            continue
        parts = [one.get(k) for k in ("Node", "ServiceID", "CheckID", "Name") if one.get(k)]
        names.append("/".join(parts) or one.get("ID"))
    return head + sorted(names)


def ask(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return 0, "~"
    finally:
        connection.close()


def main():
    data = tempfile.mkdtemp()
    config = {"node_name": "n1", "server": True, "bootstrap": True, "data_dir": data, "bind_addr": "127.0.0.1",
              "client_addr": "127.0.0.1", "log_level": "ERR", "performance": {"raft_multiplier": 1},
              "ports": {"http": PORT, "dns": -1, "server": PORT + 1, "serf_lan": PORT + 2, "serf_wan": -1,
                        "grpc": -1, "grpc_tls": -1}, "connect": {"enabled": False}, "disable_update_check": True}
    path = os.path.join(data, "c.json")
    with open(path, "w") as f:
        json.dump(config, f)
    agent = subprocess.Popen([os.environ["CONSUL_BIN"], "agent", "-config-file", path], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            time.sleep(0.1)
            try:
                if ask("GET", "/v1/health/node/n1")[1].count("serfHealth"):
                    break
            except OSError:
                pass
        for path, body in SETUP:
            status, text = ask("PUT", path, json.dumps(body))
            assert status == 200, (path, text)
        time.sleep(1)
        lines = ["# Recorded by record.py from Consul 1.21.5: [path, filter, status, answer].\n"]
        lines += [json.dumps(["PUT", path, body], ensure_ascii=False) + "\n" for path, body in SETUP]
        for path, texts in QUESTIONS:
            for text in texts.strip("\n").split("\n"):
                join = "&" if "?" in path else "?"
                status, body = ask("GET", path + join + "filter=" + urllib.parse.quote(text, safe=""))
                answer = elements(body) if status == 200 else body
                lines.append(json.dumps([path, text, status, answer], ensure_ascii=False) + "\n")
        with open(os.path.join(HERE, "cases.txt"), "w") as f:
            f.writelines(lines)
        print(len(lines), "lines")
    finally:
        agent.terminate()
        agent.wait()
        shutil.rmtree(data)


if __name__ == "__main__":
    sys.exit(main())
