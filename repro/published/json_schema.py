"""The format of published numbers as a JSON Schema, for editors and validators.

It is made of the types that the files are read into, so a key cannot be in one and not
in the other. What two tables must agree on, and whether a file that is named is there,
only reading tells.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import msgspec

from repro.published.known_files import FileList
from repro.published.metrics import METRICS
from repro.published.numbers import row_types
from repro.published.reading import SCHEMA, TABLES, Header
from repro.published.statements import KINDS
from repro.published.vocabulary import NAME, PATH_NAME, anchored

#: The newest draft that all of taplo, VS Code and check-jsonschema read.
DIALECT = "http://json-schema.org/draft-07/schema#"

_REFERENCE = "#/definitions/{name}"
_PATH: dict[str, Any] = {"type": "string", "minLength": 1}
#: The names that a table's headers may have, where they are not plain names.
_HEADERS = {"family": PATH_NAME, "checksum": PATH_NAME}

Schema = dict[str, Any]


def release_schema() -> Schema:
    """Describe a TOML file of published numbers.

    The metrics of other packages are in it as far as they are loaded.
    """
    rows = row_types()
    tables = {name: type_ for name, (_, type_) in TABLES.items()} | {
        "source": rows.source
    }
    types = (Header, *tables.values(), rows.reference, *KINDS.values())
    _, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    # The reader has put one in the place of the name of a file.
    del components[FileList.__name__]
    definitions = {name: _tidy(schema) for name, schema in components.items()}
    _accept_files_beside(definitions["DatasetSpec"])
    _accept_one_channel(definitions["Protocol"])
    for name in (rows.reference.__name__, "ToleranceRow"):
        definitions[name]["anyOf"] = [{"required": [metric]} for metric in METRICS]
    for type_ in tables.values():
        _without_name(definitions[type_.__name__])
    for kind, claim in KINDS.items():
        _with_kind(definitions[claim.__name__], kind)
    return {
        "$schema": DIALECT,
        "title": "Published numbers, as repro reads them",
        "type": "object",
        "properties": {
            "schema": {"const": SCHEMA},
            "release": _refer(Header),
            **{
                name: {
                    "type": "object",
                    "propertyNames": {"pattern": anchored(_HEADERS.get(name, NAME))},
                    "additionalProperties": _refer(type_),
                }
                for name, type_ in tables.items()
            },
            "reference": _list_of([_refer(rows.reference)]),
            "claim": _list_of(map(_refer, KINDS.values())),
        },
        "additionalProperties": False,
        "definitions": definitions,
    }


def _refer(type_: type) -> Schema:
    return {"$ref": _REFERENCE.format(name=type_.__name__)}


def _list_of(choices: Iterable[Schema]) -> Schema:
    first, *others = choices
    return {"type": "array", "items": {"oneOf": [first, *others]} if others else first}


def _tidy(value: Any) -> Any:
    """Leave out what TOML does not have, and what only newer drafts say."""
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("format") == "decimal":
        return {"type": ["number", "string"], "minimum": 0}
    schema = {key: _tidy(item) for key, item in value.items()}
    if "properties" in schema:
        # Keys that stand under their own names, such as `title`.
        del schema["title"]
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
        return schema
    if schema.get("default", "") is None:
        del schema["default"]
    if "prefixItems" in schema:
        schema["items"], *_ = schema.pop("prefixItems")
    if isinstance(pattern := schema.get("pattern"), str):
        schema["pattern"] = pattern.replace(r"\Z", "$")
    if isinstance(choices := schema.get("anyOf"), list):
        schema["anyOf"] = [one for one in choices if one != {"type": "null"}]
        if len(schema["anyOf"]) == 1:
            (only,) = schema.pop("anyOf")
            schema = only | schema
    return schema


def _without_name(schema: Schema) -> None:
    """Leave out the key `id`, which is the name in the table's header."""
    del schema["properties"]["id"]
    schema["required"].remove("id")


def _with_kind(schema: Schema, kind: str) -> None:
    schema["properties"] = {"kind": {"const": kind}, **schema["properties"]}
    schema["required"] = ["kind", *schema["required"]]


def _accept_one_channel(protocol: Schema) -> None:
    """Let a list have one number for grey images, which the reader writes thrice."""
    for key in ("mean", "std"):
        three = protocol["properties"][key]
        one = three | {"minItems": 1, "maxItems": 1}
        protocol["properties"][key] = {"anyOf": [three, one]}


def _accept_files_beside(dataset: Schema) -> None:
    """Let a list stand in a file of its own, as the reader does."""
    for key, schema in dataset["properties"].items():
        if key in ("classes", "outputs"):
            dataset["properties"][key] = {"anyOf": [schema, _PATH]}
    dataset["properties"]["files"] = _PATH
