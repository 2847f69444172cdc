"""What a server does for one operation, counted, not timed: the difference between a run with many and a run with few."""
import re, subprocess, threading

from .machine import fail
from .servers import Peer, Server

FEW, MANY = 200, 1200
# In seconds: no run takes a tenth of it.
PATIENCE = 90

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER = b"hello world\n"


def kept_request(peer, keys, work):
    """Instructions and allocations of a request on a connection that is kept."""
    return {"instructions": valgrind(peer, keys, work, "callgrind", r"Collected : (\d+)"),
            "allocations": valgrind(peer, keys, work, "dhat", r"Total: .* in ([\d,]+) blocks")}


def valgrind(peer, keys, work, tool, pattern):
    def command(result):
        return ["valgrind", f"--tool={tool}", f"--{tool}-out-file=/dev/null", f"--log-file={result}"]
    return counted(peer, keys, work, command, pattern, ask)


def system_calls(peer, keys, work, visit):
    """For each operation of `visit`, which gets the server and their number. They depend a little on who waits for whom."""
    return counted(peer, keys, work, lambda result: ["strace", "-f", "-c", "-U", "calls", "-o", result], r"(\d+)\s*total", visit, 1)


def counted(peer, keys, work, tool, pattern, visit, times=3):
    """The least of three runs each: what threads do by the clock meanwhile is only ever more."""
    def run(operations):
        result = work / "counted"
        result.unlink(missing_ok=True)
        under = Peer(peer.name, lambda *arguments: [*tool(result), *peer.command(*arguments)])
        with Server(under, keys, work) as server:
            visit(server, operations)
        text = result.read_text() if result.exists() else ""
        found = re.search(pattern, text) or fail(f"{peer.name}: {tool(result)[0]} counted nothing: {text}")
        return int(found[1].replace(",", ""))

    few, many = (min(run(operations) for _ in range(times)) for operations in [FEW, MANY])
    return (many - few) / (MANY - FEW)


def ask(server, requests):
    """So many requests over one connection, by a client that offers one cipher suite and one key exchange."""
    offer = ["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256", "-groups", "X25519"]
    files = ["-CAfile", server.keys / "ca.pem", "-cert", server.keys / "client1-crt.pem", "-key", server.keys / "client1-key.pem"]
    client = subprocess.Popen(["openssl", "s_client", "-quiet", "-verify_quiet", "-connect", server.address, *offer, *files],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    # Who waits for a client that has been ended, waits no longer.
    watchdog = threading.Timer(PATIENCE, client.kill)
    watchdog.start()
    try:
        for number in range(requests):
            client.stdin.write(REQUEST)
            client.stdin.flush()
            received = b""
            while not received.endswith(ANSWER):
                some = client.stdout.read1(65536)
                if not some:
                    fail(f"{server.peer.name}: request {number} of {requests} got no answer, but {received!r}")
                received += some
    except BrokenPipeError:
        fail(f"{server.peer.name}: closed before request {number} of {requests}")
    finally:
        watchdog.cancel()
        client.kill()
        client.wait()
