// Makes what openssl cannot: keys whose size is no multiple of 8, and Ed25519ph. Run it with `go run make.go`, after make.py.
package main

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
)

type signed struct {
	Key       string `json:"key"`
	Algorithm string `json:"algorithm"`
	Signature string `json:"signature"`
	Salt      string `json:"salt,omitempty"`
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func save(name string, key any) {
	der := must(x509.MarshalPKIXPublicKey(key))
	must(0, os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644))
}

func main() {
	message := must(os.ReadFile("message"))
	hash := sha256.Sum256(message)
	var cases []signed
	add := func(key, algorithm, salt string, signature []byte) {
		cases = append(cases, signed{key, algorithm, base64.StdEncoding.EncodeToString(signature), salt})
	}

	for _, size := range []struct {
		bits int
		name string
	}{{2047, "rsa-2047.pem"}, {2049, "rsa-2049.pem"}, {2055, "rsa-2055.pem"}, {4097, "rsa-4097.pem"}} {
		key := must(rsa.GenerateKey(rand.Reader, size.bits))
		save(size.name, key.Public())
		if size.bits < 2048 || size.bits > 4096 {
			continue // to be refused
		}
		add(size.name, "rsa-sign-pkcs1-sha256", "", must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, hash[:])))
		add(size.name, "rsa-sign-pss-sha256", "digest", must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, hash[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})))
		add(size.name, "rsa-sign-pss-sha256", "max", must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, hash[:], nil)))
	}

	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(0, err)
	save("ed25519-go.pem", public)
	digest := sha512.Sum512(message)
	add("ed25519-go.pem", "ed25519", "", must(private.Sign(nil, message, &ed25519.Options{})))
	add("ed25519-go.pem", "ed25519-ph", "", must(private.Sign(nil, digest[:], &ed25519.Options{Hash: crypto.SHA512})))

	must(0, os.WriteFile("go-cases.json", append(must(json.MarshalIndent(cases, "", "  ")), '\n'), 0o644))
}
