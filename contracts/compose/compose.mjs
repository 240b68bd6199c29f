// Composes subgraphs into a supergraph. Reads [{name, url, typeDefs}] as JSON on stdin; writes {supergraph} or
// {errors: [{message, code}]} as JSON on stdout. Exit code 0 either way: a refusal is an answer, not a crash.
// With --lines, every line of stdin is such a request and every line of stdout its answer.
import { createInterface } from "node:readline";
import { composeServices } from "@theguild/federation-composition";
import { parse } from "graphql";

function compose(subgraphs) {
  const services = [];
  const errors = [];
  for (const { name, url, typeDefs } of subgraphs) {
    try {
      services.push({ name, url, typeDefs: parse(typeDefs) });
    } catch (error) {
      const [{ line, column } = {}] = error.locations ?? [];
      errors.push({ message: `[${name}] line ${line}, column ${column}: ${error.message}`, code: "INVALID_SDL" });
    }
  }
  const result = errors.length ? { errors } : composed(services);
  return result.errors?.length
    ? { errors: result.errors.map((e) => ({ message: e.message, code: e.extensions?.code ?? e.code ?? "INVALID_SDL" })) }
    : { supergraph: result.supergraphSdl };
}

// What a composer does not expect it throws: a problem of the subgraphs all the same.
function composed(services) {
  try {
    return composeServices(services);
  } catch (error) {
    return { errors: [{ message: error.message, code: "NOT_COMPOSABLE" }] };
  }
}

if (process.argv.includes("--lines")) {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(compose(JSON.parse(line))) + "\n");
  }
} else {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  process.stdout.write(JSON.stringify(compose(JSON.parse(Buffer.concat(chunks).toString("utf8")))));
}
