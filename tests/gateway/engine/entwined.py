"""What subgraphs need of each other in a supergraph drawn at random: @requires, @provides, @override, @interfaceObject, value
types in parts, keys that are not resolvable, nullability that differs.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.gateway.engine.splitter import Splitter

MOST_SUBGRAPHS = 6
GIVEN = {
    "(a: Int)": "(a: {})",
    "(in: In)": '(in: {{n: {}, s: \\"t\\"}})',
    "(w: Want = YES)": "(w: NO)",
}  # arguments within a @requires


def entwine(split: "Splitter") -> None:
    """Draw all of it into subgraphs whose types stand."""
    chance = split.chance
    if split.some(0.25):
        _parted_value(split)
    _interface_objects(split)
    for _ in range(chance.choice((0, 1, 2, 3, 5))):
        _requires(split)
    if split.some(0.3):
        _requires_through_own(split)
    for _ in range(chance.choice((0, 0, 1, 2))):
        _provides(split)
    if split.some(0.3):
        _provides_nested(split)
    for _ in range(chance.choice((0, 0, 1, 2))):
        _override(split)
    _contexts(split)
    _unresolvable(split)
    if split.some(0.3):
        _nullable_keys(split)


def _target(kind: str) -> str:
    return kind.strip("[]!")


# -- parts of values


def _parted_value(split: "Splitter") -> None:
    """A value type of which each subgraph has some fields, behind a field that all of them share: it has no key to go by."""
    subs = [sub for sub in split.names if sub != split.old]
    holder = split.chance.choice(("Query", *split.entities))
    subs = [sub for sub in subs if holder == "Query" or holder in split.types[sub]]
    if len(subs) < 2:
        return
    subs = split.chance.sample(subs, split.chance.randint(2, min(4, len(subs))))
    inner = split.some(0.5)
    listed = split.chance.choice(("{}", "[{}]", "{}!"))
    for sub in subs:
        split.body(sub, holder).fields["parts"] = f": {listed.format('W')} @shareable"
        split.body(sub, "W").directives = ["@shareable"]
        if inner:
            split.body(sub, "W").fields["inner"] = ": X"
            split.body(sub, "X").directives = ["@shareable"]
    for name in ("W", "X") if inner else ("W",):
        for number in range(split.chance.choice((2, 3, 4))):
            arguments, kind = split.drawn()
            for sub in split.chance.sample(subs, split.chance.choice((1, 1, 2, len(subs)))):
                split.body(sub, name).fields[f"{name.lower()}{number}"] = f"{arguments}: {split.kind(sub, kind)}"
        for sub in subs:
            split.body(sub, name).fields.setdefault(f"{name.lower()}0", ": Int")
        kinds = {split.body(sub, name).fields[f"{name.lower()}0"] for sub in subs}
        if len(kinds) > 1:
            for sub in subs:
                split.body(sub, name).fields[f"{name.lower()}0"] = ": Int"


# -- interface objects


def _interface_objects(split: "Splitter") -> None:
    """I1 as an entity interface where all its implementers are, and as one object in other subgraphs, new ones if need be."""
    members = split.members.get("I1", ())
    homes = [sub for sub in split.names if "I1" in split.types[sub] and sub != split.old]
    if not members or not homes:
        return
    home = homes[0]
    body = split.types[home]["I1"]
    key = split.chance.choice(("id", "id", "id", "code"))
    for member in members:
        held = split.entity(home, member, key)
        if "I1" not in held.implements:
            held.implements.append("I1")
    body.fields = {"id": ": ID!", key: ": ID!" if key == "id" else ": String!"}
    body.directives = [f'@key(fields: "{key}")']
    for member in members:
        split.types[home][member].fields.setdefault("id", ": ID!" + split.shareable(home))
    free = not any("label" in split.types[home][m].fields for m in members)
    labelled = split.some(0.6) and free
    if labelled:
        body.fields["label"] = ": String!"
        for member in members:
            split.types[home][member].fields["label"] = ": String!"
    split.types[home].setdefault("Query", split.body(home, "Query")).fields[f"{home}objects"] = ": [I1]"
    split.keyed |= {(home, member) for member in members}
    told: list[str] = ["label"] if labelled else []
    for _ in range(split.chance.choice((1, 1, 2, 3))):
        known = (*members, "I1")
        others = [s for s in split.names if s != split.old and not any(m in split.types[s] for m in known)]
        if not others and len(split.names) < MOST_SUBGRAPHS:
            others = [split.add()]
        if not others:
            return
        _interface_object(split, split.chance.choice(others), key, told)


def _interface_object(split: "Splitter", sub: str, key: str, told: list[str]) -> None:
    """I1 as one object in a subgraph; what it `told` clients others may require."""
    members = split.members["I1"]
    body = split.body(sub, "I1")
    body.fields[key] = ": ID!" if key == "id" else ": String!"
    split.body(sub, "Query").fields[f"{sub}objects"] = split.chance.choice((": [I1!]!", ": I1", ": [[I1]!]"))
    bare = split.some(0.2)
    body.directives = [f'@key(fields: "{key}"{", resolvable: false" if bare else ""})', "@interfaceObject"]
    if bare:
        return
    for number in range(split.chance.choice((1, 2))):
        arguments, kind = split.drawn()
        if _target(kind) in (*members, "I1") or (_target(kind) in split.members and _meets(split, kind, members)):
            kind = split.chance.choice(("String", "I1", "[I1!]!"))
        name = f"o{sub}{number}"
        body.fields[name] = f"{arguments}: {kind if _target(kind) == 'I1' else split.kind(sub, kind)}"
        if kind in ("String", "Int", "Boolean", "ID", "Int!", "String!") and not arguments:
            told.append(name)
            split.objects[name] = kind
    needed = [name for name in told if name not in body.fields and split.some(0.6)]
    for name in needed:
        body.fields[name] = f": {split.objects.get(name, 'String!')} @external"
    if needed:
        body.fields[f"q{sub}"] = f': Int @requires(fields: "{" ".join(needed)}")'
        told.append(f"q{sub}")
        split.objects[f"q{sub}"] = "Int"


def _meets(split: "Splitter", kind: str, members: list[str]) -> bool:
    """Whether an abstract type can be one of these members."""
    return not set(split.members[_target(kind)]).isdisjoint(members)


# -- requirements


def _requires(split: "Splitter") -> None:
    """A field that needs others' fields, with or without arguments, below value types, in fragments, or in turn requiring."""
    asked = [(e, n, *o) for (e, n), o in sorted(split.owned.items()) if e in split.entities]
    split.chance.shuffle(asked)
    if split.some(0.4):  # in chains
        asked.sort(key=lambda found: not found[1].startswith("q"))
    for entity, name, owner, arguments, kind in asked:
        homes = [s for s in split.names if split.free(s, owner, entity, name)]
        if not homes:
            continue
        sub = split.chance.choice(homes)
        body = split.types[sub][entity]
        body.fields[name] = f"{arguments}: {kind} @external"
        fields = [_needed(split, sub, owner, name, arguments, kind)]
        for other, more, holder, *shape in asked:
            if other == entity and split.some(0.4) and split.free(sub, holder, entity, more):
                body.fields[more] = f"{shape[0]}: {shape[1]} @external"
                fields.append(_needed(split, sub, holder, more, shape[0], shape[1]))
        number = sum(f.startswith("q") for f in body.fields)
        given = split.chance.choice(("", "", "(a: Int)"))
        result = split.drawn()[1] if split.some(0.3) else split.chance.choice(("Int", "String!", "Boolean", "[String]"))
        drawn = f"q{sub}{number}"
        body.fields[drawn] = f'{given}: {split.kind(sub, result)} @requires(fields: "{" ".join(fields)}")'
        split.owned[entity, drawn] = (sub, given, result)
        if split.some(0.3):
            _twice(split, sub, entity, name, arguments, kind)
        if split.some(0.25):
            _hide(split, owner, entity, name)
        return


def _requires_through_own(split: "Splitter") -> None:
    """A field that requires a subgraph's own field of entities, and of these what another subgraph has."""
    for (entity, name), (sub, arguments, kind) in sorted(split.owned.items()):
        target = _target(kind)
        if entity not in split.entities or target not in split.entities or name.startswith("q"):
            continue
        for (other, leaf), (owner, given, shape) in sorted(split.owned.items()):
            if other == target and split.leaf(shape) and split.free(sub, owner, target, leaf):
                split.types[sub][target].fields[leaf] = f"{given}: {shape} @external"
                told = GIVEN.get(arguments, "").format(4)
                split.types[sub][entity].fields["own"] = f': Int @requires(fields: "{name}{told} {{ {leaf} }}")'
                return


def _twice(split: "Splitter", sub: str, entity: str, name: str, arguments: str, kind: str) -> None:
    """Another field that requires the same one, with another argument if it takes any."""
    target = _target(kind)
    if target in split.members:
        return
    below = ""
    if not split.leaf(kind):
        below = f" {{ {split.keys[sub, target][0] if target in split.entities else 'code'} }}"
    given = GIVEN.get(arguments, "").format(9)
    split.types[sub][entity].fields[f"w{sub}{name}"] = f': Int @requires(fields: "{name}{given}{below}")'


def _hide(split: "Splitter", owner: str, entity: str, name: str) -> None:
    """Make a field invisible to clients; others may still require it."""
    if owner != split.old and not any(name in b.fields for b in split.types[owner].values() if b.kind == "interface"):
        split.types[owner][entity].fields[name] += " @inaccessible"


def _needed(split: "Splitter", sub: str, owner: str, name: str, arguments: str, kind: str) -> str:
    given = GIVEN.get(arguments, "").format(split.chance.choice((1, 2)))
    if split.some(0.3):
        given = ""
    below = _below(split, sub, kind, 2)
    return f"{name}{given} {{ {below} }}" if below else f"{name}{given}"


def _below(split: "Splitter", sub: str, kind: str, depth: int) -> str:
    """A field set on the values of a type, as a subgraph can write it; nothing for a leaf."""
    target = _target(kind)
    if split.leaf(kind):
        return ""
    split.kind(sub, kind)
    if target in split.members:
        return _fragments(split, sub, target)
    if target in split.entities:
        return _of_entity(split, sub, target, depth)
    if depth and split.some(0.3):
        deeper = [(n, t) for n, t in split.types[sub][target].fields.items() if "(" not in t]
        field, text = split.chance.choice(deeper)
        below = _below(split, sub, text.partition(": ")[2].partition(" ")[0], depth - 1)
        if field != "code":
            return f"code {field} {{ {below} }}" if below else f"code {field}"
    return "code"


def _of_entity(split: "Splitter", sub: str, entity: str, depth: int) -> str:
    """A key, and sometimes a field of another subgraph that needs looking up."""
    key = split.keys[sub, entity][0]
    found = [(n, *o) for (e, n), o in sorted(split.owned.items()) if e == entity and split.free(sub, o[0], e, n)]
    if not depth or not found or split.some(0.6):
        return key
    name, _, arguments, kind = split.chance.choice(found)
    if _target(kind) in split.members:
        return key
    split.types[sub][entity].fields[name] = f"{arguments}: {kind} @external"
    more = _needed_below(split, sub, name, arguments, kind, depth - 1)
    return split.chance.choice((more, f"{key} {more}"))


def _needed_below(split: "Splitter", sub: str, name: str, arguments: str, kind: str, depth: int) -> str:
    given = GIVEN.get(arguments, "").format(split.chance.choice((1, 3))) if split.some(0.6) else ""
    below = _below(split, sub, kind, depth)
    return f"{name}{given} {{ {below} }}" if below else f"{name}{given}"


def _fragments(split: "Splitter", sub: str, abstract: str) -> str:
    """A field set on an interface or union: what is common, and fragments on members, also within fragments."""
    if abstract[0] in "IJ":
        members = [e for e in split.entities if abstract in split.types[sub].get(e, split.nothing).implements]
        parts = [f"... on {e} {{ {split.keys[sub, e][0]} }}" for e in members]
        found = " ".join(["id", *parts][: split.chance.choice((1, 9))])
        if "id" not in split.types[sub][abstract].fields:
            found = " ".join(parts)
        return f"... on {abstract} {{ {found} }}" if split.some(0.2) else found
    parts = []
    for member in split.types[sub][abstract].implements:
        fields = split.keys[sub, member][0] if member in split.entities else "code"
        parts.append(f"... on {member} {{ {fields} }}")
    return " ".join(["__typename", *parts])


# -- @provides


def _provides(split: "Splitter") -> None:
    """A field that brings a leaf of another subgraph along."""
    for entity, name, owner, kind in _leaves(split):
        for sub in split.names:
            if sub in (owner, split.old) or entity not in split.types[sub] or name in split.types[sub][entity].fields:
                continue
            abstract = [m for m in split.types[sub] if _abstraction(split, sub, m, entity)]
            for body in split.types[sub].values():
                for at, text in body.fields.items():
                    target = text.rpartition(": ")[2].strip("[]!")
                    if target in (entity, *abstract) and "@" not in text and body.kind == "type":
                        granted = name if target == entity else f"... on {entity} {{ {name} }}"
                        body.fields[at] = f'{text} @provides(fields: "{granted}")'
                        split.types[sub][entity].fields[name] = f": {kind} @external"
                        _share(split, owner, entity, name)
                        return


def _provides_nested(split: "Splitter") -> None:
    """A field that brings another subgraph's leaf along, two levels down: through a field of its own, or through one that
    it brings along too."""
    for entity, name, owner, kind in _leaves(split):
        for (holder, between), (giver, arguments, type_) in sorted(split.owned.items()):
            if _target(type_) != entity or arguments or holder not in split.entities or split.old in (owner, giver):
                continue
            for sub in split.names:
                mine = split.types[sub]
                if sub in (owner, split.old) or not {entity, holder} <= mine.keys() or name in mine[entity].fields:
                    continue
                held = mine[holder].fields.get(between)
                if (held is not None and sub != giver) or (held is not None and "@" in held):
                    continue
                for body in mine.values():
                    for at, text in body.fields.items():
                        target = text.rpartition(": ")[2].strip("[]!")
                        if target == holder and "@" not in text and body.kind == "type":
                            body.fields[at] = f'{text} @provides(fields: "{between} {{ {name} }}")'
                            mine[entity].fields[name] = f": {kind} @external"
                            _share(split, owner, entity, name)
                            if held is None:
                                mine[holder].fields[between] = f": {type_} @external"
                                _share(split, giver, holder, between)
                            return


def _leaves(split: "Splitter") -> list[tuple[str, str, str, str]]:
    """Fields that can be provided: type, name, owner and kind of those without arguments, in a drawn order."""
    found = [
        (entity, name, owner, kind)
        for (entity, name), (owner, arguments, kind) in sorted(split.owned.items())
        if entity in split.entities and not arguments and split.leaf(kind) and owner != split.old
    ]
    split.chance.shuffle(found)
    return found


def _share(split: "Splitter", owner: str, entity: str, name: str) -> None:
    held = split.types[owner][entity].fields[name]
    if "@shareable" not in held:
        split.types[owner][entity].fields[name] = held + " @shareable"
    del split.owned[entity, name]


def _abstraction(split: "Splitter", sub: str, name: str, entity: str) -> bool:
    """Whether an interface or union of a subgraph holds an entity."""
    body = split.types[sub][name]
    return entity in body.implements if body.kind == "union" else name in split.types[sub][entity].implements


# -- what is taken over, not resolvable, or null


def _override(split: "Splitter") -> None:
    fields = sorted(split.owned.items())
    split.chance.shuffle(fields)
    for (entity, name), (owner, arguments, kind) in fields:
        homes = [sub for sub in split.names if sub != split.old and split.free(sub, owner, entity, name)]
        if homes and entity in split.entities and "@" not in split.types[owner][entity].fields[name]:
            sub = split.chance.choice(homes)
            split.kind(sub, kind)
            if name in split.types[sub][entity].fields:
                continue
            label = split.chance.choice(("", "", ', label: "percent(30)"', ', label: "later"'))
            split.types[sub][entity].fields[name] = f'{arguments}: {kind} @override(from: "{owner}"{label})'
            del split.owned[entity, name]
            if split.some(0.2):
                more = split.chance.choice(homes)
                split.types[more][entity].fields["new"] = ': Int @override(from: "gone")'
            return


def _contexts(split: "Splitter") -> None:
    """A leaf of an entity that is told to fields of what lies below it, and below that."""
    leaves = [
        (sub, entity, name, kind)
        for (entity, name), (sub, arguments, kind) in sorted(split.owned.items())
        if entity in split.entities and split.leaf(kind) and not arguments and sub != split.old
    ]
    if not leaves or not split.some(0.2):
        return
    sub, entity, name, kind = split.chance.choice(leaves)
    told = f'(a: {kind.replace("!", "")} @fromContext(field: "$c {{ {name} }}"), n: Int)'
    holder = split.types[sub][entity]
    holder.directives.append('@context(name: "c")')
    holder.fields["below"] = f": {split.chance.choice(('C0', '[C0!]!', '[[C0]]'))}"
    key = ['@key(fields: "id")']
    first = split.body(sub, "C0")
    first.directives, first.fields = [*key], {"id": ": ID!", "told": f"{told}: String"}
    if split.some(0.5):
        first.fields["deep"] = f": {split.chance.choice(('C1', '[C1!]'))}"
        second = split.body(sub, "C1")
        second.directives, second.fields = [*key], {"id": ": ID!", "told": f"{told}: Int"}
    others = [other for other in split.names if other not in (sub, split.old)]
    if others:
        other = split.chance.choice(others)
        more = split.body(other, "C0")
        more.directives, more.fields = [*key], {"id": ": ID!", "far": ": Int"}
        if "C1" in split.types[sub]:
            held = split.body(other, "C1")
            held.directives, held.fields = [*key], {"id": ": ID!", "more": ": Int"}
            more.fields["beyond"] = ": [C1!]"
        if split.some(0.5):
            first.fields |= {"far": ": Int @external", "both": f'{told}: String @requires(fields: "far")'}
    if split.some(0.5):
        first.fields["back"] = f": {entity}"


def _unresolvable(split: "Splitter") -> None:
    """What a subgraph only refers to need not be resolvable there, nor every key of several."""
    for sub in split.names:
        for entity in split.entities:
            held = split.types[sub].get(entity)
            if held is None or sub in (split.old, split.hubs[entity]) or (sub, entity) in split.keyed:
                continue
            stub = {n for k in split.keys[sub, entity] for n in k.split()}.issuperset(held.fields)
            keys = [number for number, text in enumerate(held.directives) if text.startswith("@key")]
            if not (stub and split.some(0.4)):
                keys = split.chance.sample(keys, 1) if len(keys) > 1 and split.some(0.3) else []
            for number in keys:
                held.directives[number] = held.directives[number].replace('")', '", resolvable: false)')


def _nullable_keys(split: "Splitter") -> None:
    """Some subgraphs say of a key that it may be null, though it never is."""
    for sub in split.names:
        for name in split.entities:
            body = split.types[sub].get(name)
            if body is None or not split.some(0.4):
                continue
            abstract = [a for a, members in split.members.items() if a[0] in "IJ" and name in members]
            for key in ("number", "region") if abstract else ("id", "code", "number", "region"):
                if key in body.fields and split.some(0.5):
                    body.fields[key] = re.sub(r"^: (\w+)!", r": \1", body.fields[key])
        for name, body in split.types[sub].items():
            if (
                body.kind == "interface"
                and body.fields.get("id") == ": ID!"
                and not body.directives
                and split.some(0.4)
            ):
                _nullable_interface(split, sub, name)


def _nullable_interface(split: "Splitter", sub: str, name: str) -> None:
    others = [b for n, b in split.types[sub].items() if b.kind == "interface" and n != name]
    body = split.types[sub][name]
    if others or body.implements:
        return
    body.fields["id"] = ": ID"
    for member in split.types[sub].values():
        if name in member.implements and split.some(0.5):
            member.fields["id"] = member.fields["id"].replace(": ID!", ": ID")
