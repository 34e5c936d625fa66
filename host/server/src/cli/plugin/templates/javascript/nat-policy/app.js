// Lets two devices try to reach each other directly, and gives them a relay when that takes too long.
//
// Configuration, with its default: {"patience_ms": 2000}

export function describe() {
  return { name: "{{name}}", version: "1.0.0", summary: "Tries directly, then gives a relay." };
}

// Throws what is wrong, a string.
export function validateConfig(configuration) {
  patience(configuration);
}

export function decide(context, a, b, attempt, history, answers) {
  if (attempt.directFailures > 0 || attempt.relayRequested) {
    return { tag: "relay", val: { region: a.region } };
  }
  return { tag: "direct-then-relay", val: { milliseconds: patience(context.configuration) } };
}

function patience(configuration) {
  const { patience_ms: patience = 2000, ...others } = parse(configuration);
  const unknown = Object.keys(others);
  if (unknown.length > 0) throw `unknown fields: ${unknown.join(", ")}`;
  if (!Number.isInteger(patience) || patience < 100 || patience > 30000) {
    throw "patience_ms is 100 to 30000";
  }
  return patience;
}

function parse(configuration) {
  try {
    return JSON.parse(configuration);
  } catch (error) {
    throw error.message;
  }
}
