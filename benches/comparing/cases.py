"""The measurements. Each starts the servers it compares, asks them in turn, round by round, and notes what the kernel's
accounting and the clients say."""
import json, re, statistics, subprocess, sys

from .machine import PEERS, SMALLEST, OURS, say
from .servers import (ALL, BODIES, CADDY_PEER, HAPROXY_PEER, HYPER, MTLS_MIN, NGINX_PEER, NODE, RESUMING, SMALL, STALLING,
                      Peer, Server, free_port, ours)
from .trust import authorised_clients, policy, revocation_list

MEGABYTES_16 = 16_000_000


class Bench:
    """What is measured with, and what was measured: figures by case, server and metric, one for each round."""

    def __init__(self, keys, work, rounds, scale, peers):
        self.keys, self.work, self.rounds, self.scale = keys, work, rounds, scale
        self.only = peers
        self.figures = {}

    def start(self, peer, kind="P-256"):
        return Server(peer, self.keys[kind], self.work)

    def chosen(self, peers):
        """Of these peers those that were asked for; mtls-min always."""
        return [peer for peer in peers if peer.name.startswith("mtls-min") or not self.only or peer.name in self.only]

    def count(self, number, least=20):
        """So many operations, or fewer in a run that only sees whether all works."""
        return max(least, round(number * self.scale))

    def note(self, case, server, **figures):
        for metric, value in figures.items():
            self.figures.setdefault(case, {}).setdefault(server, {}).setdefault(metric, []).append(value)

    def median(self, case, server, metric):
        values = self.figures.get(case, {}).get(server, {}).get(metric)
        return statistics.median(values) if values else None


def load(*words, keys=None):
    command = [str(PEERS / "load"), *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if ran.returncode:
        sys.exit(f"compare: {' '.join(command)} failed: {ran.stderr}")
    return json.loads(ran.stdout)


def ab(server, keys, requests, clients, keep=False, stranger=False):
    """Figures of `ab`, an independent load generator."""
    options = (["-k"] if keep else []) + ([] if stranger else ["-E", keys / "client1-both.pem"])
    # -l: it takes what has come in the first read of its first answer for the length of all.
    command = ["ab", "-q", "-l", *options, "-n", str(requests), "-c", str(clients), f"https://{server.address}/"]
    before = server.cpu()
    out = subprocess.run(command, capture_output=True, text=True, timeout=600).stdout
    spent = server.cpu() - before
    figure = lambda pattern: (re.search(pattern, out) or sys.exit(f"compare: {server.name}: ab failed\n{out}"))[1]
    done, refused = int(figure(r"Complete requests:\s+(\d+)")), re.search(r"Non-2xx responses:\s+(\d+)", out)
    answered = int(refused[1]) == done if stranger and refused else not refused and not stranger
    if done != requests or not answered or not re.search(r"Failed requests:\s+0\b", out):
        sys.exit(f"compare: {server.name}: ab failed\n{out}")
    return {"cpu_us": spent / done * 1e6, "per_second": float(figure(r"Requests per second:\s+([\d.]+)")),
            "p50_us": 1000 * float(figure(r"\s50%\s+(\d+)")), "p99_us": 1000 * float(figure(r"\s99%\s+(\d+)"))}


def figures_of(seen, seconds):
    """Those of a load generator of ours, with the CPU time that the server spent meanwhile."""
    return {"cpu_us": seconds / seen["count"] * 1e6, "per_second": seen["count"] / seen["seconds"],
            "p50_us": seen["p50_us"], "p99_us": seen["p99_us"]}


def alternate(bench, case, servers, measure):
    """Asks the servers in turn, round by round, after one that does not count."""
    for round in range(bench.rounds + 1):
        for server in servers:
            figures = measure(server)
            if round > 0:
                bench.note(case, server.name, **figures)


def with_servers(bench, peers, kind, work):
    servers = [bench.start(peer, kind) for peer in bench.chosen(peers)]
    try:
        work(servers)
    finally:
        for server in servers:
            server.stop()


def handshakes(bench):
    kinds = {"P-256": (ALL, 2000), "RSA-2048": ([MTLS_MIN, NGINX_PEER, HAPROXY_PEER, HYPER], 1000),
             "RSA-4096": ([MTLS_MIN, NGINX_PEER, HAPROXY_PEER, HYPER], 200)}
    for kind, (peers, number) in kinds.items():
        say(f"handshakes, {kind}")
        requests = bench.count(number)

        def work(servers):
            alternate(bench, f"handshake, {kind}", servers, lambda server: ab(
                server, bench.keys[kind], requests, 8))
        with_servers(bench, peers, kind, work)
    for _ in range(bench.rounds):
        floor = load("floor", bench.keys["P-256"], bench.count(1000))
        bench.note("handshake, P-256", "floor", cpu_us=floor["tls_us"] + floor["tcp_us"])


def stall(bench):
    """A client that leaves Nagle's algorithm on, one connection at a time; beside a server that lets it wait."""
    say("clients without TCP_NODELAY")

    def measure(server):
        seen = load("handshakes", server.address, bench.keys["P-256"], bench.count(100), 1, "nagle")
        return {"p50_us": seen["p50_us"], "p99_us": seen["p99_us"], "per_second": seen["count"] / seen["seconds"]}
    with_servers(bench, [MTLS_MIN, STALLING], "P-256", lambda servers: alternate(
        bench, "client without TCP_NODELAY", servers, measure))


class Held:
    """A load generator that says when it is ready, and measures once it is asked: `load kept`, `load handshakes … resume`."""

    def __init__(self, server, *words):
        command = [str(PEERS / "load"), *map(str, words)]
        self.server, self.process = server, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            sys.exit(f"compare: {server.name}: {' '.join(command)} failed")

    def ask(self):
        before = self.server.cpu()
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.seen = json.loads(self.process.stdout.readline())
        return figures_of(self.seen, self.server.cpu() - before)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


def held_open(server, keys, connections, requests):
    """Connections that are open and idle until they are asked to ask."""
    return Held(server, "kept", server.address, keys, connections, requests)


def resumed(bench):
    """No more at once than the server remembers."""
    say("resumed handshakes")
    keys, number = bench.keys["P-256"], bench.count(1000)

    def measure(server):
        if server.peer is MTLS_MIN:
            before = server.cpu()
            seen = load("handshakes", server.address, keys, number, 4)
            return figures_of(seen, server.cpu() - before)
        held = Held(server, "handshakes", server.address, keys, number, 4, "resume")
        figures = held.ask()
        held.close()
        if held.seen["resumed"] != number:
            sys.exit(f"compare: only {held.seen['resumed']} of {number} handshakes were resumed")
        return figures
    with_servers(bench, [MTLS_MIN, RESUMING], "P-256", lambda servers: alternate(bench, "resumed handshake", servers, measure))


def kept(bench):
    peers = [peer for peer in ALL if peer.asks_for_certificates]
    keys = bench.keys["P-256"]
    for connections, number in [(1, 20_000), (64, 60_000)]:
        say(f"kept alive, {connections}")
        requests = bench.count(number, 200)
        with_servers(bench, peers, "P-256", lambda servers: alternate(
            bench, f"kept alive, {connections}", servers, lambda server: ab(server, keys, requests, connections, keep=True)))
    say("kept alive, 1000")

    def measure(server):
        held = held_open(server, keys, bench.count(1000), bench.count(60_000, 200))
        figures = held.ask()
        held.close()
        return figures
    with_servers(bench, peers, "P-256", lambda servers: alternate(bench, "kept alive, 1000", servers, measure))


def refused(bench):
    say("refused")
    peers = [peer for peer in ALL if peer.asks_for_certificates]
    requests = bench.count(2000)
    with_servers(bench, peers, "P-256", lambda servers: alternate(
        bench, "refused, no certificate", servers,
        lambda server: ab(server, bench.keys["P-256"], requests, 8, stranger=True)))


def bodies(bench):
    times = bench.count(20, 2)
    for direction in ["down", "up"]:
        say(f"bodies {direction}")

        def measure(server):
            before = server.cpu()
            seen = load(direction, server.address, bench.keys["P-256"], MEGABYTES_16, times)
            return {"mb_per_cpu_s": seen["bytes"] / 1e6 / (server.cpu() - before), "mb_per_s": seen["bytes"] / 1e6 / seen["seconds"]}
        with_servers(bench, [BODIES, NGINX_PEER, HYPER], "P-256", lambda servers: alternate(
            bench, f"body {direction}, 16 MB", servers, measure))
        for _ in range(bench.rounds):
            seen = load("aead", bench.count(1000))
            bench.note(f"body {direction}, 16 MB", "AES-128-GCM alone", mb_per_cpu_s=seen["bytes"] / 1e6 / seen["seconds"])


def idle(bench):
    every = [peer for peer in ALL if peer.asks_for_certificates]
    for number, peers in [(1000, every), (10_000, [MTLS_MIN, NGINX_PEER, HYPER])]:
        connections = bench.count(number)
        for peer in bench.chosen(peers):
            say(f"idle connections, {number}, {peer.name}")
            with bench.start(peer) as server:
                before = server.rss()
                held = held_open(server, bench.keys["P-256"], connections, 0)
                bench.note(f"idle connections, {number}", peer.name, kb_each=(server.rss() - before) / connections,
                           threads=server.status("Threads"))
                held.close()


def growth(bench):
    keys = bench.keys["P-256"]
    for connections in [10, 100, 1000, 10_000]:
        say(f"growth, {connections} connections")
        number = bench.count(connections, min(connections, 20))
        for _ in range(bench.rounds):
            with bench.start(MTLS_MIN) as server:
                before = server.rss()
                held = held_open(server, keys, number, bench.count(60_000, 200))
                each = (server.rss() - before) / number
                bench.note("growth", f"{connections} connections", cpu_us=held.ask()["cpu_us"], kb_each=each)
                held.close()
    with bench.start(MTLS_MIN) as server:
        for part in range(5):
            say(f"growth, connections {part * 20_000} to {(part + 1) * 20_000}")
            number = bench.count(20_000)
            seen = load("handshakes", server.address, keys, number, 4)
            bench.note("growth", f"after {(part + 1) * 20_000} connections", per_second=number / seen["seconds"],
                       rss_mb=server.rss() / 1000)


def cold(bench):
    say("cold start")
    peers = bench.chosen([MTLS_MIN, SMALL, NGINX_PEER, HAPROXY_PEER, NODE, HYPER, CADDY_PEER])
    for round in range(bench.rounds + 1):
        for peer in peers:
            port = free_port()
            work = bench.work / f"cold-{port}"
            work.mkdir()
            command = peer.command(bench.keys["P-256"], work, port)
            seen = load("cold", f"127.0.0.1:{port}", bench.keys["P-256"], *command)
            if round > 0:
                bench.note("cold start", peer.name, ms=seen["microseconds"] / 1000)


def footprint(bench):
    say("footprint")
    keys = bench.keys["P-256"]
    for peer in bench.chosen([MTLS_MIN, SMALL, NGINX_PEER, HAPROXY_PEER, NODE, HYPER, CADDY_PEER]):
        with bench.start(peer) as server:
            before = server.rss()
            load("handshakes", server.address, keys, 1, 1)
            bench.note("footprint", peer.name, rss_mb_at_start=before / 1000, rss_mb_after_a_request=server.rss() / 1000)
    for peer, file in [(MTLS_MIN, OURS), (SMALL, SMALLEST)]:
        bench.note("footprint", peer.name, file_mb=file.stat().st_size / 1e6)


def busy_trust(bench):
    say("busy trust")
    keys = bench.keys["P-256"]
    entries, pins, lines = (bench.count(number, 100) for number in [1_000_000, 100_000, 1000])
    small, large = revocation_list(keys, 10), revocation_list(keys, entries)
    clients, rules = authorised_clients(keys, pins), policy(keys, lines)
    cases = {"none": [], "CRL of 10": ["--crl", small], "CRL of 1,000,000": ["--crl", large],
             "100,000 pins": ["--authorized-clients", clients], "policy of 1,000": ["--policy", rules],
             "all of them": ["--crl", large, "--authorized-clients", clients, "--policy", rules]}
    servers = [bench.start(Peer(name, ours(*options))) for name, options in cases.items()]
    try:
        for server in servers:
            bench.note("busy trust", server.name, listens_after_s=server.started_after, rss_mb=server.rss() / 1000)
        for metric, requests, clients, keep in [("handshake_us", bench.count(2000), 8, False),
                                                ("kept_us", bench.count(60_000, 200), 64, True)]:
            alternate(bench, "busy trust", servers, lambda server: {
                metric: ab(server, keys, requests, clients, keep)["cpu_us"]})
    finally:
        for server in servers:
            server.stop()


CASES = {"handshakes": handshakes, "stall": stall, "resumed": resumed, "kept": kept, "refused": refused, "bodies": bodies,
         "idle": idle, "growth": growth, "cold": cold, "footprint": footprint, "trust": busy_trust}
