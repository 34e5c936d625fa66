// A mail server by the npm package `smtp-server`. It says what happens, a line of JSON each, and does what it is told:
//   {"listen": {...}}       first: security (tls, starttls, plain), key and certificate, user and password if any
//   {"answer": how}         takes messages from now on ("take"), refuses them with a status (552), is silent ("hang"), or
//                           closes the connection after the last dot ("die")
//   {"recipient": status}   refuses recipients with this status; null: takes them
const readline = require("node:readline");
const { SMTPServer } = require("smtp-server");

const say = (what) => console.log(JSON.stringify(what));
let answer = "take";
let recipient = null;
let server;

const refusal = (responseCode) => Object.assign(new Error("refused by the test"), { responseCode });

function take(stream, session, done) {
  const parts = [];
  stream.on("data", (part) => parts.push(part));
  stream.on("end", () => {
    const { mailFrom, rcptTo } = session.envelope;
    say({
      mail: {
        from: mailFrom.address,
        to: rcptTo.map(({ address }) => address),
        hello: session.hostNameAppearsAs,
        user: session.user || null,
        secure: session.secure,
        raw: Buffer.concat(parts).toString("utf8"),
      },
    });
    if (answer === "take") done();
    else if (answer === "die") server.connections.forEach((connection) => connection._socket.destroy());
    else if (answer !== "hang") done(refusal(answer));
  });
}

function listen({ security, key, certificate, user, password }) {
  server = new SMTPServer({
    secure: security === "tls",
    key,
    cert: certificate,
    hideSTARTTLS: security === "plain",
    authOptional: !user,
    allowInsecureAuth: security === "plain",
    disabledCommands: user ? [] : ["AUTH"],
    disableReverseLookup: true,
    onAuth: (given, _, done) => {
      if (given.username === user && given.password === password) return done(null, { user });
      say({ refused: given.username });
      done(refusal(535));
    },
    onRcptTo: (_, __, done) => done(recipient === null ? null : refusal(recipient)),
    onData: take,
  });
  server.on("error", ({ message }) => say({ trouble: message }));
  server.listen(0, "127.0.0.1", () => say({ listening: server.server.address().port }));
}

const commands = {
  listen,
  answer: (how) => {
    answer = how;
  },
  recipient: (status) => {
    recipient = status;
  },
};

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  for (const [name, argument] of Object.entries(JSON.parse(line))) {
    commands[name](argument);
    say({ did: name });
  }
});
