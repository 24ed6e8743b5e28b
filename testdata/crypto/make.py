#!/usr/bin/env python3
"""Makes keys, signs `message` with each, and lists the signatures in cases.json. Needs the openssl command."""
import base64, json, pathlib, subprocess, tempfile

here = pathlib.Path(__file__).parent
message = here / "message"


def openssl(*arguments):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True).stdout


def pss(salt):
    return ["-sigopt", "rsa_padding_mode:pss", "-sigopt", f"rsa_pss_saltlen:{salt}"]


def rsa(bits, *options):
    return ["RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}", *options]


PLAIN_PSS = ["RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"]
BOUND_PSS = [*PLAIN_PSS, "-pkeyopt", "rsa_pss_keygen_md:sha384", "-pkeyopt", "rsa_pss_keygen_mgf1_md:sha384", "-pkeyopt", "rsa_pss_keygen_saltlen:24"]
# key: (arguments of genpkey, [(algorithm, hash, options of dgst)])
KEYS = {
    **{
        f"p{size}": (
            ["EC", "-pkeyopt", f"ec_paramgen_curve:P-{size}"],
            [(f"ecdsa-sha2-{bits}-nistp{size}", f"sha{bits}", []) for bits in (256, 384, 512)],
        )
        for size in (256, 384, 521)
    },
    **{
        f"rsa-{bits}": (
            rsa(bits),
            [
                *((f"rsa-sign-pkcs1-{bits}-sha256" if h == 256 else f"rsa-sign-pkcs1-sha{h}", f"sha{h}", []) for h in (256, 384, 512)),
                *((f"rsa-sign-pss-{bits}-sha256" if h == 256 else f"rsa-sign-pss-sha{h}", f"sha{h}", pss("digest")) for h in (256, 384, 512)),
                (f"rsa-sign-pss-{bits}-sha256", "sha256", pss("max")),
                (f"rsa-sign-pss-{bits}-sha256", "sha256", pss(0)),
            ],
        )
        for bits in (2048, 3072, 4096)
    },
    "rsa-2560": (rsa(2560), [("rsa-sign-pkcs1-sha256", "sha256", []), ("rsa-sign-pss-sha256", "sha256", pss("digest"))]),
    "rsa-exponent-3": (rsa(2048, "-pkeyopt", "rsa_keygen_pubexp:3"), [("rsa-sign-pkcs1-2048-sha256", "sha256", [])]),
    "rsa-pss": (PLAIN_PSS, [("rsa-sign-pss-2048-sha256", "sha256", pss("digest")), ("rsa-sign-pss-sha512", "sha512", pss("digest"))]),
    "rsa-pss-sha384-salt-24": (BOUND_PSS, [("rsa-sign-pss-sha384", "sha384", pss("digest")), ("rsa-sign-pss-sha384", "sha384", pss(24))]),
    "ed25519": (["ED25519"], [("ed25519", None, [])]),
    # Keys to refuse.
    "rsa-1024": (rsa(1024), []),
    "rsa-exponent-33-bits": (rsa(2048, "-pkeyopt", "rsa_keygen_pubexp:4294967297"), []),
    "secp256k1": (["EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"], []),
    "p256-explicit": (["EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"], []),
    "ed448": (["ED448"], []),
    "x25519": (["X25519"], []),
}

cases = []
with tempfile.TemporaryDirectory() as folder:
    private = pathlib.Path(folder) / "key.pem"
    for name, (generation, signatures) in KEYS.items():
        private.write_bytes(openssl("genpkey", "-algorithm", *generation))
        (here / f"{name}.pem").write_bytes(openssl("pkey", "-in", private, "-pubout"))
        if name == "p256":
            (here / "p256-compressed.pem").write_bytes(
                openssl("ec", "-in", private, "-pubout", "-conv_form", "compressed"))
        if name == "rsa-3072":
            (here / "rsa-3072-pkcs1.pem").write_bytes(openssl("rsa", "-in", private, "-RSAPublicKey_out"))
        for algorithm, digest, options in signatures:
            if digest is None:
                signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", private, "-in", message)
            else:
                signature = openssl("dgst", f"-{digest}", "-sign", private, *options, message)
            case = {"key": f"{name}.pem", "algorithm": algorithm, "signature": base64.b64encode(signature).decode()}
            if options:
                case["salt"] = options[-1].split(":")[1]
            cases.append(case)
(here / "cases.json").write_text(json.dumps(cases, indent=2) + "\n")
