import { InputError, ServiceError } from "../../errors.ts";
import { absent, available, variable, type Environment, type IdentityProvider, type TokenFiles } from "../provider.ts";
import { callUnary } from "./grpc-unary.ts";
import { encodeTextField, readFields } from "./protobuf.ts";

const SOCKET_NAME = "SPIFFE_ENDPOINT_SOCKET";
const DEFAULT_SOCKET = "/tmp/spire-agent/public/api.sock";
/** In a folder where everybody may put things: who owns one of these decides whose token it is. */
const DEFAULT_PLACES = ["/tmp/spire-agent", "/tmp/spire-agent/public", DEFAULT_SOCKET];
const ROOT = 0;
const SERVICE = "SPIFFE Workload API";

/**
 * Asks the SPIFFE Workload API, over the socket of a node's agent, for a JWT-SVID.
 *
 * The socket that `SPIFFE_ENDPOINT_SOCKET` names is taken as it is. The one that SPIRE makes by default is in `/tmp`, where anybody could have
 * made it, so it is taken of root and of this user alone.
 *
 * Where a workload has several identities, the first one is its default and is taken.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_API.md | SPIFFE Workload API} §6.2.1,
 * {@link https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_Endpoint.md | SPIFFE Workload Endpoint} §4
 */
export const spiffe: IdentityProvider = {
  name: "spiffe",
  async detect({ environment, files }) {
    const given = variable(environment, SOCKET_NAME);
    const path = socketPath(environment);
    if (path === undefined) {
      return {
        kind: "not-configured",
        reason: `${SOCKET_NAME} names no socket in the file system`,
        remedy: `set ${SOCKET_NAME} to the path of the agent's socket: unix:///path/to/api.sock`,
      };
    }
    if (await files.exists(path)) {
      const stranger = given === undefined ? await findStranger(files) : undefined;
      if (stranger === undefined) return available(`the socket ${path} exists`);
      return {
        kind: "not-configured",
        reason: `${stranger}, who could give tokens of anybody, and ${SOCKET_NAME} is not set`,
        remedy: `where that user is trusted with this, set ${SOCKET_NAME} to unix://${path}`,
      };
    }
    if (given === undefined) return absent(`${SOCKET_NAME} is not set, and ${path} does not exist`);
    return {
      kind: "not-configured",
      reason: `${SOCKET_NAME} is set, but ${path} does not exist`,
      remedy: "start the SPIFFE agent, or mount its socket",
    };
  },
  async obtain({ environment, audience, request }) {
    const path = socketPath(environment);
    if (path === undefined) throw new InputError("URL_INVALID", `${SOCKET_NAME} names no socket in the file system`);
    // message JWTSVIDRequest { repeated string audience = 1; string spiffe_id = 2; }
    const answer = await callUnary(
      {
        socketPath: path,
        method: "/SpiffeWorkloadAPI/FetchJWTSVID",
        message: encodeTextField(1, audience),
        // Workload Endpoint §4: proof that the request was not forwarded by something that does not know what it does.
        headers: { "workload.spiffe.io": "true" },
      },
      { service: SERVICE, timeoutMs: request.timeoutMs, signal: request.signal },
    );
    return readToken(answer);
  },
};

/** Says which part of the default path is of neither this user nor root. */
async function findStranger(files: TokenFiles): Promise<string | undefined> {
  for (const place of DEFAULT_PLACES) {
    const owner = await files.owner(place);
    if (owner === undefined) return `${place} belongs to nobody knows whom`;
    if (owner !== ROOT && owner !== process.getuid?.()) return `${place} belongs to the user ${owner}`;
  }
  return undefined;
}

/** Reads the path from `unix:///path`, `unix:/path` or the path itself. */
function socketPath(environment: Environment): string | undefined {
  const given = variable(environment, SOCKET_NAME) ?? DEFAULT_SOCKET;
  const path = given.replace(/^unix:(?:\/\/)?(?=\/)/, "");
  return /^[a-z][a-z0-9+.-]*:/i.test(path) ? undefined : path;
}

/** Finds the token: JWTSVIDResponse { repeated JWTSVID svids = 1; }, JWTSVID { spiffe_id = 1; svid = 2; hint = 3; }. */
function readToken(message: Uint8Array): string {
  const first = readFields(message)?.find(({ number }) => number === 1);
  const svid = first === undefined ? undefined : readFields(first.bytes)?.find(({ number }) => number === 2);
  if (svid === undefined) {
    throw new ServiceError("SERVICE_RESPONSE_INVALID", `${SERVICE} gave an answer without a JWT-SVID`, {
      service: SERVICE,
    });
  }
  return new TextDecoder().decode(svid.bytes);
}
