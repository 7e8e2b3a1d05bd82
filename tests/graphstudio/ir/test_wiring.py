import networkx

from tests.graphstudio.ir.drawing import Drawing, classifier


def test_a_cycle_is_refused_with_a_reason():
    d, ids = classifier()
    reason = d.checker.refusal(ids["pool"], "y", ids["conv"], "x")
    assert "cycle" in str(reason)
    assert d.checker.refusal(ids["conv"], "y", ids["conv"], "x") is not None


def test_kinds_that_do_not_go_together_are_refused():
    d, ids = classifier()
    refused = [
        ((ids["target"], "y"), (ids["conv"], "x")),
        ((ids["target"], "y"), (ids["loss"], "prediction")),
        ((ids["input"], "y"), (ids["loss"], "prediction")),
        ((ids["dense"], "y"), (ids["loss"], "target")),
        ((ids["loss"], "value"), (ids["conv"], "x")),
        ((ids["conv"], "nothing"), (ids["dense"], "x")),
        ((ids["conv"], "y"), (ids["dense"], "nothing")),
        (("nobody", "y"), (ids["dense"], "x")),
    ]
    for source, target in refused:
        assert d.checker.refusal(*source, *target) is not None, (source, target)


def test_a_wire_that_is_there_may_be_replaced():
    d, ids = classifier()
    assert d.checker.refusal(ids["relu"], "y", ids["dense"], "x") is None


def test_shapes_that_do_not_fit_are_a_concern_not_a_refusal():
    d, ids = classifier()
    ends = (ids["relu"], "y", ids["dense"], "x")
    assert d.checker.refusal(*ends) is None
    concern = str(d.checker.concern(*ends))
    assert "(N, 4, 8, 8)" in concern
    assert "Flatten" in concern
    assert d.checker.concern(ids["flatten"], "y", ids["dense"], "x") is None


def test_a_merge_with_open_inputs_raises_no_concern():
    d = Drawing()
    x = d.add("io.input")
    total = d.add("merge.add")
    assert d.checker.concern(x, "y", total, "a") is None
    d.wire(x, total, "a")
    small = d.add("layer.max_pool2d", after=x)
    assert "(N, 1, 4, 4)" in str(d.checker.concern(small, "y", total, "b"))


def test_legal_targets_agree_with_refusal_everywhere():
    d, _ = classifier()
    d.add("merge.add")
    for source in d.document.main.nodes:
        state = d.checker._states[source]
        for port in state.spec.outputs:
            ends = {(n, p.name) for n, s in d.checker._states.items() for p in s.spec.inputs}
            legal = {e for e in ends if d.checker.refusal(source, port.name, *e) is None}
            assert d.checker.legal_targets(source, port.name) == legal
            assert legal != ends
    assert d.checker.legal_targets("nobody", "y") == set()


def test_legal_sources_agree_with_refusal_everywhere():
    d, _ = classifier()
    for target, state in d.checker._states.items():
        for port in state.spec.inputs:
            ends = {(n, p.name) for n, s in d.checker._states.items() for p in s.spec.outputs}
            legal = {e for e in ends if d.checker.refusal(*e, target, port.name) is None}
            assert d.checker.legal_sources(target, port.name) == legal


def test_what_is_not_refused_for_a_cycle_can_really_be_drawn():
    """Against an independent judge: networkx, and the document itself."""
    d, _ = classifier()
    graph = networkx.DiGraph([(w.source, w.target) for w in d.document.main.wires.values()])
    for source in list(d.document.main.nodes):
        for node, port in d.checker.legal_targets(source, "y"):
            assert not networkx.has_path(graph, node, source)
            wire = d.document.main.wires.get((node, port))
            if wire is None or wire.source != source:
                d.wire(source, node, port)  # raises if it was called legal wrongly
                d.follow(d.history.undo())
