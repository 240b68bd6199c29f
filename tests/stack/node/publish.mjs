// A subgraph whose events are served by the protocols' own servers: /ws by graphql-transport-ws, /sse by server-sent events.
// Writes its port, then one JSON line for each subscription that begins (with what its client said) and that ends.
import { createServer } from "node:http";
import { buildSchema } from "graphql";
import { createHandler } from "graphql-sse/lib/use/http";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";

const schema = buildSchema(`
  enum Genre { NOVEL POETRY }
  type Book { isbn: ID! title: String! }
  type Query { a: Int }
  type Subscription { bookAdded(genre: Genre): Book }
`);
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");

// Novels are two; poetry never ends.
async function* added(genre) {
  try {
    for (let number = 1; genre === "POETRY" || number <= 2; number += 1) {
      if (number > 2) await new Promise((resolve) => setTimeout(resolve, 20));
      yield { bookAdded: { isbn: String(number), title: `${genre} ${number}` } };
    }
  } finally {
    say({ ended: genre });
  }
}
schema.getSubscriptionType().getFields().bookAdded.subscribe = (_, { genre }) => added(genre);

const handler = createHandler({ schema, onSubscribe: (request) => { say({ headers: Object.fromEntries(Object.entries(request.raw.headers)) }); } });
const server = createServer((request, response) => handler(request, response));
const sockets = new WebSocketServer({ server, path: "/ws" });
useServer({
  schema,
  onConnect: (context) => { say({ headers: context.extra.request.headers, params: context.connectionParams }); },
}, sockets);
server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
