"""Which of the columns become attributes and modalities, and what enters the start."""

import dataclasses
import re
from collections.abc import Mapping, Sequence

from addrl_keras.config import Attribute, Modality
from tfx_pipeline.datasets.table_options import Aggregate, Images
from tfx_pipeline.proposals import names
from tfx_pipeline.proposals.columns import IMAGE_ENCODER, ColumnProposal
from tfx_pipeline.proposals.roles import Roles

_MAX_ATTRIBUTES = 6


def choose_attributes(
    columns: Sequence[ColumnProposal], aggregates: Mapping[str, Aggregate]
) -> tuple[tuple[Attribute, ...], tuple[Attribute, ...]]:
    """Choose the attributes: popularity, price, then the best columns; the rest can be added.

    Returns:
        The chosen ones, and those that could be added.
    """
    computed = [Attribute(name, name, kind="numeric") for name in aggregates]
    ranked = sorted((each for each in columns if each.attribute), key=lambda each: -each.rank)
    room = _MAX_ATTRIBUTES - len(computed)
    good = [each.attribute for each in ranked if each.rank > 0]
    rest = [each.attribute for each in ranked if each.attribute not in good[:room]]
    taken = {each.name for each in columns} | {*aggregates, *names.TAKEN, Images.column}
    taken |= {each.attribute.name for each in ranked}
    chosen = [_shorten(each, taken) for each in good[:room]]
    return (*computed, *chosen), tuple(_shorten(each, taken) for each in rest)


def _shorten(attribute: Attribute, taken: set[str]) -> Attribute:
    """Shorten `colour_name` to `colour`, where no other has that name."""
    short = re.sub(r"_(name|id|code|no)$", "", attribute.name)
    if short == attribute.name or short in taken:
        return attribute
    taken.add(short)
    return dataclasses.replace(attribute, name=short)


def choose_modalities(
    columns: Sequence[ColumnProposal],
    roles: Roles,
    images: Images | None,
    photo_missing: float,
    encoders: bool,
    attributes: Sequence[Attribute],
) -> tuple[Modality, ...]:
    """Choose the modalities: the id, the words of the title, what the columns offer, the photos."""
    found = [Modality("id", encoder="id")]
    if roles.title:
        found.append(Modality("title", "title", encoder="text"))
    found += [each.modality for each in columns if each.modality]
    if images and encoders:
        allowed = round(min(1.0, 1.5 * photo_missing + 0.05), 2)
        found.append(
            Modality(
                images.column, images.column, encoder="hub", handle=IMAGE_ENCODER,
                preprocessing="image", max_missing_share=allowed,
            )
        )  # fmt: skip
    used = {attribute.name for attribute in attributes}
    free = used | {each.name for each in found}
    chosen = []
    for each in found:
        if each.name in used:
            each = dataclasses.replace(each, name=names.make_name(f"{each.name}_words", free))
        free.add(each.name)
        chosen.append(each)
    return tuple(chosen)


def choose_side_information(
    columns: Sequence[ColumnProposal],
    attributes: Sequence[Attribute],
    modalities: Sequence[Modality],
) -> tuple[tuple[str, float], ...]:
    """Choose what enters the start as more "users": words, entities, and the best categories."""
    categories = [each.name for each in attributes if each.kind == "categorical"][:3]
    weights = dict.fromkeys(categories, 5.0)
    for modality in modalities:
        if modality.encoder in ("text", "bag"):
            weights[modality.name] = 5.0 if modality.encoder == "bag" else 2.0
    return tuple(weights.items())
