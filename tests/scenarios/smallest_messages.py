"""The smallest message that a schema of OCPP allows."""


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
