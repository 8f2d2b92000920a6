"""The recipe of AD-DRL as published (arXiv 2312.14433), beside ours: `Config.recipe = "paper"`.

batches.py   an interaction with its negatives
towers.py    the embeddings, projections, attention, heads and the loss of a step
fitting.py   training with validation, and what of it is served
"""

from addrl_keras.paper.fitting import fit_paper

__all__ = ["fit_paper"]
