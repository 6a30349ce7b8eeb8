"""A model formula in words: what is modelled, on what, with which random effects."""

from __future__ import annotations

import re
from collections.abc import Sequence

from alliance_stats.render.labels import readable

FUNCTION = re.compile(r"(?P<name>[A-Za-z_]\w*)\((?P<inside>.*)\)")
BAR = re.compile(r"\((?P<effects>[^()|]*)(?P<bars>\|{1,2})(?P<group>[^()|]*)\)")


def formula_words(formula: str) -> str:
    """A formula as a reader says it.

    >>> formula_words("pain ~ alliance * arm + pain_before + (1 + week | patient)")
    'pain on alliance, arm and their interaction, and pain before, with random intercepts and slopes of week by patient'
    >>> formula_words("done | trials(assigned) ~ 1 + (1 | therapist)")
    'done of assigned without predictors, with random intercepts by therapist'
    """
    left, _, right = formula.partition("~")
    bars = list(BAR.finditer(right))
    terms = [t for t in split(BAR.sub("", right), "+") if t and t not in ("0", "1")]
    words = [_term(term) for term in terms]
    on = f" on {listed(words)}" if words else " without predictors"
    return f"{_response(left.strip())}{on}{f', with {_random_parts(bars)}' if bars else ''}"


def listed(words: Sequence[str]) -> str:
    """Words with commas and a last "and"; a comma before it where a part has an "and" of its own.

    >>> listed(["a", "b", "c"]), listed(["a and b", "c"])
    ('a, b and c', 'a and b, and c')
    """
    if len(words) < 2:
        return "".join(words)
    comma = "," if any(" and " in word for word in words) else ""
    return f"{', '.join(words[:-1])}{comma} and {words[-1]}"


def split(text: str, sign: str) -> list[str]:
    """Parts of a formula at a sign that is outside brackets.

    >>> split("a + I(b + c) + d", "+")
    ['a', 'I(b + c)', 'd']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == sign and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _response(left: str) -> str:
    trials = re.fullmatch(r"(.+?)\s*\|\s*trials\((.+)\)", left)
    if trials:
        return f"{_name(trials[1])} of {_name(trials[2])}"
    survival = re.fullmatch(r"Surv\((.+)\)", left)
    if survival:
        *times, event = [_name(part) for part in survival[1].split(",")]
        return f"time ({' to '.join(times)}) until {event}"
    return _name(left)


def _term(term: str) -> str:
    crossed = split(term, "*")
    if len(crossed) > 1:
        inner = [
            split(part.removeprefix("(").removesuffix(")"), "+") if part.startswith("(") else [part] for part in crossed
        ]
        names = [_term(name) for part in inner for name in part]
        return f"{', '.join(names)} and their interaction{'s' * (len(names) > 2)}"
    parts = split(term, ":")
    return f"the interaction of {listed([_name(p) for p in parts])}" if len(parts) > 1 else _name(term)


def _name(text: str) -> str:
    text = text.strip()
    square = re.fullmatch(r"I?\(?(\w+)\s*(?:\^|\*\*)\s*2\)?", text)
    if square:
        return f"{readable(square[1])} squared"
    call = FUNCTION.fullmatch(text)
    if call and call["name"] == "C":
        return f"{readable(call['inside'].split(',')[0])} (as categories)"
    return text if call else readable(text)


def _random_parts(bars: Sequence[re.Match[str]]) -> str:
    """Random effects of all groupings; those with an intercept alone share one phrase."""
    alone = [_group(bar) for bar in bars if split(bar["effects"], "+") == ["1"]]
    parts = [f"random intercepts by {listed(alone)}"] if alone else []
    return listed(parts + [_random(bar) for bar in bars if split(bar["effects"], "+") != ["1"]])


def _random(bar: re.Match[str]) -> str:
    effects = split(bar["effects"], "+")
    slopes = [_name(effect) for effect in effects if effect not in ("0", "1", "-1")]
    intercept = "0" not in effects and "-1" not in effects
    what = ["intercepts"] * intercept + [f"slopes of {listed(slopes)}"]
    apart = " (uncorrelated)" if bar["bars"] == "||" else ""
    return f"random {' and '.join(what)}{apart} by {_group(bar)}"


def _group(bar: re.Match[str]) -> str:
    return (
        " within ".join(_name(g) for g in reversed(bar["group"].split("/")))
        if "/" in bar["group"]
        else _name(bar["group"])
    )
