"""Arguments that a tool's schema lets pass, made from the schema alone. Pure."""

from approvals.protocol.canonical import JsonObject

DEEPEST = 6


def arguments(schema: JsonObject) -> JsonObject:
    """The required ones. What a pattern or a format asks for is not made: such a tool needs arguments from outside."""
    return _object(schema, schema, 0)


def required(schema: JsonObject) -> bool:
    """Whether a tool takes no call without arguments."""
    return bool(schema.get("required"))


def _object(schema: JsonObject, root: JsonObject, depth: int) -> JsonObject:
    properties, names = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(names, list):
        return {}
    return {str(name): _value(properties.get(str(name)), root, depth + 1) for name in names}


def _value(schema: object, root: JsonObject, depth: int) -> object:
    if not isinstance(schema, dict) or depth > DEEPEST:
        return None
    schema = _resolved(schema, root)
    for given in ("const", "default"):
        if given in schema:
            return schema[given]
    for given in ("examples", "enum"):
        if isinstance(schema.get(given), list) and schema[given]:
            return schema[given][0]
    for given in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(given), list) and schema[given]:
            return _value(schema[given][0], root, depth + 1)
    return _of_type(schema, root, depth)


def _of_type(schema: JsonObject, root: JsonObject, depth: int) -> object:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind in ("integer", "number"):
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        return int(least) + 1 if isinstance(least, int | float) and least < 1e15 else 1
    if kind == "string":
        least = schema.get("minLength", 0)
        return "smoke test".ljust(least if isinstance(least, int) and least < 10_000 else 0, ".")
    if kind == "array":
        least = schema.get("minItems", 0)
        return [_value(schema.get("items"), root, depth + 1)] * (min(least, 100) if isinstance(least, int) else 0)
    if kind == "boolean":
        return False
    return _object(schema, root, depth) if kind == "object" else None


def _resolved(schema: JsonObject, root: JsonObject) -> JsonObject:
    reference = schema.get("$ref")
    found: object = root
    if not isinstance(reference, str):
        return schema
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
