"""What is trusted: the certificates of a run, and trust that is large."""
import datetime, os, shutil, subprocess

from .machine import PEERS, ROOT

# How many clients there are that differ: more than mtls-min remembers, so that it has met none of them when all come in turn.
CLIENTS = 2000


def certificates(directory):
    """Directories of keys by the kind of the server's: all else is the same in each."""
    kinds = {"P-256": None, "RSA-2048": "2048", "RSA-4096": "4096"}
    made = {kind: directory / kind for kind in kinds}
    for kind, bits in kinds.items():
        keys = made[kind]
        if bits is None:
            make(keys)
            subprocess.run([PEERS / "load", "clients", keys, str(CLIENTS)], check=True, stdout=subprocess.DEVNULL)
        else:
            shutil.copytree(made["P-256"], keys)
            rsa_server(keys, bits)
        join(keys, "server")
        # nginx drops its rights; what it serves with is for this run only.
        keys.chmod(0o755)
        for file in keys.glob("*.pem"):
            file.chmod(0o644)
    return made


def make(keys):
    keys.mkdir()
    subprocess.run([ROOT / "certs/make-certs.sh", keys], check=True, stdout=subprocess.DEVNULL)


def join(keys, name):
    both = (keys / f"{name}-crt.pem").read_text() + (keys / f"{name}-key.pem").read_text()
    (keys / f"{name}-both.pem").write_text(both)


def rsa_server(keys, bits):
    """A server certificate in place of that of the directory, for an RSA key."""
    key, certificate, request, names = (keys / name for name in ["server-key.pem", "server-crt.pem", "csr", "names"])
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
    openssl = lambda *words: subprocess.run(["openssl", *words], check=True, capture_output=True)
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}", "-out", key)
    openssl("req", "-new", "-key", key, "-subj", "/CN=localhost", "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", keys / "ca.pem", "-CAkey", keys / "ca-key.pem", "-days", "30",
            "-set_serial", "0x4242", "-extfile", names, "-out", certificate)


def tlv(tag, content):
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    octets = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def der_of(pem):
    return subprocess.run(["openssl", "x509", "-in", pem, "-outform", "der"], check=True, capture_output=True).stdout


def header(der, at):
    """Length of the header at `at`, and of the content."""
    if der[at + 1] < 0x80:
        return 2, der[at + 1]
    octets = der[at + 1] & 0x7F
    return 2 + octets, int.from_bytes(der[at + 2:at + 2 + octets], "big")


def elements(der, at, end):
    while at < end:
        head, length = header(der, at)
        yield der[at], at, at + head, at + head + length
        at += head + length


def revocation_list(directory, entries):
    """A list of the CA with so many random serial numbers, none of them a client's."""
    ca = der_of(directory / "ca.pem")
    outer = header(ca, 0)[0]
    inner, length = header(ca, outer)
    fields = [field for field in elements(ca, outer + inner, outer + inner + length) if field[0] != 0xA0]
    subject = ca[fields[4][1]:fields[4][3]]
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp = lambda time: tlv(0x17, time.strftime("%y%m%d%H%M%SZ").encode())
    date = stamp(now - datetime.timedelta(hours=1))
    reason = tlv(0x30, tlv(0x30, tlv(6, bytes.fromhex("551d15")) + tlv(4, tlv(10, b"\x04"))))
    revoked = tlv(0x30, b"".join(tlv(0x30, tlv(2, b"\x40" + os.urandom(15)) + date + reason) for _ in range(entries)))
    number = tlv(0xA0, tlv(0x30, tlv(0x30, tlv(6, bytes.fromhex("551d14")) + tlv(4, tlv(2, b"\x01")))))
    ecdsa = tlv(0x30, tlv(6, bytes.fromhex("2a8648ce3d040302")))
    tbs = tlv(0x30, tlv(2, b"\x01") + ecdsa + subject + date + stamp(now + datetime.timedelta(days=30)) + revoked + number)
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", directory / "ca-key.pem"], input=tbs, check=True,
                               capture_output=True).stdout
    path = directory / f"crl-{entries}"
    path.write_bytes(tlv(0x30, tbs + ecdsa + tlv(3, b"\0" + signature)))
    return path


def authorised_clients(directory, count):
    """So many certificates that differ; a certificate that is let in by itself needs no valid signature."""
    template = bytearray(der_of(directory / "client1-crt.pem"))
    clients = directory / "clients"
    clients.mkdir()
    for number in range(count):
        template[-8:] = number.to_bytes(8, "big")
        (clients / f"client{number}.cer").write_bytes(template)
    return clients


def policy(directory, lines):
    path = directory / "policy"
    path.write_text("/ ou:clients\n" + "".join(f"/area{n}/part cn:user{n} or uri:spiffe://a/{n}/*\n" for n in range(lines - 1)))
    return path
