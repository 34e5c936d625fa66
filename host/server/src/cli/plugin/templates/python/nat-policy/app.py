"""Lets two devices try to reach each other directly, and gives them a relay when that takes too long.

Configuration, with its default: {"patience_ms": 2000}
"""

import json

import wit_world
from componentize_py_types import Err
from wit_world import Verdict_DirectThenRelay, Verdict_Relay
from wit_world.imports import nat, types


class WitWorld(wit_world.WitWorld):
    def describe(self):
        summary = "Tries directly, then gives a relay."
        return types.Description(name="{{name}}", version="1.0.0", summary=summary)

    def validate_config(self, configuration):
        patience(configuration)

    def decide(self, context, a, b, attempt, history, answers):
        if attempt.direct_failures > 0 or attempt.relay_requested:
            return Verdict_Relay(nat.RelayHint(region=a.region))
        return Verdict_DirectThenRelay(nat.Patience(milliseconds=patience(context.configuration)))


def patience(configuration):
    try:
        read = json.loads(configuration)
    except json.JSONDecodeError as error:
        raise Err(str(error))
    patience = read.pop("patience_ms", 2000)
    if read:
        raise Err(f"unknown fields: {', '.join(read)}")
    if patience not in range(100, 30001):
        raise Err("patience_ms is 100 to 30000")
    return patience
