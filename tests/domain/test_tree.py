"""The tree: no category below itself, none too deep, none deleted that is used."""

from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.taxonomy import DEPTH_MAX
from domain.catalog.tree import CategoryUse, check_unused, path_below
from domain.rejections import Code, Rejection
from tests.domain.strategies import laws, make_id

Tree = dict[int, int | None]
"""Categories by number, each with its parent."""

wishes = st.lists(st.tuples(st.integers(0, 14), st.none() | st.integers(0, 14)), min_size=1, max_size=40)
"""Category, new parent: the first wish about a category makes it."""


def way(tree: Tree, category: int | None) -> list[int]:
    """The way from the root, found by walking up; fails on a cycle."""
    found: list[int] = []
    while category is not None:
        assert category not in found, "a cycle"
        found.insert(0, category)
        category = tree[category]
    return found


def levels(tree: Tree, category: int) -> int:
    ways = [way(tree, other) for other in tree]
    return max(len(w) for w in ways if category in w) - len(way(tree, category)) + 1 if category in tree else 1


@laws()
@given(wishes)
def test_whatever_is_asked_for_the_tree_stays_a_tree_of_ten_levels(asked):
    tree: Tree = {}
    for category, parent in asked:
        if parent is not None and parent not in tree:
            continue
        above = way(tree, parent)
        path = path_below(tuple(make_id(n) for n in above), make_id(category), levels(tree, category))
        fine = category not in above and len(above) + levels(tree, category) <= DEPTH_MAX
        assert isinstance(path, Rejection) is not fine
        if isinstance(path, Rejection):
            assert path.status == 409
            assert path.code is (Code.CATEGORY_CYCLE if category in above else Code.CONFLICT)
            continue
        tree[category] = parent
        assert path == tuple(make_id(n) for n in way(tree, category))
    assert all(len(way(tree, category)) <= DEPTH_MAX for category in tree)


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_what_is_used_isnt_deleted_and_the_refusal_counts_each_use(children, products, attributes):
    rejection = check_unused(CategoryUse(children, products, attributes))
    assert (rejection is None) is (children == products == attributes == 0)
    if rejection is not None:
        assert (rejection.status, rejection.code) == (409, Code.CATEGORY_IN_USE)
        for count in filter(None, (children, products, attributes)):
            assert str(count) in rejection.detail
