#!/bin/sh
# Makes the certificates for mtls-min with openssl alone, step by step: a CA, a server certificate for localhost, a client
# certificate, and the client's PKCS#12 files for browsers. Works with OpenSSL 1.1.1 and 3.
#
#   certs/make-certs.sh [DIRECTORY]        (default: the directory of this script)
#
# Nothing is overwritten. P12_PASSWORD in the environment is the password of the .p12 files; otherwise one is made and shown.
set -eu
umask 077
CDPATH='' cd -- "${1:-$(dirname -- "$0")}"

for file in ca.pem ca-key.pem server-crt.pem server-key.pem client1-crt.pem client1-key.pem client1.p12 client1.legacy.p12; do
    if [ -e "$file" ] || [ -L "$file" ]; then
        echo "make-certs.sh: $PWD/$file is there already; nothing was made" >&2
        echo "  hint: remove it, or name another directory" >&2
        exit 1
    fi
done

# Everything is made in a directory of its own first, so that a failure leaves nothing half done.
work=$(mktemp -d ./making.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Without extensions openssl makes certificates of X.509 version 1, which say nothing of what they are for.
cat > "$work/openssl.cnf" <<'CNF'
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
[ca]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
CNF

# Positive and at most 16 octets long: old Firefox takes no longer ones, which openssl would make for the CA.
serial() {
    echo "0x4$(openssl rand -hex 15)"
}

# 1. The CA: a key, and a certificate that it signs itself.
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/ca-key.pem"
openssl req -new -x509 -sha256 -days 3650 -key "$work/ca-key.pem" -subj "/O=mtls-min/CN=mtls-min throw-away CA" \
    -set_serial "$(serial)" -config "$work/openssl.cnf" -extensions ca -out "$work/ca.pem"

# 2. and 3. The server and the client: a key, a request, and the CA's signature under it.
issue() { # NAME KIND COMMON-NAME DAYS
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/$1-key.pem"
    openssl req -new -sha256 -key "$work/$1-key.pem" -subj "/O=mtls-min/CN=$3" -config "$work/openssl.cnf" \
        -out "$work/$1-csr.pem"
    openssl x509 -req -sha256 -days "$4" -in "$work/$1-csr.pem" -CA "$work/ca.pem" -CAkey "$work/ca-key.pem" \
        -set_serial "$(serial)" -extfile "$work/openssl.cnf" -extensions "$2" \
        -out "$work/$1-crt.pem" 2> "$work/log" || { cat "$work/log" >&2; exit 1; }
}
issue server server localhost 397
issue client1 client client1 365

# 4. The browser's files: certificate, key and CA under a password. The algorithms are named because OpenSSL 1.1.1 would take
# ones (RC2, SHA-1) that OpenSSL 3 does not read. The older ones are for macOS, old Windows and Android.
if [ -z "${P12_PASSWORD:-}" ]; then
    P12_PASSWORD=$(openssl rand -hex 8)
    echo "the password of client1.p12 is $P12_PASSWORD"
fi
export P12_PASSWORD
p12() { # FILE ENCRYPTION DIGEST
    openssl pkcs12 -export -in "$work/client1-crt.pem" -inkey "$work/client1-key.pem" -certfile "$work/ca.pem" \
        -name client1 -keypbe "$2" -certpbe "$2" -macalg "$3" -passout env:P12_PASSWORD -out "$work/$1"
}
p12 client1.p12 AES-256-CBC sha256
p12 client1.legacy.p12 PBE-SHA1-3DES sha1

chmod 644 "$work"/ca.pem "$work"/*-crt.pem
for file in ca-key.pem ca.pem server-key.pem server-crt.pem client1-key.pem client1-crt.pem client1.p12 client1.legacy.p12; do
    ln "$work/$file" "$file"
done
echo "made ca.pem, server-crt.pem, client1-crt.pem, their keys, client1.p12 and client1.legacy.p12 in $PWD"
