// Makes what neither cosign nor openssl writes any more: encrypted keys with the other parameters of scrypt, with the library that
// cosign uses, and RSA keys that nobody should have. Run it in a module that requires github.com/secure-systems-lab/go-securesystemslib.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func write(name, label string, der []byte) {
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}), 0o600); err != nil {
		panic(err)
	}
}

// The numbers of RFC 8017 A.1.2, for primes of one's own choice.
type rsaPrivateKey struct {
	Version               int
	N                     *big.Int
	E                     int
	D, P, Q, Dp, Dq, Qinv *big.Int
}

func rsaOf(p, q *big.Int, e int) []byte {
	one := big.NewInt(1)
	p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
	d := new(big.Int).ModInverse(big.NewInt(int64(e)), new(big.Int).Mul(p1, q1))
	if d == nil {
		return nil
	}
	return must(asn1.Marshal(rsaPrivateKey{0, new(big.Int).Mul(p, q), e, d, p, q,
		new(big.Int).Mod(d, p1), new(big.Int).Mod(d, q1), new(big.Int).ModInverse(q, p)}))
}

func nextPrime(from *big.Int) *big.Int {
	prime := new(big.Int).Add(from, big.NewInt(2))
	for !prime.ProbablyPrime(20) {
		prime.Add(prime, big.NewInt(2))
	}
	return prime
}

func prime(bits int) *big.Int { return must(rand.Prime(rand.Reader, bits)) }

func main() {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	pkcs8 := must(x509.MarshalPKCS8PrivateKey(key))
	old := must(encrypted.EncryptWithCustomKDFParameters(pkcs8, []byte("correct horse"), encrypted.Legacy))
	write("cosign-old-p256.key", "ENCRYPTED COSIGN PRIVATE KEY", old)
	write("cosign-old-p256.pub", "PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&key.PublicKey)))
	strong := must(encrypted.EncryptWithCustomKDFParameters(pkcs8, []byte("correct horse"), encrypted.OWASP))
	write("cosign-owasp-p256.key", "ENCRYPTED SIGSTORE PRIVATE KEY", strong)

	for der := []byte(nil); ; {
		p := prime(1024)
		if der = rsaOf(nextPrime(p), p, 65537); der != nil {
			write("rsa-close-primes.pem", "RSA PRIVATE KEY", der)
			break
		}
	}
	for der := []byte(nil); ; {
		if der = rsaOf(prime(1040), prime(1008), 65537); der != nil {
			write("rsa-uneven-primes.pem", "RSA PRIVATE KEY", der)
			break
		}
	}
	for der := []byte(nil); ; {
		if der = rsaOf(prime(1024), prime(1024), 3); der != nil {
			write("rsa-exponent-3.pem", "RSA PRIVATE KEY", der)
			break
		}
	}
	// The private half of one key beside the public half of another.
	mixed := *key
	mixed.PublicKey = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).PublicKey
	type ecPrivateKey struct {
		Version    int
		PrivateKey []byte
		Curve      asn1.ObjectIdentifier `asn1:"explicit,tag:0"`
		PublicKey  asn1.BitString        `asn1:"explicit,tag:1"`
	}
	point := elliptic.Marshal(elliptic.P256(), mixed.X, mixed.Y)
	write("p256-mixed.pem", "EC PRIVATE KEY", must(asn1.Marshal(ecPrivateKey{1, key.D.FillBytes(make([]byte, 32)),
		asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}, asn1.BitString{Bytes: point, BitLength: 8 * len(point)}})))
}
