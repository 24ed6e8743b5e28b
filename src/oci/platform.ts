/**
 * Platforms, as they are asked for and as an index names them.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import type { Platform } from "./manifest.ts";

const PART = /^[A-Za-z0-9_.-]+$/;
/** Other names for one architecture. @see containerd/platforms database.go `normalizeArch` */
const ALIASES: Readonly<Record<string, Pick<Platform, "architecture" | "variant">>> = {
  i386: { architecture: "386" },
  x86_64: { architecture: "amd64" },
  "x86-64": { architecture: "amd64" },
  aarch64: { architecture: "arm64" },
  armhf: { architecture: "arm", variant: "v7" },
  armel: { architecture: "arm", variant: "v6" },
};

/**
 * Parses a platform: `os/architecture[/variant][:os.version]`.
 *
 * @throws {@link InputError} `USAGE_INVALID`.
 */
export function parsePlatform(text: string): Platform {
  const [name = "", osVersion, ...more] = text.split(":");
  const [os, architecture, variant, ...rest] = name.split("/");
  const parts = [os, architecture, variant, osVersion];
  if (
    os === undefined ||
    architecture === undefined ||
    rest.length + more.length > 0 ||
    parts.some((part) => part !== undefined && !PART.test(part))
  ) {
    throw new InputError("USAGE_INVALID", `invalid platform: ${JSON.stringify(text.slice(0, 100))}`, {
      expected: "os/architecture[/variant], for instance linux/amd64 or linux/arm/v7",
    });
  }
  return {
    os,
    architecture,
    ...(variant !== undefined && { variant }),
    ...(osVersion !== undefined && { osVersion }),
  };
}

/** Writes a platform as {@link parsePlatform} reads it. */
export function formatPlatform({ os, architecture, variant, osVersion }: Platform): string {
  return `${os}/${architecture}${variant === undefined ? "" : `/${variant}`}${osVersion === undefined ? "" : `:${osVersion}`}`;
}

/** Says whether a platform of an index is one that was asked for. What was not asked for may be anything. */
export function matchesPlatform(found: Platform, asked: Platform): boolean {
  const [a, b] = [normalize(found), normalize(asked)];
  return (
    a.os === b.os &&
    a.architecture === b.architecture &&
    (b.variant === undefined || a.variant === b.variant) &&
    (b.osVersion === undefined || a.osVersion === b.osVersion)
  );
}

/** @see containerd/platforms platforms.go `Normalize`, database.go `normalizeArch` */
function normalize(platform: Platform): Platform {
  const os = platform.os.toLowerCase();
  const given = platform.architecture.toLowerCase();
  const known = Object.hasOwn(ALIASES, given) ? ALIASES[given] : undefined;
  const architecture = known?.architecture ?? given;
  const variant = normalizeVariant(architecture, platform.variant?.toLowerCase() ?? known?.variant);
  return {
    os: os === "macos" ? "darwin" : os,
    architecture,
    ...(platform.osVersion !== undefined && { osVersion: platform.osVersion }),
    ...(variant !== undefined && { variant }),
  };
}

function normalizeVariant(architecture: string, variant: string | undefined): string | undefined {
  switch (architecture) {
    case "amd64":
      return variant === "v1" ? undefined : variant;
    case "arm64":
      return variant === undefined || variant === "8" ? "v8" : variant;
    case "arm":
      return variant !== undefined && /^[5-8]$/.test(variant) ? `v${variant}` : variant;
    default:
      return variant;
  }
}
