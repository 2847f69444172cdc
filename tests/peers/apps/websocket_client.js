// A client with a certificate for the WebSocket server: `node websocket_client.js PORT`, where certs/ is. It does what it is
// told on standard input, a line at a time, and says on standard output what it sees.
const crypto = require('crypto');
const fs = require('fs');
const readline = require('readline');
const WebSocket = require('ws');

const read = (name) => fs.readFileSync(`certs/${name}`);
const options = { ca: read('ca.pem'), cert: read('alice-crt.pem'), key: read('alice-key.pem') };
const socket = new WebSocket(`wss://localhost:${process.argv[2]}/echo`, ['chat'], options);
const sent = [];

socket.on('unexpected-response', (_, response) => console.log(`refused ${response.statusCode}`));
socket.on('open', () => console.log(`open, protocol ${socket.protocol}, extensions ${socket.extensions}`));
socket.on('message', (message, isBinary) => {
  if (!isBinary) return console.log(String(message));
  const expected = sent.shift();
  console.log(`${message.length} bytes ${expected.equals(message) ? 'came back' : 'are others'}`);
});
socket.on('pong', (data) => console.log(`pong ${data}`));
socket.on('error', (error) => console.log(`error: ${error.message}`));
socket.on('close', (code, reason) => {
  console.log(`closed ${code} ${reason}`);
  process.exit();
});

// `send 5 65536`: messages of so many random bytes, without waiting for one to come back.
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const [command, ...rest] = line.split(' ');
  if (command === 'send') {
    for (const size of rest) {
      sent.push(crypto.randomBytes(Number(size)));
      socket.send(sent.at(-1));
    }
  } else if (command === 'say') {
    socket.send(rest.join(' '));
  } else if (command === 'ping') {
    socket.ping(rest.join(' '));
  } else if (command === 'close') {
    socket.close(1000, rest.join(' '));
  }
});
