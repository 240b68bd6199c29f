"""Supergraphs and operations made to be hard to plan: many ways to everything, keys behind keys, requirements in circles.

They are written as composed text at once, since what matters is their size.
"""

from collections.abc import Iterable

HEAD = """schema @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.5", for: EXECUTION) { query: Query }
"""


def _supergraph(count: int, body: str) -> str:
    values = "\n".join(f'  G{i} @join__graph(name: "g{i}", url: "http://g{i}.test/")' for i in range(count))
    return f"{HEAD}\nenum join__Graph {{\n{values}\n}}\n{body}"


def _types(count: int, key: str = 'key: "id"') -> str:
    return " ".join(f"@join__type(graph: G{i}{', ' + key if key else ''})" for i in range(count))


def _in(graphs: Iterable[int]) -> str:
    return " ".join(f"@join__field(graph: G{i})" for i in graphs)


def _nested(levels: int, leaves: str, name: str = "next") -> str:
    return "{ " + f"{leaves} {name} {{ " * levels + leaves + " }" * (levels + 1)


def shared_chain(subgraphs: int = 10, levels: int = 17) -> tuple[str, str]:
    """An entity that every subgraph can walk on from, each with a field of its own: ten ways at each of many levels."""
    own = "\n".join(f"  f{i}: Int {_in([i])}" for i in range(subgraphs))
    body = f"""type Query {_types(subgraphs, "")} {{ start: T }}
type T {_types(subgraphs)} {{
  id: ID!
  next: T
  both: Int
{own}
}}"""
    leaves = " ".join(f"f{i}" for i in range(subgraphs))
    return _supergraph(subgraphs, body), "{ start " + _nested(levels, f"id both {leaves}") + " }"


def shared_values(subgraphs: int = 10, levels: int = 17) -> tuple[str, str]:
    """A value type without keys that every subgraph knows in part: each leaf fixes its own way from the root."""
    own = "\n".join(f"  f{i}: Int {_in({i, (i + 1) % subgraphs})}" for i in range(subgraphs))
    body = f"""type Query {_types(subgraphs, "")} {{ start: V }}
type V {_types(subgraphs, "")} {{
  next: V
{own}
}}"""
    leaves = " ".join(f"f{i}" for i in range(subgraphs))
    return _supergraph(subgraphs, body), "{ start " + _nested(levels, leaves) + " }"


def keys_behind_keys(subgraphs: int = 12, levels: int = 5) -> tuple[str, str]:
    """Each subgraph finds the entity by one key and tells two others: most keys are several jumps away."""
    types = " ".join(
        f'@join__type(graph: G{i}, key: "k{i}") @join__type(graph: G{i}, key: "k{(i + 1) % subgraphs} k{(i + 5) % subgraphs}", '
        "resolvable: false)"
        for i in range(subgraphs)
    )
    keys = "\n".join(
        f"  k{i}: ID! {_in(sorted({i, (i - 1) % subgraphs, (i - 5) % subgraphs}))}" for i in range(subgraphs)
    )
    own = "\n".join(f"  f{i}: Int {_in([i])}" for i in range(subgraphs))
    body = f"""type Query {_types(subgraphs, "")} {{ start: T {_in([0])} }}
type T {types} {{
{keys}
{own}
  next: T {_in(range(0, subgraphs, 2))}
}}"""
    leaves = " ".join(f"f{i}" for i in range(subgraphs))
    return _supergraph(subgraphs, body), "{ start " + _nested(levels, leaves) + " }"


def mutual_requirements(subgraphs: int = 8, levels: int = 3) -> tuple[str, str]:
    """Every subgraph requires fields of others, which in turn require: circles with few ways out."""
    fields = []
    for i in range(subgraphs):
        fields.append(f"  b{i}: Int {_in([i])} @join__field(graph: G{(i + 1) % subgraphs}, external: true)")
        for step in range(4):
            wants = f"b{i}" if step == 0 else f"r{i}x{step - 1} r{(i + 2) % subgraphs}x{step - 1}"
            at = (i + 1 + step) % subgraphs
            externals = "".join(
                f" @join__field(graph: G{other}, external: true)" for other in range(subgraphs) if other != at
            )
            fields.append(f'  r{i}x{step}: Int @join__field(graph: G{at}, requires: "{wants}"){externals}')
    body = f"""type Query {_types(subgraphs, "")} {{ start: T {_in([0])} }}
type T {_types(subgraphs)} {{
  id: ID!
  next: T
{chr(10).join(fields)}
}}"""
    leaves = " ".join(f"r{i}x3" for i in range(subgraphs))
    return _supergraph(subgraphs, body), "{ start " + _nested(levels, leaves) + " }"


def wide_interface(types: int = 40, subgraphs: int = 5, levels: int = 2) -> tuple[str, str]:
    """An interface of many members, each field asked of all of them, in fragments on interfaces inside interfaces."""
    implements = " ".join(f'@join__implements(graph: G{graph}, interface: "I")' for graph in range(subgraphs))
    members = "\n".join(
        f"""type M{i} implements I {_types(subgraphs)} {implements} {{
  id: ID!
  a: Int {_in([i % subgraphs])}
  b: Int {_in([(i + 1) % subgraphs])}
  next: I
}}"""
        for i in range(types)
    )
    body = f"""type Query {_types(subgraphs, "")} {{ start: I }}
interface I {_types(subgraphs, "")} {{ id: ID! a: Int b: Int next: I }}
{members}"""
    return _supergraph(subgraphs, body), "{ start " + _nested(levels, "a b x: a ... on I { y: b }") + " }"


def interfaces_in_interfaces(types: int = 20, subgraphs: int = 8, levels: int = 5) -> tuple[str, str]:
    """An interface's field that leads to the interface again, and is had by each member elsewhere: twenty to the fifth places.
    More than is planned."""
    implements = " ".join(f'@join__implements(graph: G{graph}, interface: "I")' for graph in range(subgraphs))
    members = "\n".join(
        f"""type M{i} implements I {_types(subgraphs)} {implements} {{
  id: ID!
  a: Int {_in([i % subgraphs])}
  next: I {_in(sorted({i % subgraphs, (i + 1) % subgraphs}))}
}}"""
        for i in range(types)
    )
    body = f"""type Query {_types(subgraphs, "")} {{ start: I }}
interface I {_types(subgraphs, "")} {{ id: ID! a: Int next: I }}
{members}"""
    return _supergraph(subgraphs, body), "{ start " + _nested(levels, "a") + " }"


def requires_in_a_row(length: int = 60) -> tuple[str, str]:
    """Fields of two subgraphs by turns, each of which requires the one before."""
    fields = [f"  r0: Int {_in([0])} @join__field(graph: G1, external: true)"]
    for i in range(1, length):
        held = (
            f'@join__field(graph: G{i % 2}, requires: "r{i - 1}") @join__field(graph: G{(i + 1) % 2}, external: true)'
        )
        fields.append(f"  r{i}: Int {held}")
    body = f"""type Query {_types(2, "")} {{ start: T {_in([0])} }}
type T {_types(2)} {{
  id: ID!
{chr(10).join(fields)}
}}"""
    return _supergraph(2, body), f"{{ start {{ r{length - 1} }} }}"


def many_aliases(subgraphs: int = 6, aliases: int = 90) -> tuple[str, str]:
    """One nested selection again and again under aliases."""
    sdl, _ = shared_chain(subgraphs)
    parts = " ".join(
        f"a{i}: next {{ {' '.join(f'f{g}' for g in range(subgraphs))} next {{ both f{i % subgraphs} }} }}"
        for i in range(aliases)
    )
    return sdl, f"{{ start {{ {parts} }} }}"


def many_leaves(subgraphs: int = 10, deep: int = 14, across: int = 24, leaves: int = 50) -> tuple[str, str]:
    """A thousand leaves far down, each of which every subgraph has: as much as is planned."""
    sdl, _ = shared_chain(subgraphs)
    below = " ".join(f"a{i}: next {{ ...Leaves }}" for i in range(across))
    fragment = "fragment Leaves on T { " + " ".join(f"b{i}: both" for i in range(leaves)) + " }"
    return sdl, f"{{ start {'{ next ' * deep}{{ {below} }}{' }' * deep} }} {fragment}"


def circles_of_requirements() -> tuple[str, str]:
    """Twice as many subgraphs that require one another. More than is planned."""
    return mutual_requirements(16)


def keys_far_behind_keys() -> tuple[str, str]:
    """Three times as many keys. More than is planned."""
    return keys_behind_keys(40, 10)


def more_leaves() -> tuple[str, str]:
    """Twice as many. More than is planned."""
    return many_leaves(across=48)


TOO_HARD = (circles_of_requirements, interfaces_in_interfaces, keys_far_behind_keys, more_leaves)
ALL = (
    shared_chain,
    shared_values,
    keys_behind_keys,
    mutual_requirements,
    wide_interface,
    many_aliases,
    many_leaves,
    requires_in_a_row,
)
