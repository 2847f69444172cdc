// Answers each request with the id in its path and, if it has a body, with that, in one of several ways. It dies in the middle.
const http = require('http');

const server = http.createServer((request, response) => {
  const body = [];
  request.on('data', (bytes) => body.push(bytes)).on('end', () => {
    const id = request.url.slice(1);
    const text = `${Buffer.concat(body).toString() || id}\n`;
    console.error(`${request.method} ${id}.`);
    response.setHeader('X-Id', id);
    switch (Number(id.split('-')[1]) % 4) {
      case 0: // With its length.
        return response.end(text);
      case 1: // In chunks, with a pause.
        response.write(text.slice(0, 2));
        return setTimeout(() => response.end(text.slice(2)), 3);
      case 2: // More than the sockets hold.
        return response.end(text.repeat(40000));
      default: // Late.
        return setTimeout(() => response.end(text), 5);
    }
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.error(`listening on 127.0.0.1:${server.address().port}`));
