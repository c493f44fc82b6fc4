"""Neighbourhoods: like profiles together, computed alike by all."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviours.decisions.coalition.neighbourhood import neighbourhood_of, neighbourhoods
from ontology.directory import CoarseProfile

KINDS = {"sun": (0, -3, -9, -9, -3, 0), "heat": (6, 6, 2, 2, 5, 6), "car": (8, 1, 0, 0, 1, 9)}


def profile(shape, scale=1000, rng=None, noise=0.5):
    drawn = rng.normal(0, noise, 6) if rng is not None else np.zeros(6)
    net_w = [round(scale * (value + extra)) for value, extra in zip(shape, drawn, strict=True)]
    return CoarseProfile(start_s=0, net_w=net_w, up_w=[0] * 6, down_w=[0] * 6, reliability=1.0)


def street(homes=12, seed=1):
    rng = np.random.default_rng(seed)
    return {
        f"{kind}{i:02d}@town": profile(shape, rng.uniform(300, 3000), rng)
        for kind, shape in KINDS.items()
        for i in range(homes)
    }


def test_like_finds_like_whatever_its_size():
    clusters = neighbourhoods(street())
    assert [{name[:3] for name in cluster} for cluster in clusters] == [{"car"}, {"hea"}, {"sun"}]
    assert neighbourhood_of("sun03@town", street()) == [f"sun{i:02d}@town" for i in range(12)]


def test_who_has_no_profile_has_everybody_for_a_neighbour():
    assert neighbourhood_of("aggregator@town", street()) == sorted(street())


@settings(deadline=None, max_examples=30)
@given(st.dictionaries(st.text("abcdef", min_size=1), st.lists(st.integers(-9, 9), min_size=6, max_size=6)))
def test_everybody_is_in_one_neighbourhood_and_all_compute_the_same(shapes):
    profiles = {name: profile(shape) for name, shape in shapes.items()}
    clusters = neighbourhoods(profiles)
    assert sorted(name for cluster in clusters for name in cluster) == sorted(profiles)
    assert neighbourhoods(dict(reversed(profiles.items()))) == clusters
