// Subscribes with the protocols' own clients: node subscribe.mjs PROTOCOL URL TOKEN. Writes as JSON what each step heard.
import { createClient as overEvents } from "graphql-sse";
import { createClient as overSocket } from "graphql-ws";
import WebSocket from "ws";

const [protocol, url, token] = process.argv.slice(2);
const headers = token ? { Authorization: `Bearer ${token}` } : {};
const closed = [];
const client = protocol === "ws"
  ? overSocket({
      url, webSocketImpl: WebSocket, lazyCloseTimeout: 50, retryAttempts: 0,
      connectionParams: { ...headers, "Accept-Language": "fr" },
      on: { closed: (event) => closed.push(event.code) },
    })
  : overEvents({ url, headers: { ...headers, "Accept-Language": "fr" }, retryAttempts: 0 });

function all(query, variables, most = Infinity) {
  return new Promise((resolve) => {
    const results = [];
    const stop = client.subscribe({ query, variables }, {
      next: (result) => {
        results.push(result);
        if (results.length === most) {
          stop();
          resolve({ results, stopped: true });
        }
      },
      error: (error) => resolve({ results, failed: Array.isArray(error) ? error : String(error.code ?? error.message ?? error) }),
      complete: () => resolve({ results }),
    });
  });
}

const told = {
  query: await all("{ __typename }"),
  events: await all("subscription($g: Genre) { bookAdded(genre: $g) { title grade } }", { g: "NOVEL" }),
  few: await all("subscription { bookAdded(genre: POETRY) { title } }", undefined, 2),
  invalid: await all("{ nothing }"),
  side: await Promise.all(["NOVEL", "NOVEL"].map((g) => all("subscription($g: Genre) { bookAdded(genre: $g) { title } }", { g }))),
};
await client.dispose();
await new Promise((resolve) => setTimeout(resolve, 300));
process.stdout.write(JSON.stringify({ ...told, closed }));
process.exit(0);
