"""The sentence beside a recommendation, for every kind of reason."""

import pytest

from serving.results import Evidence, Explanation, ItemValue
from serving.sentences import make_sentence

OFTEN = ItemValue("Divided", "Divided", 0.5, 0.25)


def _explain(lifts=None, values=None, evidence=None, targets=None, added=None, parts=None):
    parts = parts or {"section": 1.0, "price": 0.5}
    lifts = lifts or {"section": 0.5, "price": 0.25}
    past = [Evidence("i1", 1.5, parts)] if evidence is None else evidence
    return Explanation(
        "u", "i", 1.5, parts, lifts, values or {}, {}, past, 1, targets or {}, added or {}
    )


@pytest.mark.parametrize(
    ("explanation", "sentence"),
    [
        (_explain(values={"section": OFTEN}), "You often choose Divided, and this is Divided."),
        (
            _explain(evidence=[], lifts={"section": -0.1, "price": 0.0}),
            "Few choose this.",
        ),
        # Once in twenty is no habit.
        (
            _explain(values={"section": ItemValue("Divided", "Divided", 0.05, 0.01)}),
            "You chose Divided before, and this is Divided.",
        ),
        # A value that the history has no oftener than the catalogue is no reason.
        (
            _explain(values={"section": ItemValue("Divided", "Divided", 0.25, 0.25)}),
            "You chose i1, and this goes with it.",
        ),
        (
            _explain(
                lifts={"section": 0.0, "price": 0.25},
                values={"price": ItemValue("9", "9", 1.0, 0.5)},
            ),
            "You often choose price 9, and this is price 9.",
        ),
        (_explain(evidence=[]), "Many choose this."),
        (
            _explain(evidence=[Evidence("i1", -1.0, {"section": -0.5, "price": -0.5})]),
            "Little of what you chose speaks for this.",
        ),
        # A wish is the reason where the item has what was wanted, history or none.
        (
            _explain(
                values={"section": ItemValue("Kids|Divided", "Kids", 0.5, 0.25)},
                targets={"section": ["Ladies", "Divided"]},
            ),
            "You asked for Divided, and this is Divided.",
        ),
        (
            _explain(evidence=[], values={"section": OFTEN}, targets={"section": ["Divided"]}),
            "You asked for Divided, and this is Divided.",
        ),
        # Of another value it is none, and of a value that is not known only where it counted.
        (
            _explain(values={"section": OFTEN}, targets={"section": ["Kids"]}),
            "You often choose Divided, and this is Divided.",
        ),
        (
            _explain(evidence=[], targets={"section": ["Divided"]}, added={"section": 0.25}),
            "You asked for Divided, and this comes close.",
        ),
        (_explain(evidence=[], targets={"section": ["Divided"]}), "Many choose this."),
        # Nor where all of it speaks against the item.
        (
            _explain(
                lifts={"section": -0.1, "price": -0.2},
                values={"section": OFTEN},
                targets={"section": ["Divided"]},
                added={"section": 0.02},
            ),
            "You chose i1, and this goes with it.",
        ),
    ],
)
def test_the_reason_is_what_speaks_most_for_this_item(explanation, sentence):
    assert make_sentence(explanation) == sentence


def test_titles_stand_for_ids():
    assert make_sentence(_explain(), {"i1": "A coat"}) == "You chose A coat, and this goes with it."
