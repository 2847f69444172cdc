"""Server-sent events and a long poll, on Python's http.server, whose answers end with their connections.

The next event is sent only when the page has said that it has seen the one before: if anything on the way held events back, the
page would wait for ever. The same goes for the poll, which is answered when somebody says something."""
import http.server
import queue
import sys
import threading

PAGE = b"""<!doctype html>
<title>Events</title>
<ul id="seen"></ul>
<!-- The page is loaded when this has its answer, which the server holds back until all events are seen. -->
<img src="/until-done" alt="">
<script>
  const events = new EventSource('/events');
  events.onmessage = ({ data }) => {
    document.getElementById('seen').insertAdjacentHTML('beforeend', `<li>${data}</li>`);
    if (data.startsWith('last')) events.close();
    fetch('/seen', { method: 'POST', body: data });
  };
</script>
"""

seen, said, done = queue.Queue(), queue.Queue(), threading.Event()
polls = 0
PATIENCE = 30


class Handler(http.server.BaseHTTPRequestHandler):
    def begin(self, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def do_GET(self):
        global polls
        if self.path == "/events":
            self.events()
        elif self.path == "/poll":
            polls += 1
            text = said.get(timeout=PATIENCE)
            self.begin("text/plain")
            self.wfile.write(text)
        elif self.path == "/polls":
            self.begin("text/plain")
            self.wfile.write(f"{polls}\n".encode())
        elif self.path == "/until-done":
            done.wait(PATIENCE)
            self.begin("text/plain")
        else:
            self.begin("text/html")
            self.wfile.write(PAGE)

    def events(self):
        self.begin("text/event-stream")
        name = self.headers["X-Client-Name"]
        for text in [f"{name}: first", "second", "third", "fourth", "last"]:
            self.wfile.write(f"data: {text}\n\n".encode())
            self.wfile.flush()
            confirmed = seen.get(timeout=PATIENCE).decode()
            print(f"sent {text}, seen {confirmed}", file=sys.stderr)
        done.set()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        (seen if self.path == "/seen" else said).put(body)
        self.begin("text/plain")

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print(f"listening on 127.0.0.1:{server.server_port}", file=sys.stderr)
server.serve_forever()
