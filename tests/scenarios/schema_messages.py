"""Messages made from OCPP's own schemas: the smallest, and the fullest with whichever value of each list of words."""

from typing import Any


def smallest(schema: dict, definitions: dict) -> object:
    """The least that a schema allows: required fields only."""
    if "$ref" in schema:
        return smallest(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        wanted = schema.get("required", [])
        return {name: smallest(schema["properties"][name], definitions) for name in wanted}
    if kind == "array":
        return [smallest(schema["items"], definitions)] * schema.get("minItems", 0)
    if kind == "string":
        return "2030-01-15T08:00:00Z" if schema.get("format") == "date-time" else "x"
    return {"integer": 1, "number": 1.0, "boolean": True}.get(kind, "x")


def fullest(schema: dict[str, Any], definitions: dict[str, Any], word: int = 0) -> Any:
    """All fields there are, texts and lists as long as they may be (up to 200 and 2), and of words the one of this number."""
    if "$ref" in schema:
        return fullest(definitions[schema["$ref"].rpartition("/")[2]], definitions, word)
    if "enum" in schema:
        return schema["enum"][word % len(schema["enum"])]
    kind = schema.get("type")
    if kind == "object":
        return {
            name: fullest(field, definitions, word) for name, field in schema.get("properties", {}).items()
        }
    if kind == "array":
        length = min(schema.get("maxItems", 2), max(2, schema.get("minItems", 0)))
        return [fullest(schema["items"], definitions, word)] * length
    if kind == "string":
        is_time = schema.get("format") == "date-time"
        return "2030-01-15T08:00:00.000Z" if is_time else "7" * min(schema.get("maxLength", 200), 200)
    number = schema.get("maximum", max(1, schema.get("minimum", 1)))
    return {"integer": int(number), "number": float(number), "boolean": word % 2 == 0}.get(
        kind, {"vendorId": "x"}
    )


def most_words(schema: Any) -> int:
    """How many messages `fullest` makes in which each word stands once."""
    if isinstance(schema, dict):
        own = len(schema["enum"]) if isinstance(schema.get("enum"), list) else 1
        return max([own, *map(most_words, schema.values())])
    return max([1, *map(most_words, schema)]) if isinstance(schema, list) else 1
