"""Curves of accuracy over time: lists of points with `seconds` and `recall_at_20`."""

from __future__ import annotations

import statistics


def find_time(points: list[dict[str, float]], recall: float) -> float | None:
    """The seconds after which a curve is at least at `recall`; None where it never is."""
    return next((p["seconds"] for p in points if p["recall_at_20"] >= recall), None)


def find_median_time(curves: list[list[dict[str, float]]], recall: float) -> float | None:
    """The median over curves of `find_time`; None where one of them never is there."""
    times = [find_time(points, recall) for points in curves]
    reached = [seconds for seconds in times if seconds is not None]
    return statistics.median(reached) if len(reached) == len(curves) else None
