"""A policy: filters, scorers with weights, and a picker, chosen by name as a pool file does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sapwood.cluster.routing.filters import FILTERS, Filter, FitsCache, FitsContext, Ready, ServesModel
from sapwood.cluster.routing.pickers import PICKERS, Least, Picker
from sapwood.cluster.routing.scorers import SCORERS, Scorer, Work
from sapwood.models.errors import did_you_mean, shown


class PolicyError(ValueError):
    """A policy that cannot be. path: of the field, such as `scorers[0].weight`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path, self.message = path, message


@dataclass(frozen=True)
class Policy:
    """What decides. Scorers come with weights; the sum of weighted costs is what the picker sees."""

    filters: tuple[Filter, ...] = (Ready(), ServesModel(), FitsContext(), FitsCache())
    scorers: tuple[tuple[Scorer, float], ...] = ((Work(), 1.0),)
    picker: Picker = field(default_factory=Least)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Policy:
        """Of names, or of mappings with a name and options; what is left out is as in `Policy()`.

            {"scorers": ["work", {"name": "cache_usage", "weight": 0.1}], "picker": {"name": "least", "tolerance": 0.1}}

        The filters `ready` and `model` are always there. Raises PolicyError.
        """
        known = [f.name for f in dataclasses.fields(cls)]
        for name in options:
            if name not in known:
                raise PolicyError(str(name), f"there is no such field{did_you_mean(str(name), known)}")
        default = cls()
        filters = [_made(f"filters[{i}]", x, FILTERS)[0] for i, x in enumerate(_items(options, "filters"))]
        if "filters" in options:
            always = [f for f in (Ready(), ServesModel()) if f not in filters]
            default = dataclasses.replace(default, filters=(*always, *filters))
        if "scorers" in options:
            scorers = tuple(_made(f"scorers[{i}]", x, SCORERS) for i, x in enumerate(_items(options, "scorers")))
            default = dataclasses.replace(default, scorers=scorers)
        if "picker" in options:
            default = dataclasses.replace(default, picker=_made("picker", options["picker"], PICKERS)[0])
        return default


def _items(options: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = options.get(name, ())
    if not isinstance(found, list | tuple):
        raise PolicyError(name, f"{shown(found)}; expected a list")
    return found


def _made(path: str, given: Any, table: Mapping[str, type]) -> tuple[Any, float]:
    """An object of a table, and its weight."""
    options = {"name": given} if isinstance(given, str) else given
    if not isinstance(options, Mapping) or not isinstance(options.get("name"), str):
        raise PolicyError(path, f"{shown(given)}; expected a name, or a mapping with one")
    name = options["name"]
    if name not in table:
        raise PolicyError(path, f"{shown(name)}; there are {', '.join(table)}{did_you_mean(name, table)}")
    weighted = table is SCORERS
    fields = {f.name for f in dataclasses.fields(table[name])} | ({"weight"} if weighted else set())
    values: dict[str, Any] = {}
    for key, x in options.items():
        if key == "name":
            continue
        if key not in fields:
            raise PolicyError(f"{path}.{key}", f"there is no such field{did_you_mean(str(key), sorted(fields))}")
        if isinstance(x, bool) or not isinstance(x, int | float):
            raise PolicyError(f"{path}.{key}", f"{shown(x)}; expected a number")
        values[key] = float(x)
    weight = values.pop("weight", 1.0)
    if not 0 <= weight <= 1e6:
        raise PolicyError(f"{path}.weight", f"{weight}; allowed: 0 to 1e6")
    try:
        return table[name](**values), weight
    except ValueError as error:
        raise PolicyError(f"{path}.{str(error).partition(' ')[0]}", str(error)) from None
