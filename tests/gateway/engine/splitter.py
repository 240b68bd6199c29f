"""Draws supergraphs at random: one plain schema, split over two to six subgraphs with every feature of federation.

Not every draw composes; those that do are what the gateway is tried on. The same seed always draws the same subgraphs.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

LINK = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@external", "@requires", '
    '"@provides", "@shareable", "@override", "@inaccessible", "@interfaceObject", "@context", "@fromContext"])\n'
)
KEYS = ("id", "code", "number region", "ref { code }", "ref { code } region", "boss { id }")
KEY_TYPES = {"id": "ID!", "code": "String!", "number": "Int!", "region": "String!", "ref": "Ref!", "boss": "E0!"}
LEAVES = ("String", "Int", "Boolean", "Level", "Json", "Float!", "String!", "[String]", "[[Int!]]", "ID", "Int!")


@dataclass
class _Body:
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
        self._chance = random.Random(self.seed)
        self.names = [f"s{i}" for i in range(self._chance.choice((2, 2, 3, 3, 4, 5, 6)))]
        self.old = self._chance.choice(self.names) if self._some(0.2) else ""  # speaks Federation 1
        self.types: dict[str, dict[str, _Body]] = {name: {} for name in self.names}
        self.keys: dict[tuple[str, str], list[str]] = {}
        self.entities = [f"E{i}" for i in range(self._chance.choice((2, 3, 3, 4)))]
        self.values = [f"V{i}" for i in range(self._chance.choice((0, 1, 2)))]
        self.hubs = {entity: self._chance.choice(self.names) for entity in self.entities}  # finds it by every key
        self.members: dict[str, list[str]] = {}
        self.owned: dict[tuple[str, str], tuple[str, str, str]] = {}  # (type, field) → (subgraph, arguments, type)

    def _some(self, part: float) -> bool:
        return self._chance.random() < part

    def subgraphs(self) -> dict[str, str]:
        """SDL by subgraph name."""
        self._abstract()
        for entity in self.entities:
            homes = self._chance.sample(self.names, self._chance.randint(1, len(self.names)))
            for home in (self.hubs[entity], *homes):
                self._entity(home, entity)
        for entity in self.entities:
            homes = [name for name in self.names if entity in self.types[name]]
            for number in range(self._chance.choice((2, 3, 4, 5))):
                self._field(entity, f"f{number}", homes)
        for name in self.names:
            self._roots(name)
        if self._some(0.4):
            self._shared_root()
        self._interface_object()
        for _ in range(self._chance.choice((0, 1, 2, 3))):
            self._requires()
        if self._some(0.3):
            self._requires_through_own()
        for _ in range(self._chance.choice((0, 0, 1, 2))):
            self._provides()
        for _ in range(self._chance.choice((0, 0, 1))):
            self._override()
        self._contexts()
        self._stubs()
        return {name: self._text(name) for name in self.names}

    # -- types

    def _abstract(self) -> None:
        if self._some(0.7):
            self.members["I0"] = self._chance.sample(self.entities, self._chance.randint(1, len(self.entities)))
        if self._some(0.6):
            pool = [*self.entities, *self.values]
            self.members["U0"] = self._chance.sample(pool, self._chance.randint(1, min(3, len(pool))))
        if self._some(0.3):
            self.members["I1"] = self._chance.sample(self.entities, self._chance.randint(1, len(self.entities)))

    def _entity(self, sub: str, entity: str, key: str = "") -> _Body:
        """An entity in a subgraph, with one key at least."""
        body = self.types[sub].get(entity)
        if body is None:
            body = self.types[sub][entity] = _Body()
            first = key or ("id" if self._some(0.6) else self._chance.choice(KEYS))
            self._key(sub, entity, first)
            if self._some(0.35):
                self._key(sub, entity, self._chance.choice(KEYS))
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
                self._value(sub, "Ref")
            if name == "boss":
                self._entity(sub, "E0", "id")
        if sub != self.hubs[entity]:
            self._entity(self.hubs[entity], entity, key)

    def _value(self, sub: str, value: str) -> None:
        if value in self.types[sub]:
            return
        body = self.types[sub][value] = _Body(directives=[] if sub == self.old else ["@shareable"])
        body.fields["code"] = ": String!"
        shared = random.Random(f"{self.seed} {value}")
        for number in range(shared.choice((1, 2))):
            kind = shared.choice((*LEAVES, "Ref", "E0", self.entities[-1]))
            body.fields[f"v{number}"] = f": {self._kind(sub, kind)}"
        if self._some(0.05):
            body.fields[f"only_{sub}"] = ": String"

    def _kind(self, sub: str, kind: str) -> str:
        """A type for a field in a subgraph, defined there."""
        name = kind.strip("[]!")
        if name in self.entities:
            self._entity(sub, name)
        elif name in self.values or name == "Ref":
            self._value(sub, name)
        elif name in self.members:
            self._members(sub, name)
        return kind

    def _members(self, sub: str, name: str) -> None:
        """An interface or union in a subgraph, with some of its members."""
        if name in self.types[sub]:
            return
        interface = name.startswith("I")
        body = self.types[sub][name] = _Body("interface" if interface else "union")
        members = self._chance.sample(self.members[name], self._chance.randint(1, len(self.members[name])))
        for member in members:
            self._kind(sub, member)
            if not interface:
                body.implements.append(member)
                continue
            held = self.types[sub][member]
            held.implements.append(name)
        if interface:
            shared = ["id"]
            for common in [n for n in ("f0", "f1") if self._some(0.3)]:
                if all(self._same(sub, member, common, members[0]) for member in members):
                    shared.append(common)
            for common in shared:
                first = self.types[sub][members[0]].fields.get(common, ": ID!")
                body.fields[common] = first.partition(" @")[0]
            for member in members:
                self.types[sub][member].fields.setdefault("id", ": ID!" + self._shareable(sub))

    def _same(self, sub: str, member: str, name: str, other: str) -> bool:
        mine, theirs = self.types[sub][member].fields.get(name), self.types[sub][other].fields.get(name)
        return mine is not None and theirs is not None and mine.partition(" @")[0] == theirs.partition(" @")[0]

    def _shareable(self, sub: str) -> str:
        return "" if sub == self.old else " @shareable"

    # -- fields

    def _drawn(self) -> tuple[str, str]:
        """Arguments and type of a field."""
        arguments = self._chance.choice(("", "", "", "(a: Int)", '(b: String! = "x", c: [Level])', "(in: In)"))
        if self._some(0.55):
            return arguments, self._chance.choice(LEAVES)
        target = self._chance.choice([*self.entities, *self.values, *self.members])
        if target in self.members:
            return arguments, self._chance.choice((target, f"[{target}]", f"[{target}]!"))
        return arguments, self._chance.choice((target, f"[{target}]", f"[{target}!]!", f"{target}!", f"[[{target}!]]"))

    def _field(self, entity: str, name: str, homes: list[str]) -> None:
        arguments, kind = self._drawn()
        owners = [self._chance.choice(homes)]
        if self._some(0.25) and len(homes) > 1:
            owners = self._chance.sample(homes, 2)
        for owner in owners:
            shown = kind
            if len(owners) > 1 and self._some(0.2) and owner == owners[0]:
                shown = kind.removesuffix("!") if kind.endswith("!") else f"{kind}!"
                if kind.strip("[]!") in self.members:
                    shown = kind
            self._kind(owner, kind)
            shared = self._shareable(owner) if len(owners) > 1 else ""
            self.types[owner][entity].fields[name] = f"{arguments}: {shown}{shared}"
        if len(owners) == 1:
            self.owned[entity, name] = (owners[0], arguments, kind)

    def _roots(self, sub: str) -> None:
        query = self.types[sub].setdefault("Query", _Body())
        for number in range(self._chance.choice((1, 2, 2, 3))):
            arguments, kind = self._drawn()
            query.fields[f"{sub}r{number}"] = f"{arguments}: {self._kind(sub, kind)}"
        if sub in self.names[:2]:
            target = self._chance.choice(self.entities)
            query.fields[f"{sub}all"] = f": [{self._kind(sub, target)}]"
        if self._some(0.2):
            mutation = self.types[sub].setdefault("Mutation", _Body())
            arguments, kind = self._drawn()
            mutation.fields[f"{sub}do"] = f"{arguments}: {self._kind(sub, kind)}"

    def _shared_root(self) -> None:
        arguments, kind = self._drawn()
        for sub in self._chance.sample(self.names, 2):
            if sub != self.old:
                self.types[sub]["Query"].fields["shared"] = f"{arguments}: {self._kind(sub, kind)} @shareable"

    def _interface_object(self) -> None:
        """I1 as an entity interface where all its implementers are, and as one object in another subgraph."""
        members = self.members.get("I1", ())
        if not members:
            return
        for sub in self.names:
            if "I1" in self.types[sub] and len(self.types[sub]["I1"].fields) and sub != self.old:
                for member in members:
                    held = self._entity(sub, member, "id")
                    held.directives = [d.replace('"id", resolvable: false', '"id"') for d in held.directives]
                    if "I1" not in held.implements:
                        held.implements.append("I1")
                body = self.types[sub]["I1"]
                body.fields = {"id": ": ID!"}
                body.directives = ['@key(fields: "id")']
                labelled = self._some(0.5) and not any("label" in self.types[sub][m].fields for m in members)
                if labelled:
                    body.fields["label"] = ": String!"
                    for member in members:
                        self.types[sub][member].fields["label"] = ": String!"
                break
        else:
            return
        for other in self.names:
            if other in (sub, self.old) or any(member in self.types[other] for member in members):
                continue
            if "I1" in self.types[other]:
                continue
            body = self.types[other]["I1"] = _Body(directives=['@key(fields: "id")', "@interfaceObject"])
            body.fields["id"] = ": ID!"
            for number in range(self._chance.choice((1, 2))):
                arguments, kind = self._drawn()
                if kind.strip("[]!") in members:
                    kind = "String"
                body.fields[f"o{number}"] = f"{arguments}: {self._kind(other, kind)}"
            if labelled:
                body.fields["label"] = ": String! @external"
                body.fields["qo"] = ': Int @requires(fields: "label")'
            self.types[other]["Query"].fields[f"{other}objects"] = ": [I1!]!"
            self.types[sub]["Query"].fields[f"{sub}objects"] = ": [I1]"
            return

    # -- what hangs on other subgraphs

    def _requires(self) -> None:
        """A field that needs others' fields, with or without arguments, below value types, in fragments, or in turn requiring."""
        asked = [(e, n, *o) for (e, n), o in sorted(self.owned.items()) if e in self.entities]
        self._chance.shuffle(asked)
        for entity, name, owner, arguments, kind in asked:
            homes = [s for s in self.names if self._free(s, owner, entity, name)]
            if not homes:
                continue
            sub = self._chance.choice(homes)
            fields = [self._needed(sub, owner, name, arguments, kind)]
            body = self.types[sub][entity]
            body.fields[name] = f"{arguments}: {kind} @external"
            for other, more, holder, *shape in asked:
                if other == entity and self._some(0.4) and self._free(sub, holder, entity, more):
                    fields.append(self._needed(sub, holder, more, shape[0], shape[1]))
                    body.fields[more] = f"{shape[0]}: {shape[1]} @external"
            number = sum(f.startswith("q") for f in body.fields)
            given, result = self._chance.choice(("", "", "(a: Int)")), self._chance.choice(LEAVES)
            drawn = f"q{sub}{number}"
            body.fields[drawn] = f'{given}: {result} @requires(fields: "{" ".join(fields)}")'
            self.owned[entity, drawn] = (sub, given, result)
            if self._some(0.3):
                self._twice(sub, entity, name, arguments, kind)
            if self._some(0.25):
                self._hide(owner, entity, name)
            return

    def _requires_through_own(self) -> None:
        """A field that requires a subgraph's own field of entities, and of these what another subgraph has."""
        for (entity, name), (sub, arguments, kind) in sorted(self.owned.items()):
            target = kind.strip("[]!")
            if entity not in self.entities or target not in self.entities or name.startswith("q"):
                continue
            for (other, leaf), (owner, given, shape) in sorted(self.owned.items()):
                if other == target and shape in LEAVES and self._free(sub, owner, target, leaf):
                    self.types[sub][target].fields[leaf] = f"{given}: {shape} @external"
                    told = {"(a: Int)": "(a: 4)", "(in: In)": "(in: {n: 5})"}.get(arguments, "")
                    self.types[sub][entity].fields["own"] = f': Int @requires(fields: "{name}{told} {{ {leaf} }}")'
                    return

    def _free(self, sub: str, owner: str, entity: str, name: str) -> bool:
        """Whether a subgraph has an entity but not yet a field of it."""
        return sub != owner and entity in self.types[sub] and name not in self.types[sub][entity].fields

    def _twice(self, sub: str, entity: str, name: str, arguments: str, kind: str) -> None:
        """Another field that requires the same one, with another argument if it takes any."""
        target = kind.strip("[]!")
        below = (
            " { code }"
            if target in self.values
            else f" {{ {self.keys[sub, target][0]} }}"
            if target in self.entities
            else ""
        )
        given = {"(a: Int)": "(a: 2)", "(in: In)": "(in: {n: 9})"}.get(arguments, "")
        if target not in self.members:
            self.types[sub][entity].fields[f"w{sub}{name}"] = f': Int @requires(fields: "{name}{given}{below}")'

    def _hide(self, owner: str, entity: str, name: str) -> None:
        """Make a field invisible to clients; others may still require it."""
        if owner != self.old and not any(name in b.fields for b in self.types[owner].values() if b.kind == "interface"):
            self.types[owner][entity].fields[name] += " @inaccessible"

    def _needed(self, sub: str, owner: str, name: str, arguments: str, kind: str) -> str:
        given = {"(a: Int)": "(a: 1)", "(in: In)": '(in: {n: 2, s: \\"t\\"})'}.get(arguments, "") if arguments else ""
        if self._some(0.3) and arguments != "":
            given = ""
        target = kind.strip("[]!")
        if target in self.members:
            if target.startswith("I"):
                self._kind(sub, kind)
                more = [
                    f"... on {e} {{ {self.keys[sub, e][0]} }}"
                    for e in self.entities
                    if self._implements(sub, e, target)
                ]
                return f"{name}{given} {{ {' '.join(['id', *more][: self._chance.choice((1, 9))])} }}"
            self._kind(sub, kind)
            parts = []
            for member in self.types[sub][target].implements:
                if member in self.entities:
                    parts.append(f"... on {member} {{ {self.keys[sub, member][0]} }}")
                else:
                    parts.append(f"... on {member} {{ code }}")
            return f"{name}{given} {{ __typename {' '.join(parts)} }}"
        if target in self.entities:
            self._kind(sub, kind)
            return f"{name}{given} {{ {self.keys[sub, target][0]} }}"
        if target in self.values:
            self._kind(sub, kind)
            return f"{name}{given} {{ code }}"
        return f"{name}{given}"

    def _implements(self, sub: str, entity: str, interface: str) -> bool:
        return entity in self.types[sub] and interface in self.types[sub][entity].implements

    def _provides(self) -> None:
        """A field that brings a leaf of another subgraph along."""
        asked = [(e, n, *o) for (e, n), o in sorted(self.owned.items()) if e in self.entities]
        self._chance.shuffle(asked)
        for entity, name, owner, arguments, kind in asked:
            if arguments or kind.strip("[]!") in (*self.entities, *self.values, *self.members) or owner == self.old:
                continue
            for sub in self.names:
                if sub in (owner, self.old) or entity not in self.types[sub] or name in self.types[sub][entity].fields:
                    continue
                abstract = [m for m, body in self.types[sub].items() if self._abstraction(sub, m, entity)]
                for body in self.types[sub].values():
                    for at, text in body.fields.items():
                        target = text.rpartition(": ")[2].strip("[]!")
                        if target in (entity, *abstract) and "@" not in text and body.kind == "type":
                            granted = name if target == entity else f"... on {entity} {{ {name} }}"
                            body.fields[at] = f'{text} @provides(fields: "{granted}")'
                            self.types[sub][entity].fields[name] = f": {kind} @external"
                            held = self.types[owner][entity].fields[name]
                            if "@shareable" not in held:
                                self.types[owner][entity].fields[name] = held + " @shareable"
                            del self.owned[entity, name]
                            return

    def _abstraction(self, sub: str, name: str, entity: str) -> bool:
        """Whether an interface or union of a subgraph holds an entity."""
        body = self.types[sub][name]
        return entity in body.implements if body.kind == "union" else name in self.types[sub][entity].implements

    def _override(self) -> None:
        for (entity, name), (owner, arguments, kind) in sorted(self.owned.items()):
            homes = [
                s
                for s in self.names
                if s not in (owner, self.old) and entity in self.types[s] and name not in self.types[s][entity].fields
            ]
            if homes and self._some(0.5) and "@" not in self.types[owner][entity].fields[name]:
                sub = self._chance.choice(homes)
                self._kind(sub, kind)
                label = self._chance.choice(("", "", ', label: "percent(30)"', ', label: "later"'))
                self.types[sub][entity].fields[name] = f'{arguments}: {kind} @override(from: "{owner}"{label})'
                return

    def _contexts(self) -> None:
        """A leaf of an entity that is told to fields of what lies below it, and below that."""
        chance = random.Random(f"{self.seed} contexts")  # of its own: the other draws stay what they were
        leaves = [
            (sub, entity, name, kind)
            for (entity, name), (sub, arguments, kind) in sorted(self.owned.items())
            if entity in self.entities and kind in LEAVES and not arguments and sub != self.old
        ]
        if not leaves or chance.random() > 0.3:
            return
        sub, entity, name, kind = chance.choice(leaves)
        told = f'(a: {kind.replace("!", "")} @fromContext(field: "$c {{ {name} }}"), n: Int)'
        holder = self.types[sub][entity]
        holder.directives.append('@context(name: "c")')
        holder.fields["below"] = f": {chance.choice(('C0', '[C0!]!', '[[C0]]'))}"
        key = ['@key(fields: "id")']
        self.types[sub]["C0"] = _Body(directives=[*key], fields={"id": ": ID!", "told": f"{told}: String"})
        if chance.random() < 0.5:
            self.types[sub]["C0"].fields["deep"] = f": {chance.choice(('C1', '[C1!]'))}"
            self.types[sub]["C1"] = _Body(directives=[*key], fields={"id": ": ID!", "told": f"{told}: Int"})
        others = [other for other in self.names if other not in (sub, self.old)]
        if others:
            other = chance.choice(others)
            more = self.types[other]["C0"] = _Body(directives=[*key], fields={"id": ": ID!"})
            more.fields["far"] = ": Int"
            if "C1" in self.types[sub]:
                self.types[other]["C1"] = _Body(directives=[*key], fields={"id": ": ID!", "more": ": Int"})
                more.fields["beyond"] = ": [C1!]"
            if chance.random() < 0.5:
                self.types[sub]["C0"].fields |= {
                    "far": ": Int @external",
                    "both": f'{told}: String @requires(fields: "far")',
                }
        if chance.random() < 0.5:
            self.types[sub]["C0"].fields["back"] = f": {entity}"

    def _stubs(self) -> None:
        """What a subgraph only refers to need not be resolvable there."""
        for sub in self.names:
            for entity in self.entities:
                held = self.types[sub].get(entity)
                if held is None or sub in (self.old, self.hubs[entity]) or not self._some(0.4):
                    continue
                if {n for k in self.keys[sub, entity] for n in k.split()}.issuperset(held.fields):
                    held.directives = [d.replace('")', '", resolvable: false)') for d in held.directives]

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
        parts += _used(text, ("Level", "enum Level {\n  LOW\n  HIGH\n}\n"), ("Json", "scalar Json\n"))
        if "in: In" in text:
            parts.append("input In {\n  n: Int! = 3\n  s: String\n  more: [In!]\n}\n")
        return "\n".join(parts)

    def _elsewhere(self, sub: str, name: str) -> bool:
        return any(name in self.types[other] for other in self.names if other != sub)


def _used(text: str, *definitions: tuple[str, str]) -> Iterable[str]:
    return [definition for name, definition in definitions if name in text]
