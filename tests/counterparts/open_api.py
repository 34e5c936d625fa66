"""Asks an API as its OpenAPI document says, and checks each answer against the document.

Asked by the document's path and a list of requests; says how each was answered, and what of the answer the
document does not allow. An answer of a status that the document does not describe is one of those.
"""

import json
import sys

import requests
from openapi_core import Config, OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse

asked = json.load(sys.stdin)
config = Config(extra_media_type_deserializers={"application/problem+json": json.loads})
api = OpenAPI.from_file_path(asked["document"], config=config)


def send(call):
    headers = {"Authorization": "Bearer " + call["token"]} if call["token"] else {}
    answer = requests.request(
        call["method"],
        call["url"],
        params=call.get("query"),
        json=call.get("body"),
        headers=headers,
        timeout=20,
        allow_redirects=False,
    )
    request = RequestsOpenAPIRequest(answer.request)
    against = []
    try:
        api.validate_response(request, RequestsOpenAPIResponse(answer))
    except Exception as wrong:
        against.append(f"{type(wrong).__name__}: {wrong}")
    body = answer.json() if answer.content else None
    return {"status": answer.status_code, "body": body, "against": against}


json.dump([send(call) for call in asked["calls"]], sys.stdout)
