// Runs every audit of GraphQL over HTTP against the address given. Writes [{id, name, status, reason}] as JSON on stdout.
import { auditServer } from "graphql-http";

const results = await auditServer({ url: process.argv[2] });
process.stdout.write(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));
