"""The sentence that a shop prints beside a recommendation, out of its explanation."""

from __future__ import annotations

from collections.abc import Mapping

from serving.results import Explanation, ItemValue

# Share of a history that makes a value a habit.
_OFTEN = 0.1


def make_sentence(explanation: Explanation, titles: Mapping[str, str] | None = None) -> str:
    """Makes one sentence of the strongest reason for an item.

    The reason is what speaks for this item more than for others, not what is large for all of them:
    the chunk with the largest lift. An attribute is named where a value of it was wanted that the
    item has, or where the user's own history shows the value more often than the catalogue does;
    else the past item that argues most is.

    Args:
        explanation: of one item for one user.
        titles: title by item id; the ids stand where there is none.

    Returns:
        The sentence.

    Example:
        "You often choose Divided, and this is Divided."
    """
    titles = titles or {}
    strongest = max(explanation.lifts, key=lambda name: explanation.lifts[name])
    if explanation.lifts[strongest] > 0:
        wish = _word_wish(strongest, explanation)
        if wish:
            return wish
    if not explanation.evidence:
        return "Many choose this." if explanation.lifts[strongest] > 0 else "Few choose this."
    value = explanation.values.get(strongest)
    if (
        explanation.lifts[strongest] > 0
        and value is not None
        and value.history_share > value.catalogue_share
    ):
        return _word_value(strongest, value)
    past = max(explanation.evidence, key=lambda each: each.contribution)
    if past.contribution <= 0:
        return "Little of what you chose speaks for this."
    return f"You chose {titles.get(past.item_id) or past.item_id}, and this goes with it."


def _word_wish(attribute: str, explanation: Explanation) -> str:
    """Words that a wanted value is why; "" where none of the attribute was, or it is another."""
    wanted = explanation.targets.get(attribute, ())
    known = explanation.values.get(attribute)
    if known is None:
        # Its value is not known, and the model's guess brought it here.
        given = explanation.target_contributions.get(attribute, 0.0)
        names = " or ".join(_name_value(attribute, value) for value in wanted)
        return f"You asked for {names}, and this comes close." if wanted and given > 0 else ""
    own = known.value.split("|")
    found = [value for value in wanted if value in own]
    if not found:
        return ""
    name = _name_value(attribute, found[0])
    return f"You asked for {name}, and this is {name}."


def _word_value(attribute: str, value: ItemValue) -> str:
    name = _name_value(attribute, value.typical)
    if value.history_share < _OFTEN:
        return f"You chose {name} before, and this is {name}."
    return f"You often choose {name}, and this is {name}."


def _name_value(attribute: str, value: str) -> str:
    """A number or a code says nothing without what it is of."""
    return f"{attribute} {value}" if any(each.isdigit() for each in value) else value
