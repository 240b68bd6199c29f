// Hive Gateway: de-duplication of requests in flight off, of clients and to subgraphs; what services hear of a caller is passed on.
import { defineConfig } from "@graphql-hive/gateway";

const PASSED_ON = ["authorization", "accept-language", "x-request-id", "onedoor-deadline", "onedoor-purpose", "onedoor-authority"];

export const gatewayConfig = defineConfig({
  inboundInflightRequestDeduplication: false,
  propagateHeaders: {
    fromClientToSubgraphs({ request }) {
      const passed = {};
      for (const name of PASSED_ON) {
        const value = request.headers.get(name);
        if (value) passed[name] = value;
      }
      return passed;
    },
  },
  transportEntries: { "*.http": { options: { method: "POST", deduplicateInflightRequests: false } } }, // POST for subscriptions too: our services take no other
  landingPage: false,
  graphiql: false,
  logging: "error",
});
