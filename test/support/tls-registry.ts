/**
 * A registry behind TLS, with a certificate of an authority of its own.
 *
 * @module
 */

import { once } from "node:events";
import { request as forward } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
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
} from "./certificates.ts";

/** Is a server that passes everything on to a registry. */
export interface TlsRegistry {
  readonly host: string;
  /** The authority of its certificate, in PEM. */
  readonly authority: string;
  /** A certificate and a key of a client that it knows, in PEM. */
  readonly client: { readonly certificate: string; readonly key: string };
  readonly close: () => void;
}

/** Starts a server in front of a registry on loopback, which may want to know its clients. */
export async function startTlsRegistry(
  registry: string,
  { wantsClient = false }: { readonly wantsClient?: boolean } = {},
): Promise<TlsRegistry> {
  const dates = { notBefore: utcTime("200101000000Z"), notAfter: utcTime("491231000000Z") };
  const pem = (der: Uint8Array): string =>
    `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString("base64")}\n-----END CERTIFICATE-----\n`;
  const root = makeAuthority(dates);
  const leaf = makeLeaf({
    ...dates,
    issuer: root,
    keys: ecKeys(),
    extensions: (usual) => [
      ...withExtension(
        withExtension(usual, extKeyUsage([OIDS.serverAuth])),
        subjectAltName(dns("registry.test"), prim(7, bytes(127, 0, 0, 1))),
      ),
      extension("1.2.3.4", bytes(5, 0)),
    ],
  });
  const key = leaf.keys.privateKey.export({ type: "pkcs8", format: "pem" });
  const client = makeLeaf({
    ...dates,
    issuer: root,
    keys: ecKeys(),
    extensions: (usual) => withExtension(usual, extKeyUsage([OIDS.clientAuth])),
  });
  const ofClients = wantsClient && { ca: pem(root.der), requestCert: true, rejectUnauthorized: true };
  const server = createServer({ cert: pem(leaf.der), key, ...ofClients }, (request, response) => {
    const headers = { ...request.headers, host: registry };
    const passed = forward(`http://${registry}${request.url}`, { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    request.pipe(passed);
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    authority: pem(root.der),
    client: {
      certificate: pem(client.der),
      key: client.keys.privateKey.export({ type: "pkcs8", format: "pem" }),
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
