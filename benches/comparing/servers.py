"""The servers: each with the same certificates, the same answers, and 401 for who shows no valid certificate, if it can. The
cipher suite and the key exchange are the choice of the client, which offers one. Session tickets are off where sessions are not
resumed; OpenSSL, which sends two even if it is told by the old switch to send none, has another one."""
import json, os, pathlib, re, signal, socket, subprocess, time

from .machine import EXPRESS, OURS, PEERS, SMALLEST, fail

# Below those that the kernel gives to clients.
PORTS = iter(range(20_000, 32_000))

OPENSSL = """
openssl_conf = all
nodejs_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = tls
[tls]
NumTickets = {tickets}
"""

NGINX = """
daemon off; worker_processes auto; worker_rlimit_nofile 40000; pid {work}/nginx.pid; error_log {work}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log {log}; client_body_temp_path {work}/b; proxy_temp_path {work}/p; fastcgi_temp_path {work}/f;
  uwsgi_temp_path {work}/u; scgi_temp_path {work}/s; client_max_body_size 0;
  keepalive_requests 100000000; keepalive_timeout 300;
  upstream application {{ server 127.0.0.1:{application}; keepalive 128; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {keys}/server-crt.pem; ssl_certificate_key {keys}/server-key.pem;
    ssl_client_certificate {keys}/ca.pem; ssl_verify_client optional; ssl_session_cache off;
    ssl_session_tickets {on_or_off}; ssl_conf_command NumTickets {tickets};
    ssl_protocols TLSv1.2 TLSv1.3;
    default_type text/plain; root {work}/../files;
    {locations}
  }}
}}
"""

# What is forwarded to, as an application that answers at once.
APPLICATION = """
daemon off; worker_processes 1; pid {work}/nginx.pid; error_log {work}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log off; client_body_temp_path {work}/b; proxy_temp_path {work}/p; fastcgi_temp_path {work}/f;
  uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;
  keepalive_requests 100000000; keepalive_timeout 300;
  server {{
    listen 127.0.0.1:{port}; default_type text/plain; root {work}/../files;
    location = / {{ return 200 "hello world\\n"; }}
  }}
}}
"""

# Beside what every nginx has: connections to the application are kept, and it is told who the client is.
NGINX_FORWARDING = """
    location / {
      if ($ssl_client_verify != SUCCESS) { return 401 "User is not authorized\\n"; }
      proxy_pass http://application; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header Client-Cert $ssl_client_escaped_cert; proxy_set_header X-Client-Subject $ssl_client_s_dn;
      proxy_set_header X-Client-Sha256 $ssl_client_fingerprint; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto https; proxy_set_header X-Forwarded-Host $host; proxy_set_header Forwarded "for=$remote_addr";
    }
"""

NGINX_HELLO = """
    location / { if ($ssl_client_verify != SUCCESS) { return 401 "User is not authorized\\n"; } try_files $uri @hello; }
    location = / { if ($ssl_client_verify != SUCCESS) { return 401 "User is not authorized\\n"; } return 200 "hello world\\n"; }
    location @hello { return 200 "hello world\\n"; }
"""

NGINX_FILES = """
    location / { if ($ssl_client_verify != SUCCESS) { return 401 "User is not authorized\\n"; } sendfile on; }
"""

HAPROXY = """
global
  nbthread {cores}
  maxconn 4000
  tune.ssl.cachesize 0
defaults
  mode http
  timeout client 300s
  timeout server 300s
  timeout connect 5s
  timeout http-keep-alive 300s
frontend site
  bind 127.0.0.1:{port} ssl crt {keys}/server-both.pem ca-file {keys}/ca.pem verify optional
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
  handle @strangers {{
    respond "User is not authorized
" 401
  }}
  handle {{
    {answer}
  }}
}}
"""

CADDY_HELLO = """respond "hello world
"
"""


class Peer:
    """One that can be started; `command` makes its arguments of a directory of keys, a directory to work in, and a port. Whether
    it writes a line for each request, asks for certificates, and hands out session tickets."""

    def __init__(self, name, command, logs=False, asks_for_certificates=True, tickets=False):
        self.name, self.command, self.logs = name, command, logs
        self.asks_for_certificates, self.tickets = asks_for_certificates, tickets


def ours(*options, binary=OURS):
    def command(keys, work, port):
        limits = ["--max-connections", "14000", "--idle-timeout", "300"]
        return [binary, "--ca", keys / "ca.pem", "--cert", keys / "server-crt.pem", "--key", keys / "server-key.pem",
                "--listen", f"127.0.0.1:{port}", *limits, *options]
    return command


def nginx(log="/dev/null", tickets=0, locations=NGINX_HELLO, application=9):
    def command(keys, work, port):
        values = {"log": log, "tickets": tickets, "on_or_off": "on" if tickets else "off",
                  "locations": locations, "application": application}
        return ["nginx", "-c", write(work / "nginx.conf", NGINX, keys=keys, work=work, port=port, **values)]
    return command


def haproxy(tickets=0):
    def command(keys, work, port):
        openssl = write(work / "openssl.cnf", OPENSSL, tickets=tickets)
        file = write(work / "haproxy.cfg", HAPROXY, keys=keys, port=port, cores=os.cpu_count())
        return ["env", f"OPENSSL_CONF={openssl}", "haproxy", "-db", "-f", file]
    return command


def express(tickets=0):
    def command(keys, work, port):
        openssl = write(work / "openssl.cnf", OPENSSL, tickets=tickets)
        return ["env", "NODE_ENV=production", "node", f"--openssl-config={openssl}", EXPRESS / "app.js", str(port), keys]
    return command


def application(keys, work, port):
    return ["nginx", "-c", write(work / "nginx.conf", APPLICATION, work=work, port=port)]


def caddy(tickets=0, answer=CADDY_HELLO):
    def command(keys, work, port):
        file = write(work / "Caddyfile", CADDY, keys=keys, port=port, answer=answer)
        adapted = subprocess.run(["caddy", "adapt", "--config", file], capture_output=True, text=True, check=True).stdout
        config = json.loads(adapted)
        # Which a Caddyfile cannot say.
        config["apps"]["tls"]["session_tickets"] = {"disabled": not tickets}
        file = work / "caddy.json"
        file.write_text(json.dumps(config))
        return ["caddy", "run", "--config", file]
    return command


def built(name, *options):
    return lambda keys, work, port: [PEERS / name, f"127.0.0.1:{port}", keys, *options]


def write(file, template, **values):
    file.write_text(template.format(**values))
    return file


MTLS_MIN = Peer("mtls-min", ours(), logs=True)
QUIET = Peer("mtls-min, log off", ours("--log", "off"))
COUNTED = Peer("mtls-min, --admin", ours("--log", "off", "--admin", "localhost:0"))
SMALL = Peer("mtls-min, smallest", ours(binary=SMALLEST), logs=True)
BODIES = Peer("mtls-min, library", built("bodies"))
NGINX_PEER = Peer("nginx", nginx(), logs=True)
NGINX_QUIET = Peer("nginx, log off", nginx(log="off"))
HAPROXY_PEER = Peer("haproxy", haproxy())
CADDY_PEER = Peer("caddy", caddy())
NODE = Peer("node", express())
HYPER = Peer("hyper", built("hyper-peer"))
# An old rustls hands out tickets and cannot be told not to.
TINY_HTTP = Peer("tiny_http", built("tiny-http-peer"), asks_for_certificates=False, tickets=True)

APPLICATION_PEER = Peer("the application", application)


def forwarding(port):
    """Those that can have an application behind them, which listens on this port."""
    # Caddy has no words for the certificate as such; it sends its subject and its fingerprint.
    by_caddy = f"""reverse_proxy 127.0.0.1:{port} {{
      header_up X-Client-Subject {{tls_client_subject}}
      header_up X-Client-Sha256 {{tls_client_fingerprint}}
    }}"""
    return [Peer("mtls-min, log off", ours("--log", "off", "--forward", f"http://127.0.0.1:{port}")),
            Peer("nginx, log off", nginx(log="off", locations=NGINX_FORWARDING, application=port)),
            Peer("caddy", caddy(answer=by_caddy))]


def serving(folder):
    """Those that serve a folder."""
    return [Peer("mtls-min, log off", ours("--log", "off", "--files", folder)),
            Peer("nginx, log off", nginx(log="off", locations=NGINX_FILES)),
            Peer("caddy", caddy(answer=f"root * {folder}\n file_server"))]


ALL = [MTLS_MIN, QUIET, NGINX_PEER, NGINX_QUIET, HAPROXY_PEER, NODE, HYPER, CADDY_PEER, TINY_HTTP]
# One of each, as it comes.
EACH = [MTLS_MIN, NGINX_PEER, HAPROXY_PEER, NODE, HYPER, CADDY_PEER]

RESUMING = [Peer("mtls-min", ours("--resumption"), logs=True, tickets=True),
            Peer("nginx", nginx(tickets=2), logs=True, tickets=True),
            *[Peer(name, command, tickets=True) for name, command in [
                ("haproxy", haproxy(tickets=2)), ("node", express(tickets=2)), ("hyper", built("hyper-peer", "tickets")),
                ("caddy", caddy(tickets=1))]]]


class Server:
    """A running one, in a session of its own."""

    def __init__(self, peer, keys, work):
        self.peer, self.keys, self.port = peer, keys, free_port()
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
                fail(f"{self.peer.name} did not start: {' '.join(self.arguments)}\n{self.log.read()}")
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

    def threads(self):
        return self.sum("status", "Threads")

    def pss(self):
        """Kilobytes of memory; a page that processes share counts once."""
        return self.sum("smaps_rollup", "Pss")

    def sum(self, file, field):
        """Over its processes, of what the kernel says."""
        texts = [pathlib.Path(f"/proc/{pid}/{file}").read_text() for pid in self.pids()]
        return sum(int(re.search(rf"^{field}:\s+(\d+)", text, re.MULTILINE)[1]) for text in texts)

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(15)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


def free_port():
    """One that was not had before."""
    for port in PORTS:
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    fail("no port is free")
