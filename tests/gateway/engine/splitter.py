"""Draws supergraphs at random: one plain schema, split over two to six subgraphs with every feature of federation.

Not every draw composes; those that do are what the gateway is tried on. The same seed always draws the same subgraphs.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.gateway.engine.entwined import entwine

LINK = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@external", "@requires", '
    '"@provides", "@shareable", "@override", "@inaccessible", "@interfaceObject", "@context", "@fromContext", "@authenticated", '
    '"@requiresScopes", "@policy"])\n'
)
KEYS = ("id", "code", "number region", "ref { code }", "ref { code } region", "boss { id }")
KEY_TYPES = {"id": "ID!", "code": "String!", "number": "Int!", "region": "String!", "ref": "Ref!", "boss": "E0!"}
LEAVES = (
    "String",
    "Int",
    "Boolean",
    "Level",
    "Json",
    "Float!",
    "String!",
    "[String]",
    "[[Int!]]",
    "ID",
    "Int!",
    "Mood",
)
ARGUMENTS = (
    *("", "", "", "", "(a: Int)", "(a: Int)", '(b: String! = "x", c: [Level])', "(in: In)", "(w: Want = YES)"),
    "(a: Int, hidden: Int = 3 @inaccessible)",
)


@dataclass
class Body:
    """A type in one subgraph."""

    kind: str = "type"
    directives: list[str] = field(default_factory=list)
    implements: list[str] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)  # name → everything after it


@dataclass
class Splitter:
    """Draws one supergraph's subgraphs."""

    seed: int

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.names = [f"s{i}" for i in range(self.chance.choice((2, 2, 3, 3, 4, 5, 6)))]
        self.old = self.chance.choice(self.names) if self.some(0.2) else ""  # speaks Federation 1
        self.types: dict[str, dict[str, Body]] = {name: {} for name in self.names}
        self.keys: dict[tuple[str, str], list[str]] = {}
        self.entities = [f"E{i}" for i in range(self.chance.choice((2, 3, 3, 4)))]
        self.values = [f"V{i}" for i in range(self.chance.choice((0, 1, 2)))]
        self.hubs = {entity: self.chance.choice(self.names) for entity in self.entities}  # finds it by every key
        self.members: dict[str, list[str]] = {}
        self.owned: dict[tuple[str, str], tuple[str, str, str]] = {}  # (type, field) → (subgraph, arguments, type)
        self.objects: dict[str, str] = {}  # the leaves that interface objects add to I1, with their types
        self.keyed: set[tuple[str, str]] = set()  # what is found there as I1, by I1's key
        self.nothing = Body()

    def some(self, part: float) -> bool:
        return self.chance.random() < part

    def add(self) -> str:
        """One more subgraph."""
        self.names.append(f"s{len(self.names)}")
        self.types[self.names[-1]] = {}
        return self.names[-1]

    def body(self, sub: str, name: str) -> Body:
        """A type in a subgraph, made if it is not there."""
        return self.types[sub].setdefault(name, Body())

    def leaf(self, kind: str) -> bool:
        """Whether a field's type has no fields."""
        return kind.strip("[]!") not in (*self.entities, *self.values, *self.members, "Ref")

    def free(self, sub: str, owner: str, entity: str, name: str) -> bool:
        """Whether a subgraph has an entity but not yet a field of it."""
        return sub != owner and entity in self.types[sub] and name not in self.types[sub][entity].fields

    def subgraphs(self) -> dict[str, str]:
        """SDL by subgraph name."""
        self._abstract()
        for entity in self.entities:
            homes = self.chance.sample(self.names, self.chance.randint(1, len(self.names)))
            for home in (self.hubs[entity], *homes):
                self.entity(home, entity)
        for entity in self.entities:
            homes = [name for name in self.names if entity in self.types[name]]
            for number in range(self.chance.choice((2, 3, 4, 5))):
                self._field(entity, f"f{number}", homes)
        for name in self.names:
            self._roots(name)
        if self.some(0.4):
            self._shared_root()
        entwine(self)
        return {name: self._text(name) for name in self.names}

    # -- types

    def _abstract(self) -> None:
        if self.some(0.7):
            self.members["I0"] = self.chance.sample(self.entities, self.chance.randint(1, len(self.entities)))
        pool = [*self.entities, *self.values]
        for union, part in (("U0", 0.6), ("U1", 0.25)):
            if self.some(part):
                self.members[union] = self.chance.sample(pool, self.chance.randint(1, min(3, len(pool))))
        if self.some(0.3):
            self.members["I1"] = self.chance.sample(self.entities, self.chance.randint(1, len(self.entities)))
        if "I0" in self.members and self.some(0.3):  # an interface that another implements
            self.members["J0"] = self.members["I0"]

    def entity(self, sub: str, entity: str, key: str = "") -> Body:
        """An entity in a subgraph, with one key at least."""
        body = self.types[sub].get(entity)
        if body is None:
            body = self.types[sub][entity] = Body()
            first = key or ("id" if self.some(0.6) else self.chance.choice(KEYS))
            self._key(sub, entity, first)
            if self.some(0.35):
                self._key(sub, entity, self.chance.choice(KEYS))
            if not self.keys[sub, entity]:
                self._key(sub, entity, "id")
        elif key and key not in self.keys[sub, entity]:
            self._key(sub, entity, key)
        return body

    def _key(self, sub: str, entity: str, key: str) -> None:
        held = self.keys.setdefault((sub, entity), [])
        if key in held or (key == "boss { id }" and (entity == "E0" or sub == self.old)):
            return
        held.append(key)
        body = self.types[sub][entity]
        body.directives.append(f'@key(fields: "{key}")')
        for name in key.replace("{ code }", "").replace("{ id }", "").split():
            body.fields.setdefault(name, f": {KEY_TYPES[name]}")
            if name == "ref":
                self.value(sub, "Ref")
            if name == "boss":
                self.entity(sub, "E0", "id")
        if sub != self.hubs[entity]:
            self.entity(self.hubs[entity], entity, key)

    def value(self, sub: str, value: str) -> None:
        if value in self.types[sub]:
            return
        body = self.types[sub][value] = Body(directives=[] if sub == self.old else ["@shareable"])
        body.fields["code"] = ": String!"
        shared = random.Random(f"{self.seed} {value}")
        for number in range(shared.choice((1, 2))):
            kind = shared.choice((*LEAVES, "Ref", "E0", self.entities[-1], *self.members))
            body.fields[f"v{number}"] = f": {self.kind(sub, kind)}"
        if self.some(0.05):
            body.fields[f"only_{sub}"] = ": String"

    def kind(self, sub: str, kind: str) -> str:
        """A type for a field in a subgraph, defined there."""
        name = kind.strip("[]!")
        if name in self.entities:
            self.entity(sub, name)
        elif name in self.values or name == "Ref":
            self.value(sub, name)
        elif name in self.members:
            self._members(sub, name)
        return kind

    def _members(self, sub: str, name: str) -> None:
        """An interface or union in a subgraph, with some of its members."""
        if name in self.types[sub]:
            return
        interface = name[0] in "IJ"
        body = self.types[sub][name] = Body("interface" if interface else "union")
        members = self.chance.sample(self.members[name], self.chance.randint(1, len(self.members[name])))
        for member in members:
            self.kind(sub, member)
            if not interface:
                body.implements.append(member)
                continue
            held = self.types[sub][member]
            held.implements.append(name)
        if interface:
            shared = ["id"]
            for common in [n for n in ("f0", "f1") if name != "J0" and self.some(0.3)]:
                if all(self._same(sub, member, common, members[0]) for member in members):
                    shared.append(common)
            for common in shared:
                first = self.types[sub][members[0]].fields.get(common, ": ID!")
                body.fields[common] = first.partition(" @")[0]
            for member in members:
                self.types[sub][member].fields.setdefault("id", ": ID!" + self.shareable(sub))
            if name == "I0" and "J0" in self.members:
                self._members(sub, "J0")
                body.implements.append("J0")
                for member in members:
                    self.types[sub][member].implements.append("J0")

    def _same(self, sub: str, member: str, name: str, other: str) -> bool:
        mine, theirs = self.types[sub][member].fields.get(name), self.types[sub][other].fields.get(name)
        return mine is not None and theirs is not None and mine.partition(" @")[0] == theirs.partition(" @")[0]

    def shareable(self, sub: str) -> str:
        return "" if sub == self.old else " @shareable"

    # -- fields

    def drawn(self) -> tuple[str, str]:
        """Arguments and type of a field."""
        arguments = self.chance.choice(ARGUMENTS if not self.old else ARGUMENTS[:-1])
        if self.some(0.55):
            return arguments, self.chance.choice(LEAVES)
        target = self.chance.choice([*self.entities, *self.values, *self.members])
        if target in self.members:
            return arguments, self.chance.choice((target, f"[{target}]", f"[{target}]!"))
        return arguments, self.chance.choice((target, f"[{target}]", f"[{target}!]!", f"{target}!", f"[[{target}!]]"))

    def _field(self, entity: str, name: str, homes: list[str]) -> None:
        arguments, kind = self.drawn()
        owners = [self.chance.choice(homes)]
        if self.some(0.25) and len(homes) > 1:
            owners = self.chance.sample(homes, min(len(homes), self.chance.choice((2, 2, 3))))
        for owner in owners:
            self.kind(owner, kind)
            shown = self._variant(owner, kind) if len(owners) > 1 and self.some(0.3) else kind
            shared = self.shareable(owner) if len(owners) > 1 else ""
            self.types[owner][entity].fields[name] = f"{arguments}: {shown}{shared}"
        if len(owners) == 1:
            self.owned[entity, name] = (owners[0], arguments, kind)

    def _variant(self, sub: str, kind: str) -> str:
        """Another type that one of several subgraphs can have for a field: nullable or not, or a narrower one."""
        name = kind.strip("[]!")
        if name in self.members and self.some(0.5):
            members = [t for t, body in self.types[sub].items() if name in body.implements]
            members = members or [m for m in self.types[sub][name].implements if m in self.types[sub]]
            return kind.replace(name, self.chance.choice(sorted(members))) if members else kind
        if kind.startswith("[") and self.some(0.5):
            return kind.replace(f"{name}!", name) if f"{name}!" in kind else kind.replace(name, f"{name}!")
        return kind.removesuffix("!") if kind.endswith("!") else f"{kind}!"

    def _roots(self, sub: str) -> None:
        query = self.types[sub].setdefault("Query", Body())
        for number in range(self.chance.choice((1, 2, 2, 3))):
            arguments, kind = self.drawn()
            query.fields[f"{sub}r{number}"] = f"{arguments}: {self.kind(sub, kind)}"
        if sub in self.names[:2]:
            target = self.chance.choice(self.entities)
            query.fields[f"{sub}all"] = f": [{self.kind(sub, target)}]"
        if self.some(0.015):
            query.fields[f"{sub}again"] = ": Query!"
        for number in range(self.chance.choice((0, 0, 0, 1, 2))):
            mutation = self.types[sub].setdefault("Mutation", Body())
            arguments, kind = self.drawn()
            mutation.fields[f"{sub}do{number}"] = f"{arguments}: {self.kind(sub, kind)}"
            if self.some(0.1):
                mutation.fields[f"{sub}again"] = ": Query"

    def _shared_root(self) -> None:
        root = "Query" if self.some(0.8) else "Mutation"
        arguments, kind = self.drawn()
        for sub in self.chance.sample(self.names, min(len(self.names), self.chance.choice((2, 2, 3)))):
            if sub != self.old:
                body = self.types[sub].setdefault(root, Body())
                body.fields["shared"] = f"{arguments}: {self.kind(sub, kind)} @shareable"

    # -- text

    def _text(self, sub: str) -> str:
        bodies = self.types[sub]
        parts = [] if sub == self.old else [LINK]
        for name, body in bodies.items():
            if body.kind == "union":
                parts.append(f"union {name} = {' | '.join(body.implements)}\n")
                continue
            implements = f" implements {' & '.join(dict.fromkeys(body.implements))}" if body.implements else ""
            extends = sub == self.old and name in self.entities and self._elsewhere(sub, name)
            fields = dict(body.fields)
            if extends:
                for key in {n for k in self.keys[sub, name] for n in k.split() if n in fields}:
                    fields[key] += " @external"
            lines = "".join(f"  {n}{t}\n" for n, t in fields.items())
            head = " ".join([f"{'extend ' if extends else ''}{body.kind} {name}{implements}", *body.directives])
            parts.append(f"{head} {{\n{lines}}}\n")
        text = "\n".join(parts)
        mood = ["CALM", *(value for value in ("SAD", "GLAD") if self.some(0.7))]  # what is only given may differ
        want = ["YES", "NO", *(value for value in ("LATER",) if self.some(0.5))]  # what is only taken, too
        parts += _used(
            text,
            ("Level", "enum Level { LOW HIGH }\n"),
            ("Mood", f"enum Mood {{ {' '.join(mood)} }}\n"),
            ("Want", f"enum Want {{ {' '.join(want)} }}\n"),
            ("Json", "scalar Json\n"),
        )
        if "in: In" in text:
            extra = "  extra: Int\n" if self.some(0.3) else ""
            parts.append(f"input In {{\n  n: Int! = 3\n  s: String\n  more: [In!]\n{extra}}}\n")
        return "\n".join(parts)

    def _elsewhere(self, sub: str, name: str) -> bool:
        return any(name in self.types[other] for other in self.names if other != sub)


def _used(text: str, *definitions: tuple[str, str]) -> Iterable[str]:
    return [definition for name, definition in definitions if name in text]
