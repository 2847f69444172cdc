"""The machine: what has to be installed and built, and the versions of it."""
import os, pathlib, platform, re, resource, shutil, subprocess, sys

PROGRAM = pathlib.Path(sys.argv[0]).name
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PEERS = ROOT / "benches/peers/target/release"
OURS = ROOT / "target/release/mtls-min"
TARGET = f"{platform.machine()}-unknown-linux-gnu"
SMALLEST = ROOT / f"target/{TARGET}/smallest/mtls-min"

PACKAGES = {"nginx": "nginx", "haproxy": "haproxy", "caddy": "caddy", "node": "nodejs", "npm": "npm", "openssl": "openssl",
            "valgrind": "valgrind", "strace": "strace", "taskset": "util-linux", "chrt": "util-linux"}
EXPRESS = ROOT / "benches/express"


def prepare():
    """Installs what is missing, and builds what has changed."""
    install(*PACKAGES)
    # Debian's package of express does not go with a node that is not Debian's.
    if subprocess.run(["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=EXPRESS).returncode:
        fail("npm cannot install express")
    build()
    cargo("smallest", "--target", TARGET)


def build(server=True):
    """The server, if it is to be ours, and the load generator; and lets this process open as many files as it may."""
    say("building")
    if server:
        cargo("build", "--release")
    cargo("build", "--release", "--manifest-path", str(ROOT / "benches/peers/Cargo.toml"))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def install(*programs):
    missing = [PACKAGES[program] for program in programs if not shutil.which(program)]
    if not missing:
        return
    say(f"installing {' '.join(missing)}")
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in [["apt-get", "update", "-qq"], install]:
        if not shutil.which("apt-get") or subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode:
            fail(f"install these first: {' '.join(missing)}")
    # What the packages start by themselves is not what is measured.
    for service in {"nginx", "haproxy", "caddy"} & set(missing):
        subprocess.run(["service", service, "stop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def cargo(*arguments):
    command = ["cargo", *arguments, "--locked", "--quiet"]
    if subprocess.run(command, cwd=ROOT).returncode:
        fail(f"{' '.join(command)} failed")


def versions():
    """What is compared, by name."""
    package = (EXPRESS / "node_modules/express/package.json").read_text()
    own = own_versions()
    return {
        "mtls-min": own["mtls-min"],
        "nginx": first(r"nginx/(\S+)", "nginx", "-v"),
        "haproxy": first(r"version (\S+)", "haproxy", "-v"),
        "caddy": first(r"v?(\d\S+)", "caddy", "version"),
        "node": f"{first(r'v(.+)', 'node', '--version')} with express {re.search(r'.version.: .([0-9.]+)', package)[1]}",
        "hyper": f"{locked('hyper')} with tokio-rustls {locked('tokio-rustls')}",
        "tiny_http": locked("tiny_http"),
        **own,
    }


def own_versions(server=OURS):
    """Without the peers."""
    return {
        "mtls-min": first(r"mtls-min (\S+)", server, "--version"),
        # tiny_http has an older one.
        "rustls": locked("rustls", "."),
        "OpenSSL": first(r"OpenSSL (\S+)", "openssl", "version"),
        "rustc": first(r"rustc (\S+)", "rustc", "--version"),
    }


def first(pattern, *command):
    ran = subprocess.run(command, capture_output=True, text=True)
    found = re.search(pattern, ran.stdout + ran.stderr)
    return found[1] if found else "?"


def locked(name, path="benches/peers"):
    """The version of a crate."""
    return re.search(rf'name = "{name}"\nversion = "([^"]+)"', (ROOT / path / "Cargo.lock").read_text())[1]


def processor():
    found = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    return f"{os.cpu_count()} × {found[1] if found else 'unknown'}"


def say(text):
    print(f"{PROGRAM}: {text}", file=sys.stderr, flush=True)


def fail(text):
    sys.exit(f"{PROGRAM}: {text}")
