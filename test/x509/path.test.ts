import { sign, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider, type CryptoProvider } from "../../src/crypto/provider.ts";
import { VerificationError } from "../../src/errors.ts";
import { parseCertificate, parseCertificatesPem, type Certificate } from "../../src/x509/certificate.ts";
import {
  findCertificatePaths,
  verifyAuthorityChain,
  verifyPathValidAt,
  type AuthorityChain,
  type CertificatePath,
  type CertificatePurpose,
} from "../../src/x509/path.ts";
import {
  authorityKeyIdentifier,
  basicConstraints,
  bits,
  bytes,
  dns,
  ECDSA_SHA384,
  ecKeys,
  email,
  extension,
  extKeyUsage,
  generalizedTime,
  keyIdOf,
  keyUsage,
  makeAuthority,
  makeLeaf,
  makeTimestampLeaf,
  name,
  nameConstraints,
  nul,
  octets,
  oid,
  OIDS,
  seq,
  subjectAltName,
  subjectKeyIdentifier,
  uri,
  utcTime,
  withExtension,
  withoutExtension,
  type CertificateOptions,
  type Extension,
  type Party,
} from "../support/certificates.ts";
import { realCertificates } from "../support/real-certificates.ts";
import { isInSample } from "../support/samples.ts";
import { projectDir } from "../support/shared.ts";

const crypto = defaultCryptoProvider();
const withCode = (code: unknown): unknown => expect.objectContaining({ code });

const root = makeAuthority();
const intermediate = makeAuthority({
  issuer: root,
  extensions: (usual) => [...withExtension(usual, basicConstraints(true, 0)), extKeyUsage([OIDS.codeSigning])],
});
const leaf = makeLeaf({ issuer: intermediate });
const chainOf = (...parties: readonly Party[]): AuthorityChain => ({
  certificates: parties.map(({ der }) => parseCertificate(der)),
});
const authority = chainOf(intermediate, root);

interface Search {
  readonly chains?: readonly AuthorityChain[];
  readonly purpose?: CertificatePurpose;
  readonly untrusted?: readonly Party[];
  readonly provider?: CryptoProvider;
}

function find(
  party: Pick<Party, "der">,
  { chains = [authority], purpose = "code-signing", untrusted = [], provider = crypto }: Search = {},
): Promise<readonly CertificatePath[]> {
  const untrustedIntermediates = untrusted.map(({ der }) => parseCertificate(der));
  return findCertificatePaths(parseCertificate(party.der), chains, {
    purpose,
    crypto: provider,
    untrustedIntermediates,
  });
}

const ders = (paths: readonly CertificatePath[]): readonly (readonly Uint8Array[])[] =>
  paths.map(({ certificates }) => certificates.map((certificate) => certificate.bytes));

/** A leaf, or an authority, that differs in its extensions. */
const replacing = (...changed: readonly Extension[]): Pick<CertificateOptions, "extensions"> => ({
  extensions: (usual) => changed.reduce(withExtension, usual),
});
const leaving = (type: string): Pick<CertificateOptions, "extensions"> => ({
  extensions: (usual) => withoutExtension(usual, type),
});

/** Counts the signature checks. */
function counting(): { readonly provider: CryptoProvider; readonly checks: () => number } {
  let count = 0;
  const provider: CryptoProvider = {
    name: crypto.name,
    digest: (algorithm, data) => crypto.digest(algorithm, data),
    createDigest: (algorithm) => crypto.createDigest(algorithm),
    supports: (algorithm) => crypto.supports(algorithm),
    verifyDigest: (algorithm, key, signature, digest) => crypto.verifyDigest(algorithm, key, signature, digest),
    verify: (algorithm, key, signature, data) => {
      count++;
      return crypto.verify(algorithm, key, signature, data);
    },
  };
  return { provider, checks: () => count };
}

test("the certificates under test are what node:crypto takes for issued and signed", () => {
  for (const [child, issuer] of [
    [leaf, intermediate],
    [intermediate, root],
    [root, root],
  ] as const) {
    const theirs = new X509Certificate(child.der);
    expect(theirs.checkIssued(new X509Certificate(issuer.der))).toBe(true);
    expect(theirs.verify(issuer.keys.publicKey)).toBe(true);
  }
});

describe("findCertificatePaths (RFC 5280 §6.1)", () => {
  test("finds the path from the leaf to the trust anchor", async () => {
    const paths = await find(leaf);
    expect(ders(paths)).toEqual([[leaf.der, intermediate.der, root.der]]);
    expect(paths[0]?.chain).toBe(authority);
  });

  test("checks one signature, since the chain is verified already", async () => {
    const { provider, checks } = counting();
    await find(leaf, { provider });
    expect(checks()).toBe(1);
  });

  test("accepts an intermediate as trust anchor", async () => {
    expect(ders(await find(leaf, { chains: [chainOf(intermediate)] }))).toEqual([[leaf.der, intermediate.der]]);
  });

  test("accepts a leaf that the root issued", async () => {
    const direct = makeLeaf({ issuer: root });
    expect(ders(await find(direct, { chains: [authority] }))).toEqual([[direct.der, root.der]]);
  });

  test("finds a path in every chain that lists the issuer, for one signature check", async () => {
    const { provider, checks } = counting();
    const again = chainOf(intermediate, root);
    const paths = await find(leaf, { chains: [authority, chainOf(makeAuthority()), again], provider });
    expect(paths.map(({ chain }) => chain)).toEqual([authority, again]);
    expect(checks()).toBe(1);
  });

  test("does not look at dates", async () => {
    const expired = makeLeaf({
      issuer: intermediate,
      notBefore: utcTime("200101000000Z"),
      notAfter: utcTime("200102000000Z"),
    });
    expect(await find(expired)).toHaveLength(1);
  });

  describe("two authorities of one name", () => {
    const twin = makeAuthority({
      issuer: root,
      subject: intermediate.name,
      extensions: (usual) => withExtension(usual, extKeyUsage([OIDS.codeSigning])),
    });
    const chains = [chainOf(twin, root), authority];

    test("are told apart by key identifier, without trying the other", async () => {
      const { provider, checks } = counting();
      expect(ders(await find(leaf, { chains, provider }))).toEqual([[leaf.der, intermediate.der, root.der]]);
      expect(checks()).toBe(1);
    });

    test("are both tried when the leaf names no key", async () => {
      const nameless = makeLeaf({ issuer: intermediate, ...leaving(OIDS.authorityKeyIdentifier) });
      const { provider, checks } = counting();
      expect(ders(await find(nameless, { chains, provider }))).toEqual([[nameless.der, intermediate.der, root.der]]);
      expect(checks()).toBe(2);
    });

    test("are both tried when the authorities have no key identifier", async () => {
      const bare = (party: Party): Party =>
        makeAuthority({ issuer: root, subject: party.name, keys: party.keys, ...leaving(OIDS.subjectKeyIdentifier) });
      const bareChains = [chainOf(bare(twin), root), chainOf(bare(intermediate), root)];
      expect((await find(leaf, { chains: bareChains })).map(({ chain }) => chain)).toEqual([bareChains[1]]);
    });

    test("are both reported when neither made the signature", async () => {
      const stranger = makeLeaf({
        issuer: { name: intermediate.name, keys: ecKeys() },
        ...leaving(OIDS.authorityKeyIdentifier),
      });
      const error = await find(stranger, { chains }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        code: "CERTIFICATE_SIGNATURE_INVALID",
        cause: { errors: [{ code: "CERTIFICATE_SIGNATURE_INVALID" }] },
      });
    });
  });

  describe("for code signing", () => {
    test.for<[string, Pick<CertificateOptions, "extensions">]>([
      ["has no key usage", leaving(OIDS.keyUsage)],
      ["may be used for more than digital signatures", replacing(keyUsage(0xc0))],
      ["may be used for more than code signing", replacing(extKeyUsage([OIDS.serverAuth, OIDS.codeSigning]))],
      ["has a critical extended key usage", replacing(extKeyUsage([OIDS.codeSigning], true))],
      ["says that it is no authority", replacing(basicConstraints(false))],
      ["has an extension that nobody knows and that is not critical", replacing(extension("1.2.3", nul()))],
      [
        "has several names",
        replacing(subjectAltName(uri("https://example.com/a"), email("user@example.com"), dns("example.com"))),
      ],
    ])("accepts a leaf that %s", async ([, change]) => {
      expect(await find(makeLeaf({ issuer: intermediate, ...change }))).toHaveLength(1);
    });

    test.for<[string, Pick<CertificateOptions, "extensions">, string]>([
      ["has no extended key usage", leaving(OIDS.extKeyUsage), "CERTIFICATE_USAGE_INVALID"],
      ["is for something else", replacing(extKeyUsage([OIDS.serverAuth])), "CERTIFICATE_USAGE_INVALID"],
      ["is for any purpose", replacing(extKeyUsage([OIDS.anyExtendedKeyUsage])), "CERTIFICATE_USAGE_INVALID"],
      ["is for time-stamping", replacing(extKeyUsage([OIDS.timeStamping], true)), "CERTIFICATE_USAGE_INVALID"],
      ["may not make digital signatures", replacing(keyUsage(0x20)), "CERTIFICATE_USAGE_INVALID"],
      ["may only commit to content", replacing(keyUsage(0x40)), "CERTIFICATE_USAGE_INVALID"],
      ["is that of an authority", replacing(basicConstraints(true)), "CERTIFICATE_USAGE_INVALID"],
      [
        "has a critical extension that nobody knows",
        replacing(extension("1.2.3", nul(), true)),
        "CERTIFICATE_CONSTRAINT_VIOLATED",
      ],
      [
        "has critical certificate policies, which are not processed",
        replacing(extension(OIDS.certificatePolicies, seq(seq(oid("1.2.3"))), true)),
        "CERTIFICATE_CONSTRAINT_VIOLATED",
      ],
      ["is a precertificate", replacing(extension(OIDS.poison, nul(), true)), "CERTIFICATE_CONSTRAINT_VIOLATED"],
      [
        "is a precertificate that plays it down",
        replacing(extension(OIDS.poison, nul())),
        "CERTIFICATE_CONSTRAINT_VIOLATED",
      ],
    ])("rejects a leaf that %s", async ([, change, code]) => {
      await expect(find(makeLeaf({ issuer: intermediate, ...change }))).rejects.toThrow(withCode(code));
    });
  });

  describe("for time-stamping (RFC 3161 §2.3)", () => {
    const tsaIntermediate = makeAuthority({
      issuer: root,
      subject: name({ O: "Example", CN: "tsa intermediate" }),
      ...replacing(extKeyUsage([OIDS.timeStamping])),
    });
    const tsaLeaf = makeTimestampLeaf({ issuer: tsaIntermediate });
    const search: Search = { chains: [chainOf(tsaIntermediate, root)], purpose: "time-stamping" };

    test("accepts the leaf of a timestamp authority, whose intermediate may restrict itself without saying critical", async () => {
      expect(ders(await find(tsaLeaf, search))).toEqual([[tsaLeaf.der, tsaIntermediate.der, root.der]]);
    });

    test("accepts a leaf that the chain begins with, without a signature check", async () => {
      const { provider, checks } = counting();
      expect(
        ders(await find(tsaLeaf, { ...search, chains: [chainOf(tsaLeaf, tsaIntermediate, root)], provider })),
      ).toEqual([[tsaLeaf.der, tsaIntermediate.der, root.der]]);
      expect(checks()).toBe(0);
    });

    test("accepts another leaf of the intermediate in that chain", async () => {
      const successor = makeTimestampLeaf({ issuer: tsaIntermediate });
      expect(ders(await find(successor, { ...search, chains: [chainOf(tsaLeaf, tsaIntermediate, root)] }))).toEqual([
        [successor.der, tsaIntermediate.der, root.der],
      ]);
    });

    test("accepts a leaf that is its own trust anchor", async () => {
      const issuer = { name: name({ O: "Example", CN: "tsa" }), keys: ecKeys() };
      const alone = makeTimestampLeaf({ issuer, keys: issuer.keys });
      await expect(verifyAuthorityChain(chainOf(alone), crypto)).resolves.toBeUndefined();
      expect(ders(await find(alone, { ...search, chains: [chainOf(alone)] }))).toEqual([[alone.der]]);
    });

    test.for<[string, Pick<CertificateOptions, "extensions">]>([
      ["may only commit to content", replacing(keyUsage(0x40))],
      ["has no key usage", leaving(OIDS.keyUsage)],
    ])("accepts a leaf that %s", async ([, change]) => {
      expect(await find(makeTimestampLeaf({ issuer: tsaIntermediate, ...change }), search)).toHaveLength(1);
    });

    test.for<[string, Pick<CertificateOptions, "extensions">]>([
      ["has no extended key usage", leaving(OIDS.extKeyUsage)],
      ["has an extended key usage that is not critical", replacing(extKeyUsage([OIDS.timeStamping]))],
      ["is also for something else", replacing(extKeyUsage([OIDS.timeStamping, OIDS.codeSigning], true))],
      ["is for any purpose", replacing(extKeyUsage([OIDS.anyExtendedKeyUsage], true))],
      ["is for code signing", replacing(extKeyUsage([OIDS.codeSigning], true))],
      ["may only encipher keys", replacing(keyUsage(0x20))],
      ["is that of an authority", replacing(basicConstraints(true))],
    ])("rejects a leaf that %s", async ([, change]) => {
      await expect(find(makeTimestampLeaf({ issuer: tsaIntermediate, ...change }), search)).rejects.toThrow(
        withCode("CERTIFICATE_USAGE_INVALID"),
      );
    });

    test("rejects a leaf whose intermediate is for code signing", async () => {
      await expect(find(makeTimestampLeaf({ issuer: intermediate }), { purpose: "time-stamping" })).rejects.toThrow(
        withCode("CERTIFICATE_USAGE_INVALID"),
      );
    });
  });

  describe("an authority", () => {
    /** The leaf under an intermediate that differs in one thing. */
    const under = (change: CertificateOptions, top: Party = root): Promise<readonly CertificatePath[]> => {
      const changed = makeAuthority({ issuer: top, ...change });
      return find(makeLeaf({ issuer: changed }), { chains: [chainOf(changed, top)] });
    };

    test.for<[string, CertificateOptions]>([
      ["has no key usage", leaving(OIDS.keyUsage)],
      ["has no extended key usage", {}],
      ["issues for any purpose", replacing(extKeyUsage([OIDS.anyExtendedKeyUsage]))],
      ["issues for several purposes", replacing(extKeyUsage([OIDS.timeStamping, OIDS.codeSigning]))],
      ["allows no intermediate", replacing(basicConstraints(true, 0))],
      ["may also make digital signatures", replacing(keyUsage(0x86))],
      ["has a constraint that the name keeps", replacing(nameConstraints([uri("example.com")]))],
    ])("may issue when it %s", async ([, change]) => {
      expect(await under(change)).toHaveLength(1);
    });

    test.for<[string, CertificateOptions, string]>([
      ["has no basic constraints", leaving(OIDS.basicConstraints), "CERTIFICATE_USAGE_INVALID"],
      ["says that it is no authority", replacing(basicConstraints(false)), "CERTIFICATE_USAGE_INVALID"],
      ["may not sign certificates", replacing(keyUsage(0x82)), "CERTIFICATE_USAGE_INVALID"],
      ["issues for another purpose", replacing(extKeyUsage([OIDS.timeStamping])), "CERTIFICATE_USAGE_INVALID"],
      [
        "has a critical extension that nobody knows",
        replacing(extension("1.2.3", nul(), true)),
        "CERTIFICATE_CONSTRAINT_VIOLATED",
      ],
      ["is a precertificate", replacing(extension(OIDS.poison, nul(), true)), "CERTIFICATE_CONSTRAINT_VIOLATED"],
      [
        "is not permitted the name",
        replacing(nameConstraints([uri("other.example")])),
        "CERTIFICATE_CONSTRAINT_VIOLATED",
      ],
      [
        "is excluded from the name",
        replacing(nameConstraints([], [uri("example.com")])),
        "CERTIFICATE_CONSTRAINT_VIOLATED",
      ],
    ])("may not issue when it %s", async ([, change, code]) => {
      await expect(under(change)).rejects.toThrow(withCode(code));
    });

    test("at the top is held to the same rules", async () => {
      for (const [change, code] of [
        [replacing(extKeyUsage([OIDS.timeStamping])), "CERTIFICATE_USAGE_INVALID"],
        [replacing(nameConstraints([uri("other.example")])), "CERTIFICATE_CONSTRAINT_VIOLATED"],
        [replacing(basicConstraints(true, 0)), "CERTIFICATE_CONSTRAINT_VIOLATED"],
        [leaving(OIDS.basicConstraints), "CERTIFICATE_USAGE_INVALID"],
      ] as const) {
        await expect(under({}, makeAuthority(change))).rejects.toThrow(withCode(code));
      }
    });
  });

  describe("path length (§6.1.4 (l), (m))", () => {
    const tower = (lengths: readonly (number | undefined)[], subjects: readonly string[] = []): readonly Party[] => {
      const parties: Party[] = [];
      for (const [i, length] of lengths.entries()) {
        const issuer = parties.at(0);
        parties.unshift(
          makeAuthority({
            ...(issuer ? { issuer } : {}),
            subject: name({ CN: subjects[i] ?? `authority ${i}` }),
            ...replacing(basicConstraints(true, length)),
          }),
        );
      }
      return parties;
    };
    const search = (parties: readonly Party[]): Promise<readonly CertificatePath[]> => {
      const [issuer] = parties;
      return find(makeLeaf({ issuer: issuer ?? root }), { chains: [chainOf(...parties)] });
    };

    test("accepts as many intermediates as the root allows", async () => {
      expect(await search(tower([2, undefined, undefined]))).toHaveLength(1);
    });

    test("rejects one intermediate too many, wherever the limit is", async () => {
      await expect(search(tower([1, undefined, undefined]))).rejects.toThrow(
        withCode("CERTIFICATE_CONSTRAINT_VIOLATED"),
      );
      await expect(search(tower([undefined, 0, undefined]))).rejects.toThrow(
        withCode("CERTIFICATE_CONSTRAINT_VIOLATED"),
      );
    });

    test("does not count a self-issued certificate", async () => {
      expect(await search(tower([0, undefined], ["same", "same"]))).toHaveLength(1);
    });

    test("rejects a path of eleven certificates", async () => {
      const parties = tower(Array<undefined>(10).fill(undefined));
      expect(
        await find(makeLeaf({ issuer: parties[1] as Party }), { chains: [chainOf(...parties.slice(1))] }),
      ).toHaveLength(1);
      await expect(search(parties)).rejects.toThrow(withCode("CERTIFICATE_CONSTRAINT_VIOLATED"));
    });
  });

  describe("signatures", () => {
    test("rejects a leaf that another key of the named issuer signed", async () => {
      const forged = makeLeaf({
        issuer: { name: intermediate.name, keys: ecKeys() },
        ...replacing(authorityKeyIdentifier(keyIdOf(intermediate.keys))),
      });
      await expect(find(forged)).rejects.toThrow(withCode("CERTIFICATE_SIGNATURE_INVALID"));
    });

    test("rejects a leaf whose algorithm does not fit the key of its issuer", async () => {
      const rsaNamed = makeLeaf({ issuer: intermediate, innerAlgorithm: seq(oid("1.2.840.113549.1.1.11"), nul()) });
      await expect(find(rsaNamed)).rejects.toThrow(withCode("CERTIFICATE_SIGNATURE_INVALID"));
    });

    test("rejects a leaf whose algorithm names another hash than was used", async () => {
      await expect(find(makeLeaf({ issuer: intermediate, innerAlgorithm: ECDSA_SHA384 }))).rejects.toThrow(
        withCode("CERTIFICATE_SIGNATURE_INVALID"),
      );
      const honest = makeLeaf({
        issuer: intermediate,
        innerAlgorithm: ECDSA_SHA384,
        sign: (tbs, key) => sign("sha384", tbs, key),
      });
      expect(await find(honest)).toHaveLength(1);
    });

    test("says that an algorithm is not supported", async () => {
      await expect(
        find(makeLeaf({ issuer: intermediate, innerAlgorithm: seq(oid("1.2.840.10045.4.1")) })),
      ).rejects.toThrow(withCode("ALGORITHM_UNSUPPORTED"));
    });

    test("does not take a failure of the provider for an answer", async () => {
      const { provider } = counting();
      const broken: CryptoProvider = { ...provider, verify: () => Promise.reject(new TypeError("broken")) };
      await expect(find(leaf, { provider: broken })).rejects.toThrow(TypeError);
    });

    test("rejects a signature that is no ECDSA signature", async () => {
      await expect(find(makeLeaf({ issuer: intermediate, signature: () => bits(bytes(1, 2, 3)) }))).rejects.toThrow(
        withCode("CERTIFICATE_SIGNATURE_INVALID"),
      );
      await expect(find(makeLeaf({ issuer: intermediate, signature: () => bits(bytes()) }))).rejects.toThrow(
        withCode("CERTIFICATE_SIGNATURE_INVALID"),
      );
    });
  });

  describe("an issuer that the root does not list", () => {
    test("is unknown by another name", async () => {
      await expect(find(makeLeaf({ issuer: makeAuthority({ subject: name({ CN: "stranger" }) }) }))).rejects.toThrow(
        withCode("CERTIFICATE_ISSUER_UNKNOWN"),
      );
    });

    test("is no excuse for a leaf that is of no use anyway", async () => {
      const stranger = makeAuthority({ subject: name({ CN: "stranger" }) });
      await expect(find(makeLeaf({ issuer: stranger, ...leaving(OIDS.extKeyUsage) }))).rejects.toThrow(
        withCode("CERTIFICATE_USAGE_INVALID"),
      );
    });

    test("is unknown by another string type of the same name", async () => {
      const other = { name: name({ O: "Example", CN: "intermediate" }, 0x13), keys: intermediate.keys };
      await expect(find(makeLeaf({ issuer: other }))).rejects.toThrow(withCode("CERTIFICATE_ISSUER_UNKNOWN"));
    });

    test("is unknown by another key identifier", async () => {
      await expect(
        find(makeLeaf({ issuer: intermediate, ...replacing(authorityKeyIdentifier(bytes(1, 2, 3))) })),
      ).rejects.toThrow(withCode("CERTIFICATE_ISSUER_UNKNOWN"));
    });

    test("is looked for among as many authorities as a root may list", async () => {
      const stranger = chainOf(makeAuthority());
      await expect(find(leaf, { chains: Array<AuthorityChain>(256).fill(stranger) })).rejects.toThrow(
        withCode("CERTIFICATE_ISSUER_UNKNOWN"),
      );
      await expect(find(leaf, { chains: Array<AuthorityChain>(257).fill(stranger) })).rejects.toThrow(
        withCode("LIMIT_EXCEEDED"),
      );
    });

    test("is unknown when there is no authority at all", async () => {
      await expect(find(leaf, { chains: [] })).rejects.toThrow(withCode("CERTIFICATE_ISSUER_UNKNOWN"));
    });

    test("is reported after an authority that failed for a better reason", async () => {
      const error = await find(leaf, {
        chains: [
          chainOf(makeAuthority()),
          chainOf(intermediate, makeAuthority(replacing(extKeyUsage([OIDS.timeStamping])))),
        ],
      }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(VerificationError);
      expect(error).toMatchObject({
        code: "CERTIFICATE_USAGE_INVALID",
        expected: OIDS.codeSigning,
        found: OIDS.timeStamping,
      });
    });
  });

  describe("untrusted intermediates", () => {
    const middle = makeAuthority({ issuer: root, subject: name({ CN: "middle" }) });
    const low = makeAuthority({ issuer: middle, subject: name({ CN: "low" }) });
    const lowLeaf = makeLeaf({ issuer: low });
    const chains = [chainOf(root)];

    test("link a leaf to what the root lists, in any order", async () => {
      for (const untrusted of [
        [low, middle],
        [middle, low],
        [middle, low, middle, low],
      ]) {
        const [path] = ders(await find(lowLeaf, { chains, untrusted }));
        expect(path).toEqual([lowLeaf.der, low.der, middle.der, root.der]);
      }
    });

    test("are no trust anchors", async () => {
      await expect(find(lowLeaf, { chains, untrusted: [low] })).rejects.toThrow(withCode("CERTIFICATE_ISSUER_UNKNOWN"));
      await expect(find(lowLeaf, { chains: [], untrusted: [low, middle, root] })).rejects.toThrow(
        withCode("CERTIFICATE_ISSUER_UNKNOWN"),
      );
    });

    test("are checked like any authority", async () => {
      for (const [change, code] of [
        [leaving(OIDS.basicConstraints), "CERTIFICATE_USAGE_INVALID"],
        [replacing(keyUsage(0x80)), "CERTIFICATE_USAGE_INVALID"],
        [replacing(extKeyUsage([OIDS.timeStamping])), "CERTIFICATE_USAGE_INVALID"],
        [replacing(nameConstraints([uri("other.example")])), "CERTIFICATE_CONSTRAINT_VIOLATED"],
      ] as const) {
        const wrong = makeAuthority({ issuer: middle, subject: low.name, keys: low.keys, ...change });
        await expect(find(lowLeaf, { chains, untrusted: [wrong, middle] })).rejects.toThrow(withCode(code));
      }
    });

    test("cannot be a leaf that signs another", async () => {
      const evil = makeLeaf({ issuer: middle, subject: name({ CN: "evil" }) });
      const victim = makeLeaf({ issuer: evil });
      await expect(find(victim, { chains, untrusted: [evil, middle] })).rejects.toThrow(
        withCode("CERTIFICATE_USAGE_INVALID"),
      );
    });

    test("that claim the name of one and did not sign are passed over", async () => {
      const impostor = makeAuthority({
        issuer: middle,
        subject: low.name,
        ...replacing(subjectKeyIdentifier(keyIdOf(low.keys))),
      });
      expect(ders(await find(lowLeaf, { chains, untrusted: [impostor, low, middle] }))).toEqual([
        [lowLeaf.der, low.der, middle.der, root.der],
      ]);
    });

    test("cannot make the search endless", async () => {
      // Every one of them has issued every other
      const keys = ecKeys();
      const subject = name({ CN: "circle" });
      const circle = Array.from({ length: 16 }, (_, i) =>
        makeAuthority({ issuer: { name: subject, keys }, subject, keys, serialNumber: bytes(2, 1, i + 1) }),
      );
      const { provider, checks } = counting();
      await expect(
        find(makeLeaf({ issuer: { name: subject, keys } }), { chains, untrusted: circle, provider }),
      ).rejects.toThrow(withCode("LIMIT_EXCEEDED"));
      expect(checks()).toBeLessThanOrEqual(100);
    });

    test("may be roots of others, which lead nowhere", async () => {
      const stranger = makeAuthority({ subject: name({ CN: "stranger" }) });
      await expect(find(makeLeaf({ issuer: stranger }), { chains, untrusted: [stranger] })).rejects.toThrow(
        withCode("CERTIFICATE_ISSUER_UNKNOWN"),
      );
    });

    test("cannot make a path too long", async () => {
      const parties = [root];
      while (parties.length < 10)
        parties.unshift(
          makeAuthority({ issuer: parties[0] as Party, subject: name({ CN: `level ${parties.length}` }) }),
        );
      const linked = (from: number): Promise<readonly CertificatePath[]> =>
        find(makeLeaf({ issuer: parties[from] as Party }), { chains, untrusted: parties.slice(from, -1) });
      expect((await linked(1))[0]?.certificates).toHaveLength(10);
      await expect(linked(0)).rejects.toThrow(withCode("CERTIFICATE_CONSTRAINT_VIOLATED"));
    });

    test("cannot make it check signatures without end", async () => {
      // Each was issued by the next, and any of them might have been: they share a name and name no key
      const keys = Array.from({ length: 16 }, () => ecKeys());
      const subject = name({ CN: "row" });
      const at = (i: number): Pick<Party, "name" | "keys"> => ({ name: subject, keys: keys[i % 16] as Party["keys"] });
      const row = keys.map((own, i) =>
        makeAuthority({ issuer: at(i + 1), subject, keys: own, ...leaving(OIDS.authorityKeyIdentifier) }),
      );
      const { provider, checks } = counting();
      const signer = makeLeaf({ issuer: at(0), ...leaving(OIDS.authorityKeyIdentifier) });
      await expect(find(signer, { chains, untrusted: row, provider })).rejects.toThrow(withCode("LIMIT_EXCEEDED"));
      expect(checks()).toBe(100);
    });

    test("are at most sixteen", async () => {
      expect(await find(lowLeaf, { chains, untrusted: [...Array<Party>(15).fill(low), middle] })).toHaveLength(1);
      await expect(find(lowLeaf, { chains, untrusted: Array<Party>(17).fill(low) })).rejects.toThrow(
        withCode("LIMIT_EXCEEDED"),
      );
    });
  });

  describe("name constraints along the path (§6.1.3 (b), (c))", () => {
    test("apply to intermediates too", async () => {
      const top = makeAuthority(replacing(nameConstraints([dirName({ O: "Example" })])));
      const inside = makeAuthority({ issuer: top });
      const outside = makeAuthority({ issuer: top, subject: name({ O: "Other", CN: "intermediate" }) });
      expect(await find(makeLeaf({ issuer: inside }), { chains: [chainOf(inside, top)] })).toHaveLength(1);
      await expect(find(makeLeaf({ issuer: outside }), { chains: [chainOf(outside, top)] })).rejects.toThrow(
        withCode("CERTIFICATE_CONSTRAINT_VIOLATED"),
      );
    });

    test("do not apply to a self-issued intermediate, and do to a self-issued leaf", async () => {
      const subject = name({ O: "Other" });
      const top = makeAuthority({ subject, ...replacing(nameConstraints([dirName({ O: "Example" })])) });
      const rollover = makeAuthority({ issuer: top, subject });
      const search: Search = { chains: [chainOf(rollover, top)] };
      expect(await find(makeLeaf({ issuer: rollover }), search)).toHaveLength(1);
      await expect(find(makeLeaf({ issuer: rollover, subject }), search)).rejects.toThrow(
        withCode("CERTIFICATE_CONSTRAINT_VIOLATED"),
      );
    });

    test("all hold when several authorities have them", async () => {
      const top = makeAuthority(replacing(nameConstraints([uri(".example.com"), uri("example.com")])));
      const low = makeAuthority({
        issuer: top,
        ...replacing(nameConstraints([uri("example.com"), uri("other.example")])),
      });
      const search: Search = { chains: [chainOf(low, top)] };
      const named = (value: string): Party => makeLeaf({ issuer: low, ...replacing(subjectAltName(uri(value))) });
      expect(await find(named("https://example.com/"), search)).toHaveLength(1);
      await expect(find(named("https://other.example/"), search)).rejects.toThrow(
        withCode("CERTIFICATE_CONSTRAINT_VIOLATED"),
      );
      await expect(find(named("https://sub.example.com/"), search)).rejects.toThrow(
        withCode("CERTIFICATE_CONSTRAINT_VIOLATED"),
      );
    });
  });

  test("rejects a leaf with any byte changed", async () => {
    for (let i = 0; i < leaf.der.length; i++) {
      const changed = Uint8Array.from(leaf.der);
      changed[i] = (changed[i] ?? 0) ^ (1 << (i % 8));
      await expect((async () => find({ der: changed }))()).rejects.toThrow(
        withCode(expect.stringMatching(/^(CERTIFICATE_|ALGORITHM_UNSUPPORTED|LIMIT_EXCEEDED)/)),
      );
    }
  });
});

function dirName(attributes: Readonly<Record<string, string>>): Uint8Array {
  const inner = name(attributes);
  return bytes(0xa4, inner.length, inner);
}

describe("verifyAuthorityChain (RFC 5280 §6.1)", () => {
  test("accepts a root with its intermediate, and each of them alone", async () => {
    for (const chain of [authority, chainOf(root), chainOf(intermediate)])
      await expect(verifyAuthorityChain(chain, crypto)).resolves.toBeUndefined();
  });

  test("checks the signature of a trust anchor only where it names itself as issuer", async () => {
    const forge = { signature: () => bits(bytes(1, 2, 3)) };
    await expect(
      verifyAuthorityChain(chainOf(makeAuthority({ issuer: root, ...forge })), crypto),
    ).resolves.toBeUndefined();
    await expect(verifyAuthorityChain(chainOf(makeAuthority(forge)), crypto)).rejects.toThrow(
      withCode("CERTIFICATE_SIGNATURE_INVALID"),
    );
  });

  const other = makeAuthority({ subject: root.name });
  const namedLeaf = makeLeaf({ issuer: intermediate, subject: name({ CN: "leaf" }) });
  const withoutIds = makeAuthority({ issuer: root, ...leaving(OIDS.authorityKeyIdentifier) });
  test.for<[string, readonly Party[], string]>([
    ["is empty", [], "CERTIFICATE_ISSUER_UNKNOWN"],
    ["is in the wrong order", [root, intermediate], "CERTIFICATE_ISSUER_UNKNOWN"],
    ["lacks a link", [leaf, root], "CERTIFICATE_ISSUER_UNKNOWN"],
    ["ends in another key of the same name", [withoutIds, other], "CERTIFICATE_SIGNATURE_INVALID"],
    ["ends in another key identifier of the same name", [intermediate, other], "CERTIFICATE_ISSUER_UNKNOWN"],
    [
      "has an intermediate that is no authority",
      [makeLeaf({ issuer: namedLeaf }), namedLeaf, intermediate, root],
      "CERTIFICATE_USAGE_INVALID",
    ],
    [
      "has an authority that may not sign certificates",
      [intermediate, makeAuthority({ keys: root.keys, ...replacing(keyUsage(0x02)) })],
      "CERTIFICATE_USAGE_INVALID",
    ],
    [
      "is longer than its root allows",
      [
        makeAuthority({ issuer: makeAuthority() }),
        intermediate,
        makeAuthority({ keys: root.keys, ...replacing(basicConstraints(true, 0)) }),
      ],
      "CERTIFICATE_CONSTRAINT_VIOLATED",
    ],
    [
      "has a critical extension that nobody knows",
      [makeAuthority(replacing(extension("1.2.3", octets(bytes()), true)))],
      "CERTIFICATE_CONSTRAINT_VIOLATED",
    ],
    [
      "breaks its own name constraints",
      [intermediate, makeAuthority({ keys: root.keys, ...replacing(nameConstraints([dirName({ O: "Other" })])) })],
      "CERTIFICATE_CONSTRAINT_VIOLATED",
    ],
    ["has more than ten certificates", Array<Party>(11).fill(root), "LIMIT_EXCEEDED"],
  ])("rejects a chain that %s", async ([, parties, code]) => {
    await expect(verifyAuthorityChain(chainOf(...parties), crypto)).rejects.toThrow(withCode(code));
  });

  test("accepts a chain of ten", async () => {
    const parties = [root];
    while (parties.length < 10)
      parties.unshift(makeAuthority({ issuer: parties[0] as Party, subject: name({ CN: `level ${parties.length}` }) }));
    await expect(verifyAuthorityChain(chainOf(...parties), crypto)).resolves.toBeUndefined();
  });

  test("accepts a chain that begins with the leaf of a timestamp authority", async () => {
    const tsa = makeAuthority({ issuer: root, ...replacing(basicConstraints(true, 0)) });
    await expect(
      verifyAuthorityChain(chainOf(makeTimestampLeaf({ issuer: tsa }), tsa, root), crypto),
    ).resolves.toBeUndefined();
  });
});

describe("verifyPathValidAt (RFC 5280 §4.1.2.5)", () => {
  const from = (start: string, end: string): CertificateOptions => ({
    notBefore: generalizedTime(start),
    notAfter: generalizedTime(end),
  });
  const top = makeAuthority(from("20200101000000Z", "20400101000000Z"));
  const middle = makeAuthority({ issuer: top, ...from("20220101000000Z", "20300101000000Z") });
  const bottom = makeLeaf({ issuer: middle, ...from("20250601120000Z", "20250601121000Z") });
  const path: CertificatePath = {
    certificates: [bottom, middle, top].map(({ der }) => parseCertificate(der)),
    chain: chainOf(middle, top),
  };

  test.for(["2025-06-01T12:00:00Z", "2025-06-01T12:05:00.500Z", "2025-06-01T12:10:00Z"])(
    "accepts %s, since both ends belong to a validity",
    (time) => {
      expect(() => verifyPathValidAt(path, new Date(time))).not.toThrow();
    },
  );

  test.for(["2025-06-01T11:59:59.999Z", "2025-06-01T12:10:00.001Z", "2019-01-01T00:00:00Z"])("rejects %s", (time) => {
    expect(() => verifyPathValidAt(path, new Date(time))).toThrow(
      expect.objectContaining({
        code: "CERTIFICATE_NOT_VALID_AT_TIME",
        expected: "2025-06-01T12:00:00.000Z to 2025-06-01T12:10:00.000Z",
        found: new Date(time).toISOString(),
      }),
    );
  });

  test("holds every certificate to it, the trust anchor too", () => {
    const upper = (certificates: readonly Certificate[]): CertificatePath => ({ ...path, certificates });
    const [, second, third] = path.certificates;
    expect(() => verifyPathValidAt(upper([second, third] as Certificate[]), new Date("2021-01-01"))).toThrow(
      withCode("CERTIFICATE_NOT_VALID_AT_TIME"),
    );
    expect(() => verifyPathValidAt(upper([third] as Certificate[]), new Date("2021-01-01"))).not.toThrow();
    expect(() => verifyPathValidAt(upper([third] as Certificate[]), new Date("2040-01-02"))).toThrow(
      withCode("CERTIFICATE_NOT_VALID_AT_TIME"),
    );
  });

  test("refuses a date that is none as misuse", () => {
    expect(() => verifyPathValidAt(path, new Date(Number.NaN))).toThrow(TypeError);
  });
});

describe("certificates of other software", () => {
  const load = (algorithm: string): { readonly leaf: Certificate; readonly chain: AuthorityChain } => {
    const [first, ...certificates] = parseCertificatesPem(
      readFileSync(join(projectDir, "testdata", "x509", `chain-${algorithm}.pem`), "utf8"),
    );
    return { leaf: first as Certificate, chain: { certificates } };
  };
  const supported = [
    "ecdsa-p256-sha256",
    "ecdsa-p384-sha384",
    "ecdsa-p521-sha512",
    "ecdsa-p384-sha256",
    "rsa-2048-sha256",
    "rsa-3072-sha384",
    "rsa-2048-sha512",
    "rsa-pss-2048-sha256",
    "ed25519",
  ];

  test.for(supported)("openssl: a chain with %s verifies", async (algorithm) => {
    const { leaf: signer, chain } = load(algorithm);
    await verifyAuthorityChain(chain, crypto);
    expect(await findCertificatePaths(signer, [chain], { purpose: "code-signing", crypto })).toHaveLength(1);
  });

  test.for(supported)("openssl: a leaf with %s under another chain does not", async (algorithm) => {
    const { leaf: signer } = load(algorithm);
    const others = supported.filter((other) => other !== algorithm).map((other) => load(other).chain);
    await expect(findCertificatePaths(signer, others, { purpose: "code-signing", crypto })).rejects.toThrow(
      withCode("CERTIFICATE_ISSUER_UNKNOWN"),
    );
  });

  test.for(["rsa-2048-sha1", "rsa-pss-2048-salt-20"])(
    "openssl: a chain with %s is not supported",
    async (algorithm) => {
      const { leaf: signer, chain } = load(algorithm);
      await expect(verifyAuthorityChain(chain, crypto)).rejects.toThrow(withCode("ALGORITHM_UNSUPPORTED"));
      await expect(findCertificatePaths(signer, [chain], { purpose: "code-signing", crypto })).rejects.toThrow(
        withCode("ALGORITHM_UNSUPPORTED"),
      );
    },
  );

  test("real leaves have a path exactly under the authority that issued them, as node:crypto sees it", async () => {
    const all = realCertificates().map(({ der }) => parseCertificate(der));
    const authorities = all.filter(({ extensions }) => extensions.basicConstraints?.ca === true);
    const leaves = all.filter(
      ({ extensions }) =>
        extensions.extendedKeyUsage?.purposes.includes(OIDS.codeSigning) === true &&
        extensions.basicConstraints?.ca !== true,
    );
    expect(leaves.length).toBeGreaterThan(10);
    for (const signer of leaves) {
      const theirs = new X509Certificate(signer.bytes);
      for (const candidate of authorities) {
        const issuer = new X509Certificate(candidate.bytes);
        const expected = theirs.checkIssued(issuer) && theirs.verify(issuer.publicKey);
        const found = findCertificatePaths(signer, [{ certificates: [candidate] }], {
          purpose: "code-signing",
          crypto,
        });
        if (expected) expect(await found).toHaveLength(1);
        else await expect(found).rejects.toThrow(VerificationError);
      }
    }
  });

  test("a real leaf with any byte changed (a sample of them) has no path", async () => {
    const all = realCertificates().map(({ der }) => parseCertificate(der));
    const real = all.find(
      ({ bytes: { length }, extensions }) => length > 1000 && extensions.basicConstraints?.ca !== true,
    );
    const chains = all
      .filter(({ extensions }) => extensions.basicConstraints?.ca === true)
      .map((certificate) => ({ certificates: [certificate] }));
    const signer = real as Certificate;
    expect((await findCertificatePaths(signer, chains, { purpose: "code-signing", crypto })).length).toBeGreaterThan(0);
    for (let i = 0; i < signer.bytes.length; i++) {
      if (!isInSample(i, 4)) continue;
      const changed = Uint8Array.from(signer.bytes);
      changed[i] = (changed[i] ?? 0) ^ (1 << (i % 8));
      await expect(
        (async () => findCertificatePaths(parseCertificate(changed), chains, { purpose: "code-signing", crypto }))(),
      ).rejects.toThrow(withCode(expect.any(String)));
    }
  });
});
