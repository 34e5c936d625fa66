// Lets two peers in Chromium exchange messages through a TURN server, and says what came and which way it went.
//
// Asked by one line: the ICE servers of both, how many messages each says, and a certificate (in PEM) that Chromium
// believes though no public authority vouches for it. Chromium ends with this program: it is driven through a pipe.

const { spawn } = require("node:child_process");
const { X509Certificate, createHash } = require("node:crypto");
const { once } = require("node:events");
const { mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { createInterface } = require("node:readline");

const BROWSER = "chromium-headless-shell";

/** Runs in the page: both peers relay, so that what one hears of the other came through the server. */
async function meet(servers, count) {
  const [a, b] = servers.map(
    (server) => new RTCPeerConnection({ iceServers: [server], iceTransportPolicy: "relay" }),
  );
  const failures = [];
  for (const [one, other] of [[a, b], [b, a]]) {
    one.onicecandidate = ({ candidate }) => candidate && other.addIceCandidate(candidate);
    one.onicecandidateerror = ({ url, errorCode, errorText }) => failures.push({ url, errorCode, errorText });
  }
  const failed = new Promise((_, reject) => {
    a.onconnectionstatechange = () =>
      a.connectionState === "failed" && reject(new Error(JSON.stringify(failures)));
  });
  const text = (index) => `${index} `.padEnd(1000, ".");
  const says = (channel) => {
    for (let index = 0; index < count; index++) channel.send(text(index));
  };
  const hears = (channel) =>
    new Promise((resolve) => {
      let heard = 0;
      channel.onmessage = ({ data }) => {
        heard += data === text(heard);
        if (heard === count) resolve(heard);
      };
    });
  const channel = a.createDataChannel("messages");
  const heard = Promise.all([
    hears(channel),
    new Promise((resolve) => {
      b.ondatachannel = ({ channel }) => {
        resolve(hears(channel));
        says(channel);
      };
    }),
  ]);
  channel.onopen = () => says(channel);
  await a.setLocalDescription();
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription();
  await a.setRemoteDescription(b.localDescription);
  const said = { heard: await Promise.race([heard, failed]), ways: [] };
  for (const peer of [a, b]) {
    const stats = [...(await peer.getStats()).values()];
    const transport = stats.find(({ type }) => type === "transport");
    const pair = stats.find(({ id }) => id === transport.selectedCandidatePairId);
    const { candidateType, relayProtocol, address, port } = stats.find(({ id }) => id === pair.localCandidateId);
    said.ways.push({ candidateType, relayProtocol, relayed: `${address}:${port}` });
    peer.close();
  }
  return said;
}

/** Chromium's protocol: one object after the other, each ended by a zero. */
class Browser {
  constructor(certificate) {
    this.profile = mkdtempSync(join(tmpdir(), "switchhook-chromium-"));
    const flags = [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--allow-loopback-in-peer-connection",
      "--remote-debugging-pipe",
      `--user-data-dir=${this.profile}`,
      `--ignore-certificate-errors-spki-list=${digest(certificate)}`,
    ];
    this.process = spawn(BROWSER, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    this.waiting = new Map();
    let rest = "";
    this.process.stdio[4].setEncoding("utf8").on("data", (data) => {
      const messages = (rest + data).split("\0");
      rest = messages.pop();
      messages.map((message) => JSON.parse(message)).forEach((message) => this.waiting.get(message.id)?.(message));
    });
  }

  async ask(method, params, sessionId) {
    const id = this.waiting.size + 1;
    const answered = new Promise((resolve) => this.waiting.set(id, resolve));
    this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    const { result, error } = await answered;
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  /** Calls a function in a page of its own. */
  async call(what, ...given) {
    const { targetId } = await this.ask("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.ask("Target.attachToTarget", { targetId, flatten: true });
    const expression = `(${what})(...${JSON.stringify(given)})`;
    const how = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.ask("Runtime.evaluate", how, sessionId);
    return exceptionDetails ? { failed: exceptionDetails.exception.description } : result.value;
  }

  /** Ends it, and what it has written. */
  async close() {
    const ended = once(this.process, "exit");
    await this.ask("Browser.close");
    await ended;
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Of a certificate's key, as Chromium names those that it is to believe. */
function digest(certificate) {
  const key = new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64");
}

createInterface({ input: process.stdin }).once("line", async (line) => {
  const { servers, count, certificate } = JSON.parse(line);
  const browser = new Browser(certificate);
  const said = await browser.call(meet, servers, count);
  // Whoever has the answer may end this program.
  await browser.close();
  console.log(JSON.stringify(said));
  process.exit();
});
