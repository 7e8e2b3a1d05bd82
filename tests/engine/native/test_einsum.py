"""Einsum in native code: matrix products of views."""

import pytest

FORMULAS = {
    "bij,jk->bik": (6, 7),
    "bij,kj->bki": (5, 6),
    "bij,bkj->bik": None,
    "bij,bjk->bki": None,
    "bij,bij->b": None,
    "bij,bij->bij": None,
    "bij,jkl->kbil": (6, 3, 2),
    "bij,ij->b": (5, 6),
    "bij,k->kjib": (4,),
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_two_operands(verify, formula):
    def make(b, x):
        shape = FORMULAS[formula]
        if shape is not None:
            other = b.parameter("other", shape, init="uniform", low=-0.5, high=0.5)
        else:
            letters = formula.split(",")[1].split("->")[0]
            other = b.call("exp", x)
            if letters == "bkj":
                other = b.call("slice", other, (slice(None), slice(1, 4)))
            elif letters == "bjk":
                other = b.call("transpose", other, axes=(0, 2, 1))
        return b.call("einsum", formula, x, other)

    verify(make, (4, 5, 6))


def test_more_operands_and_sums_of_one_are_left_to_numpy(verify):
    def make(b, x):
        other = b.parameter("other", (6,), init="uniform", low=-0.5, high=0.5)
        return b.call("einsum", "bij,j,i->b", x, other, b.call("slice", other, slice(0, 5)))

    verify(make, (4, 5, 6), python=4)
