// Loaded by Node before kinesis-local: keeps it on loopback, says which ports it has, and ends it with its parent.
//
// The test process holds the other end of standard input and writes nothing to it. However that process ends, also by
// SIGKILL, the operating system closes the pipe, and this process goes with it.
'use strict';
const fs = require('fs');
const net = require('net');

// kinesis-local listens on every interface and cannot be told otherwise.
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  const callback = rest.find((argument) => typeof argument === 'function');
  return listen.call(this, { host: '127.0.0.1', port, exclusive: true }, function () {
    const { address, port } = this.address();
    process.stdout.write(`\nlistening on http://${address}:${port}\n`);
    if (callback) callback.call(this);
  });
};

// Kept now: kinesis-local replaces it by one that first waits for open connections, for ever.
const exit = process.exit;
process.stdin.on('end', () => {
  fs.rmSync(process.env.TMPDIR, { recursive: true, force: true });
  exit.call(process, 0);
});
process.stdin.resume();
