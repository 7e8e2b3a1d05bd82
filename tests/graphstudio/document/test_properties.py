"""Random edits, all undone and all done again: the file is byte-identical at both ends."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from graphstudio.document import commands
from graphstudio.document.format import dumps, find_cycle, loads
from graphstudio.document.history import History
from graphstudio.document.model import MAIN, Choice, Document, DocumentError
from graphstudio.nodes.spec import catalog, find_type, params_of

TYPES = sorted(catalog())
numbers = st.integers(0, 10_000)
coordinates = st.floats(allow_nan=True, allow_infinity=True)
labels = st.text(st.characters(), max_size=12)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    labels,
    st.lists(st.integers(-5, 5), max_size=4),
)


class Edits(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.history = History(Document())
        self.document = self.history.document
        self.start = dumps(self.document)

    def ids(self, *numbers: int) -> list[str]:
        nodes = list(self.document.main.nodes)
        return [nodes[n % len(nodes)] for n in numbers]

    def push(self, command: commands.Command, merge: str = "") -> None:
        before = dumps(self.document)
        try:
            self.history.push(*command, merge=merge)
        except DocumentError:
            assert dumps(self.document) == before

    def has_nodes(self) -> bool:
        return bool(self.document.main.nodes)

    @rule(type_id=st.sampled_from(TYPES), x=coordinates, y=coordinates, label=labels)
    def add(self, type_id, x, y, label):
        self.push(commands.add_node(self.document, MAIN, type_id, (x, y), label=label))

    @precondition(has_nodes)
    @rule(type_id=st.sampled_from(TYPES), n=numbers, port=st.sampled_from(["x", "y", "target"]))
    def add_connected(self, type_id, n, port):
        end = (self.ids(n)[0], port)
        self.push(commands.add_node(self.document, MAIN, type_id, (0, 0), connect_from=end))

    @precondition(has_nodes)
    @rule(a=numbers, b=numbers, port=st.sampled_from(["x", "a", "b", "prediction", "target"]))
    def connect(self, a, b, port):
        source, target = self.ids(a, b)
        self.push(commands.connect(self.document, MAIN, source, "y", target, port))

    @precondition(has_nodes)
    @rule(a=numbers, b=numbers, heal=st.booleans())
    def remove(self, a, b, heal):
        self.push(commands.remove_nodes(self.document, MAIN, self.ids(a, b), heal=heal))

    @precondition(has_nodes)
    @rule(a=numbers, x=coordinates, y=coordinates)
    def move(self, a, x, y):
        self.push(commands.move_nodes(self.document, MAIN, {self.ids(a)[0]: (x, y)}), "drag")

    @precondition(has_nodes)
    @rule(a=numbers, n=numbers, value=values)
    def set_param(self, a, n, value):
        node = self.document.main.nodes[self.ids(a)[0]]
        specs = params_of(find_type(node.type))
        if specs:
            name = specs[n % len(specs)].name
            self.push(commands.set_param(self.document, MAIN, [node.id], name, value))

    @precondition(has_nodes)
    @rule(a=numbers, label=labels)
    def rename(self, a, label):
        self.push(commands.rename(self.document, MAIN, self.ids(a)[0], label))

    @precondition(has_nodes)
    @rule(a=numbers, text=labels, bypass=st.booleans())
    def set_fields(self, a, text, bypass):
        self.push(
            commands.set_fields(self.document, MAIN, self.ids(a), bypass=bypass, comment=text)
        )

    @precondition(has_nodes)
    @rule(a=numbers, b=numbers, keep=st.booleans(), x=coordinates)
    def copy_and_paste(self, a, b, keep, x):
        text = commands.copy(self.document, MAIN, self.ids(a, b))
        self.push(commands.paste(self.document, MAIN, text, (x, 0.0), keep_inputs=keep))

    @precondition(lambda self: bool(self.document.main.wires))
    @rule(n=numbers, type_id=st.sampled_from(TYPES), existing=st.booleans(), a=numbers)
    def insert_on_wire(self, n, type_id, existing, a):
        keys = list(self.document.main.wires)
        what = self.ids(a)[0] if existing else type_id
        key = keys[n % len(keys)]
        self.push(commands.insert_on_wire(self.document, MAIN, what, key, (1, 2)))

    @precondition(lambda self: bool(self.document.main.wires))
    @rule(n=numbers)
    def disconnect(self, n):
        keys = list(self.document.main.wires)
        self.push(commands.disconnect(self.document, MAIN, [keys[n % len(keys)]]))

    @rule(x=coordinates, title=labels)
    def add_frame(self, x, title):
        self.push(commands.add_frame(self.document, MAIN, (x, 0, 10, 10), title=title))

    @rule(kind=st.sampled_from(["adam", "sgd"]), epochs=st.integers(1, 5))
    def set_phase(self, kind, epochs):
        self.push(commands.set_phase(self.document, 0, optimizer=Choice(kind=kind), epochs=epochs))

    @rule()
    def undo(self):
        self.history.undo()

    @rule()
    def redo(self):
        self.history.redo()

    @invariant()
    def rules_hold(self):
        graph = self.document.main
        assert find_cycle(graph) == []
        assert len({n.label for n in graph.nodes.values()}) == len(graph.nodes)

    def teardown(self):
        while self.history.redo_name is not None:
            self.history.redo()
        end = dumps(self.document)
        assert dumps(loads(end).document) == end
        while self.history.undo_name is not None:
            self.history.undo()
        assert dumps(self.document) == self.start
        while self.history.redo_name is not None:
            self.history.redo()
        assert dumps(self.document) == end


Edits.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestEdits = Edits.TestCase
