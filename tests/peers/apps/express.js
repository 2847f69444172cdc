// An express application as there are many: sessions in a cookie, uploads, files with ranges. It speaks plain HTTP on a port
// of 127.0.0.1 or on a Unix socket, knows nothing of TLS, and believes what the gate says of the client.
const crypto = require('crypto');
const http = require('http');
const express = require('express');
const session = require('express-session');
const multer = require('multer');

const app = express();
const [place] = process.argv.slice(2);
const isPort = /^[0-9]+$/.test(place);
// What stands in X-Forwarded-For, -Proto and -Host counts, as it comes from this machine. A Unix socket has no address.
app.set('trust proxy', isPort ? 'loopback' : true);
app.use(session({ secret: 'of a test', resave: false, saveUninitialized: false, cookie: { secure: true } }));

const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');

app.get('/', (req, res) => {
  req.session.visits = (req.session.visits ?? 0) + 1;
  res.send(`${req.get('X-Client-Name')}: visit ${req.session.visits}\n`);
});

// Who the client is: an absent field is left out of JSON.
app.get(['/who', '/public'], (req, res) => {
  const certificate = req.get('Client-Cert');
  const read = certificate && new crypto.X509Certificate(Buffer.from(certificate.slice(1, -1), 'base64'));
  res.json({
    name: req.get('X-Client-Name'),
    subject: req.get('X-Client-Subject'),
    sha256: req.get('X-Client-Sha256'),
    certificate: read?.fingerprint256.replaceAll(':', '').toLowerCase(),
    url: `${req.protocol}://${req.host}${req.originalUrl}`,
    ip: req.ip,
  });
});

// A form with a file.
app.post('/form', multer({ storage: multer.memoryStorage() }).single('file'), (req, res) => {
  res.json({ name: req.file.originalname, size: req.file.size, sha256: sha256(req.file.buffer), note: req.body.note });
});

// A file by itself, of any size.
app.put('/raw', (req, res, next) => {
  const hash = crypto.createHash('sha256');
  req.on('data', (bytes) => hash.update(bytes)).on('end', () => res.send(hash.digest('hex'))).on('error', next);
});

app.get('/file', (req, res) => res.sendFile(__filename));
app.get('/old', (req, res) => res.redirect('/'));
app.delete('/', (req, res) => req.session.destroy(() => res.status(204).end()));
app.get('/fails', () => {
  throw new Error('the application fails');
});
// Halfway through its answer.
app.get('/dies', (req, res) => {
  res.write('the beginning\n', () => res.destroy());
});

const server = http.createServer(app);
server.listen(isPort ? { port: place, host: '127.0.0.1' } : place, () => {
  console.error(`listening on ${isPort ? `127.0.0.1:${server.address().port}` : place}`);
});
