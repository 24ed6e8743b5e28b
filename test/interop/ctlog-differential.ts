import { compareAnswers, type Difference, type SharedRequest } from "./differential.ts";

/**
 * Compares a real certificate transparency log with ours. Each must have at least two entries.
 *
 * @param realUrl - With the prefix of the log, without `/ct/v1`.
 */
export async function compareCtLog(realUrl: string, oursUrl: string): Promise<readonly Difference[]> {
  const get = (name: string, path: string): SharedRequest => ({ name, path: `/ct/v1/${path}` });
  const post = (name: string, path: string, body: string): SharedRequest => ({
    name,
    method: "POST",
    path: `/ct/v1/${path}`,
    type: "application/json",
    body,
  });
  const unknown = encodeURIComponent(Buffer.alloc(32, 1).toString("base64"));
  return await compareAnswers(realUrl, oursUrl, [
    get("for the tree head", "get-sth"),
    get("for the roots", "get-roots"),
    get("for an entry", "get-entries?start=0&end=0"),
    get("for entries beyond the end", "get-entries?start=0&end=5000"),
    get("for entries after the end", "get-entries?start=5000&end=5001"),
    get("for entries backwards", "get-entries?start=1&end=0"),
    get("for entries from below zero", "get-entries?start=-1&end=0"),
    get("for entries without end", "get-entries?start=0"),
    get("for an entry with its proof", "get-entry-and-proof?leaf_index=0&tree_size=2"),
    get("for an entry with a proof in a tree that is too small for it", "get-entry-and-proof?leaf_index=2&tree_size=2"),
    get("for a consistency proof", "get-sth-consistency?first=1&second=2"),
    get("for a consistency proof from nothing", "get-sth-consistency?first=0&second=2"),
    get("for a consistency proof of nothing new", "get-sth-consistency?first=2&second=2"),
    get("for a consistency proof backwards", "get-sth-consistency?first=2&second=1"),
    get("for a consistency proof of the future", "get-sth-consistency?first=1&second=5000"),
    get("for a consistency proof without sizes", "get-sth-consistency"),
    get("for the proof of a leaf that is not there", `get-proof-by-hash?hash=${unknown}&tree_size=2`),
    get("for the proof of a short hash", "get-proof-by-hash?hash=AAAA&tree_size=2"),
    get("for the proof of no hash", "get-proof-by-hash?tree_size=2"),
    get("for a proof without size", `get-proof-by-hash?hash=${unknown}`),
    get("for a proof in an empty tree", `get-proof-by-hash?hash=${unknown}&tree_size=0`),
    get("for a proof in a tree of the future", `get-proof-by-hash?hash=${unknown}&tree_size=5000`),
    post("to add nothing", "add-chain", ""),
    post("to add what is no JSON", "add-chain", "{"),
    post("to add an empty chain", "add-chain", '{"chain":[]}'),
    post("to add what is no certificate", "add-pre-chain", '{"chain":["AAAA"]}'),
    post("to add what is no base64", "add-pre-chain", '{"chain":["?"]}'),
    post("to post for the tree head", "get-sth", ""),
    get("to get an addition", "add-chain"),
    get("for what is not there", "other"),
  ]);
}
