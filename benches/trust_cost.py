#!/usr/bin/env python3
"""What revocation, pins and rules cost: mtls-min with a revocation list of 1,000,000 entries, a directory of 100,000 authorised
clients, and a policy of 1,000 lines, each beside the same server without, in one run on loopback.

    cargo build --release && benches/trust_cost.py [--rounds N]

Needs ab (apache2-utils) and openssl. Prints for each the time until it listens, its memory, and CPU microseconds of the
server per operation as the median of the rounds, with the ratio to the server that has none of it. Ends by itself.
"""
import argparse, datetime, os, pathlib, resource, statistics, subprocess, tempfile, time

from first_look import ROOT, Server, ab, certificates, free_port


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
    path.write_text("/ cn:client1 or ou:nobody\n" + "".join(f"/area{n}/part cn:user{n} or uri:spiffe://a/{n}/*\n" for n in range(lines - 1)))
    return path


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--binary", default=ROOT / "target/release/mtls-min")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        certificates(directory)
        small, large = revocation_list(directory, 10), revocation_list(directory, 1_000_000)
        clients, rules = authorised_clients(directory, 100_000), policy(directory, 1000)
        cases = {
            "none": [],
            "CRL of 10": ["--crl", small],
            "CRL of 1,000,000": ["--crl", large],
            "100,000 clients": ["--authorized-clients", clients],
            "policy of 1,000": ["--policy", rules],
            "all of them": ["--crl", large, "--authorized-clients", clients, "--policy", rules],
        }
        servers = {}
        print(f"{os.cpu_count()} cores, {large.stat().st_size / 1e6:.0f} MB of CRL\n")
        for name, extra in cases.items():
            port, begun = free_port(), time.monotonic()
            command = [options.binary, "--ca", directory / "ca.pem", "--cert", directory / "server-crt.pem", "--key",
                       directory / "server-key.pem", "--listen", f"127.0.0.1:{port}", *extra]
            servers[name] = Server(name, command, port)
            print(f"{name:18} listens after {time.monotonic() - begun:5.2f} s, RSS {servers[name].rss() / 1024:6.1f} MB")
        for case, requests, concurrency, keep in [("handshake, one request, close", 2000, 8, False),
                                                  ("kept alive, 64 connections", 60000, 64, True)]:
            results = {name: [] for name in servers}
            for _ in range(options.rounds):
                for name, server in servers.items():
                    results[name].append(ab(server, directory, requests, concurrency, keep)[0])
            none = statistics.median(results["none"])
            print(f"\n{case}")
            for name, cpu in results.items():
                median = statistics.median(cpu)
                print(f"  {name:18} {median:8.1f} us/op (from {min(cpu):.1f} to {max(cpu):.1f})  {median / none:.3f} of none")
        for server in servers.values():
            server.stop()


if __name__ == "__main__":
    main()
