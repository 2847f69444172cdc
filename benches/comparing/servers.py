"""The servers: each with the same certificates, the same answers, and 401 for who shows no valid certificate, if it can."""
import os, pathlib, re, signal, socket, subprocess, sys, time

from .machine import EXPRESS, OURS, PEERS, SMALLEST

NGINX = """
daemon off; worker_processes auto; worker_rlimit_nofile 40000; pid {work}/nginx.pid; error_log {work}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log /dev/null; client_body_temp_path {work}/b; proxy_temp_path {work}/p; fastcgi_temp_path {work}/f;
  uwsgi_temp_path {work}/u; scgi_temp_path {work}/s; client_max_body_size 0;
  keepalive_requests 100000000; keepalive_timeout 300;
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {keys}/server-crt.pem; ssl_certificate_key {keys}/server-key.pem;
    ssl_client_certificate {keys}/ca.pem; ssl_verify_client optional; ssl_session_cache off; ssl_session_tickets off;
    ssl_protocols TLSv1.2 TLSv1.3;
    default_type text/plain; root {work}/../files;
    location / {{ if ($ssl_client_verify != SUCCESS) {{ return 401 "User is not authorized\\n"; }} try_files $uri @hello; }}
    location = / {{ if ($ssl_client_verify != SUCCESS) {{ return 401 "User is not authorized\\n"; }} return 200 "hello world\\n"; }}
    location @hello {{ return 200 "hello world\\n"; }}
  }}
}}
"""

HAPROXY = """
global
  nbthread {cores}
  maxconn 4000
  log /dev/null local0
  tune.ssl.cachesize 0
defaults
  mode http
  timeout client 300s
  timeout server 300s
  timeout connect 5s
  timeout http-keep-alive 300s
frontend site
  bind 127.0.0.1:{port} ssl crt {keys}/server-both.pem ca-file {keys}/ca.pem verify optional no-tls-tickets
  http-request return status 401 content-type text/plain string "User is not authorized\\n" unless {{ ssl_c_used }} {{ ssl_c_verify 0 }}
  http-request return status 200 content-type text/plain string "hello world\\n"
"""

CADDY = """
{{
  admin off
  auto_https off
  servers {{
    protocols h1
    strict_sni_host insecure_off
  }}
}}
:{port} {{
  bind 127.0.0.1
  tls {keys}/server-crt.pem {keys}/server-key.pem {{
    client_auth {{
      mode verify_if_given
      trusted_ca_cert_file {keys}/ca.pem
    }}
  }}
  @strangers expression `{{http.request.tls.client.subject}} == null || {{http.request.tls.client.subject}} == ""`
  respond @strangers "User is not authorized
" 401
  respond "hello world
"
}}
"""


class Peer:
    """One that can be started; `command` makes its arguments of a directory of keys, a directory to work in, and a port."""

    def __init__(self, name, command, asks_for_certificates=True):
        self.name, self.command, self.asks_for_certificates = name, command, asks_for_certificates


def ours(*options, binary=OURS):
    def command(keys, work, port):
        limits = ["--max-connections", "14000", "--idle-timeout", "300"]
        return [binary, "--ca", keys / "ca.pem", "--cert", keys / "server-crt.pem", "--key", keys / "server-key.pem",
                "--listen", f"127.0.0.1:{port}", *limits, *options]
    return command


def configured(template, name, *command):
    def arguments(keys, work, port):
        file = work / name
        file.write_text(template.format(keys=keys, work=work, port=port, cores=os.cpu_count()))
        return [*command, file]
    return arguments


def built(name, *options):
    return lambda keys, work, port: [PEERS / name, f"127.0.0.1:{port}", keys, *options]


def express(keys, work, port):
    return ["env", "NODE_ENV=production", "node", EXPRESS / "app.js", str(port), keys]


MTLS_MIN = Peer("mtls-min", ours())
RESUMING = Peer("mtls-min, resuming", ours("--resumption"))
SMALL = Peer("mtls-min, smallest", ours(binary=SMALLEST))
BODIES = Peer("mtls-min", built("bodies"))
NGINX_PEER = Peer("nginx", configured(NGINX, "nginx.conf", "nginx", "-c"))
HAPROXY_PEER = Peer("haproxy", configured(HAPROXY, "haproxy.cfg", "haproxy", "-db", "-f"))
CADDY_PEER = Peer("caddy", configured(CADDY, "Caddyfile", "caddy", "run", "--adapter", "caddyfile", "--config"))
NODE = Peer("node", express)
HYPER = Peer("hyper", built("hyper-peer"))
STALLING = Peer("hyper without tickets", built("hyper-peer", "no-tickets"))
TINY_HTTP = Peer("tiny_http", built("tiny-http-peer"), asks_for_certificates=False)

ALL = [MTLS_MIN, NGINX_PEER, HAPROXY_PEER, NODE, HYPER, CADDY_PEER, TINY_HTTP]


class Server:
    """A running one, in a session of its own."""

    def __init__(self, peer, keys, work):
        self.peer, self.name, self.port = peer, peer.name, free_port()
        work = work / f"work-{self.port}"
        work.mkdir()
        work.chmod(0o755)
        self.arguments = [str(word) for word in peer.command(keys, work, self.port)]
        self.log = open(work / "stderr", "w+")
        begun = time.monotonic()
        home = {**os.environ, "HOME": str(work), "XDG_DATA_HOME": str(work), "XDG_CONFIG_HOME": str(work)}
        self.process = subprocess.Popen(self.arguments, stdout=subprocess.DEVNULL, stderr=self.log, start_new_session=True,
                                        env=home)
        while not self.listens():
            if time.monotonic() - begun > 60 or self.process.poll() is not None:
                self.log.seek(0)
                sys.exit(f"{self.name} did not start: {' '.join(self.arguments)}\n{self.log.read()}")
            time.sleep(0.005)
        self.started_after = time.monotonic() - begun

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def pids(self):
        out = subprocess.run(["ps", "-s", str(self.process.pid), "-o", "pid="], capture_output=True, text=True).stdout
        return [int(pid) for pid in out.split()]

    def cpu(self):
        """Seconds of CPU time of all its processes, threads that have ended included (clock_getcpuclockid(3))."""
        return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in self.pids()) / 1e9

    def status(self, field):
        """The sum over its processes, of kilobytes or of threads."""
        texts = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in self.pids()]
        return sum(int(re.search(rf"{field}:\s+(\d+)", text)[1]) for text in texts)

    def rss(self):
        """Kilobytes."""
        return self.status("VmRSS")

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(15)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
