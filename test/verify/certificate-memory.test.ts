import { describe, expect, test } from "vitest";
import { MAX_REMEMBERED_CERTIFICATES } from "../../src/limits.ts";
import { CertificateMemory, type ProvenCertificate } from "../../src/verify/certificate.ts";
import { parseCertificate } from "../../src/x509/certificate.ts";
import { issueCertificate } from "../support/sandbox/authorities.ts";
import { makeSandbox } from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const certificate = parseCertificate(issueCertificate(sandbox.ca, {}, sandbox.ctLog).der);
const proven = (): ProvenCertificate => ({ certificate, paths: [], embeddedScts: new Map() });

// That it changes no outcome is test/checklist/09-outcome-is-unforgeable.test.ts.
describe("CertificateMemory", () => {
  test("recalls what was remembered under that name, and nothing else", () => {
    const memory = new CertificateMemory();
    const [first, second] = [proven(), proven()];
    memory.remember("first", first);
    memory.remember("second", second);
    expect(memory.recall("first")).toBe(first);
    expect(memory.recall("second")).toBe(second);
    expect(memory.recall("third")).toBeUndefined();
    expect(memory.recall("constructor")).toBeUndefined();
  });

  test("holds so many and forgets what was not used for longest", () => {
    const memory = new CertificateMemory();
    for (let index = 0; index < MAX_REMEMBERED_CERTIFICATES; index++) memory.remember(`${index}`, proven());
    expect(memory.recall("0")).toBeDefined(); // used now, so that 1 is the oldest
    memory.remember("one more", proven());
    expect(memory.recall("1")).toBeUndefined();
    expect(memory.recall("0")).toBeDefined();
    expect(memory.recall("2")).toBeDefined();
    expect(memory.recall("one more")).toBeDefined();
    for (let index = 0; index < 2 * MAX_REMEMBERED_CERTIFICATES; index++) memory.remember(`later ${index}`, proven());
    expect(memory.recall("one more")).toBeUndefined();
  });

  test("remembers the same certificate once", () => {
    const memory = new CertificateMemory();
    for (let index = 0; index < 2 * MAX_REMEMBERED_CERTIFICATES; index++) memory.remember("one", proven());
    memory.remember("other", proven());
    expect([memory.recall("one"), memory.recall("other")]).not.toContain(undefined);
  });
});
