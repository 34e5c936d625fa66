"""Rings phones first, and whatever else there is some seconds later.

Configuration, each field with its default: {"rest_after_seconds": 20, "ring_seconds": 30}
"""

import json

import wit_world
from componentize_py_types import Err
from wit_world import Decision_Ring
from wit_world.imports import log, routing, types


class WitWorld(wit_world.WitWorld):
    def describe(self):
        summary = "Rings phones first, and whatever else there is some seconds later."
        return types.Description(name="{{name}}", version="1.0.0", summary=summary)

    def validate_config(self, configuration):
        settings(configuration)

    def route(self, context, invite, targets, so_far, answers):
        rest_after, ring = settings(context.configuration)
        first = wave(targets, 0, ring, lambda target: target.kind == "phone")
        rest = wave(targets, rest_after, ring, lambda target: target.kind != "phone")
        log.write(log.Level.INFO, f"phones: {len(first.rings)}, others: {len(rest.rings)}")
        return Decision_Ring(
            routing.Plan(
                # A wave that rings nobody is not allowed.
                waves=[wave for wave in (first, rest) if wave.rings],
                ask_again=routing.AskAgain(busy=False, declined=False, no_answer=False),
                resources=[],
                finally_=routing.Finally_GiveUp("no-answer"),
            )
        )


def wave(targets, after_seconds, ring_seconds, rings):
    chosen = [routing.Ring(target.index, ring_seconds * 1000) for target in targets if rings(target)]
    return routing.Wave(rings=chosen, starts_after=after_seconds * 1000)


def settings(configuration):
    try:
        read = json.loads(configuration)
    except json.JSONDecodeError as error:
        raise Err(str(error))
    rest_after, ring = read.pop("rest_after_seconds", 20), read.pop("ring_seconds", 30)
    if read:
        raise Err(f"unknown fields: {', '.join(read)}")
    if rest_after not in range(121) or ring not in range(1, 121):
        raise Err("rest_after_seconds is 0 to 120, ring_seconds 1 to 120")
    return rest_after, ring
