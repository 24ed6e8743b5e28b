import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer, type ServerOptions } from "node:https";
import { connect, type AddressInfo } from "node:net";
import { createPrivateKey, type KeyObject } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { inspect, promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { fetchFor } from "../../src/http/fetch.ts";
import { sendRequest } from "../../src/http/request.ts";
import type { TlsOptions } from "../../src/http/tls.ts";
import {
  bytes,
  dns,
  ecKeys,
  extension,
  extKeyUsage,
  makeAuthority,
  makeLeaf,
  OIDS,
  prim,
  subjectAltName,
  utcTime,
  withExtension,
  type Party,
} from "../support/certificates.ts";

/** These certificates are judged by the clock of the machine. */
const dates = { notBefore: utcTime("200101000000Z"), notAfter: utcTime("491231000000Z") };
const pem = (label: string, der: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(der).toString("base64")}\n-----END ${label}-----\n`;
const certificateOf = ({ der }: Party): string => pem("CERTIFICATE", der);
const keyOf = ({ keys }: Party): string => keys.privateKey.export({ type: "pkcs8", format: "pem" });

const root = makeAuthority(dates);
const otherRoot = makeAuthority(dates);
const endEntity = (issuer: Party, purpose: string, ...names: readonly Uint8Array[]): Party =>
  makeLeaf({
    ...dates,
    issuer,
    keys: ecKeys(),
    extensions: (usual) => [
      ...withExtension(withExtension(usual, extKeyUsage([purpose])), subjectAltName(...names)),
      extension("1.2.3.4", bytes(5, 0)),
    ],
  });
const server = endEntity(root, OIDS.serverAuth, dns("service.test"), prim(7, bytes(127, 0, 0, 1)));
const namedServer = endEntity(root, OIDS.serverAuth, dns("service.test"));
const client = endEntity(root, OIDS.clientAuth, dns("client.test"));
const foreignClient = endEntity(otherRoot, OIDS.clientAuth, dns("client.test"));

/** Starts an HTTPS server that answers with the name of the client's certificate. */
async function startServer(party: Party, options: ServerOptions = {}): Promise<string> {
  const https = createServer({ cert: certificateOf(party), key: keyOf(party), ...options }, (request, response) => {
    const peer = (request.socket as TLSSocket).getPeerCertificate();
    response.end(peer.subjectaltname ?? "nobody");
  });
  https.on("tlsClientError", () => undefined);
  https.listen(0, "127.0.0.1");
  await once(https, "listening");
  onTestFinished(() => {
    https.closeAllConnections();
    https.close();
  });
  return `https://127.0.0.1:${(https.address() as AddressInfo).port}/`;
}

/** Starts a proxy that says where it was asked to connect to. */
async function startProxy(): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const proxy = createHttpServer().on("connect", (request, socket) => {
    asked.push(request.url ?? "");
    const [, port = ""] = (request.url ?? "").split(":");
    const upstream = connect(Number(port), "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      upstream.pipe(socket).pipe(upstream);
    });
    for (const one of [upstream, socket]) one.on("error", () => undefined);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  onTestFinished(() => void proxy.close());
  return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, asked };
}

async function get(url: string, tls: TlsOptions, environment: Readonly<Record<string, string>> = {}): Promise<string> {
  const options = { fetch: fetchFor(environment, tls), timeoutMs: 5000, sleep: () => Promise.resolve() };
  const { body } = await sendRequest(url, { method: "GET", accept: [200], maxBytes: 1000 }, options);
  return Buffer.from(body).toString();
}
const failing = (reason: string): unknown =>
  expect.objectContaining({
    code: "HTTP_REQUEST_FAILED",
    attempts: 1,
    message: expect.stringContaining(reason) as unknown,
  }) as unknown;
const ca = certificateOf(root);
const asking: ServerOptions = { requestCert: true, rejectUnauthorized: true, ca };

describe("fetchFor with TLS options", () => {
  test("trusts the authorities that it is given, and none else", async () => {
    const url = await startServer(server);
    await expect(get(url, { caCertificates: ca })).resolves.toBe("nobody");
    await expect(get(url, { caCertificates: certificateOf(otherRoot) + ca })).resolves.toBe("nobody");
    await expect(get(url, { caCertificates: certificateOf(otherRoot) })).rejects.toThrow(failing("UNABLE_TO_"));
    await expect(get(url, {})).rejects.toThrow(failing("UNABLE_TO_"));
  });

  test("introduces itself with its certificate", async () => {
    const url = await startServer(server, asking);
    const own = { caCertificates: ca, certificate: certificateOf(client), privateKey: keyOf(client) };
    await expect(get(url, own)).resolves.toBe("DNS:client.test");
    await expect(get(url, { caCertificates: ca })).rejects.toThrow("could not reach");
    await expect(
      get(url, { ...own, certificate: certificateOf(foreignClient), privateKey: keyOf(foreignClient) }),
    ).rejects.toThrow("could not reach");
  });

  test("wants the name of the URL in the certificate, or the one that it is given", async () => {
    const url = await startServer(namedServer);
    await expect(get(url, { caCertificates: ca })).rejects.toThrow(failing("ERR_TLS_CERT_ALTNAME_INVALID"));
    await expect(get(url, { caCertificates: ca, serverName: "service.test" })).resolves.toBe("nobody");
    await expect(get(url, { caCertificates: ca, serverName: "other.test" })).rejects.toThrow(
      failing("ERR_TLS_CERT_ALTNAME_INVALID"),
    );
  });

  test.for([
    ["through a proxy", {}, 1],
    ["past a proxy", { NO_PROXY: "127.0.0.1" }, 0],
  ] as const)("means the service, %s", async ([, environment, count]) => {
    const url = await startServer(namedServer, asking);
    const proxy = await startProxy();
    const proxied = { HTTPS_PROXY: proxy.url, ...environment };
    const tls = { certificate: certificateOf(client), privateKey: keyOf(client), serverName: "service.test" };
    await expect(get(url, { ...tls, caCertificates: ca }, proxied)).resolves.toBe("DNS:client.test");
    expect(proxy.asked).toHaveLength(count);
    await expect(get(url, { ...tls, caCertificates: certificateOf(otherRoot) }, proxied)).rejects.toThrow(
      failing("SELF_SIGNED_CERT_IN_CHAIN"),
    );
    await expect(get(url, { ...tls, caCertificates: ca, serverName: "other.test" }, proxied)).rejects.toThrow(
      failing("ERR_TLS_CERT_ALTNAME_INVALID"),
    );
  });

  test("refuses a URL for which they would be of no use", async () => {
    await expect(get("http://127.0.0.1:9/?s3cret", { caCertificates: ca })).rejects.toThrow(
      expect.objectContaining({ code: "URL_INVALID", message: "TLS options are of no use for http://127.0.0.1:9/" }),
    );
  });

  const encrypted = (key: KeyObject): string =>
    key.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "s3cret" });
  test.for<[string, TlsOptions]>([
    ["authorities that are no PEM", { caCertificates: "authorities" }],
    ["an empty list of authorities", { caCertificates: "" }],
    ["a key among the authorities", { caCertificates: ca + keyOf(root) }],
    ["an authority that broke off", { caCertificates: ca + ca.slice(0, 200) }],
    ["an authority that is no certificate", { caCertificates: pem("CERTIFICATE", Uint8Array.of(0x30, 0)) }],
    ["a certificate without its key", { certificate: certificateOf(client) }],
    ["a key without its certificate", { privateKey: keyOf(client) }],
    ["an empty certificate", { certificate: "", privateKey: keyOf(client) }],
    ["the key of another certificate", { certificate: certificateOf(client), privateKey: keyOf(server) }],
    ["a key that is none", { certificate: certificateOf(client), privateKey: "s3cret" }],
    [
      "a key that is encrypted",
      { certificate: certificateOf(client), privateKey: encrypted(createPrivateKey(keyOf(client))) },
    ],
    ["an empty server name", { serverName: "" }],
    ["an address for a server name", { serverName: "127.0.0.1" }],
    ["a URL for a server name", { serverName: "https://service.test" }],
  ])("is refused at once for %s, without repeating it", ([, tls]) => {
    let error: unknown;
    try {
      fetchFor({}, tls);
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ name: "InputError", code: "USAGE_INVALID" });
    expect(inspect(error, { depth: 9 })).not.toContain("s3cret");
    expect(inspect(error, { depth: 9 })).not.toContain("PRIVATE KEY");
  });

  test("takes certificates with text around them, as openssl prints them", () => {
    expect(() => fetchFor({}, { caCertificates: `# roots\nsubject=CN\n${ca}\n# end\n` })).not.toThrow();
  });

  test("is not loaded where it is not used", async () => {
    const base = new URL("../../src/http/", import.meta.url).href;
    const script = `
      const before = new Set(process.moduleLoadList);
      await import("${base}fetch.ts");
      console.log(process.moduleLoadList.filter((name) => !before.has(name) && / (tls|https|net)$/.test(name)).join());`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script]);
    expect(stdout).toBe("\n");
  });
});
