// One call of one tool with the TypeScript SDK v2, which speaks 2026-07-28: node modern.mjs '{"url": …, "key": …}'
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const { url, key, era, params, timeout, maxRounds, link } = JSON.parse(process.argv[2]);
const client = new Client(
  { name: "typescript-v2", version: "1" },
  {
    versionNegotiation: { mode: era === "legacy" ? "legacy" : { pin: era } },
    capabilities: link ? { elicitation: { url: {} } } : {},
    inputRequired: { maxRounds },
  },
);
const shown = [];
if (link) {
  client.setRequestHandler("elicitation/create", (request) => {
    shown.push(request.params.url);
    return { action: link };
  });
}
const requestInit = { headers: { Authorization: `Bearer ${key}` } };
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
await client.listTools();
let answer;
try {
  answer = { result: await client.callTool(params, { timeout }) };
} catch (error) {
  answer = { error: error.code, state: error.data?.lastResult?.requestState };
}
console.log(JSON.stringify({ ...answer, shown }));
await client.close();
