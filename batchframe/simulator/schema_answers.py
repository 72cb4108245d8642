"""Answers that a JSON schema accepts, drawn by lot from the prompt.

The lot is seeded with a hash of the prompt, so the same prompt is always answered alike and different prompts fall on
different values of an enum. Recursive schemas end because, below a depth, the shallowest way out is taken.
"""

from __future__ import annotations

import hashlib
import math
import random
from typing import Any

from batchframe.simulator.patterns import matching_text

_DEEP = 4
"""Depth from which on optional things are left out and lists are kept short."""

_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "iris", "juniper", "kelp", "larch")


def instance(schema: dict[str, Any], prompt: str) -> Any:
    """A value the schema accepts; the same for the same schema and prompt."""
    seed = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()
    return _Lot(schema, random.Random(seed)).value(schema, 0)  # noqa: S311 (a lot, not a secret)


class _Lot:
    def __init__(self, root: dict[str, Any], lot: random.Random) -> None:
        self._root = root
        self._lot = lot

    def value(self, schema: Any, depth: int) -> Any:
        """A value for a schema."""
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._lot.choice(schema["enum"])
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                rest = {name: value for name, value in schema.items() if name != choice}
                return self.value(_merged(rest, self._resolved(self._option(schema[choice], depth))), depth)
        kind = self._kind(schema, depth)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        if kind in ("integer", "number"):
            return self._number(schema, whole=kind == "integer")
        if kind == "boolean":
            return self._lot.random() < 0.5
        return None if kind == "null" else self._text(schema)

    def _resolved(self, given: Any) -> dict[str, Any]:
        """The schema itself: references followed, `allOf` merged in."""
        schema: dict[str, Any] = given if isinstance(given, dict) else {}
        while "$ref" in schema:
            rest = {name: value for name, value in schema.items() if name != "$ref"}
            schema = _merged(self._pointed(schema["$ref"]), rest)
        for part in schema.get("allOf", ()):
            schema = _merged({name: value for name, value in schema.items() if name != "allOf"}, self._resolved(part))
        return schema

    def _pointed(self, reference: str) -> dict[str, Any]:
        found: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            found = found[step.replace("~1", "/").replace("~0", "~")]
        return found  # type: ignore[no-any-return]

    def _option(self, options: list[Any], depth: int) -> Any:
        if depth >= _DEEP:
            return min(options, key=lambda option: self._height(option, frozenset()))
        return self._lot.choice(options)

    def _height(self, schema: Any, above: frozenset[str]) -> float:
        """How deep the shallowest value of a schema is; infinite for one that contains itself without a way out."""
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if reference is not None:
            if reference in above:
                return math.inf
            above = above | {reference}
        schema = self._resolved(schema)
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return min(self._height(option, above) for option in schema[choice])
        if "null" in schema.get("type", ()):
            return 0
        inner = [self._height(schema["properties"][name], above) for name in _required(schema)]
        if schema.get("minItems", 0) > 0:
            inner.append(self._height(schema.get("items", {}), above))
        return 1 + max(inner, default=0)

    def _kind(self, schema: dict[str, Any], depth: int) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            return "null" if depth >= _DEEP and "null" in kind else self._lot.choice(kind)
        if isinstance(kind, str):
            return kind
        if "properties" in schema:
            return "object"
        return "array" if "items" in schema else "string"

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        names = _required(schema) if depth >= _DEEP else properties
        return {name: self.value(properties[name], depth + 1) for name in names}

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        fixed = [self.value(item, depth + 1) for item in schema.get("prefixItems", ())]
        if schema.get("items") is False:
            return fixed
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", max(least, 3))
        length = least if depth >= _DEEP else self._lot.randint(max(least, min(1, most)), max(least, min(most, 3)))
        found = fixed
        for _ in range(20 * length):
            if len(found) >= length:
                break
            item = self.value(schema.get("items", {}), depth + 1)
            if not schema.get("uniqueItems") or item not in found:
                found.append(item)
        return found

    def _number(self, schema: dict[str, Any], *, whole: bool) -> float:
        step = schema.get("multipleOf", 1 if whole else None)
        low, high = self._bounds(schema, step or 0.01)
        if step is None:
            drawn = self._lot.uniform(low, high)
            return round(drawn, 2) if low <= round(drawn, 2) <= high else drawn
        if whole and not float(step).is_integer():
            step = 1  # whole multiples of a fraction: taken as whole numbers
        return self._lot.randint(math.ceil(low / step), math.floor(high / step)) * step

    @staticmethod
    def _bounds(schema: dict[str, Any], step: float) -> tuple[float, float]:
        lows = [schema[name] + more for name, more in (("minimum", 0), ("exclusiveMinimum", step)) if name in schema]
        highs = [schema[name] - less for name, less in (("maximum", 0), ("exclusiveMaximum", step)) if name in schema]
        if lows:
            return max(lows), min(highs, default=max(lows) + 100 * step)
        return min(0, *highs) - 100 * step if highs else 0, min(highs, default=100)

    def _text(self, schema: dict[str, Any]) -> str:
        if "pattern" in schema:
            return matching_text(schema["pattern"], self._lot)
        if schema.get("format") in _FORMATS:
            return self._formatted(schema["format"])
        least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
        text = " ".join(self._lot.choices(_WORDS, k=3))
        while len(text) < least:
            text += " " + self._lot.choice(_WORDS)
        return text if len(text) <= most else text[: int(most)]

    def _formatted(self, kind: str) -> str:
        word, number = self._lot.choice(_WORDS), self._lot.randint(10, 27)
        return _FORMATS[kind].format(word=word, number=number, hexadecimal=f"{self._lot.getrandbits(48):012x}")


_FORMATS = {
    "date-time": "2026-01-{number}T09:{number}:00Z",
    "date": "2026-01-{number}",
    "time": "09:{number}:00Z",
    "duration": "P{number}D",
    "email": "{word}@example.com",
    "hostname": "{word}.example.com",
    "ipv4": "192.0.2.{number}",
    "ipv6": "2001:db8::{number}",
    "uri": "https://example.com/{word}",
    "uuid": "00000000-0000-4000-8000-{hexadecimal}",
}


def _required(schema: dict[str, Any]) -> list[str]:
    properties = schema.get("properties", {})
    return [name for name in schema.get("required", ()) if name in properties]


def _merged(schema: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both schemas at once, as far as generating needs it."""
    merged = {**schema, **other}
    if "properties" in schema and "properties" in other:
        merged["properties"] = schema["properties"] | other["properties"]
    if "required" in schema and "required" in other:
        merged["required"] = [*schema["required"], *other["required"]]
    return merged
