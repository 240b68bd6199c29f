// Hive Gateway: de-duplication of requests in flight off, the caller's token passed on.
import { defineConfig } from "@graphql-hive/gateway";

export const gatewayConfig = defineConfig({
  inboundInflightRequestDeduplication: false,
  propagateHeaders: {
    fromClientToSubgraphs({ request }) {
      const authorization = request.headers.get("authorization");
      return authorization ? { authorization } : {};
    },
  },
  landingPage: false,
  graphiql: false,
  logging: "error",
});
