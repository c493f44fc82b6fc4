"""Radial networks found in graphs."""

from hypothesis import given
from hypothesis import strategies as st

from environments.networks.tree import Branch, tree_from


def branch(start, end, length_m=1.0):
    return Branch(f"{start}-{end}", start, end, length_m, 0.1, 0.1, 0.4, 0.4, 100)


def test_a_tree_is_walked_outwards_whatever_the_direction_of_its_lines():
    tree = tree_from(0, [branch(2, 1, 3.0), branch(1, 0, 2.0), branch(5, 6)])
    assert [(each.node, each.parent, each.distance_m) for each in tree.nodes] == [
        (0, -1, 0.0),
        (1, 0, 2.0),
        (2, 1, 5.0),
    ]
    assert tree.closing == []


def test_parallel_lines_close_a_loop():
    assert tree_from(0, [branch(0, 1), branch(1, 0)]).closing == [1]


@given(parents=st.lists(st.integers(0, 1_000), max_size=40), extra=st.integers(0, 3), data=st.data())
def test_each_line_either_feeds_a_node_or_closes_a_loop(parents, extra, data):
    branches = [branch(child, parent % child) for child, parent in enumerate(parents, 1)]
    nodes = st.integers(0, len(parents))
    pairs = [
        data.draw(st.tuples(nodes, nodes).filter(lambda pair: pair[0] != pair[1]))
        for _ in range(extra if parents else 0)
    ]
    tree = tree_from(0, branches + [branch(*pair) for pair in pairs])
    assert len(tree.nodes) == len(parents) + 1
    assert len(tree.closing) == len(pairs)
    feeding = {each.branch for each in tree.nodes[1:]}
    assert feeding | set(tree.closing) == set(range(len(branches) + len(pairs)))
