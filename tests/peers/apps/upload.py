"""Says the SHA-256 of what is sent to it, and sends as many bytes as it is asked for."""
import hashlib
import http.server
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def begin(self, length):
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def do_PUT(self):
        digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
        while left:
            piece = self.rfile.read(min(left, 65536))
            if not piece:
                return
            digest.update(piece)
            left -= len(piece)
        self.begin(64)
        self.wfile.write(digest.hexdigest().encode())

    def do_GET(self):
        length = int(self.path[1:])
        self.begin(length)
        for _ in range(length // 1000):
            self.wfile.write(b"x" * 1000)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print(f"listening on 127.0.0.1:{server.server_port}", file=sys.stderr)
server.serve_forever()
