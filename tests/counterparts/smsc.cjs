// An SMSC by the npm package `smpp`. It says what happens, a line of JSON each, and does what it is told:
//   {"deliver": {...}}      hands a PDU deliver_sm to whoever is bound
//   {"answer": status}      answers submissions with this status from now on; null: not at all
//   {"settle": status}      answers the last submission with this status
//   {"write": hex}          writes bytes that are no PDU
//   {"deaf": true}          answers no enquire_link from now on; false: each
//   {"tls": {...}}          listens by TLS too, with this key and certificate (PEM)
//   {"drop": true}          closes every connection
//   {"away": true}          closes every connection, and from now on each that comes; false: serves them
const readline = require("node:readline");
const smpp = require("smpp");

const SYSTEM_ID = "switchhook";
const PASSWORD = "secret08";
const sessions = new Set();
let status = 0;
let count = 0;
let last = null;
let deaf = false;
let away = false;

const say = (what) => console.log(JSON.stringify(what));

const serve = (session) => {
  session.on("error", () => {});
  if (away) {
    say({ knocked: true });
    session.destroy();
    return;
  }
  session.on("close", () => {
    if (sessions.delete(session)) say({ closed: true });
  });
  session.on("bind_transceiver", (pdu) => {
    if (pdu.system_id !== SYSTEM_ID || pdu.password !== PASSWORD) {
      say({ refused: pdu.system_id });
      session.send(pdu.response({ command_status: smpp.ESME_RINVPASWD }));
      return;
    }
    session.send(pdu.response());
    sessions.add(session);
    say({ bound: { system_type: pdu.system_type, version: pdu.interface_version } });
  });
  session.on("submit_sm", (pdu) => {
    const id = `m-${(count += 1)}`;
    const { message, udh } = pdu.short_message;
    say({
      submitted: {
        id,
        from: pdu.source_addr,
        to: pdu.destination_addr,
        ton: pdu.dest_addr_ton,
        coding: pdu.data_coding,
        receipt: pdu.registered_delivery,
        udh: udh ? udh.map((element) => element.toString("hex")) : null,
        text: message,
      },
    });
    last = { session, pdu, id };
    if (status !== null) session.send(pdu.response({ command_status: status, message_id: id }));
  });
  session.on("enquire_link", (pdu) => {
    say({ enquired: !deaf });
    if (!deaf) session.send(pdu.response());
  });
  session.on("unbind", (pdu) => {
    say({ unbound: true });
    session.send(pdu.response());
    session.close();
  });
};

const server = smpp.createServer({}, serve);
server.listen(0, "127.0.0.1", () => say({ listening: server.address().port }));

const commands = {
  deliver: (pdu) => {
    const [session] = sessions;
    const message = pdu.hex ? Buffer.from(pdu.hex, "hex") : pdu.utf8 && Buffer.from(pdu.utf8, "utf8");
    if (message) pdu.short_message = { message, udh: pdu.udh && Buffer.from(pdu.udh, "hex") };
    session.deliver_sm(pdu, (answer) => say({ answered: answer.command_status }));
  },
  answer: (wanted) => {
    status = wanted;
  },
  settle: (command_status) => {
    const { session, pdu, id } = last;
    session.send(pdu.response({ command_status, message_id: id }));
  },
  write: (hex) => sessions.forEach((session) => session.socket.write(Buffer.from(hex, "hex"))),
  deaf: (wanted) => {
    deaf = wanted;
  },
  tls: ({ key, certificate }) => {
    const hidden = smpp.createServer({ key, cert: certificate }, serve);
    hidden.on("tlsClientError", (error) => say({ distrusted: error.code ?? error.message }));
    hidden.listen(0, "127.0.0.1", () => say({ "listening-tls": hidden.address().port }));
  },
  away: (wanted) => {
    away = wanted;
    if (away) commands.drop();
  },
  drop: () => sessions.forEach((session) => session.destroy()),
};

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  for (const [name, argument] of Object.entries(JSON.parse(line))) {
    commands[name](argument);
    say({ did: name });
  }
});
