"""Who is like whom: neighbourhoods by coarse profiles, that all compute alike without a word (SPEC 5.3 A)."""

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from behaviours.decisions.series import FloatArray
from ontology.directory import CoarseProfile

__all__ = ["neighbourhood_of", "neighbourhoods"]

MEMBERS_A_CLUSTER = 5
"""Fewest members of a neighbourhood on average."""
CLUSTERS_MAX = 12
ROUNDS = 50

_Labels = npt.NDArray[np.int64]


def neighbourhoods(profiles: Mapping[str, CoarseProfile]) -> list[list[str]]:
    """Return clusters of agents with like profiles, each sorted, the largest first.

    The clustering follows from the profiles alone: k-means++ seeded by a hash of the members' names, the
    number of clusters by the best mean silhouette. Fewer than ten agents are one neighbourhood.

    Args:
        profiles: of agents of one segment, by address.

    Source: Arthur and Vassilvitskii 2007 (k-means++); Rousseeuw 1987 (silhouettes).
    """
    names = sorted(profiles)
    most = min(CLUSTERS_MAX, -(-len(names) // MEMBERS_A_CLUSTER))
    if most < 2:
        return [names] if names else []
    points = np.array([_features(profiles[name]) for name in names])
    digest = hashlib.sha256("\n".join(names).encode()).digest()
    distances = np.sqrt(np.maximum(0, _squares(points, points)))
    labelled = [_clustered(points, k, np.random.default_rng([*digest[:8], k])) for k in range(2, most + 1)]
    best = max(labelled, key=lambda labels: _silhouette(distances, labels))
    clusters = [[names[i] for i in np.flatnonzero(best == label)] for label in np.unique(best)]
    return sorted(clusters, key=lambda cluster: (-len(cluster), cluster))


def neighbourhood_of(who: str, profiles: Mapping[str, CoarseProfile]) -> list[str]:
    """Return the neighbourhood of an agent, itself included; everybody where it has no profile."""
    return next((cluster for cluster in neighbourhoods(profiles) if who in cluster), sorted(profiles))


def _features(profile: CoarseProfile) -> FloatArray:
    """Return a profile as a point: shapes by their greatest value, so that size does not hide likeness."""
    values = np.array([*profile.net_w, *profile.up_w, *profile.down_w], dtype=np.float64)
    return np.append(values / max(1.0, float(np.abs(values).max())), profile.reliability)


def _clustered(points: FloatArray, k: int, rng: np.random.Generator) -> _Labels:
    """Return the cluster of each point."""
    centres = _spread_centres(points, k, rng)
    labels = np.zeros(len(points), dtype=np.int64)
    for _ in range(ROUNDS):
        before, labels = labels, _squares(points, centres).argmin(axis=1)
        if (before == labels).all():
            break
        for cluster in range(k):
            if (labels == cluster).any():
                centres[cluster] = points[labels == cluster].mean(axis=0)
    return labels


def _spread_centres(points: FloatArray, k: int, rng: np.random.Generator) -> FloatArray:
    """Draw first centres that lie far from each other."""
    centres = [points[rng.integers(len(points))]]
    while len(centres) < k:
        nearest = np.maximum(0, _squares(points, np.array(centres)).min(axis=1))
        total = nearest.sum()
        chances = nearest / total if total > 0 else None
        centres.append(points[rng.choice(len(points), p=chances)])
    return np.array(centres)


def _silhouette(distances: FloatArray, labels: _Labels) -> float:
    """Return how much nearer points are to their own cluster than to the next, on average."""
    clusters = np.unique(labels)
    if clusters.size < 2:
        return -1.0
    sums = np.stack([distances[:, labels == cluster].sum(axis=1) for cluster in clusters], axis=1)
    sizes = np.array([(labels == cluster).sum() for cluster in clusters])
    place = np.searchsorted(clusters, labels)
    own = np.arange(len(labels)), place
    within = sums[own] / np.maximum(1, sizes[place] - 1)
    means = sums / sizes
    means[own] = np.inf
    nearest = means.min(axis=1)
    scale = np.maximum(np.maximum(within, nearest), 1e-12)
    scores = np.where(sizes[place] > 1, (nearest - within) / scale, 0.0)
    return float(scores.mean())


def _squares(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return the squared distances between two sets of points."""
    squares: FloatArray = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    return squares
