// npm oidc-provider on a port of its own: a certified OpenID provider that demands PKCE. Prints its issuer once it listens.
import { Provider } from "oidc-provider";
import { createServer } from "node:http";

const { callback, people } = JSON.parse(process.argv[2]);
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: "gate", client_secret: "s&cret", redirect_uris: [callback] }],
    pkce: { required: () => true },
    claims: { openid: ["sub", "groups"], email: ["email", "email_verified"], profile: ["name"] },
    conformIdTokenClaims: false,
    findAccount: (_, sub) => ({ accountId: sub, claims: async () => ({ sub, ...people[sub] }) }),
  });
  server.on("request", provider.callback());
  console.log(JSON.stringify({ issuer }));
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0)); // whoever started it is gone
