"""Proposals: what `addrl init` makes of two tables it has never seen, and why."""

from tfx_pipeline.proposals.proposal import Proposal, make_proposal
from tfx_pipeline.proposals.render import render_project
from tfx_pipeline.proposals.roles import Note, Wishes
from tfx_pipeline.proposals.schema import render_interactions_schema, render_items_schema

__all__ = [
    "Note",
    "Proposal",
    "Wishes",
    "make_proposal",
    "render_interactions_schema",
    "render_items_schema",
    "render_project",
]
