#!/usr/bin/env python3
"""A first look at cost: mtls-min beside nginx in the same run, on loopback, with the same certificates and answers.

    cargo build --release && benches/first_look.py [--rounds N] [--idle N ...]

Needs nginx, ab (apache2-utils) and openssl. Prints, for each case, CPU microseconds of the server per operation (all its
processes, by the kernel's accounting), as the median of the rounds with the range, and the ratio to nginx; then the memory
that an idle connection costs. Ends by itself.
"""
import argparse, os, pathlib, re, resource, shutil, signal, socket, ssl, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")

NGINX = """
daemon off; worker_processes auto; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log /dev/null; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  keepalive_requests 100000000; keepalive_timeout 300;
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {dir}/server-crt.pem; ssl_certificate_key {dir}/server-key.pem;
    ssl_client_certificate {dir}/ca.pem; ssl_verify_client optional; ssl_session_cache off; ssl_session_tickets off;
    default_type text/plain;
    location / {{ if ($ssl_client_verify != SUCCESS) {{ return 401 "User is not authorized\\n"; }} return 200 "hello world\\n"; }}
  }}
}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, name, command, port):
        self.name, self.port = name, port
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        sys.exit(f"{name} did not start")

    def pids(self):
        out = subprocess.run(["ps", "-s", str(self.process.pid), "-o", "pid="], capture_output=True, text=True).stdout
        return [int(pid) for pid in out.split()]

    def cpu(self):
        """Seconds of CPU, all processes."""
        total = 0
        for pid in self.pids():
            # Nanoseconds on the CPU, a line a thread; ticks are too coarse.
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def rss(self):
        return sum(int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) for pid in self.pids())

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(20)


def certificates(directory):
    subprocess.run([ROOT / "certs/make-certs.sh", directory], check=True, stdout=subprocess.DEVNULL)
    both = (directory / "client1-crt.pem").read_text() + (directory / "client1-key.pem").read_text()
    (directory / "client1-both.pem").write_text(both)


def ab(server, directory, requests, concurrency, keep):
    options = ["-k"] if keep else []
    command = ["ab", "-q", *options, "-n", str(requests), "-c", str(concurrency), "-E", directory / "client1-both.pem",
               f"https://127.0.0.1:{server.port}/"]
    before = server.cpu()
    out = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
    cpu = server.cpu() - before
    done = int(re.search(r"Complete requests:\s+(\d+)", out)[1])
    if done != requests or "Non-2xx" in out or not re.search(r"Failed requests:\s+0\b", out):
        sys.exit(f"{server.name}: ab failed\n{out}")
    return cpu / done * 1e6, float(re.search(r"Requests per second:\s+([\d.]+)", out)[1]), *(float(re.search(rf"\s{share}%\s+(\d+)", out)[1]) for share in (50, 99))


def idle(server, directory, count):
    """Kilobytes of RSS for each of `count` kept-alive connections that have made one request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(directory / "client1-crt.pem", directory / "client1-key.pem")
    before, held = server.rss(), []
    for number in range(count):
        # More ports than one address has.
        raw = socket.create_connection(("127.0.0.1", server.port), 10, (f"127.0.0.{2 + number % 4}", 0))
        tls = context.wrap_socket(raw)
        tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if b"200 OK" not in tls.recv(4096):
            sys.exit(f"{server.name}: connection {number} was refused")
        held.append(tls)
    return (server.rss() - before) / count, before, len(os.listdir(f"/proc/{server.pids()[-1]}/task"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=int, nargs="*", default=[2000, 10000])
    parser.add_argument("--binary", default=ROOT / "target/release/mtls-min")
    options = parser.parse_args()
    for program in ["nginx", "ab", "openssl"]:
        shutil.which(program) or sys.exit(f"{program} is missing: apt-get install nginx apache2-utils openssl")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        os.chmod(directory, 0o755)
        certificates(directory)
        # nginx drops its rights; what it serves with is for this run only.
        for file in directory.glob("*.pem"):
            file.chmod(0o644)

        def ours():
            port = free_port()
            return Server("mtls-min", [options.binary, "--ca", directory / "ca.pem", "--cert", directory / "server-crt.pem", "--key",
                          directory / "server-key.pem", "--listen", f"127.0.0.1:{port}", "--max-connections", "14000", "--idle-timeout", "300"], port)

        def nginx():
            port = free_port()
            (directory / "nginx.conf").write_text(NGINX.format(dir=directory, port=port))
            return Server("nginx", ["nginx", "-c", directory / "nginx.conf"], port)

        version = subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.strip()
        print(f"{os.cpu_count()} cores, {version}, {subprocess.run(['openssl', 'version'], capture_output=True, text=True).stdout.strip()}")
        servers = [ours(), nginx()]
        # ab does not set TCP_NODELAY: a server that delays its acknowledgements costs it 40 ms a connection.
        cases = [("handshake, one request, close", 2000, 8, False), ("the same, one at a time", 500, 1, False),
                 ("kept alive, 1 connection", 20000, 1, True),
                 ("kept alive, 64 connections", 60000, 64, True)]
        for case, requests, concurrency, keep in cases:
            results = {server.name: [] for server in servers}
            for _ in range(options.rounds):
                for server in servers:
                    results[server.name].append(ab(server, directory, requests, concurrency, keep))
            median = {name: statistics.median(r[0] for r in rows) for name, rows in results.items()}
            print(f"\n{case}: CPU of mtls-min / nginx = {median['mtls-min'] / median['nginx']:.2f}")
            for name, rows in results.items():
                cpu = [row[0] for row in rows]
                print(f"  {name:9} {median[name]:8.1f} us/op (from {min(cpu):.1f} to {max(cpu):.1f})  "
                      f"{statistics.median(r[1] for r in rows):9.0f} op/s  "
                      f"p50 {statistics.median(r[2] for r in rows):.0f} ms, p99 {statistics.median(r[3] for r in rows):.0f} ms")
        for server in servers:
            server.stop()
        print()
        for count in options.idle:
            for start in [ours, nginx]:
                server = start()
                each, before, threads = idle(server, directory, count)
                print(f"{count} idle connections: {server.name:9} {each:5.1f} kB each (RSS {before} kB before, {threads} threads)")
                server.stop()


if __name__ == "__main__":
    main()
