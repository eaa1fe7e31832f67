# SPDX-License-Identifier: GPL-2.0
"""What lies beyond the firewalls: a server to which the client has connections through
them. It lives on the client's machine, in a namespace; all are on one wire."""

from __future__ import annotations

from cluster import Connection, Node, wait_for

# the shared address of the firewalls on the server's side
GATEWAY = "192.0.2.1"
SERVER = "192.0.2.100"
PORT = 5001

ECHO = f"""
import socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(4096):
            self.request.sendall(data)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
server = Server(("", {PORT}), Echo)
print("ready", flush=True)
server.serve_forever()
"""

# the strict kind of conntrack: a connection that is not known is not taken up
FORWARDING = """
    chain forward {
        type filter hook forward priority filter
        policy drop
        ct state invalid drop
        tcp flags & (fin | syn | rst | ack) != syn ct state new drop
        accept
    }
"""
SYSCTLS = {
    "net.ipv4.ip_forward": 1,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.eth0.send_redirects": 0,
    "net.netfilter.nf_conntrack_tcp_loose": 0,
}


def address_of(node: Node) -> str:
    """The node's own one on the server's side."""
    return node.address.replace("10.0.0", "192.0.2")


class Outside:
    """The server, reached by way of `gateway`, an address on the client's side."""

    def __init__(self, client: Node, gateway: str) -> None:
        self.client = client
        self.client.run("ip", "netns", "add", "server")
        words = "link add link eth0 name outside type macvlan mode bridge"
        self.client.run("ip", *words.split())
        self.client.run("ip", "link", "set", "outside", "netns", "server")
        for line in (
            "link set outside up",
            f"addr add {SERVER}/24 dev outside",
            f"route add default via {GATEWAY}",
        ):
            self.client.run("ip", "-n", "server", *line.split())
        self.client.run("ip", "route", "add", f"{SERVER}/32", "via", gateway)
        server = self.client.spawn("ip", "netns", "exec", "server", "python3", "-c", ECHO)
        wait_for(lambda: "ready" in self.client.output_of(server), 20, "the server listens")

    def connect(self) -> Connection:
        connection = self.client.connect(SERVER, PORT)
        connection.check()
        return connection

    def close(self) -> None:
        # or it answers for the next one's address until its namespace is gone
        self.client.run("ip", "-n", "server", "link", "del", "outside")


def wait_tracked(node: Node, connection: Connection) -> None:
    wait_for(lambda: tracked(node, connection) == "ESTABLISHED", 5, f"{node} knows of it")


def tracked(node: Node, connection: Connection) -> str:
    """The state of a connection as a firewall knows it."""
    words = f"-L -p tcp --sport {connection.port} --dport {PORT}"
    line = node.run("conntrack", *words.split()).split()
    return line[3] if line else "none"
