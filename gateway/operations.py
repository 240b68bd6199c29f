"""Operations made ready: text parsed, validated, held to the limits and planned once, then remembered (bounded).

A plan belongs to an operation, to the values of the Boolean variables that its @skip and @include name, and to those things that
its fields ask of the caller in vain; each such variant is planned when it is first asked for.
"""

import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    execute_sync,
    get_operation_ast,
    get_variable_values,
    parse,
    specified_rules,
    validate,
    value_from_ast_untyped,
)
from graphql.validation.rules import overlapping_fields_can_be_merged

from gateway import faults as own
from gateway import limits, metrics, rights
from gateway.cost import Price, price
from gateway.documents import Documents, hash_of
from gateway.engine.access import Access
from gateway.engine.defer import Defers
from gateway.engine.normalise import condition_variables
from gateway.engine.plan import Plan
from gateway.engine.planner import MOST_STEPS, NoResolvablePath, TooManyWays, plan_operation
from gateway.engine.projection import Projection
from gateway.engine.supergraph import Supergraph
from gateway.errors import Invalid, Refused, Unfit
from gateway.field_rates import Counted, FieldRates
from gateway.hints import Hints, Policy
from gateway.incremental import Form
from gateway.limits import OverLimit
from gateway.personal import Exposed, Personal
from gateway.rights import Denied
from gateway.settings import Limits
from gateway.weights import Weights
from services.kit import faults
from services.kit.variables import misfits

# The library's own bound of 500,000 lets one request take two seconds; the clients' operations stay under 50.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 50_000
MOST_VARIANTS = 64
LONGEST_REMEMBERED = 65_536  # characters; what is longer is answered but not remembered
MOST_ERRORS = 5
_META = ("__schema", "__type")


class Variant:
    """An operation for given values of its conditions: what it costs, how it is fetched and how its answer looks."""

    __slots__ = ("counted", "exposed", "plan", "policy", "price", "projection")

    def __init__(
        self,
        plan: Plan,
        projection: Projection,
        price: Price,
        counted: Counted,
        exposed: Exposed,
        policy: Policy | None = None,
    ) -> None:
        self.plan, self.projection, self.price, self.policy = plan, projection, price, policy
        self.exposed = exposed  # what it tells about people
        self.counted = counted  # the fields whose owners say how often a caller may ask them


class Operation:
    """One valid operation of a document."""

    def __init__(
        self,
        supergraph: Supergraph,
        weights: Weights,
        hints: Hints,
        rates: FieldRates,
        access: Access,
        personal: Personal,
        bounds: Limits,
        document_hash: str,
        purposes: Sequence[str],
        document: DocumentNode,
        node: OperationDefinitionNode,
        *,
        suggest: bool,
    ) -> None:
        self.kind = node.operation.value
        self.name = node.name.value if node.name else ""
        self.document_hash = document_hash
        self.spent = metrics.cost_of(self.name)
        self._supergraph, self._weights, self._hints, self._bounds = supergraph, weights, hints, bounds
        self._rates, self._access, self._personal = rates, access, personal
        self.purposes = purposes  # that a trusted document carries
        self.asks = access.asked(document, node)  # what some of its fields ask of the caller
        self._document, self._node, self._suggest = document, node, suggest
        self.conditions = condition_variables(document)
        self.defers = self.kind != "subscription" and limits.names(document, "defer")
        self._variants: dict[tuple[tuple[bool, ...], frozenset[str], Form | None, Denied], Variant] = {}

    def coerced(self, given: dict[str, Any]) -> dict[str, Any]:
        """The variables' values as the schema understands them. Raises Invalid BAD_USER_INPUT."""
        if not self._node.variable_definitions:
            return {}
        schema, definitions = self._supergraph.api_schema, self._node.variable_definitions
        values = get_variable_values(schema, definitions, given, MOST_ERRORS, hide_suggestions=not self._suggest)
        if isinstance(values, list):
            unfit = misfits(schema, definitions, given, MOST_ERRORS, suggest=self._suggest)
            raise Unfit(unfit) if unfit else Invalid(faults.VALUE_REFUSED, values)
        return values.coerced

    @property
    def defaults(self) -> dict[str, Any]:
        """The values that variables have by default."""
        definitions = self._node.variable_definitions or ()
        return {d.variable.name.value: value_from_ast_untyped(d.default_value) for d in definitions if d.default_value}

    def variant(
        self,
        values: Mapping[str, Any],
        labels: frozenset[str] = frozenset(),
        form: Form | None = None,
        denied: Denied = (),
    ) -> tuple[Variant, float]:
        """The plan and the projection for coerced variables while some labels of progressive @overrides hold, and the cost;
        without the fields for which the caller does not meet what the operation `asks`, and is `denied`.

        With a form, of an answer in parts; without, nothing is deferred. A condition without a value holds: it can only be
        that of a @defer. Raises Refused when no subgraph can resolve a field, OverLimit when it costs too much.
        """
        decided = {name: values.get(name, True) for name in self.conditions}
        if None in decided.values():
            names = ", ".join(name for name, value in decided.items() if value is None)
            told = {"detail_en": f"${names} decides about a field and is null", "detail_fr": f"${names} est nul"}
            raise Refused(faults.BAD_USER_INPUT, in_graphql=True, **told)
        key = tuple(decided.values()), labels, form, denied
        found = self._variants.get(key)
        if found is None:
            if len(self._variants) >= MOST_VARIANTS:
                self._variants.clear()
            found = self._variants[key] = self._plan(decided, labels, form, denied)
        cost = found.price if isinstance(found.price, float) else self._afforded(found.price(values))
        return found, cost

    def _afforded(self, cost: float) -> float:
        if cost > self._bounds.cost:
            raise OverLimit("cost", self._bounds.cost, cost)
        return cost

    def _plan(self, conditions: dict[str, bool], labels: frozenset[str], form: Form | None, denied: Denied) -> Variant:
        cost = price(self._weights, self._document, self._node, conditions, self._bounds.list_size)
        if isinstance(cost, float):
            self._afforded(cost)
        try:
            defers, denials = None if form is None else Defers(conditions), self._access.denials(dict(denied))
            with metrics.PLANNING.time():
                plan = plan_operation(self._supergraph, self._document, self._node, conditions, labels, defers, denials)
        except NoResolvablePath as error:
            raise Refused(own.NO_PLAN, in_graphql=True, detail=str(error)) from None
        except TooManyWays:
            raise OverLimit("planning", MOST_STEPS) from None
        schema, repeats = self._supergraph.api_schema, form is Form.SPEC_2022
        projection = Projection(
            schema, self._document, self._node, conditions, defers, repeats=repeats, denials=denials
        )
        counted = self._rates.of(self._document, self._node, conditions)
        plan = replace(plan, fetches=self._personal.narrowed(plan.fetches))
        exposed = self._personal.exposed(plan.fetches)
        if plan.defers:
            return Variant(plan, projection, cost, counted, exposed)
        policy = self._hints.policy(self._document, self._node, conditions)
        if policy and (projection.introspects or exposed.categories):
            policy = None
        if policy and self.asks:
            policy = replace(policy, private=True)
        return Variant(plan, projection, cost, counted, exposed, policy)

    def introspected(self, given: dict[str, Any]) -> dict[str, Any]:
        """What the operation asks of the schema itself, by response key. Source: GraphQL specification, section 4."""
        document = only_introspection(self._document, self._node)
        result = execute_sync(self._supergraph.api_schema, document, variable_values=given)
        return result.data or {}


class Operations:
    """The operations of one supergraph, by text and name; the least recently used are forgotten."""

    def __init__(
        self, supergraph: Supergraph, documents: Documents, bounds: Limits, *, remembered: int, shows_schema: bool
    ) -> None:
        self.supergraph, self._documents = supergraph, documents
        self._weights = Weights(supergraph.document, supergraph.api_schema)
        self._hints = Hints(supergraph.document)
        self._rates = FieldRates(supergraph.document)
        self._access = Access(supergraph)
        self._personal = Personal(supergraph.document)
        rights.tell_unknown(self._access)
        self._bounds, self._most, self._suggest = bounds, remembered, shows_schema
        self._rules = specified_rules if shows_schema else (*specified_rules, NoSchemaIntrospectionCustomRule)
        self._known: OrderedDict[tuple[str, str | None], Operation] = OrderedDict()

    def labels(self, request_id: str, named: frozenset[str]) -> frozenset[str]:
        """The labels of progressive @overrides that hold for a request: those named in the settings, and `percent(n)` for
        n of a hundred request ids, always the same ones."""
        known = self.supergraph.labels
        if not known:
            return frozenset()
        return (named & known) | self.supergraph.rolled_out(zlib.crc32(request_id.encode()) % 10_000 / 100)

    def find(self, text: str, name: str | None, document: str | None = None) -> Operation:
        """The operation of a text, or of the document of a hash. Raises Refused and Invalid for one that cannot be answered."""
        if document is not None:
            found = self._find(self._documents.text(document, text), name)
            if text:
                self._documents.register(document, text)
            return found
        return self._find(text, name)

    def _find(self, text: str, name: str | None) -> Operation:
        key = (text, name)
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
            metrics.known_operations.inc()
            return found
        metrics.NEW_OPERATIONS.inc()
        found = self._understand(text, name)
        if len(text) <= LONGEST_REMEMBERED:
            self._known[key] = found
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return found

    def _understand(self, text: str, name: str | None) -> Operation:
        document_hash = hash_of(text)
        self._documents.admit(document_hash)
        document = self._parsed(text)
        node = get_operation_ast(document, name)
        if node is not None:
            limits.check(document, node, self._bounds)
        if limits.names(document, "stream"):
            raise Refused(own.STREAM_REFUSED, in_graphql=True)
        problems = validate(
            self.supergraph.api_schema, document, self._rules, MOST_ERRORS, hide_suggestions=not self._suggest
        )
        if problems and problems[-1].message == "Validation aborted.":
            raise OverLimit("comparisons", overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET)
        if problems:
            raise Invalid(faults.VALIDATION_FAILED, problems, None if self._suggest else text)
        if node is None:
            raise Refused(faults.UNKNOWN_OPERATION, in_graphql=True)
        return Operation(
            self.supergraph,
            self._weights,
            self._hints,
            self._rates,
            self._access,
            self._personal,
            self._bounds,
            document_hash,
            self._documents.purposes(document_hash),
            document,
            node,
            suggest=self._suggest,
        )

    def _parsed(self, text: str) -> DocumentNode:
        try:
            return parse(text, max_tokens=self._bounds.tokens)
        except GraphQLError as error:
            if error.message.startswith("Syntax Error: Document contains more than"):
                raise OverLimit("tokens", self._bounds.tokens) from None
            if error.message.startswith("Syntax Error: Document is nested too deeply"):
                raise OverLimit("depth", self._bounds.depth) from None
            raise Invalid(faults.PARSE_FAILED, [error]) from None


def only_introspection(document: DocumentNode, node: OperationDefinitionNode) -> DocumentNode:
    """The document reduced to an operation that asks for __schema and __type only; its fragments stay."""
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def kept(selection_set: SelectionSetNode) -> SelectionSetNode:
        found: list[SelectionNode] = []
        for item in selection_set.selections:
            if isinstance(item, FieldNode):
                if item.name.value in _META:
                    found.append(item)
                continue
            inner = fragments[item.name.value] if isinstance(item, FragmentSpreadNode) else item
            assert isinstance(inner, FragmentDefinitionNode | InlineFragmentNode)  # noqa: S101 - nothing else is left
            below = kept(inner.selection_set)
            if below.selections:
                decided = tuple(d for d in item.directives or () if d.name.value != "defer")
                found.append(
                    InlineFragmentNode(type_condition=inner.type_condition, directives=decided, selection_set=below)
                )
        return SelectionSetNode(selections=tuple(found))

    reduced = OperationDefinitionNode(
        operation=node.operation,
        name=node.name,
        variable_definitions=node.variable_definitions,
        directives=(),
        selection_set=kept(node.selection_set),
    )
    return DocumentNode(definitions=(reduced, *fragments.values()))
