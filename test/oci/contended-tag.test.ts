import { describe, expect, test } from "vitest";
import { ServiceError } from "../../src/errors.ts";
import { contentDigestOf, type ContentDigest } from "../../src/oci/content-digest.ts";
import type { WriterOptions } from "../../src/oci/contended-tag.ts";
import { addToFallbackIndex, removeFromFallbackIndex } from "../../src/oci/fallback-index.ts";
import type { Descriptor } from "../../src/oci/manifest.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { utf8 } from "../support/logs.ts";
import { MemoryRepository, type RepositoryBehaviour } from "../support/memory-repository.ts";
import { seededRandom, VirtualTime } from "../support/virtual-time.ts";

const SUBJECT = contentDigestOf(utf8("image"));
const TAG = SUBJECT.replace(":", "-");

function entry(name: string | number): Descriptor {
  return { mediaType: OCI_MANIFEST, digest: contentDigestOf(utf8(`${name}`)), size: 1 };
}

function indexOf(...entries: readonly Descriptor[]): Uint8Array {
  return utf8(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: entries }));
}

async function listed(repository: MemoryRepository, time = new VirtualTime()): Promise<readonly ContentDigest[]> {
  const { descriptors } = await time.run(repository.client().listReferrers(SUBJECT));
  return descriptors.map(({ digest }) => digest);
}

interface Race {
  readonly time: VirtualTime;
  readonly random: () => number;
  readonly repository: MemoryRepository;
  readonly options: WriterOptions;
}

/** A registry of which half a request takes so many milliseconds. */
function race(seed: number, halfMs: (random: () => number) => number, behaviour: RepositoryBehaviour = {}): Race {
  const time = new VirtualTime();
  const random = seededRandom(seed);
  const travel = (): Promise<void> => time.sleep(halfMs(random));
  const repository = new MemoryRepository({ travel, ...behaviour });
  return { time, random, repository, options: { sleep: time.sleep, random, monotonicMs: time.now } };
}

const writeAll = async ({ time, repository, options }: Race, count: number): Promise<void> => {
  const writers = Array.from({ length: count }, (_, i) =>
    addToFallbackIndex(repository.client(), SUBJECT, entry(i), options),
  );
  await time.run(Promise.all(writers));
};

describe("updateTag, whoever else writes", () => {
  test.for([
    ["without conditions, and without saying so", { honours: "none", givesEtags: false }],
    ["without conditions that says it has states", { honours: "none" }],
    ["with conditions", { honours: "all" }],
    ["with a condition for tags that are there, and none for others", { honours: "if-match" }],
    ["whose states are weak, and never match", { honours: "all", givesEtags: "weak" }],
    ["that refuses conditions, and says of no state how it is called", { honours: "all", givesEtags: false }],
  ] as const)("loses nothing in 100 runs of ten writers and of two, at a registry %s", async ([, behaviour]) => {
    for (let seed = 0; seed < 100; seed++) {
      for (const count of [2, 10]) {
        const one = race(seed, (random) => 5 + 95 * random(), behaviour);
        await writeAll(one, count);
        expect(await listed(one.repository, one.time)).toHaveLength(count);
      }
    }
  });

  test("waits longer where the registry is slow", async () => {
    const time = new VirtualTime();
    const random = seededRandom(1);
    // A write takes two seconds to get there. The second writer has read before that of the first has.
    const travel = (kind: string, half: string): Promise<void> =>
      time.sleep(kind === "write" && half === "to" ? 2000 : 5);
    const repository = new MemoryRepository({ travel });
    const add = async (name: string, startsAt: number): Promise<void> => {
      await time.sleep(startsAt);
      const options = { sleep: time.sleep, random, monotonicMs: time.now };
      await addToFallbackIndex(repository.client(), SUBJECT, entry(name), options);
    };
    await time.run(Promise.all([add("first", 0), add("second", 1900)]));
    expect(await listed(repository, time)).toHaveLength(2);
  });

  test("looks several times: nothing is lost where some requests take ten times as long as others", async () => {
    for (let seed = 0; seed < 200; seed++) {
      const one = race(seed, (random) => (random() < 0.05 ? 400 : 20 + 20 * random()));
      await writeAll(one, 2);
      expect(await listed(one.repository, one.time)).toHaveLength(2);
    }
  });

  test("writes once at a registry that honours conditions, whatever the number of writers", async () => {
    const one = race(1, () => 20, { honours: "all" });
    await writeAll(one, 10);
    expect(one.repository.writes).toBe(10);
  });

  test("puts back what a client that never reads again takes away", async () => {
    const { time, repository, options } = race(3, () => 10);
    const careless = async (): Promise<void> => {
      await time.sleep(60); // the writer has written by then
      await repository.client().pushManifest(indexOf(entry("theirs")), OCI_INDEX, { tag: TAG });
    };
    await time.run(Promise.all([addToFallbackIndex(repository.client(), SUBJECT, entry("ours"), options), careless()]));
    expect(new Set(await listed(repository, time))).toEqual(new Set([entry("ours").digest, entry("theirs").digest]));
  });

  test("puts back another's entry that it has seen, and that a third takes away", async () => {
    const { time, repository, options } = race(3, () => 10);
    await time.run(repository.client().pushManifest(indexOf(entry("first")), OCI_INDEX, { tag: TAG }));
    const careless = async (): Promise<void> => {
      await time.sleep(60);
      await repository.client().pushManifest(indexOf(entry("theirs")), OCI_INDEX, { tag: TAG });
    };
    await time.run(Promise.all([addToFallbackIndex(repository.client(), SUBJECT, entry("ours"), options), careless()]));
    expect(await listed(repository, time)).toContain(entry("first").digest);
  });

  test("lets another take an entry out on purpose, after it has put it back in vain", async () => {
    for (let seed = 0; seed < 50; seed++) {
      const { time, random, repository, options } = race(seed, (next) => 5 + 95 * next());
      await time.run(repository.client().pushManifest(indexOf(entry("old")), OCI_INDEX, { tag: TAG }));
      const later = async (work: () => Promise<void>): Promise<void> => {
        await time.sleep(500 * random());
        await work();
      };
      await time.run(
        Promise.all([
          later(() => addToFallbackIndex(repository.client(), SUBJECT, entry("new"), options)),
          later(() => removeFromFallbackIndex(repository.client(), SUBJECT, [entry("old").digest], options)),
        ]),
      );
      expect(await listed(repository, time)).toContain(entry("new").digest);
    }
  });

  test("gives up where another takes the entry away every time, and says so", async () => {
    const repository = new MemoryRepository();
    const client = repository.client();
    const rude = {
      ...client,
      name: client.name,
      fetchManifest: () => Promise.resolve(undefined),
      pushManifest: client.pushManifest.bind(client),
    } as unknown as typeof client;
    const waits: number[] = [];
    const sleep = (ms: number): Promise<void> => Promise.resolve(void waits.push(ms));
    await expect(
      addToFallbackIndex(rude, SUBJECT, entry("ours"), { sleep, random: () => 0, settleMs: 100, monotonicMs: () => 0 }),
    ).rejects.toMatchObject({ code: "REGISTRY_UPDATE_LOST", retryable: true });
    expect(repository.writes).toBe(40);
    // A fifth of 100 ms and of a half more for each write before it, up to eight times as much.
    expect(waits.slice(0, 3)).toEqual([30, 40, 50]);
    expect(Math.max(...waits)).toBe(160);
  });

  test("asks once whether a registry honours conditions, and takes its word of no state for that", async () => {
    const conditions: (string | null | undefined)[] = [];
    const repository = new MemoryRepository({ beforeTag: (_tag, _exists, condition) => conditions.push(condition) });
    const client = repository.client();
    const options = { sleep: () => Promise.resolve(), random: () => 0 };
    await addToFallbackIndex(client, SUBJECT, entry(1), options);
    await addToFallbackIndex(client, SUBJECT, entry(2), options);
    expect(conditions).toEqual([expect.any(String), undefined]);
  });

  test.for([400, 501])("writes without a condition where one is answered with %i", async (status) => {
    const repository = new MemoryRepository({
      beforeTag(_tag, _exists, condition) {
        if (condition !== undefined) throw new ServiceError("REGISTRY_REQUEST_REFUSED", "what is that?", { status });
      },
    });
    await addToFallbackIndex(repository.client(), SUBJECT, entry(1), { sleep: () => Promise.resolve() });
    expect(await listed(repository)).toEqual([entry(1).digest]);
  });

  test("ends its waiting with the signal", async () => {
    const controller = new AbortController();
    const sleep = (): Promise<void> => Promise.resolve(controller.abort(new Error("enough")));
    await expect(
      addToFallbackIndex(new MemoryRepository().client(), SUBJECT, entry(1), { sleep, signal: controller.signal }),
    ).rejects.toThrow("enough");
  });

  test.for(["all", "none"] as const)(
    "creates a tag where no tag can be moved, and tells of it the second time; conditions: %s",
    async (honours) => {
      const repository = new MemoryRepository({
        honours,
        beforeTag(_tag, exists) {
          if (exists) throw new ServiceError("REGISTRY_TAG_IMMUTABLE", "tag cannot be moved", { status: 409 });
        },
      });
      const options = { sleep: () => Promise.resolve() };
      await addToFallbackIndex(repository.client(), SUBJECT, entry(1), options);
      await expect(addToFallbackIndex(repository.client(), SUBJECT, entry(2), options)).rejects.toMatchObject({
        code: "REGISTRY_TAG_IMMUTABLE",
      });
      expect(await listed(repository)).toEqual([entry(1).digest]);
    },
  );
});

describe("addToFallbackIndex (distribution-spec, Referrers Tag Schema)", () => {
  const options = { sleep: () => Promise.resolve() };
  const written = (repository: MemoryRepository): unknown =>
    JSON.parse(Buffer.from(repository.tags.get(TAG)?.bytes ?? []).toString());

  test("makes an index with the entry alone", async () => {
    const repository = new MemoryRepository();
    const annotations = { "org.example.b": "2", "org.example.a": "1" };
    await addToFallbackIndex(
      repository.client(),
      SUBJECT,
      { ...entry(1), artifactType: "application/x", annotations },
      options,
    );
    expect([...repository.tags.keys()]).toEqual([TAG]);
    expect(repository.tags.get(TAG)?.descriptor.mediaType).toBe("application/vnd.oci.image.index.v1+json");
    expect(written(repository)).toEqual({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [{ ...entry(1), artifactType: "application/x", annotations }],
    });
  });

  test("leaves what others wrote, with fields that it does not know", async () => {
    const repository = new MemoryRepository();
    // As cosign writes it: the type of the config in place of that of the manifest.
    const theirs = { ...entry("theirs"), artifactType: "application/vnd.oci.empty.v1+json", data: "e30=", "x-y": [1] };
    const before = { schemaVersion: 2, "x-index": { a: null }, annotations: { b: "c" }, manifests: [theirs] };
    await repository.client().pushManifest(utf8(JSON.stringify(before)), OCI_INDEX, { tag: TAG });
    await addToFallbackIndex(repository.client(), SUBJECT, entry("ours"), options);
    expect(written(repository)).toEqual({ ...before, manifests: [theirs, entry("ours")] });
  });

  test("writes nothing where the entry is there, however it is written", async () => {
    const repository = new MemoryRepository();
    await repository.client().pushManifest(indexOf({ ...entry(1), artifactType: "text/x" }), OCI_INDEX, { tag: TAG });
    await addToFallbackIndex(repository.client(), SUBJECT, entry(1), options);
    expect(repository.writes).toBe(1);
  });

  test.for([
    ["an image", OCI_MANIFEST, { schemaVersion: 2, config: entry(1), layers: [] }],
    ["Docker's list", "application/vnd.docker.distribution.manifest.list.v2+json", { schemaVersion: 2, manifests: [] }],
  ] as const)("changes nothing where the tag names %s", async ([, mediaType, document]) => {
    const repository = new MemoryRepository();
    await repository.client().pushManifest(utf8(JSON.stringify(document)), mediaType, { tag: TAG });
    await expect(addToFallbackIndex(repository.client(), SUBJECT, entry(1), options)).rejects.toMatchObject({
      code: "MEDIA_TYPE_MISMATCH",
    });
    expect(repository.writes).toBe(1);
  });

  test("refuses an index that would be larger than anybody reads", async () => {
    const annotations = { large: "x".repeat(4 * 1024 * 1024) };
    await expect(
      addToFallbackIndex(new MemoryRepository().client(), SUBJECT, { ...entry(1), annotations }, options),
    ).rejects.toMatchObject({ code: "REGISTRY_UPDATE_LOST", message: expect.stringContaining("is full") as string });
  });

  test("takes entries out, and leaves an empty index", async () => {
    const repository = new MemoryRepository();
    await repository.client().pushManifest(indexOf(entry(1), entry(2)), OCI_INDEX, { tag: TAG });
    await removeFromFallbackIndex(repository.client(), SUBJECT, [entry(1).digest], options);
    expect(await listed(repository)).toEqual([entry(2).digest]);
    await removeFromFallbackIndex(repository.client(), SUBJECT, [entry(2).digest], options);
    expect(await listed(repository)).toEqual([]);
  });
});
