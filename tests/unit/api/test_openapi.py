"""The OpenAPI document is a contract."""

from __future__ import annotations

from service.api.routes import openapi_document
from tests.fixtures.golden import Golden, pretty


def test_the_document_is_that_of_the_golden_file(golden: Golden) -> None:
    golden("openapi.json", pretty(openapi_document()))


def test_operation_ids_are_unique() -> None:
    ids = [
        operation["operationId"]
        for item in openapi_document()["paths"].values()
        for operation in item.values()
    ]
    assert len(ids) == len(set(ids))
