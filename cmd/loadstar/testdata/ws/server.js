// An echo server of WebSocket; it says its port. A client that sends "close" is
// closed with a code and a reason.
const { WebSocketServer } = require('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: (offered) => [...offered].pop() });
server.on('listening', () => console.log(server.address().port));
server.on('connection', (ws) => {
  ws.on('message', (data, binary) => {
    if (!binary && data.toString() === 'close') {
      ws.close(4001, 'as asked');
      return;
    }
    ws.send(data, { binary });
  });
});
