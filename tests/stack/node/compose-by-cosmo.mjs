// Composes subgraphs as Cosmo does for its router: node compose-by-cosmo.mjs FILE... Writes {errors, warnings} as JSON.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { federateSubgraphs, LATEST_ROUTER_COMPATIBILITY_VERSION } from "@wundergraph/composition";
import { parse } from "graphql";

const subgraphs = process.argv.slice(2).map((file) => ({
  name: basename(file, ".graphql"),
  url: "http://127.0.0.1/graphql",
  definitions: parse(readFileSync(file, "utf8")),
}));
const result = federateSubgraphs({ subgraphs, version: LATEST_ROUTER_COMPATIBILITY_VERSION });
const told = (problems) => (problems ?? []).map((problem) => problem.message);
process.stdout.write(JSON.stringify({ errors: told(result.errors), warnings: told(result.warnings) }));
