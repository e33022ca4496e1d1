// One call of one tool with the TypeScript SDK v1, which speaks 2025-11-25, after listing them as every host does: node older.mjs '{"url": …, "key": …}'
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const { url, key, params, timeout, progress } = JSON.parse(process.argv[2]);
const client = new Client({ name: "typescript-v1", version: "1" });
const requestInit = { headers: { Authorization: `Bearer ${key}` } };
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
await client.listTools(); // from now on it holds results against the output schemas, errors too
const beats = [];
const onprogress = (beat) => beats.push(beat.progress);
const options = progress ? { timeout, resetTimeoutOnProgress: true, onprogress } : { timeout };
let answer;
try {
  answer = { result: await client.callTool(params, undefined, options) };
} catch (error) {
  answer = { error: error.code };
}
console.log(JSON.stringify({ ...answer, beats: beats.length }));
await client.close();
