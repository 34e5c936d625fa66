// Registers a number that its user types, by a code that the host texts to it and compares.
//
// Configuration, with its default: {"code_seconds": 300}

export function describe() {
  const summary = "Registers a number that its user types, by a code texted to it.";
  return { description: { name: "{{name}}", version: "1.0.0", summary }, textPrefixes: [] };
}

// Throws what is wrong, a string.
export function validateConfig(configuration) {
  codeSeconds(configuration);
}

// No inbound text begins an attempt: devices ask for this method.
export function claim(text) {
  return null;
}

// The state is the number that the code was sent to.
export function step(context, state, event) {
  const expiresIn = {{u64(}}codeSeconds(context.configuration) * 1000{{)u64}};
  const then = (number, effects) => ({ state: bytes(number), effects, expiresIn });
  if (state == null) {
    if (event.tag !== "begun") throw refusal("unexpected", "This registration does not begin like that.");
    const number = event.val.find((field) => field.name === "number")?.value;
    if (number === undefined) throw refusal("number-missing", 'The field "number" is missing.');
    return then(number, [{ tag: "send-code", val: { to: number, expiresIn } }]);
  }
  const number = text(state);
  if (event.tag === "code-verified" && event.val === number) {
    return then(number, [{ tag: "bind", val: number }, { tag: "finish" }]);
  }
  if (event.tag === "code-failed" && event.val === 0) {
    throw refusal("too-many-tries", "The code was wrong too often.");
  }
  if (event.tag === "code-failed" || event.tag === "text-sent") return then(number, []);
  throw refusal("unexpected", "This registration does not go on like that.");
}

function refusal(code, message) {
  return { code, message };
}

function bytes(text) {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function text(bytes) {
  return String.fromCharCode(...bytes);
}

function codeSeconds(configuration) {
  const { code_seconds: seconds = 300, ...others } = parse(configuration);
  const unknown = Object.keys(others);
  if (unknown.length > 0) throw `unknown fields: ${unknown.join(", ")}`;
  if (!Number.isInteger(seconds) || seconds < 60 || seconds > 3600) throw "code_seconds is 60 to 3600";
  return seconds;
}

function parse(configuration) {
  try {
    return JSON.parse(configuration);
  } catch (error) {
    throw error.message;
  }
}
