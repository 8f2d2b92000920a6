"""The text of `addrl.toml`: one readable file, with the reason of every guess beside it."""

import dataclasses
import json
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from addrl_keras.config import Attribute, ModelConfig, StartConfig, TrainingConfig
from tfx_pipeline.configs import GateConfig, PipelineConfig
from tfx_pipeline.proposals.proposal import Proposal

_WIDTH = 98
_SMALL = 1000


def render_project(name: str, command: str, proposal: Proposal) -> str:
    """Render the configuration file of a project.

    Args:
        name: Its name.
        command: The command line that made it, for the first line.
        proposal: What was proposed.

    Returns:
        TOML that `projects.load_project` reads.
    """
    sections = [
        _render_head(name, command, proposal),
        _render_data(proposal),
        _render_columns(proposal),
        _render_split(proposal),
        _render_attributes(proposal),
        _render_modalities(proposal),
        _render_model(proposal),
    ]
    return "\n".join(sections)


def _render_head(name: str, command: str, proposal: Proposal) -> str:
    lines = [
        f"The project {name}, made by `{command}`.",
        "Everything about it stands here and in schema/ beside it; edit it and run "
        f"`addrl run {name}`. Relative paths are relative to this file.",
    ]
    text = "".join(_comment(line) for line in lines) + "#\n# What was guessed, and why:\n"
    width = max(len(note.topic) for note in proposal.notes)
    for note in proposal.notes:
        text += _comment(note.text, f"#   {note.topic:<{width}}  ", "#" + " " * (width + 5))
    return text


def _render_data(proposal: Proposal) -> str:
    options = proposal.options
    table = dataclasses.asdict(options.interactions)
    plain = {
        "path": "files: CSV or Parquet; a path, a glob, or a list of them",
        "user": "column of the user's id",
        "item": "column of the item's id",
        "time": "column of the time",
        "time_formats": "formats that occur in it",
        "rating": "column of a rating",
        "min_rating": "smallest rating that makes an interaction",
        "low_ratings": 'lower ones: "drop", or "auxiliary" for start.auxiliary_weight to count',
        "weight": "column of a quantity; kept with each pair",
        "decimal": 'decimal mark of numbers, "." or ","',
        "duplicates": 'of a repeated pair the "first" or "last" row counts; or "refuse"',
        "missing": 'rows without user, item or time: "refuse" or "drop"',
        "unknown_items": 'rows whose item is not in the items table: "keep" or "drop"',
    }
    hidden = {name for name in plain if table[name] in ("", float("-inf"))}
    hidden |= set() if options.interactions.time else {"time_formats"}
    hidden |= {"low_ratings"} if "min_rating" in hidden else set()
    hidden |= set() if options.interactions.decimal != "." else {"decimal"}
    text = _section("data.interactions", "Who took what.")
    text += _lines({key: table[key] for key in plain if key not in hidden}, plain)
    text += "\n" + _section("data.items", "What there is to take.")
    items = dataclasses.asdict(options.items)
    plain = {
        "path": "files, as above",
        "id": "column of the item's id",
        "title": "column of the name to show",
        "duplicates": 'of several different rows of an id the "first" or "last" counts; or '
        '"refuse"',
        "missing": 'rows without an id: "refuse" or "drop"',
    }
    text += _lines({key: items[key] for key in plain if items[key]}, plain)
    if options.images:
        text += "\n" + _section("data.images", "Photos; `match` is a column with file names.")
        text += _lines(
            {key: value for key, value in dataclasses.asdict(options.images).items() if value}, {}
        )
    return text


def _render_columns(proposal: Proposal) -> str:
    text = _section(
        "data.items.columns",
        "Columns of the canonical items table, by name: kind (number, integer, category, text, "
        "list, vector), and where it differs from the name the column in the file (source).",
    )
    for each in proposal.columns:
        if not each.column:
            text += _comment(f"{each.source}: not used: {each.why}")
            continue
        column = proposal.options.items.columns[each.name]
        missing = f"; {each.missing:.0%} missing" if each.missing >= 0.005 else ""
        text += _comment(f"{each.source}: {each.why}{missing}")
        text += f"{_key(each.name)} = {_inline(_differing(column))}\n"
    text += "\n" + _section(
        "data.aggregates",
        "Columns computed from the training interactions alone: count, median or mean.",
    )
    for name, aggregate in proposal.options.aggregates.items():
        text += f"{_key(name)} = {_inline(_differing(aggregate))}\n"
    return text


def _render_split(proposal: Proposal) -> str:
    why = next(note.text for note in proposal.notes if note.topic == "split")
    text = _section(
        "data.split",
        f'{why[0].upper()}{why[1:]}. Rules: "random", "leave_last_out", "by_time" (with '
        "validation_from and test_from, the first day of each).",
    )
    return text + _lines(_differing(proposal.options.split, always=("rule",)), {})


def _render_attributes(proposal: Proposal) -> str:
    text = _section(
        "attributes",
        "What every score is a sum over, and what can be asked for: one line each. `kind` is "
        '"numeric" (quantile bins) or "categorical" (the most frequent values; rarer ones become '
        "one).",
    )
    for attribute in proposal.attributes:
        text += _render_attribute(attribute)
    if proposal.others:
        text += "# These can be attributes, too: take away the # in front.\n"
        text += "".join("# " + _render_attribute(attribute) for attribute in proposal.others)
    return text


def _render_attribute(attribute: Attribute) -> str:
    fields = {"column": attribute.column, "kind": attribute.kind}
    size = "bins" if attribute.kind == "numeric" else "max_values"
    return f"{_key(attribute.name)} = {_inline(fields | {size: getattr(attribute, size)})}\n"


def _render_modalities(proposal: Proposal) -> str:
    text = _section(
        "modalities",
        "The evidence about an item: `text` (a bag of words), `bag` (a bag of the values of a "
        "list), `hub` (an encoder; `addrl encoders` lists those that can be built), `precomputed` "
        "(vectors), and `id`, which every model has.",
    )
    for modality in proposal.modalities:
        fields = _differing(modality, always=("encoder",))
        fields.pop("name")
        text += f"{_key(modality.name)} = {_inline(fields)}\n"
    return text


def _render_model(proposal: Proposal) -> str:
    is_small = min(proposal.num_users, proposal.num_items) < _SMALL
    start, model, training = StartConfig(), ModelConfig(), TrainingConfig()
    text = _section(
        "start",
        "The closed-form start (EASE). A larger ease_lambda trusts rare pairs less; compare values "
        "by the validation metrics.",
    )
    text += _lines({"ease_lambda": start.ease_lambda}, {})
    weights = dict(proposal.side_information)
    text += "# Content enters the start as if each word or value were a user; 0 leaves it out.\n"
    text += f"side_information = {_inline(weights)}\n\n"
    text += _section("model", "Sizes of the two towers.")
    text += _lines(
        {
            "chunk_dim": 16 if is_small else model.chunk_dim,
            "residual_dim": model.residual_dim if is_small else 256,
            "memory_size": min(256, max(8, proposal.num_items // 4)),
        },
        {
            "chunk_dim": "width of a modality's chunk",
            "residual_dim": "width of what no attribute explains",
            "memory_size": "pairs of items remembered one by one, per item; 0 leaves it out",
        },
    )
    text += "\n" + _section(
        "training", "Most passes over items and users; what is held out chooses how many."
    )
    text += _lines(
        {
            "content_epochs": training.content_epochs,
            "epochs": 5 if is_small else training.epochs,
            "batch_size": 64 if is_small else training.batch_size,
            "seed": training.seed,
        },
        {},
    )
    gates = GateConfig()
    text += "\n" + _section("gates", "What a model must fulfil before it is pushed.")
    text += _lines(
        {"min_recall": gates.min_recall, "min_ndcg": gates.min_ndcg, "max_drop": gates.max_drop},
        {
            "min_recall": "raise both after the first run, to what you want to hold",
            "max_drop": "how far either may fall below the model in service",
        },
    )
    text += "\n" + _section("evaluation", "Recall@k and NDCG@k over all test users.")
    return text + _lines({"k": PipelineConfig.k}, {})


def _section(name: str, text: str) -> str:
    return f"{_comment(text)}[{name}]\n"


def _comment(text: str, first: str = "# ", rest: str = "# ") -> str:
    filled = textwrap.fill(
        " ".join(text.split()), _WIDTH, initial_indent=first, subsequent_indent=rest,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return filled + "\n"


def _lines(values: Mapping[str, Any], comments: Mapping[str, str]) -> str:
    lines = [(f"{_key(key)} = {_value(value)}", comments.get(key)) for key, value in values.items()]
    width = max((len(line) for line, comment in lines if comment), default=0)
    width = min(width, 40)
    return "".join(
        f"{line:<{width}}  # {comment}\n" if comment else f"{line}\n" for line, comment in lines
    )


def _differing(part: Any, always: Iterable[str] = ()) -> dict[str, Any]:
    """Return the fields that differ from their defaults, and those without one."""
    found = {}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if field.name in always or value != field.default:
            found[field.name] = value
    return found


def _inline(values: Mapping[str, Any]) -> str:
    inner = ", ".join(f"{_key(key)} = {_value(value)}" for key, value in values.items())
    return f"{{ {inner} }}" if inner else "{}"


def _key(name: str) -> str:
    plain = name.replace("_", "").replace("-", "")
    return name if plain.isascii() and plain.isalnum() else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # TOML's basic strings are JSON's, but for the one control character that JSON lets through.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return repr(value)
