// Signs webhooks as Twilio does, by Twilio's own library: {url, auth_token, form} -> {signature}.
const readline = require("node:readline");
const { getExpectedTwilioSignature } = require("twilio");

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { url, auth_token, form } = JSON.parse(line);
  console.log(JSON.stringify({ signature: getExpectedTwilioSignature(auth_token, url, form) }));
});
