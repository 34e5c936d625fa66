"""Registers a number that its user types, by a code that the host texts to it and compares.

Configuration, with its default: {"code_seconds": 300}
"""

import json

import wit_world
from componentize_py_types import Err
from wit_world import MethodDescription
from wit_world.imports import registration, types


class WitWorld(wit_world.WitWorld):
    def describe(self):
        summary = "Registers a number that its user types, by a code texted to it."
        description = types.Description(name="{{name}}", version="1.0.0", summary=summary)
        return MethodDescription(description=description, text_prefixes=[])

    def validate_config(self, configuration):
        code_seconds(configuration)

    def claim(self, text):
        """No inbound text begins an attempt: devices ask for this method."""
        return None

    def step(self, context, state, event):
        """The state is the number that the code was sent to."""
        expires_in = code_seconds(context.configuration) * 1000
        if state is None:
            number = begun(event)
            proof = registration.Proof(to=number, expires_in=expires_in)
            return then(number, [registration.Effect_SendCode(proof)], expires_in)
        number = state.decode()
        match event:
            case registration.Event_CodeVerified(proven) if proven == number:
                effects = [registration.Effect_Bind(number), registration.Effect_Finish()]
                return then(number, effects, expires_in)
            case registration.Event_CodeFailed(0):
                raise Err(types.Refusal("too-many-tries", "The code was wrong too often."))
            case registration.Event_CodeFailed() | registration.Event_TextSent():
                return then(number, [], expires_in)
        raise Err(types.Refusal("unexpected", "This registration does not go on like that."))


def begun(event):
    if not isinstance(event, registration.Event_Begun):
        raise Err(types.Refusal("unexpected", "This registration does not begin like that."))
    for field in event.value:
        if field.name == "number":
            return field.value
    raise Err(types.Refusal("number-missing", 'The field "number" is missing.'))


def then(number, effects, expires_in):
    return registration.Transition(state=number.encode(), effects=effects, expires_in=expires_in)


def code_seconds(configuration):
    try:
        read = json.loads(configuration)
    except json.JSONDecodeError as error:
        raise Err(str(error))
    seconds = read.pop("code_seconds", 300)
    if read:
        raise Err(f"unknown fields: {', '.join(read)}")
    if seconds not in range(60, 3601):
        raise Err("code_seconds is 60 to 3600")
    return seconds
