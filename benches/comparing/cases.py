"""The measurements. Each starts the servers it compares, asks them in turn, round by round, and notes what the kernel's
accounting and the clients say."""
import json, statistics, subprocess, threading

from . import counting
from .machine import PEERS, SMALLEST, OURS, fail, say
from .servers import (ALL, APPLICATION_PEER, BODIES, EACH, HYPER, MTLS_MIN, NGINX_PEER, NGINX_QUIET, QUIET, RESUMING, SMALL,
                      HAPROXY_PEER, Peer, Server, forwarding, free_port, ours, serving)
from .trust import CLIENTS, authorised_clients, policy, revocation_list

MEGABYTES_16 = 16_000_000

# Of the files, each named after its own.
SIZES = [10_000, 1_000_000, MEGABYTES_16, 100_000_000]

ASKING = [peer for peer in ALL if peer.asks_for_certificates]


class Bench:
    """What is measured with, and what was measured: figures by case, server and metric, one for each round."""

    def __init__(self, keys, work, rounds, scale, peers):
        self.keys, self.work, self.rounds, self.scale = keys, work, rounds, scale
        self.only = peers
        self.figures, self.logs, self.remarks = {}, {}, {}

    def start(self, peer, kind="P-256"):
        return Server(peer, self.keys[kind], self.work)

    def chosen(self, peers):
        """Of these peers those that were asked for; mtls-min always."""
        return [peer for peer in peers if peer.name.split(",")[0] in ["mtls-min", *self.only]]

    def count(self, number, least=20):
        """So many operations, or fewer in a run that only sees whether all works."""
        return max(least, round(number * self.scale))

    def note(self, case, peer, name=None, **figures):
        """Of a peer, or of something else by its name."""
        name = name or peer.name
        self.logs[case, name] = peer.logs if peer else None
        for metric, value in figures.items():
            self.figures.setdefault(case, {}).setdefault(name, {}).setdefault(metric, []).append(value)

    def median(self, case, server, metric):
        values = self.figures.get(case, {}).get(server, {}).get(metric)
        return statistics.median(values) if values else None


def load(*words, may_fail=False):
    """What the load generator says; None if it fails where it may."""
    command = [str(PEERS / "load"), *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if ran.returncode and not may_fail:
        fail(f"{' '.join(command)} failed: {ran.stderr}")
    return None if ran.returncode else json.loads(ran.stdout)


def handshakes_with(server, keys, number, clients, *options):
    """Connections with one request each, while the server's CPU time is counted."""
    before = server.cpu()
    seen = load("handshakes", server.address, keys, number, clients, *options)
    figures = figures_of(seen, server.cpu() - before)
    if seen["unauthorised" if "stranger" in options else "ok"] != number and server.peer.asks_for_certificates:
        fail(f"{server.peer.name} did not answer as it should: {seen}")
    if seen["tickets"] and not server.peer.tickets:
        fail(f"{server.peer.name} hands out tickets: {seen}")
    return figures


def figures_of(seen, seconds):
    """Those of the load generator, with the CPU time that the server spent meanwhile."""
    return {"cpu_us": seconds / seen["count"] * 1e6, "per_second": seen["count"] / seen["seconds"],
            "p50_us": seen["p50_us"], "p99_us": seen["p99_us"]}


def alternate(bench, case, servers, measure):
    """Asks the servers in turn, round by round, after one that does not count."""
    for round in range(bench.rounds + 1):
        for server in servers:
            figures = measure(server)
            if round > 0:
                bench.note(case, server.peer, **figures)


def with_servers(bench, peers, kind, work):
    servers = [bench.start(peer, kind) for peer in bench.chosen(peers)]
    try:
        work(servers)
    finally:
        for server in servers:
            server.stop()


def handshakes(bench):
    """With one client that comes again and again, with clients that were not met before, and by other keys."""
    rsa = [MTLS_MIN, NGINX_PEER, HAPROXY_PEER, HYPER]
    for case, kind, peers, number, options in [
            ("handshake, one client", "P-256", ALL, 2000, []), ("handshake, 2,000 clients", "P-256", ASKING, CLIENTS, ["everyone"]),
            ("handshake, post-quantum", "P-256", EACH, 2000, ["post-quantum"]),
            ("handshake, RSA-2048", "RSA-2048", rsa, 1000, []), ("handshake, RSA-4096", "RSA-4096", rsa, 200, [])]:
        say(case)
        keys = bench.keys[kind]

        def work(servers):
            able = [server for server in servers if is_able(server, keys, options)]
            remark(bench, case, "cannot do it", [server for server in servers if server not in able])
            remark(bench, case, "hands out tickets, and cannot be told not to", [server for server in able if server.peer.tickets])
            alternate(bench, case, able, lambda server: handshakes_with(server, keys, bench.count(number), 8, *options))
        with_servers(bench, peers, kind, work)
        for _ in range(bench.rounds if kind == "P-256" else 0):
            floor = load("floor", keys, bench.count(1000), *[option for option in options if option == "post-quantum"])
            bench.note(case, None, "floor", cpu_us=floor["tls_us"] + floor["tcp_us"])


def is_able(server, keys, options):
    return "post-quantum" not in options or load("handshakes", server.address, keys, 1, 1, *options, may_fail=True)


def remark(bench, case, words, servers):
    if servers:
        bench.remarks.setdefault(case, []).append(f"{words}: {', '.join(server.peer.name for server in servers)}")


def stall(bench):
    """A client that leaves Nagle's algorithm on, one connection at a time; beside a server that lets it wait."""
    say("clients without TCP_NODELAY")

    def measure(server):
        figures = handshakes_with(server, bench.keys["P-256"], bench.count(100), 1, "nagle")
        return {metric: figures[metric] for metric in ["p50_us", "p99_us", "per_second"]}
    with_servers(bench, [MTLS_MIN, HYPER], "P-256", lambda servers: alternate(
        bench, "client without TCP_NODELAY", servers, measure))


class Held:
    """A load generator that says when it is ready, and measures once it is asked: `load kept`, `load handshakes … resume`."""

    # In seconds; nothing takes a tenth of it.
    PATIENCE = 600

    def __init__(self, server, *words):
        command = [str(PEERS / "load"), *map(str, words)]
        self.server, self.process = server, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # Who reads from a generator that has been ended, waits no longer.
        self.watchdog = threading.Timer(self.PATIENCE, self.process.kill)
        self.watchdog.daemon = True
        self.watchdog.start()
        self.read()

    def ask(self):
        before = self.server.cpu()
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.seen = json.loads(self.read())
        return figures_of(self.seen, self.server.cpu() - before)

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            self.watchdog.cancel()
            fail(f"{self.server.peer.name}: the load generator ended early")
        return line.strip()

    def close(self):
        self.watchdog.cancel()
        self.process.stdin.close()
        self.process.wait(60)


def held_open(server, keys, connections, requests, *options):
    """Connections that are open and idle until they are asked to ask."""
    return Held(server, "kept", server.address, keys, connections, requests, *options)


def resumed(bench):
    """No more at once than mtls-min remembers, which gives four tickets for every two that are used here."""
    say("resumed handshakes")
    keys, number = bench.keys["P-256"], bench.count(500, 64)

    def measure(server):
        held = Held(server, "handshakes", server.address, keys, number, 8, "resume")
        figures = held.ask()
        held.close()
        # One that comes before the ticket of the one before it is not, with Caddy, which gives one at a time.
        if held.seen["resumed"] < 0.95 * number:
            fail(f"{server.peer.name}: only {held.seen['resumed']} of {number} handshakes were resumed")
        return figures
    with_servers(bench, RESUMING, "P-256", lambda servers: alternate(bench, "resumed handshake", servers, measure))


def kept(bench):
    for connections, number in [(1, 20_000), (64, 40_000), (1000, 40_000)]:
        say(f"kept alive, {connections}")

        def measure(server):
            held = held_open(server, bench.keys["P-256"], bench.count(connections, min(connections, 20)), bench.count(number, 200))
            figures = held.ask()
            held.close()
            return figures
        with_servers(bench, ASKING, "P-256", lambda servers: alternate(bench, f"kept alive, {connections}", servers, measure))


def refused(bench):
    say("refused")
    with_servers(bench, ASKING, "P-256", lambda servers: alternate(
        bench, "refused, no certificate", servers,
        lambda server: handshakes_with(server, bench.keys["P-256"], bench.count(2000), 8, "stranger")))


def counts(bench):
    """Valgrind's do not depend on the load of the machine: once is enough."""
    keys = bench.keys["P-256"]
    for peer in bench.chosen([MTLS_MIN, QUIET, HYPER]):
        say(f"instructions and allocations, {peer.name}")
        bench.note("counted, a kept request", peer, **counting.kept_request(peer, keys, bench.work))
    for peer in bench.chosen([MTLS_MIN, NGINX_PEER, HAPROXY_PEER, HYPER]):
        say(f"system calls, {peer.name}")
        for _ in range(bench.rounds):
            bench.note("counted, a handshake", peer, system_calls=counting.system_calls(
                peer, keys, bench.work, lambda server, count: load("handshakes", server.address, keys, count, 1)))


def bodies(bench):
    times = bench.count(20, 2)
    for direction in ["down", "up"]:
        say(f"bodies {direction}")

        def measure(server):
            before = server.cpu()
            seen = load(direction, server.address, bench.keys["P-256"], MEGABYTES_16, times)
            return {"mb_per_cpu_s": seen["bytes"] / 1e6 / (server.cpu() - before), "mb_per_s": seen["bytes"] / 1e6 / seen["seconds"]}
        with_servers(bench, [BODIES, NGINX_QUIET, HYPER], "P-256", lambda servers: alternate(
            bench, f"body {direction}, 16 MB", servers, measure))
        for _ in range(bench.rounds):
            seen = load("aead", bench.count(1000))
            bench.note(f"body {direction}, 16 MB", None, "AES-128-GCM alone", mb_per_cpu_s=seen["bytes"] / 1e6 / seen["seconds"])


def forwarded(bench):
    """What the application costs is not counted."""
    with bench.start(APPLICATION_PEER) as application:
        peers = forwarding(application.port)
        small_and_large(bench, "forwarded", peers, [("a small answer", "/", 40_000), ("1 MB", "/1000000", 1000)])


def files(bench):
    peers = serving(bench.work / "files")
    small_and_large(bench, "file", peers, [("10 kB", "/10000", 40_000)])
    times = bench.count(10, 1)
    say("file, 100 MB")

    def measure(server):
        before = server.cpu()
        seen = load("down", server.address, bench.keys["P-256"], 100_000_000, times)
        return {"mb_per_cpu_s": seen["bytes"] / 1e6 / (server.cpu() - before), "mb_per_s": seen["bytes"] / 1e6 / seen["seconds"]}
    with_servers(bench, peers, "P-256", lambda servers: alternate(bench, "file, 100 MB", servers, measure))


def small_and_large(bench, case, peers, answers):
    """Each from 64 kept connections."""
    for name, path, number in answers:
        say(f"{case}, {name}")

        def measure(server):
            held = held_open(server, bench.keys["P-256"], bench.count(64), bench.count(number, 200), path)
            figures = held.ask()
            held.close()
            return figures
        with_servers(bench, peers, "P-256", lambda servers: alternate(bench, f"{case}, {name}", servers, measure))


def idle(bench):
    for number, peers in [(1000, EACH), (10_000, [MTLS_MIN, NGINX_PEER, HYPER])]:
        connections = bench.count(number)
        for peer in bench.chosen(peers):
            say(f"idle connections, {number}, {peer.name}")
            with bench.start(peer) as server:
                before = server.pss()
                held = held_open(server, bench.keys["P-256"], connections, 0)
                bench.note(f"idle connections, {number}", peer, kb_each=(server.pss() - before) / connections,
                           threads=server.threads())
                held.close()


def growth(bench):
    keys = bench.keys["P-256"]
    for connections in [10, 100, 1000, 10_000]:
        say(f"growth, {connections} connections")
        number = bench.count(connections, min(connections, 20))
        for _ in range(bench.rounds):
            with bench.start(MTLS_MIN) as server:
                before = server.pss()
                held = held_open(server, keys, number, bench.count(60_000, 200))
                each = (server.pss() - before) / number
                bench.note("growth", MTLS_MIN, f"{connections} connections", cpu_us=held.ask()["cpu_us"], kb_each=each)
                held.close()
    with bench.start(MTLS_MIN) as server:
        for part in range(5):
            say(f"growth, connections {part * 20_000} to {(part + 1) * 20_000}")
            number = bench.count(20_000)
            seen = load("handshakes", server.address, keys, number, 4)
            bench.note("growth", MTLS_MIN, f"after {(part + 1) * 20_000} connections", per_second=number / seen["seconds"],
                       pss_mb=server.pss() / 1000)


def cold(bench):
    say("cold start")
    peers = bench.chosen([*EACH, SMALL])
    for round in range(bench.rounds + 1):
        for peer in peers:
            port = free_port()
            work = bench.work / f"cold-{port}"
            work.mkdir()
            command = peer.command(bench.keys["P-256"], work, port)
            seen = load("cold", f"127.0.0.1:{port}", bench.keys["P-256"], *command)
            if round > 0:
                bench.note("cold start", peer, ms=seen["microseconds"] / 1000)


def footprint(bench):
    say("footprint")
    keys = bench.keys["P-256"]
    for peer in bench.chosen([*EACH, SMALL]):
        with bench.start(peer) as server:
            before = server.pss()
            load("handshakes", server.address, keys, 1, 1)
            bench.note("footprint", peer, pss_mb_at_start=before / 1000, pss_mb_after_a_request=server.pss() / 1000)
    for peer, file in [(MTLS_MIN, OURS), (SMALL, SMALLEST)]:
        bench.note("footprint", peer, file_mb=file.stat().st_size / 1e6)


def busy_trust(bench):
    say("busy trust")
    keys = bench.keys["P-256"]
    entries, pins, lines = (bench.count(number, 100) for number in [1_000_000, 100_000, 1000])
    small, large = revocation_list(keys, 10), revocation_list(keys, entries)
    clients, rules = authorised_clients(keys, pins), policy(keys, lines)
    cases = {"none": [], "CRL of 10": ["--crl", small], "CRL of 1,000,000": ["--crl", large],
             "100,000 pins": ["--authorized-clients", clients], "policy of 1,000": ["--policy", rules],
             "all of them": ["--crl", large, "--authorized-clients", clients, "--policy", rules]}
    servers = [bench.start(Peer(name, ours(*options), logs=True)) for name, options in cases.items()]

    def handshake(server):
        return {"handshake_us": handshakes_with(server, keys, bench.count(CLIENTS), 8, "everyone")["cpu_us"]}

    def kept_request(server):
        held = held_open(server, keys, 64, bench.count(60_000, 200), "everyone")
        figures = held.ask()
        held.close()
        return {"kept_us": figures["cpu_us"]}
    try:
        for server in servers:
            bench.note("busy trust", server.peer, listens_after_s=server.started_after, pss_mb=server.pss() / 1000)
        alternate(bench, "busy trust", servers, handshake)
        alternate(bench, "busy trust", servers, kept_request)
    finally:
        for server in servers:
            server.stop()


CASES = {"handshakes": handshakes, "stall": stall, "resumed": resumed, "kept": kept, "refused": refused, "counts": counts,
         "bodies": bodies, "forwarded": forwarded, "files": files, "idle": idle, "growth": growth, "cold": cold, "footprint": footprint, "trust": busy_trust}
