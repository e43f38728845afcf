// A client of WebSocket: messages of many sizes come back as they were sent, pings
// are answered, and code and reason of a close arrive. It says "ok", or what is wrong.
const { WebSocket } = require('ws');

const wrong = (what) => { console.log(what); process.exit(1); };
const ws = new WebSocket(process.argv[2], ['first', 'second'], { rejectUnauthorized: false });
const sizes = [0, 1, 125, 126, 65535, 65536, 300000, 2000000];
const messages = sizes.flatMap((n) => ['x'.repeat(n), Buffer.alloc(n, 7)]);
let next = 0, pongs = 0;

const send = () => ws.send(messages[next]);
ws.on('open', () => {
  if (ws.protocol !== 'second') wrong('protocol ' + ws.protocol);
  ws.ping('life');
  send();
});
ws.on('pong', (data) => { if (data.toString() === 'life') pongs++; });
ws.on('message', (data, binary) => {
  const sent = messages[next];
  if (binary !== Buffer.isBuffer(sent) || !data.equals(Buffer.from(sent))) wrong(`message ${next}: ${data.length} bytes`);
  if (++next < messages.length) send();
  else ws.send('close');
});
ws.on('close', (code, reason) => {
  if (code !== 4001 || reason.toString() !== 'as asked' || next !== messages.length || pongs !== 1) {
    wrong(`closed with ${code} ${reason} after ${next} messages and ${pongs} pongs`);
  }
  console.log('ok');
});
ws.on('error', (e) => wrong(e.message));
setTimeout(() => wrong(`not done after ${next} messages`), 60000).unref();
