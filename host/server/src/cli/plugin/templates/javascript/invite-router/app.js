// Rings phones first, and whatever else there is some seconds later.
//
// Configuration, each field with its default: {"rest_after_seconds": 20, "ring_seconds": 30}

import { write } from "switchhook:types/log@0.1.0-dev";

export function describe() {
  const summary = "Rings phones first, and whatever else there is some seconds later.";
  return { name: "{{name}}", version: "1.0.0", summary };
}

// Throws what is wrong, a string.
export function validateConfig(configuration) {
  settings(configuration);
}

export function route(context, invite, targets, soFar, answers) {
  const { restAfter, ring } = settings(context.configuration);
  // Milliseconds are 64 bit wide in the contract: {{u64}}.
  const wave = (targets, seconds) => ({
    rings: targets.map((target) => ({ target: target.index, ringTime: {{u64(}}ring * 1000{{)u64}} })),
    startsAfter: {{u64(}}seconds * 1000{{)u64}},
  });
  const first = wave(targets.filter((target) => target.kind === "phone"), 0);
  const rest = wave(targets.filter((target) => target.kind !== "phone"), restAfter);
  write("info", `phones: ${first.rings.length}, others: ${rest.rings.length}`);
  return {
    tag: "ring",
    val: {
      // A wave that rings nobody is not allowed.
      waves: [first, rest].filter((wave) => wave.rings.length > 0),
      askAgain: { busy: false, declined: false, noAnswer: false },
      resources: [],
      finally: { tag: "give-up", val: "no-answer" },
    },
  };
}

function settings(configuration) {
  const { rest_after_seconds: restAfter = 20, ring_seconds: ring = 30, ...others } = parse(configuration);
  const unknown = Object.keys(others);
  if (unknown.length > 0) throw `unknown fields: ${unknown.join(", ")}`;
  const within = (value, least, most) => Number.isInteger(value) && value >= least && value <= most;
  if (!within(restAfter, 0, 120) || !within(ring, 1, 120)) {
    throw "rest_after_seconds is 0 to 120, ring_seconds 1 to 120";
  }
  return { restAfter, ring };
}

function parse(configuration) {
  try {
    return JSON.parse(configuration);
  } catch (error) {
    throw error.message;
  }
}
