// A WebSocket server that greets by the client's name and sends back what it gets, and a page for a browser that tries it.
const fs = require('fs');
const http = require('http');
const path = require('path');
const { WebSocketServer } = require('ws');

// Whether the script of the page is done, and the answer that the page waits for: see there.
let done = false;
let awaited = null;

const server = http.createServer((request, response) => {
  if (request.method === 'POST') {
    done = true;
    awaited?.end();
    response.end();
  } else if (request.url === '/') {
    response.setHeader('Content-Type', 'text/html');
    fs.createReadStream(path.join(__dirname, 'websocket.html')).pipe(response);
  } else if (request.url === '/until-done') {
    awaited = response;
    if (done) response.end();
  } else {
    response.writeHead(404).end('not found\n');
  }
});

const sockets = new WebSocketServer({ server, perMessageDeflate: true, handleProtocols: (offered) => [...offered][0] });
sockets.on('connection', (socket, request) => {
  socket.send(`hello ${request.headers['x-client-name']}`);
  socket.on('message', (message, isBinary) => {
    if (!isBinary && String(message) === 'close') {
      socket.close(4001, 'as you asked');
    } else {
      socket.send(message, { binary: isBinary });
    }
  });
  socket.on('error', (error) => console.error(`error: ${error.message}`));
  socket.on('close', (code, reason) => console.error(`closed ${code} ${reason}`));
});

server.listen(Number(process.argv[2]), '127.0.0.1', () => console.error(`listening on 127.0.0.1:${server.address().port}`));
