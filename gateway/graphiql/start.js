// Starts GraphiQL on /graphql: queries and mutations as JSON, subscriptions as server-sent events.
"use strict";

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (waiting + value).split("\n\n");
    waiting = parts.pop();
    for (const part of parts) {
      if (part.startsWith("event: complete")) return;
      const data = part.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
      if (data.trim()) yield JSON.parse(data);
    }
  }
}

async function fetcher(asked, options) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "Accept": "application/graphql-response+json, text/event-stream",
      "Accept-Language": document.documentElement.lang,
      ...options?.headers,
    },
    body: JSON.stringify(asked),
  });
  const streamed = response.headers.get("content-type")?.startsWith("text/event-stream");
  return streamed ? events(response) : response.json();
}

const place = document.getElementById("graphiql");
const given = new URLSearchParams(location.search);
ReactDOM.createRoot(place).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultQuery: place.dataset.welcome,
    query: given.get("query") ?? undefined,
    variables: given.get("variables") ?? undefined,
    defaultEditorToolsVisibility: true,
    shouldPersistHeaders: false,
  }),
);
