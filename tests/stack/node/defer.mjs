// Asks an operation with @defer of the address given by Apollo Client, in both forms that it reads. Writes what it shows, one
// list of results a form, as JSON on stdout; the address in the third argument is called once a first result is there.
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { Defer20220824Handler, GraphQL17Alpha9Handler } from "@apollo/client/incremental";

const [, , uri, text, goOn] = process.argv;

function shown(incrementalHandler) {
  const client = new ApolloClient({ link: new HttpLink({ uri }), cache: new InMemoryCache(), incrementalHandler });
  const results = [];
  return new Promise((resolve, reject) => {
    client.watchQuery({ query: gql(text), errorPolicy: "all" }).subscribe({
      next: ({ data, dataState, error }) => {
        if (dataState === "empty") return;
        results.push({ data, dataState, errors: error ? error.message : null });
        if (results.length === 1) fetch(goOn);
        if (dataState === "complete" || error) resolve(results);
      },
      error: reject,
    });
  });
}

const all = { spec2022: await shown(new Defer20220824Handler()), draft: await shown(new GraphQL17Alpha9Handler()) };
process.stdout.write(JSON.stringify(all));
process.exit(0);
