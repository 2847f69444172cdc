// The app of the usual article: node with express, `rejectUnauthorized: false`, and a 401 by hand.
//
//     node app.js PORT DIRECTORY
const fs = require('fs');
const https = require('https');
const path = require('path');
const express = require('express');

const [port, directory] = process.argv.slice(2);
const read = (name) => fs.readFileSync(path.join(directory, name));
const app = express();

app.use((req, res, next) => {
  if (!req.client.authorized) {
    return res.status(401).send('User is not authorized\n');
  }
  next();
});
app.get('/', (req, res) => res.type('text/plain').send('hello world\n'));

const options = {
  key: read('server-key.pem'),
  cert: read('server-crt.pem'),
  ca: read('ca.pem'),
  requestCert: true,
  rejectUnauthorized: false,
};
https.createServer(options, app).listen(Number(port), '127.0.0.1');
