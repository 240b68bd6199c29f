// Loads a supergraph as Apollo Router's composition and planner do, and plans operations: node apollo-plans.mjs SUPERGRAPH FILE...
// Writes {file: number of fetches} as JSON. Fails with the library's own words.
import { readFileSync } from "node:fs";
import { operationFromDocument, ROUTER_SUPPORTED_SUPERGRAPH_FEATURES, Supergraph } from "@apollo/federation-internals";
import { QueryPlanner } from "@apollo/query-planner";
import { parse } from "graphql";

const [, , supergraph, ...files] = process.argv;
const loaded = Supergraph.build(readFileSync(supergraph, "utf8"), { supportedFeatures: ROUTER_SUPPORTED_SUPERGRAPH_FEATURES });
const planner = new QueryPlanner(loaded);
const schema = loaded.apiSchema();
const count = (node) => (node ? (node.kind === "Fetch" ? 1 : 0) + [node.node, node.primary, node.rest, ...(node.nodes ?? [])].reduce((n, inner) => n + count(inner), 0) : 0);
const planned = {};
for (const file of files) {
  const operation = operationFromDocument(schema, parse(readFileSync(file, "utf8")));
  planned[file] = count(planner.buildQueryPlan(operation).node);
}
process.stdout.write(JSON.stringify(planned));
