/**
 * How a TLS connection is made: whom to trust, and with which certificate to introduce oneself.
 *
 * @module
 */

import { InputError } from "../errors.ts";

/** Says how TLS connections are made. What is left out is as the runtime has it. */
export interface TlsOptions {
  /** Certificates in PEM that are trusted instead of the runtime's. */
  readonly caCertificates?: string | undefined;
  /** The client's own certificate in PEM, with its chain; needs `privateKey`. */
  readonly certificate?: string | undefined;
  /** The key of the certificate in PEM, not encrypted. */
  readonly privateKey?: string | undefined;
  /** The name that the server's certificate has to have, where it is not that of the URL. */
  readonly serverName?: string | undefined;
  /** Takes any certificate, of whomever: whoever is on the way can read and change everything. Default false. */
  readonly insecureSkipVerify?: boolean | undefined;
}

/** Is what Node's TLS takes. */
export interface SecureOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: false;
}

/**
 * Checks TLS options, so that a broken one is told before anything is sent, and none is silently left out.
 *
 * @throws {@link InputError} `USAGE_INVALID`, without repeating anything of a key.
 */
export function secureOptions(options: TlsOptions): SecureOptions {
  const { caCertificates, certificate, privateKey, serverName, insecureSkipVerify = false } = options;
  if ((certificate === undefined) !== (privateKey === undefined)) {
    throw unusable(certificate === undefined ? "a key, but no certificate" : "a certificate, but no key");
  }
  if (caCertificates !== undefined) checkCertificates(caCertificates, "certificates of authorities");
  if (certificate !== undefined && privateKey !== undefined) {
    checkCertificates(certificate, "a client certificate");
    checkKey(certificate, privateKey);
  }
  if (serverName !== undefined && !HOST_NAME.test(serverName)) throw unusable("a server name that is no host name");
  return {
    ...(caCertificates !== undefined && { ca: caCertificates }),
    ...(certificate !== undefined && { cert: certificate }),
    ...(privateKey !== undefined && { key: privateKey }),
    ...(serverName !== undefined && { servername: serverName }),
    ...(insecureSkipVerify && { rejectUnauthorized: false as const }),
  };
}

/** With a letter in it, so no IP address: TLS cannot ask for one (RFC 6066 §3). */
const HOST_NAME = /^(?=.*[a-z])[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9])?$/i;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** Node takes a text without any certificate for an empty list, and skips what it cannot read. */
function checkCertificates(pem: string, what: string): void {
  // Loaded here, so that whoever uses no TLS options does not wait for it.
  const { X509Certificate } = process.getBuiltinModule("node:crypto");
  const blocks = pem.match(CERTIFICATE) ?? [];
  if (blocks.length === 0 || blocks.length !== pem.split("-----BEGIN ").length - 1) {
    throw unusable(`${what} that are not PEM of certificates alone`);
  }
  for (const [index, block] of blocks.entries()) {
    try {
      void new X509Certificate(block);
    } catch (cause) {
      throw unusable(`${what} of which number ${index + 1} cannot be read`, cause);
    }
  }
}

function checkKey(certificate: string, privateKey: string): void {
  try {
    // Finds out that they belong together, too.
    process.getBuiltinModule("node:tls").createSecureContext({ cert: certificate, key: privateKey });
  } catch {
    // Without the cause: nobody knows what OpenSSL says of a key.
    throw unusable("a client key that cannot be read, is encrypted, or is not that of the certificate");
  }
}

function unusable(problem: string, cause?: unknown): InputError {
  return new InputError("USAGE_INVALID", `TLS options hold ${problem}`, {
    cause,
    remedy: "give certificates and an unencrypted key in PEM",
  });
}
